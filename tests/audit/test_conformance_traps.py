"""Conformance, traps: files on which counters of the field go wrong, each with the number that is right.

Sources of the traps: the DCASE organisers' scripts (see `edgeasc rules`), NeSsi issue 3 (a batch of 2 doubles
operations), cpjku_dcase23 issue 6 (counters break after quantisation).
"""

from pathlib import Path

import numpy as np
import pytest
from expected_counts import audited
from onnx import TensorProto
from onnx_file import onnx_file, packed
from tflite_file import Op, T, tflite_file

from edgeasc.audit import audit
from edgeasc.audit.document import AuditReport, ModelAudit
from edgeasc.errors import BadInput


def dense(n_in: int, n_out: int, nonzero: int, dtype: str = "int8", zero: int = 0) -> bytes:
    """A fully connected layer whose first `nonzero` weights are not zero."""
    weights = np.full(n_in * n_out, zero)
    weights[:nonzero] = zero + 1
    scale = None if dtype.startswith("float") else 0.1
    weight = T("w", (n_out, n_in), dtype, weights.reshape(n_out, n_in), scale, zero)
    tensors = [T("x", (1, n_in), scale=0.1), weight, T("y", (1, n_out), scale=0.1)]
    return tflite_file(tensors, [Op("FULLY_CONNECTED", ["x", "w"], ["y"], "FullyConnectedOptions")], ["x"], ["y"])


def under(folder: Path, payload: bytes, rule: str, budget: str | None = None, suffix: str = ".tflite") -> AuditReport:
    path = folder / f"model{suffix}"
    path.write_bytes(payload)
    return audit(path, budget, [rule], arena=False)


def batch_norm(folder: Path, rule: str) -> ModelAudit:
    """A convolution of 64 channels, 3 x 3 on 24 x 24, with live batch norm."""
    constants = {"w": np.ones((64, 1, 3, 3), np.float32)}
    constants |= {name: np.ones(64, np.float32) for name in "gomv"}
    nodes = "c = Conv<group=64, pads=[1,1,1,1]>(x, w) y = BatchNormalization(c, g, o, m, v)"
    payload = onnx_file("float[1,64,24,24] x => float[1,64,24,24] y", nodes, constants, 17)
    return under(folder, payload, rule, suffix=".onnx").models[0]


def test_130_000_bytes_pass_or_fail_by_the_unit_alone(tmp_path: Path) -> None:
    payload = dense(1_300, 100, 130_000)
    strict = under(tmp_path, payload, "dcase2021-1a").models[0]
    assert (strict.rules[0].bytes, strict.rules[0].text, strict.passed) == (130_000, "130.0 kB", False)
    assert under(tmp_path, payload, "dcase2021-1a", "128KiB").passed
    assert not under(tmp_path, payload, "dcase2021-1a", "128kB").passed


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [("dcase2020-1b", 576), ("dcase2021-1a", 576 + 4 * 64), ("dcase2024", 576 + 2 * 64), ("deployed", 576 + 2 * 64)],
)
def test_batch_norm_counts_as_each_year_counts_it(tmp_path: Path, rule: str, numbers: int) -> None:
    size = batch_norm(tmp_path, rule).rules[0]
    assert (size.parameters, size.bytes) == (numbers, 4 * numbers)


def test_torchinfo_adds_live_batch_norm_to_the_operations(tmp_path: Path) -> None:
    macs = batch_norm(tmp_path, "dcase2024").rules[0].macs
    assert macs is not None
    assert (macs.network, macs.torchinfo, macs.value) == (331_776, 331_776 + 128, 331_904)


def test_torchinfo_adds_a_bias_at_every_place_of_the_plane(tmp_path: Path) -> None:
    constants = {"w": np.ones((4, 2, 3, 3), np.float32), "b": np.ones(4, np.float32)}
    payload = onnx_file("float[1,2,8,6] x => float[1,4,6,4] y", "y = Conv(x, w, b)", constants, 17)
    macs = under(tmp_path, payload, "dcase2025", suffix=".onnx").models[0].rules[0].macs
    assert macs is not None
    assert (macs.network, macs.torchinfo) == (24 * 4 * 18, 24 * (4 * 18 + 4))


def test_operations_without_parameters_are_judged_by_the_network_itself(tmp_path: Path) -> None:
    payload = onnx_file("float[1,9,4] q, float[1,4,9] k => float[1,9,9] y", "y = MatMul(q, k)", {}, 17)
    macs = under(tmp_path, payload, "dcase2024", suffix=".onnx").models[0].rules[0].macs
    assert macs is not None
    assert (macs.torchinfo, macs.decides, macs.value) == (0, "network", 9 * 9 * 4)


def test_zeros_of_asymmetric_uint8_are_stored_as_the_zero_point(tmp_path: Path) -> None:
    found = audited(tmp_path, dense(50, 20, 200, "uint8", 131), ".tflite").parameters
    assert (found.total, found.nonzero) == (1_000, 200)


def test_an_int8_file_counts_under_the_rule_whose_script_saw_only_float16(tmp_path: Path) -> None:
    assert under(tmp_path, dense(50, 20, 200), "dcase2021-1a").models[0].rules[0].bytes == 200


def test_zeros_are_free_until_2021_and_count_from_2022(tmp_path: Path) -> None:
    payload = dense(1_300, 100, 10)
    sizes = {rule: under(tmp_path, payload, rule).models[0].rules[0].bytes for rule in ("dcase2021-1a", "dcase2022")}
    assert sizes == {"dcase2021-1a": 10, "dcase2022": 130_000}
    assert not under(tmp_path, payload, "dcase2022").passed


def test_a_float_file_breaks_the_rule_that_wants_int8(tmp_path: Path) -> None:
    limits = {item.name: item for item in under(tmp_path, dense(10, 10, 100, "float32"), "dcase2022").models[0].limits}
    assert (limits["dcase2022 weight bits"].value, limits["dcase2022 weight bits"].passed) == (32, False)
    assert limits["dcase2022 parameters"].passed


def test_int32_biases_take_four_bytes_and_scales_none(tmp_path: Path) -> None:
    weight = T("w", (3, 2), "int8", np.ones((3, 2)), [0.1, 0.2, 0.3])
    bias = T("b", (3,), "int32", [1, 2, 3], [0.01, 0.02, 0.03])
    tensors = [T("x", (1, 2), scale=0.1), weight, bias, T("y", (1, 3), scale=0.1)]
    operator = Op("FULLY_CONNECTED", ["x", "w", "b"], ["y"], "FullyConnectedOptions")
    model = audited(tmp_path, tflite_file(tensors, [operator], ["x"], ["y"]), ".tflite")
    assert model.parameters.nonzero_bytes == 6 + 3 * 4
    assert {item.what: item.elements for item in model.uncounted} == {"scales": 6, "zero points": 6}


def test_a_mel_matrix_and_an_embedding_inside_the_file_count(tmp_path: Path) -> None:
    constants = {"mel": np.ones((65, 40), np.float32), "table": np.ones((10, 40), np.float32)}
    nodes = "m = MatMul(x, mel) e = Gather(table, i) y = Add(m, e)"
    payload = onnx_file("float[1,65] x, int64[1] i => float[1,40] y", nodes, constants, 17)
    assert audited(tmp_path, payload, ".onnx").parameters.total == 65 * 40 + 400


def two_models(folder: Path) -> list[Path]:
    paths = [folder / "a.tflite", folder / "b.tflite"]
    for path in paths:
        path.write_bytes(dense(700, 100, 70_000))
    return paths


def test_two_models_of_one_system_are_judged_together(tmp_path: Path) -> None:
    report = audit(two_models(tmp_path), rules=["dcase2024"], arena=False, system=True)
    assert [model.passed for model in report.models] == [True, True]
    limit = next(item for item in report.system if item.name == "dcase2024 bytes, together")
    assert (limit.value, limit.passed, report.passed) == (140_000, False, False)


def test_models_per_device_are_judged_one_by_one(tmp_path: Path) -> None:
    report = audit(two_models(tmp_path), rules=["dcase2025"], arena=False, system=True)
    assert (report.system, report.passed) == ((), True)


def test_a_file_with_a_batch_of_2_says_that_its_operations_are_doubled(tmp_path: Path) -> None:
    payload = onnx_file("float[2,3,5] x => float[2,3,4] y", "y = MatMul(x, w)", {"w": np.ones((5, 4), np.float32)}, 17)
    model = audited(tmp_path, payload, ".onnx")
    assert model.macs == 2 * 3 * 5 * 4
    assert any("batch is 2" in note for note in model.notes)


def test_a_limit_on_operations_cannot_pass_while_operators_are_unknown(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8)), T("y", (1, 8))]
    payload = tflite_file(tensors, [Op("CUSTOM", ["x"], ["y"], custom="Magic")], ["x"], ["y"])
    (tmp_path / "m.tflite").write_bytes(payload)
    model = audit(tmp_path / "m.tflite", limits={"macs": 1_000}, arena=False).models[0]
    assert (model.macs, model.unknown, model.passed) == (0, ("CUSTOM:Magic",), False)


def shared(tie: bool) -> bytes:
    """Two dense layers with equal weights, in one buffer or in two."""
    values = np.arange(16).reshape(4, 4)
    second = T("w2", (4, 4), "int8", None if tie else values, 0.1, share="w1" if tie else "")
    tensors = [
        T("x", (1, 4), scale=0.1),
        T("w1", (4, 4), "int8", values, 0.1),
        second,
        T("t", (1, 4), scale=0.1),
        T("y", (1, 4), scale=0.1),
    ]
    operators = [
        Op("FULLY_CONNECTED", ["x", "w1"], ["t"], "FullyConnectedOptions"),
        Op("FULLY_CONNECTED", ["t", "w2"], ["y"], "FullyConnectedOptions"),
    ]
    return tflite_file(tensors, operators, ["x"], ["y"])


def test_tied_buffers_count_once_and_compute_twice(tmp_path: Path) -> None:
    model = audited(tmp_path, shared(tie=True), ".tflite")
    assert (model.parameters.total, model.parameters.nonzero, model.macs) == (16, 15, 32)
    assert any("share" in note for note in model.notes)


def test_equal_weights_in_two_buffers_are_two(tmp_path: Path) -> None:
    assert audited(tmp_path, shared(tie=False), ".tflite").parameters.total == 32


def test_a_weight_that_two_onnx_operators_read_counts_once(tmp_path: Path) -> None:
    nodes = "t = MatMul(x, w) y = MatMul(t, w)"
    payload = onnx_file("float[1,4] x => float[1,4] y", nodes, {"w": np.ones((4, 4), np.float32)}, 17)
    model = audited(tmp_path, payload, ".onnx")
    assert (model.parameters.total, model.macs) == (16, 32)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
def test_onnx_weights_of_4_bits_take_half_a_byte(tmp_path: Path, kind: int) -> None:
    constants = {
        "w": packed("w", kind, (5, 3), [0, 1, 2, 3, 4, 5, 6, 7, 1, 1, 1, 1, 1, 1, 1]),
        "s": np.array(0.1, np.float32),
    }
    payload = onnx_file("float[1,5] x => float[1,3] y", "f = DequantizeLinear(w, s) y = MatMul(x, f)", constants)
    found = audited(tmp_path, payload, ".onnx").parameters
    assert (found.total, found.nonzero, found.nonzero_bytes, found.bytes) == (15, 14, 7, 8)


def test_4_bit_zeros_are_at_their_zero_point(tmp_path: Path) -> None:
    constants = {
        "w": packed("w", TensorProto.UINT4, (2, 3), [8, 8, 1, 2, 8, 0]),
        "s": np.array(0.1, np.float32),
        "z": packed("z", TensorProto.UINT4, (), [8]),
    }
    payload = onnx_file("float[1,2] x => float[1,3] y", "f = DequantizeLinear(w, s, z) y = MatMul(x, f)", constants)
    assert audited(tmp_path, payload, ".onnx").parameters.nonzero == 3


def test_zero_points_by_block_hold_for_their_block(tmp_path: Path) -> None:
    constants = {
        "w": np.array([[1, 2], [1, 2], [3, 1], [3, 1]], np.int8),
        "s": np.full((2, 2), 0.1, np.float32),
        "z": np.array([[1, 2], [3, 0]], np.int8),
    }
    nodes = "f = DequantizeLinear<axis=0, block_size=2>(w, s, z) y = MatMul(x, f)"
    payload = onnx_file("float[1,4] x => float[1,2] y", nodes, constants)
    assert audited(tmp_path, payload, ".onnx").parameters.nonzero == 2


def test_what_constants_alone_compute_is_no_activation(tmp_path: Path) -> None:
    constants = {"w": np.ones((4, 4), np.float32), "h": np.full((4, 4), 0.5, np.float32)}
    nodes = "half = Mul(w, h) t = Transpose<perm=[1,0]>(half) y = MatMul(x, t)"
    model = audited(tmp_path, onnx_file("float[1,4] x => float[1,4] y", nodes, constants, 17), ".onnx")
    assert model.peak_activation_bytes == 4 * (4 + 4)
    assert model.parameters.total == 32


def test_a_constant_that_nothing_reads_is_listed_and_not_counted(tmp_path: Path) -> None:
    constants = {"w": np.ones((4, 4), np.float32), "left_over": np.ones(100, np.float32)}
    model = audited(tmp_path, onnx_file("float[1,4] x => float[1,4] y", "y = MatMul(x, w)", constants, 17), ".onnx")
    assert model.parameters.total == 16
    assert {item.what: item.bytes for item in model.uncounted}["constants that nothing reads"] == 400


def test_an_empty_tensor_counts_nothing(tmp_path: Path) -> None:
    constants = {"roi": np.empty(0, np.float32), "scales": np.array([1, 1, 2, 2], np.float32)}
    payload = onnx_file("float[1,1,2,2] x => float[1,1,4,4] y", "y = Resize(x, roi, scales)", constants, 17)
    assert audited(tmp_path, payload, ".onnx").parameters.total == 0


def test_sparse_weights_count_what_they_store_as_not_zero(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    model = onnx.load_from_string(onnx_file("float[1,4] x => float[1,4] y", "y = MatMul(x, w)", {}, 17))
    values = helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    places = helper.make_tensor("places", TensorProto.INT64, [3], [0, 5, 10])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 4]))
    found = audited(tmp_path, model.SerializeToString(), ".onnx").parameters
    assert (found.total, found.nonzero) == (16, 3)


def test_a_rule_on_operations_is_refused_where_there_are_only_weights(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(BadInput, match="weights alone"):
        audit(tmp_path / "w.safetensors", rules=["dcase2024"])
