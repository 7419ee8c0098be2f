"""Estimates: cycles add up by kind of work, the clock divides them, power makes energy of them."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx_file import onnx_file
from tflite_file import Op, T, tflite_file

from edgeasc.audit.estimate import count_cycles, estimate_energy, estimate_latency, loads, milliseconds
from edgeasc.audit.macs import count_macs
from edgeasc.audit.target_document import Estimate
from edgeasc.audit.targets import Band, place, read_target
from edgeasc.graph.onnx_stored import read_stored_onnx
from edgeasc.graph.stored import StoredModel
from edgeasc.graph.tflite_read import read_tflite

M4 = read_target("cortex-m4")


def dense(dtype: str = "int8", inputs: int = 10, outputs: int = 20) -> StoredModel:
    weight = np.ones((outputs, inputs), "int8" if dtype == "int16" else dtype)
    tensors = [T("x", (1, inputs), dtype), T("w", weight.shape, str(weight.dtype), weight), T("y", (1, outputs), dtype)]
    return read_tflite(tflite_file(tensors, [Op("FULLY_CONNECTED", ["x", "w", None], ["y"])], ["x"], ["y"]))


def one(op: str, dtype: str = "int8", elements: int = 100) -> StoredModel:
    tensors = [T("x", (1, elements), dtype), T("y", (1, elements), dtype)]
    return read_tflite(tflite_file(tensors, [Op(op, ["x"], ["y"])], ["x"], ["y"]))


def macs(model: StoredModel) -> list[int]:
    return [count_macs(op, model.tensors, model.format == "tflite") or 0 for op in model.operators]


def cycles(model: StoredModel) -> Band:
    return count_cycles(loads(model, macs(model)), M4.cycles)


def expected(per_unit: Band, amount: int, factor: float = 1.0) -> float:
    return amount * per_unit.typical * factor + M4.cycles.operator.typical


def test_a_dense_layer_costs_its_products_and_one_operator() -> None:
    assert cycles(dense()).typical == pytest.approx(expected(M4.cycles.dense, 200))


def test_floats_are_priced_as_floats_and_16_bits_above_8() -> None:
    assert cycles(dense("float32")).typical == pytest.approx(expected(M4.cycles.float_dense, 200))
    assert cycles(dense("int16")).typical == pytest.approx(expected(M4.cycles.dense, 200, 1.5))


@pytest.mark.parametrize(
    ("op", "work"), [("ABS", "element"), ("LOGISTIC", "table"), ("TANH", "table"), ("TRANSPOSE", "move")]
)
def test_elements_are_priced_by_what_is_done_with_them(op: str, work: str) -> None:
    assert cycles(one(op)).typical == pytest.approx(expected(getattr(M4.cycles, work), 100))


def test_a_reduction_is_priced_by_what_it_reads() -> None:
    tensors = [T("x", (1, 50, 4)), T("axes", (1,), "int32", np.array([1])), T("y", (1, 4))]
    model = read_tflite(tflite_file(tensors, [Op("MEAN", ["x", "axes"], ["y"], "ReducerOptions")], ["x"], ["y"]))
    assert cycles(model).typical == pytest.approx(expected(M4.cycles.element, 200))


def test_depthwise_and_dense_convolutions_have_prices_of_their_own() -> None:
    tensors = [T("x", (1, 6, 6, 8)), T("w", (1, 3, 3, 8), data=np.ones((1, 3, 3, 8))), T("y", (1, 4, 4, 8))]
    model = read_tflite(tflite_file(tensors, [Op("DEPTHWISE_CONV_2D", ["x", "w"], ["y"])], ["x"], ["y"]))
    assert cycles(model).typical == pytest.approx(expected(M4.cycles.depthwise, 4 * 4 * 8 * 9))
    tensors[1] = T("w", (8, 3, 3, 8), data=np.ones((8, 3, 3, 8)))
    model = read_tflite(tflite_file(tensors, [Op("CONV_2D", ["x", "w"], ["y"])], ["x"], ["y"]))
    assert cycles(model).typical == pytest.approx(expected(M4.cycles.conv, 4 * 4 * 8 * 9 * 8))


def test_a_grouped_onnx_convolution_of_single_channels_is_depthwise() -> None:
    nodes = "y = Conv <group = 4, kernel_shape = [3, 3]> (x, w)"
    weight = np.ones((4, 1, 3, 3), np.float32)
    model = read_stored_onnx(onnx_file("float[1,4,6,6] x => float[1,4,4,4] y", nodes, {"w": weight}))
    assert [load.work for load in loads(model, macs(model))] == ["depthwise"]


def test_floats_between_dequantise_and_quantise_are_priced_as_the_integers_they_stand_for() -> None:
    nodes = """xq = QuantizeLinear(x, s, z)
               xd = DequantizeLinear(xq, s, z)
               wd = DequantizeLinear(w, s, z)
               y = MatMul(xd, wd)"""
    constants = {"s": np.float32(0.1), "z": np.int8(0), "w": np.ones((4, 5), np.int8)}
    model = read_stored_onnx(onnx_file("float[1,4] x => float[1,5] y", nodes, constants))
    by_name = dict(zip([op.op for op in model.operators], loads(model, macs(model)), strict=True))
    assert (by_name["MatMul"].floating, by_name["MatMul"].amount) == (False, 20)


def test_what_reads_constants_only_costs_no_time_but_the_call() -> None:
    tensors = [T("c", (2, 3), data=np.ones((2, 3))), T("p", (2,), "int32", np.array([1, 0])), T("y", (3, 2))]
    model = read_tflite(tflite_file(tensors, [Op("TRANSPOSE", ["c", "p"], ["y"])], [], ["y"]))
    assert cycles(model).typical == M4.cycles.operator.typical


def test_half_the_clock_takes_twice_the_time_and_about_the_same_energy() -> None:
    model = dense()
    whole, half = (estimate_latency(model, macs(model), place(text), ()) for text in ("cortex-m4", "cortex-m4@60MHz"))
    assert half.typical == pytest.approx(2 * whole.typical)
    energies = [estimate_energy(time, place(text)) for time, text in ((whole, "cortex-m4"), (half, "cortex-m4@60MHz"))]
    assert energies[0] is not None
    assert energies[1] is not None
    assert energies[0].typical == pytest.approx(energies[1].typical)


def test_energy_is_time_times_power_at_both_ends() -> None:
    power = M4.power
    assert power is not None
    energy = estimate_energy(Estimate(10.0, 20.0, 40.0, "estimated", ""), place("cortex-m4"))
    assert energy is not None
    band = power.milliwatts
    found = (energy.low, energy.typical, energy.high)
    assert found == pytest.approx((0.01 * band.low, 0.02 * band.typical, 0.04 * band.high))


def test_energy_without_a_published_power_is_not_made_up() -> None:
    assert estimate_energy(Estimate(1.0, 1.0, 1.0, "estimated", ""), place("ethos-u55")) is None


def test_the_energy_band_holds_what_mlperf_measured_on_the_same_board() -> None:
    energy = estimate_energy(Estimate(43.2, 43.2, 43.2, "measured", ""), place("cortex-m4"))  # the KWS network
    assert energy is not None
    assert energy.low <= 1.820454 <= energy.high  # millijoules, MLPerf Tiny 1.2, NUCLEO_L4R5ZI, energy/results.txt


def test_what_an_accelerator_leaves_is_priced_by_its_host() -> None:
    model, placed = one("LOGISTIC", elements=1_000), place("ethos-u55")
    inside, outside = (estimate_latency(model, [0], placed, left) for left in ((), (0,)))
    host = read_target("cortex-m55")
    alone = milliseconds(count_cycles(loads(model, [0]), host.cycles), host.clock_hz)
    assert inside.typical < outside.typical
    assert outside.typical == pytest.approx(alone.typical)


def test_the_ends_of_every_band_are_in_order_and_say_that_they_are_estimated() -> None:
    model = dense()
    for name in ("cortex-m0plus", "raspberry-pi-5", "ethos-u65"):
        found = estimate_latency(model, macs(model), place(name), ())
        assert 0 < found.low <= found.typical <= found.high
        assert found.origin == "estimated"
        assert found.basis


@pytest.mark.needs("ethosu")
def test_the_band_of_an_npu_holds_the_estimate_of_vela(tmp_path: Path) -> None:
    rng, shape = np.random.default_rng(0), (1, 40, 64, 32)
    tensors, operators = [T("x0", shape, scale=0.1)], []
    for number in range(3):
        data = rng.integers(-127, 128, (32, 3, 3, 32)).astype(np.int8)
        tensors += [
            T(f"w{number}", (32, 3, 3, 32), data=data, scale=[0.01] * 32),
            T(f"b{number}", (32,), "int32", np.zeros(32), scale=[0.001] * 32),
            T(f"x{number + 1}", shape, scale=0.1),
        ]
        names = [f"x{number}", f"w{number}", f"b{number}"]
        options = {"Padding": 0, "StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1}
        operators.append(Op("CONV_2D", names, [f"x{number + 1}"], "Conv2DOptions", options))
    path = tmp_path / "convs.tflite"
    path.write_bytes(tflite_file(tensors, operators, ["x0"], ["x3"]))
    program = "import sys; from ethosu.vela.vela import main; sys.exit(main(sys.argv[1:]))"
    words = [
        "--config",
        "Arm/vela.ini",
        "--system-config",
        "Ethos_U55_High_End_Embedded",
        "--memory-mode",
        "Shared_Sram",
    ]
    words += ["--accelerator-config", "ethos-u55-256", "--output-dir", str(tmp_path), str(path)]
    subprocess.run([sys.executable, "-c", program, *words], capture_output=True, check=True)
    [summary] = tmp_path.glob("*_summary_*.csv")
    [row] = csv.DictReader(summary.read_text().splitlines())
    model = read_tflite(path.read_bytes())
    found = estimate_latency(model, macs(model), place("ethos-u55@500MHz"), ())  # the clock of that configuration
    assert found.low <= 1e3 * float(row["inference_time"]) <= found.high
