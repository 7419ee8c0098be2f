"""One model on one chip: missing operators, flash, RAM, and the verdict that the exit code follows."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from onnx_file import onnx_file
from tflite_file import Op, T, tflite_file

from edgeasc.audit import audit
from edgeasc.audit.document import ModelAudit
from edgeasc.audit.fit import kept_bytes
from edgeasc.audit.target_document import Room, TargetAudit
from edgeasc.audit.targets import place, read_target
from edgeasc.errors import BadInput
from edgeasc.export.tflite import tflite_bytes
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.graph.tflite_read import read_tflite

CHIPS = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "esp32-s3")


def on(path: Path, *targets: str) -> ModelAudit:
    return audit(path, arena=False, targets=targets).models[0]


def write(folder: Path, payload: bytes, name: str = "model.tflite") -> Path:
    path = folder / name
    path.write_bytes(payload)
    return path


def wide(folder: Path, side: int, constant: int = 1) -> Path:
    """A network of one ABS on `side` x `side` bytes, with a constant of `constant` bytes added."""
    tensors = [
        T("x", (1, side, side), scale=0.1),
        T("a", (1, side, side), scale=0.1),
        T("c", (constant,), data=np.arange(constant, dtype=np.int64).astype(np.int8), scale=0.1),
        T("y", (1, side, side), scale=0.1),
    ]
    operators = [Op("ABS", ["x"], ["a"]), Op("ADD", ["a", "c"], ["y"], "AddOptions")]
    return write(folder, tflite_file(tensors, operators, ["x"], ["y"]))


def test_a_small_network_goes_onto_every_chip(artefacts: Path) -> None:
    model = on(artefacts / "int8.tflite", *CHIPS)
    assert [target.name for target in model.targets] == list(CHIPS)
    assert all(target.passed for target in model.targets)
    assert model.passed


def test_flash_is_the_file_and_the_runtime(artefacts: Path) -> None:
    path = artefacts / "int8.tflite"
    [target] = on(path, "cortex-m4").targets
    code, kinds = read_target("cortex-m4").code, len(audit(path, arena=False).models[0].operators)
    assert target.flash is not None
    assert target.flash.needed == path.stat().st_size + code.core.typical + kinds * code.per_operator.typical
    assert target.flash.at_most == path.stat().st_size + code.core.high + kinds * code.per_operator.high


def test_a_file_larger_than_the_flash_fails(tmp_path: Path) -> None:
    path = wide(tmp_path, 1, constant=600_000)
    small, large = on(path, "cortex-m0plus", "cortex-m4").targets
    assert (small.passed, large.passed) == (False, True)
    assert small.reasons == ("flash too small",)


def test_activations_larger_than_the_ram_fail(tmp_path: Path) -> None:
    path = wide(tmp_path, 300)  # 90,000 B, two of them alive
    small, large = on(path, "cortex-m0plus", "cortex-m4").targets
    assert (small.passed, large.passed) == (False, True)
    assert small.reasons == ("RAM too small",)


def test_a_file_that_fits_only_by_the_middle_of_the_estimate_is_tight() -> None:
    assert Room(90, 110, 100, "estimated", "").tight
    assert not Room(90, 100, 100, "estimated", "").tight
    assert not Room(101, 110, 100, "estimated", "").fits


@pytest.mark.needs("tflite_micro")
def test_the_arena_that_tflm_measured_takes_the_place_of_the_estimate(artefacts: Path) -> None:
    path = artefacts / "int8.tflite"
    measured, estimated = (
        audit(path, arena=flag, targets=["cortex-m4"]).models[0].targets[0].ram for flag in (True, False)
    )
    assert measured is not None
    assert estimated is not None
    assert (measured.origin, estimated.origin) == ("measured", "estimated")
    arena = audit(path).models[0].arena.bytes
    assert measured.needed == (arena or 0) + read_target("cortex-m4").code.ram.typical


@pytest.mark.needs("tflite_micro")
@pytest.mark.parametrize("name", ["int8.tflite", "island.tflite"])
def test_the_estimate_of_ram_is_not_below_tflm_and_not_far_above(artefacts: Path, name: str) -> None:
    path = artefacts / name
    model = audit(path).models[0]
    estimate = model.peak_activation_bytes + kept_bytes(read_tflite(path.read_bytes()))
    assert model.arena.bytes is not None
    assert model.arena.bytes <= estimate <= 1.6 * model.arena.bytes


def test_a_missing_operator_fails_the_target_and_is_a_finding(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("y", (1, 8), scale=0.1)]
    path = write(tmp_path, tflite_file(tensors, [Op("GELU", ["x"], ["y"])], ["x"], ["y"]))
    model = on(path, "cortex-m4", "raspberry-pi-5")
    small, large = model.targets
    assert [item.operator for item in small.missing] == ["GELU"]
    assert (small.passed, large.passed, model.passed) == (False, True, False)
    assert [(item.code, item.severity) for item in model.findings] == [("E101", "error")]


def test_what_an_accelerator_leaves_to_its_core_fails_nothing(artefacts: Path) -> None:
    model = on(artefacts / "int8.tflite", "ethos-u55")
    [target] = model.targets
    assert target.passed
    assert [(item.operator, item.why[:10]) for item in target.on_core] == [("MEAN", "it reduces")]
    assert "W501" in [item.code for item in model.findings]


def test_what_neither_accelerator_nor_core_computes_is_missing(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), "uint8", scale=0.1), T("y", (1, 8), "uint8", scale=0.1)]
    path = write(tmp_path, tflite_file(tensors, [Op("FLOOR", ["x"], ["y"])], ["x"], ["y"]))
    [target] = on(path, "ethos-u55").targets
    assert [item.operator for item in target.missing] == ["FLOOR"]


def test_our_onnx_is_judged_as_the_tflite_that_it_becomes(artefacts: Path) -> None:
    path = artefacts / "int8.onnx"
    [target] = on(path, "cortex-m4").targets
    written = len(tflite_bytes(read_onnx(path.read_bytes())))
    assert target.flash is not None
    assert target.flash.parts.startswith(f"file {written:,} B")
    assert "edgeasc export" in target.notes[0]


def test_our_onnx_on_a_computer_is_judged_as_it_is(artefacts: Path) -> None:
    [target] = on(artefacts / "int8.onnx", "raspberry-pi-4").targets
    [lowered] = on(artefacts / "int8.tflite", "raspberry-pi-4").targets
    assert target.runtime == "onnxruntime"
    assert target.notes == ()
    assert target.latency_ms is not None
    assert lowered.latency_ms is not None
    assert target.latency_ms.low > 0.2 * lowered.latency_ms.low


def test_a_float_onnx_has_no_runtime_on_a_chip(tmp_path: Path) -> None:
    payload = onnx_file("float[1,4] x => float[1,5] y", "y = MatMul(x, w)", {"w": np.ones((4, 5), np.float32)})
    path = write(tmp_path, payload, "model.onnx")
    chip, computer = on(path, "cortex-m7", "raspberry-pi-5").targets
    assert chip.reasons == ("no runtime for this format",)
    assert "reads .tflite" in chip.notes[0]
    assert computer.passed


def test_open_sides_are_said_to_make_lower_bounds(tmp_path: Path) -> None:
    payload = onnx_file("float[1,t] x => float[1,t] y", "y = Abs(x)")
    [target] = on(write(tmp_path, payload, "model.onnx"), "raspberry-pi-5").targets
    assert any("lower bounds" in note for note in target.notes)


def test_the_time_of_operators_that_nobody_counted_is_said_to_be_missing(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("y", (1, 8), scale=0.1)]
    operators = [Op("CUSTOM", ["x"], ["y"], custom="SignalRfft")]
    [target] = on(write(tmp_path, tflite_file(tensors, operators, ["x"], ["y"])), "cortex-m4").targets
    assert any("CUSTOM:SignalRfft" in note for note in target.notes)


def test_weights_alone_tell_no_target_anything(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "w.safetensors"
    save_file({"w": np.ones(4, np.float32)}, path)
    with pytest.raises(BadInput, match="weights alone"):
        on(path, "cortex-m4")


def test_a_clock_beyond_the_chip_is_remarked() -> None:
    fast = place("cortex-m0plus@200MHz")
    assert not fast.own_clock


def test_json_of_a_target_has_what_is_needed_beside_what_there_is(artefacts: Path) -> None:
    document = on(artefacts / "int8.tflite", "cortex-m4@80MHz").to_json()["targets"][-1]
    assert document["name"] == "cortex-m4@80MHz"
    assert document["clock_hz"] == 80e6
    assert document["flash_bytes"] < document["flash_available"] == 2048 * 1024
    assert document["ram_bytes"] < document["ram_available"] == 640 * 1024
    assert document["latency_ms"]["origin"] == "estimated"
    assert set(document["latency_ms"]) == {"low", "typical", "high", "origin", "basis"}
    assert document["passed"] is True


def test_a_target_passes_only_with_a_runtime() -> None:
    nothing = TargetAudit("x", "", "", 1.0, "", None, None)
    assert not nothing.passed
    assert dataclasses.replace(nothing, runtime="tflm").passed
