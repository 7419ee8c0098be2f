"""The operator tables say what the runtimes themselves say, asked one operator and one element type at a time."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import operator_probe
import pytest
from tflite_file import Op, T, tflite_file

from edgeasc.audit.runtimes import read_runtime, refusal, unsupported
from edgeasc.export.dummy import dummy_graph
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.stored import StoredModel
from edgeasc.graph.tflite_names import BUILTIN_OPERATORS
from edgeasc.graph.tflite_read import read_tflite

TFLM, NPU = read_runtime("tflm"), read_runtime("ethos-u55-u65")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the probes work in forked children")


@forks
@pytest.mark.needs("tflite_micro")
def test_tflm_registers_the_operators_of_its_table_and_no_others() -> None:
    lacking = "Didn't find op for builtin opcode"
    asked = [op for op in BUILTIN_OPERATORS if op != "CUSTOM"]
    found = {op for op in asked if lacking not in operator_probe.ask_tflm(operator_probe.bare(op), invoke=False)[1]}
    assert found == set(TFLM.operators.split())


@forks
@pytest.mark.needs("tflite_micro")
@pytest.mark.parametrize("op", sorted(operator_probe.BUILDERS))
def test_tflm_computes_an_operator_in_the_types_of_its_table(op: str) -> None:
    build = operator_probe.BUILDERS[op]
    trials = {dtype: operator_probe.ask_tflm(build(dtype).payload(), invoke=True)[0] for dtype in operator_probe.DTYPES}
    assert {dtype for dtype, status in trials.items() if status == 0} == TFLM.types_of[op]


def test_the_table_of_types_is_about_operators_that_are_asked() -> None:
    assert set(TFLM.types_of) == set(operator_probe.BUILDERS)


@forks
@pytest.mark.needs("tflite_micro")
@pytest.mark.parametrize("build", [operator_probe.convolution("CONV_2D", "int8"), operator_probe.dense("int8")])
def test_tflm_refuses_float_activations_with_integer_weights(build: operator_probe.Build) -> None:
    payload = build("float32").payload()
    status, text = operator_probe.ask_tflm(payload, invoke=True)
    assert status != 0
    assert "not supported" in text
    model = read_tflite(payload)
    assert "dynamic-range" in refusal(model.operators[0], model, TFLM)


@pytest.mark.needs("ai_edge_litert")
def test_litert_registers_the_operators_of_its_table_and_no_others() -> None:
    program = (
        "import sys, operator_probe as probe; from ai_edge_litert.interpreter import Interpreter\n"
        "for op in sys.argv[1:]:\n"
        "  words = ''\n"
        "  for version in (1, 2):\n"
        "    try: Interpreter(model_content=probe.bare(op, version))\n"
        "    except Exception as error: words = str(error)\n"
        "    else: words = ''\n"
        '    if "Didn\'t find op" not in words: print(op, flush=True); break\n'
    )
    asked = [op for op in BUILTIN_OPERATORS if op != "CUSTOM"]
    here = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, str(Path(here).parent)])}
    done = subprocess.run([sys.executable, "-c", program, *asked], capture_output=True, text=True, env=environment)
    assert set(done.stdout.split()) == set(read_runtime("litert").operators.split())


@pytest.mark.needs("onnxruntime")
def test_onnxruntime_registers_the_operators_of_its_table() -> None:
    import onnx
    from onnxruntime.capi import _pybind_state as native

    kernels = [(item.domain, item.op_name) for item in native.get_all_opkernel_def() if "CPU" in item.provider]
    table = read_runtime("onnxruntime")
    own = {name for domain, name in kernels if domain == ""}
    functions = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == "" and _is_function(s)}
    assert own <= set(table.operators.split()) <= own | functions | {"Constant"}
    assert {f"com.microsoft:{name}" for domain, name in kernels if domain == "com.microsoft"} == set(
        table.custom.split()
    )


def _is_function(schema: object) -> bool:
    return bool(schema.has_function or schema.has_context_dependent_function)  # type: ignore[attr-defined]


@pytest.mark.needs("ethosu")
def test_the_table_of_ethos_u_is_that_of_vela(tmp_path: Path) -> None:
    program = "import sys; from ethosu.vela.vela import main; sys.exit(main(['--supported-ops-report']))"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True)
    report = (tmp_path / "SUPPORTED_OPS.md").read_text()
    start = report.index("## Ethos-U55 and Ethos-U65 TFLite Summary Table")
    summary = report[start : report.index("\n## ", start + 10)]
    assert set(re.findall(r"^\| ([A-Z0-9_]+) \|", summary, re.MULTILINE)) == set(NPU.operators.split())
    start = report.index("## Ethos-U55 and Ethos-U65 Specific Operator constraints")
    for op, types in NPU.types_of.items():
        heading = f"### Ethos-U55 and Ethos-U65 TFLite {op} Constraints\n"
        place = report.find(heading, start)
        words = report[place : report.index("\n##", place + 5)] if place >= 0 else ""
        if "32-bit feature-maps are not supported" in words:
            assert "int32" not in types


@pytest.mark.needs("ethosu")
def test_what_stays_on_the_core_is_what_vela_leaves_there(tmp_path: Path) -> None:
    path = tmp_path / "dummy.tflite"
    path.write_bytes(tflite_bytes(dummy_graph()))
    program = "import sys; from ethosu.vela.vela import main; sys.exit(main(sys.argv[1:]))"
    words = [str(path), "--accelerator-config", "ethos-u55-256", "--output-dir", str(tmp_path), "--show-cpu-operations"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    left = re.search(r"CPU operators = (\d+)", done.stdout)
    assert left is not None
    found = unsupported(read_tflite(path.read_bytes()), NPU)
    assert sum(item.count for item in found) == int(left[1])


def one_operator(op: str, dtype: str = "int8", **more: object) -> StoredModel:
    tensors = [T("x", (1, 4, 4, 4), dtype, scale=0.1), T("y", (1, 4, 4, 4), dtype, scale=0.1)]
    return read_tflite(tflite_file(tensors, [Op(op, ["x"], ["y"], **more)], ["x"], ["y"]))  # type: ignore[arg-type]


def test_an_operator_that_tflm_lacks_is_named_with_its_number() -> None:
    [found] = unsupported(one_operator("GELU"), TFLM)
    assert (found.operator, found.count) == ("GELU", 1)
    assert "no such operator" in found.why


def test_an_operator_in_a_type_that_tflm_lacks_is_named_with_the_types_that_it_has() -> None:
    [found] = unsupported(one_operator("EXP"), TFLM)
    assert "not in int8" in found.why
    assert "only in float32" in found.why


def test_a_custom_operator_is_known_by_its_own_name() -> None:
    known, unknown = one_operator("CUSTOM", custom="SignalRfft"), one_operator("CUSTOM", custom="MyOwn")
    assert unsupported(known, TFLM) == ()
    assert [item.operator for item in unsupported(unknown, TFLM)] == ["CUSTOM:MyOwn"]


def mean(axes: list[int], shape: tuple[int, ...] = (1, 4, 4, 4)) -> StoredModel:
    tensors = [
        T("x", shape, scale=0.1),
        T("axes", (len(axes),), "int32", np.array(axes, np.int32)),
        T("y", (1, 4), scale=0.1),
    ]
    return read_tflite(tflite_file(tensors, [Op("MEAN", ["x", "axes"], ["y"], "ReducerOptions")], ["x"], ["y"]))


@pytest.mark.parametrize(
    ("axes", "shape", "on_core"),
    [
        ([1, 2], (1, 4, 4, 4), False),
        ([2, 3], (1, 4, 4, 4), True),
        ([-1], (1, 4, 4, 4), True),
        ([2, 3], (1, 1, 4, 4), False),
        ([3], (1, 4, 4, 1), False),
    ],
)
def test_a_mean_over_depth_stays_on_the_core(axes: list[int], shape: tuple[int, ...], on_core: bool) -> None:
    assert bool(unsupported(mean(axes, shape), NPU)) is on_core
