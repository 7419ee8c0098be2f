"""Bodies of ONNX loops and branches: counted as the file holds them, against numbers worked out here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_file import onnx_file

import edgeasc
from edgeasc.audit.document import ModelAudit

W = np.arange(16, dtype=np.float32).reshape(4, 4)  # one zero
HERE = {"w": W}
TRUE, STEPS = np.array(True), np.array(5, np.int64)


def audited(folder: Path, payload: bytes, **options: Any) -> ModelAudit:
    (folder / "m.onnx").write_bytes(payload)
    return edgeasc.audit(folder / "m.onnx", arena=False, **options).models[0]


def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(value, name)


def branch(then: str, other: str, constants: dict[str, Any] = HERE, inside: dict[str, Any] | None = None) -> bytes:
    """`y = If(c)` of two branches that see x [1, 4]; `inside` are constants of the first branch's own."""
    nodes = f"""y = If (c) <then_branch = t () => (float[1,4] a) {{ {then} }},
                            else_branch = e () => (float[1,4] b) {{ {other} }}>"""
    payload = onnx_file("float[1,4] x, bool c => float[1,4] y", nodes, constants)
    model = onnx.load_from_string(payload)
    for name, value in (inside or {}).items():
        model.graph.node[0].attribute[0].g.initializer.append(constant(name, value))
    return model.SerializeToString()


def loop(most: str = "n", condition: str = "go", ends: str = "Identity(going)", opset: int = 21) -> bytes:
    """`s = s @ w`, n = 5 times."""
    nodes = f"""y = Loop ({most}, {condition}, x) <body = b (int64 i, bool going, float[1,4] s)
                => (bool goes, float[1,4] t) {{ goes = {ends} t = MatMul(s, w) }}>"""
    constants = {"w": W, "n": STEPS, "go": TRUE}
    return onnx_file("float[1,4] x => float[1,4] y", nodes, constants, opset)


def scan(side: str = "6", opset: int = 21, axes: str = "") -> bytes:
    """A recurrent layer: `s = s @ w + x[t]` along the first axis of x."""
    nodes = f"""last, every = Scan <num_scan_inputs = 1{axes}, body = b (float[1,4] s, float[1,4] frame)
                => (float[1,4] t, float[1,4] o) {{ h = MatMul(s, w) t = Add(h, frame) o = Identity(t) }}> (first, x)"""
    signature = f"float[{side},1,4] x => float[1,4] last, float[{side},1,4] every"
    return onnx_file(signature, nodes, {"w": W, "first": np.zeros((1, 4), np.float32)}, opset)


def test_weights_of_both_branches_are_in_the_file(tmp_path: Path) -> None:
    payload = branch("a = MatMul(x, own)", "b = MatMul(x, w)", inside={"own": W + 1})
    found = audited(tmp_path, payload)
    assert (found.parameters.total, found.parameters.nonzero) == (32, 31)


def test_weights_that_both_branches_use_count_once(tmp_path: Path) -> None:
    found = audited(tmp_path, branch("a = MatMul(x, w)", "b = MatMul(x, w)"))
    assert (found.parameters.total, found.parameters.nonzero) == (16, 15)


def test_equal_names_in_two_bodies_are_two_constants(tmp_path: Path) -> None:
    payload = branch("a = MatMul(x, w)", "b = MatMul(x, w)", inside={"w": W})
    assert audited(tmp_path, payload).parameters.total == 32


def test_of_two_branches_the_costlier_one_counts(tmp_path: Path) -> None:
    payload = branch("h = MatMul(x, w) a = MatMul(h, w)", "b = MatMul(x, w)")
    assert audited(tmp_path, payload).macs == 32


def test_a_loop_costs_its_body_as_often_as_it_runs(tmp_path: Path) -> None:
    found = audited(tmp_path, loop())
    assert (found.macs, found.parameters.total) == (5 * 16, 16)


@pytest.mark.parametrize("ends", ["Identity(going)", "Constant <value = bool {1}> ()"])
def test_a_loop_whose_condition_stays_true_runs_its_number_of_steps(tmp_path: Path, ends: str) -> None:
    assert audited(tmp_path, loop(ends=ends)).macs == 5 * 16


@pytest.mark.parametrize(
    "payload", [loop(most=""), loop(ends="Not(going)"), loop(ends="Constant <value = bool {0}> ()"), loop(most="k")]
)
def test_a_loop_whose_steps_data_decides_fails_a_limit_on_operations(tmp_path: Path, payload: bytes) -> None:
    model = onnx.load_from_string(payload)
    if "k" in model.graph.node[0].input:
        model.graph.input.append(onnx.helper.make_tensor_value_info("k", onnx.TensorProto.INT64, []))
    found = audited(tmp_path, model.SerializeToString(), limits={"macs": 10**9, "parameters": 10**3})
    assert {limit.name: limit.passed for limit in found.limits} == {"macs": False, "parameters": True}


def test_a_scan_runs_along_its_input(tmp_path: Path) -> None:
    found = audited(tmp_path, scan())
    assert (found.macs, found.parameters.total) == (6 * 16, 16)


def test_the_state_that_a_scan_begins_with_is_no_weight(tmp_path: Path) -> None:
    what = {item.what: item.elements for item in audited(tmp_path, scan()).uncounted}
    assert what["initial states"] == 4


@pytest.mark.parametrize("payload", [scan(side="t"), scan(opset=8)])
def test_a_scan_of_open_length_fails_a_limit_on_operations(tmp_path: Path, payload: bytes) -> None:
    found = audited(tmp_path, payload, limits={"macs": 10**9})
    assert not found.limits[0].passed


def recurrent(side: str, layout: int) -> bytes:
    sides = f"{side},3,1" if layout else f"{side},1,3"
    constants = {"w": np.ones((1, 20, 4), np.float32), "r": np.ones((1, 20, 5), np.float32)}
    return onnx_file(
        f"float[{side},3,4] x => float[{sides},5] y", f"y = LSTM<hidden_size=5, layout={layout}>(x, w, r)", constants
    )


def test_a_recurrent_layer_along_an_open_first_side_fails_a_limit(tmp_path: Path) -> None:
    """Time comes first there: it must not pass for the batch, which counts as 1."""
    found = audited(tmp_path, recurrent("t", 0), limits={"macs": 10**9, "ram": 10**9})
    assert not any(limit.passed for limit in found.limits)


@pytest.mark.parametrize(("side", "layout", "steps"), [("7", 0, 21), ("b", 1, 3)])
def test_a_recurrent_layer_of_known_length_is_counted(tmp_path: Path, side: str, layout: int, steps: int) -> None:
    found = audited(tmp_path, recurrent(side, layout), limits={"macs": 10**9, "ram": 10**9})
    assert found.macs == steps * 20 * (4 + 5)
    assert all(limit.passed for limit in found.limits)


def test_an_open_batch_before_a_transposed_recurrent_layer_is_a_batch(tmp_path: Path) -> None:
    """As exporters write a layer that has the batch first."""
    constants = {"w": np.ones((1, 20, 4), np.float32), "r": np.ones((1, 20, 5), np.float32)}
    nodes = "s = Transpose<perm=[1,0,2]>(x) y = LSTM<hidden_size=5>(s, w, r)"
    payload = onnx_file("float[b,7,4] x => float[7,1,b,5] y", nodes, constants)
    found = audited(tmp_path, payload, limits={"macs": 10**9})
    assert (found.macs, found.limits[0].passed) == (7 * 20 * 9, True)


def test_what_a_loop_hands_on_unchanged_is_a_weight(tmp_path: Path) -> None:
    """As exporters write a matrix that every step reads: it travels as a state."""
    nodes = """y, v = Loop (n, go, x, w) <body = b (int64 i, bool going, float[1,4] s, float[4,4] u)
        => (bool goes, float[1,4] t, float[4,4] k) { goes = Identity(going) t = MatMul(s, u) k = Identity(u) }>"""
    payload = onnx_file("float[1,4] x => float[1,4] y", nodes, {"w": W, "n": STEPS, "go": TRUE})
    assert audited(tmp_path, payload).parameters.total == 16


def test_loops_within_loops_beyond_all_bounds_are_not_counted(tmp_path: Path) -> None:
    """Ten loops of 2^30 steps within each other: a number that no estimate could hold."""
    body = "t0 = MatMul(s0, w)"
    for depth in range(1, 10):
        inputs = f"int64 i{depth}, bool going{depth}, float[1,4] s{depth - 1}"
        body = f"""t{depth} = Loop (n, go, s{depth}) <body = b ({inputs})
            => (bool goes{depth}, float[1,4] t{depth - 1}) {{ goes{depth} = Identity(going{depth}) {body} }}>"""
    constants = {"w": W, "n": np.array(2**30, np.int64), "go": TRUE}
    payload = onnx_file("float[1,4] s9 => float[1,4] t9", body, constants)
    found = audited(tmp_path, payload, limits={"macs": 2**63})
    assert not found.limits[0].passed


def test_a_body_within_a_body_counts(tmp_path: Path) -> None:
    inner = """a = Loop (n, go, x) <body = b (int64 i, bool going, float[1,4] s)
               => (bool goes, float[1,4] t) { goes = Identity(going) t = MatMul(s, w) }>"""
    payload = branch(inner, "b = Identity(x)", {"w": W, "n": STEPS, "go": TRUE})
    found = audited(tmp_path, payload)
    assert (found.macs, found.parameters.total) == (5 * 16, 16)


def test_a_quantised_constant_around_is_counted_by_its_zero_point(tmp_path: Path) -> None:
    quantised = np.full((4, 4), 3, np.int8)
    quantised[0] = 7
    constants = {"q": quantised, "s": np.float32(0.1), "z": np.int8(3)}
    payload = branch("d = DequantizeLinear(q, s, z) a = MatMul(x, d)", "b = Identity(x)", constants)
    found = audited(tmp_path, payload)
    assert (found.parameters.total, found.parameters.nonzero, found.parameters.nonzero_bytes) == (16, 4, 4)


def test_what_a_body_reads_from_around_it_stays_alive_until_then(tmp_path: Path) -> None:
    """h [1, 64] waits through the wide m [1, 256] for the branch that reads it."""
    nodes = """h = MatMul(x, up) m = MatMul(x, wide) n = MatMul(m, narrow)
               y = If (c) <then_branch = t () => (float[1,64] a) { a = Relu(h) },
                           else_branch = e () => (float[1,64] b) { b = Neg(h) }>
               z = Relu(n)"""
    sides = {"up": (4, 64), "wide": (4, 256), "narrow": (256, 4)}
    constants = {name: np.ones(shape, np.float32) for name, shape in sides.items()}
    payload = onnx_file("float[1,4] x, bool c => float[1,64] y, float[1,4] z", nodes, constants)
    assert audited(tmp_path, payload).peak_activation_bytes == 4 * (64 + 256 + 4) + 1


def test_what_a_body_works_with_is_part_of_the_peak(tmp_path: Path) -> None:
    payload = branch("h = MatMul(x, up) a = MatMul(h, down)", "b = Identity(x)", {
        "up": np.ones((4, 100), np.float32), "down": np.ones((100, 4), np.float32)
    })  # fmt: skip
    assert audited(tmp_path, payload).peak_activation_bytes >= 4 * (100 + 4)


def test_an_open_side_in_a_body_fails_a_limit_on_operations(tmp_path: Path) -> None:
    """A body has no batch: its first side counts like any other."""
    nodes = """l = NonZero(x)
               y = If (c) <then_branch = t () => (a) { f = Cast<to = 1>(l) g = Transpose(f) a = MatMul(g, r) },
                           else_branch = e () => (b) { b = Identity(x) }>"""
    payload = onnx_file("float[1,4] x, bool c => float[] y", nodes, {"r": np.ones((2, 8), np.float32)})
    model = onnx.load_from_string(payload)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    found = audited(tmp_path, model.SerializeToString(), limits={"macs": 10**9})
    assert not found.limits[0].passed


def test_numbers_in_a_body_that_no_operator_is_known_to_run_are_out_of_sight(tmp_path: Path) -> None:
    model = onnx.load_from_string(branch("a = MatMul(x, own)", "b = Identity(x)", inside={"own": W}))
    model.graph.node[0].domain = "own"
    model.opset_import.add(domain="own", version=1)
    assert audited(tmp_path, model.SerializeToString()).hidden == 16


def test_an_unknown_operator_within_a_body_is_named(tmp_path: Path) -> None:
    model = onnx.load_from_string(branch("a = Relu(x)", "b = Identity(x)"))
    model.graph.node[0].attribute[0].g.node[0].domain = "own"
    model.opset_import.add(domain="own", version=1)
    found = audited(tmp_path, model.SerializeToString(), limits={"macs": 10**9})
    assert not found.limits[0].passed
    assert any("own.Relu" in note for note in found.notes)


def test_a_body_that_reads_a_name_from_nowhere_is_refused_or_shapeless(tmp_path: Path) -> None:
    payload = branch("a = Relu(nowhere)", "b = Identity(x)")
    (tmp_path / "m.onnx").write_bytes(payload)
    try:
        found = edgeasc.audit(tmp_path / "m.onnx", limits={"ram": 10**9}, arena=False).models[0]
    except edgeasc.errors.BadInput as error:
        assert error.exit_code == 3
    else:
        assert not found.limits[0].passed
