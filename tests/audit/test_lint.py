"""Findings: each is made by a graph that has the fault, with its number and cost, and not by one that has not."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx_file import onnx_file
from tflite_file import Op, T, tflite_file

from edgeasc.audit import audit
from edgeasc.audit.target_document import Finding


def findings(folder: Path, payload: bytes, name: str = "model.tflite", *targets: str) -> dict[str, Finding]:
    path = folder / name
    path.write_bytes(payload)
    return {item.code: item for item in audit(path, arena=False, targets=targets).models[0].findings}


def conv_tensors(**weights: Any) -> list[T]:
    """A 1 x 1 convolution of 8 channels on 4 x 4, weights of ones; `weights` are changes to their tensor."""
    weight: dict[str, Any] = {"data": np.ones((8, 1, 1, 8), np.int8), "scale": [0.1] * 8, **weights}
    return [
        T("x", (1, 4, 4, 8), scale=0.1),
        T("w", (8, 1, 1, 8), **weight),
        T("b", (8,), "int32", np.arange(8), scale=[0.01] * 8),
        T("y", (1, 4, 4, 8), scale=0.1),
    ]


CONV = Op("CONV_2D", ["x", "w", "b"], ["y"], "Conv2DOptions")


def network(tensors: list[T], operators: list[Op], inputs: str = "x", outputs: str = "y") -> bytes:
    return tflite_file(tensors, operators, inputs.split(), outputs.split())


def test_a_clean_network_has_no_findings(tmp_path: Path) -> None:
    assert findings(tmp_path, network(conv_tensors(), [CONV])) == {}


def test_w101_dequantise_that_is_quantised_again(tmp_path: Path) -> None:
    tensors = [*conv_tensors(), T("f", (1, 4, 4, 8), "float32"), T("q", (1, 4, 4, 8), scale=0.2)]
    operators = [CONV, Op("DEQUANTIZE", ["y"], ["f"]), Op("QUANTIZE", ["f"], ["q"])]
    found = findings(tmp_path, network(tensors, operators, outputs="q"))["W101"]
    assert found.message == "1 conversions are undone by what follows"
    assert found.cost.startswith("512 B")


def test_w101_is_not_made_where_a_float_operator_lies_between(tmp_path: Path) -> None:
    shape = (1, 4, 4, 8)
    tensors = [*conv_tensors(), T("f", shape, "float32"), T("g", shape, "float32"), T("q", shape, scale=0.2)]
    operators = [CONV, Op("DEQUANTIZE", ["y"], ["f"]), Op("EXP", ["f"], ["g"]), Op("QUANTIZE", ["g"], ["q"])]
    found = findings(tmp_path, network(tensors, operators, outputs="q"))
    assert "W101" not in found
    assert "EXP" in found["W105"].message


def test_w101_in_onnx_only_where_quantised_numbers_become_floats_and_back(tmp_path: Path) -> None:
    pair = "a = QuantizeLinear(x, s, z) \n b = DequantizeLinear(a, s, z)"
    constants = {"s": np.float32(0.1), "z": np.int8(0)}
    once = onnx_file("float[1,4] x => float[1,4] y", f"{pair} \n y = Relu(b)", constants)
    assert "W101" not in findings(tmp_path, once, "once.onnx")
    nodes = f"{pair} \n c = QuantizeLinear(b, s, z) \n d = DequantizeLinear(c, s, z) \n y = Relu(d)"
    twice = onnx_file("float[1,4] x => float[1,4] y", nodes, constants)
    assert "W101" in findings(tmp_path, twice, "twice.onnx")


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_w102_transposed_activations_with_the_bytes_that_they_copy(tmp_path: Path, format_: str) -> None:
    if format_ == "onnx":
        nodes = "a = Transpose <perm = [0, 2, 1]> (x) \n y = Transpose <perm = [0, 2, 1]> (a)"
        payload = onnx_file("float[1,3,5] x => float[1,3,5] y", nodes)
    else:
        order = T("p", (3,), "int32", np.array([0, 2, 1]))
        tensors = [T("x", (1, 3, 5), "float32"), order, T("a", (1, 5, 3), "float32"), T("y", (1, 3, 5), "float32")]
        operators = [Op("TRANSPOSE", ["x", "p"], ["a"]), Op("TRANSPOSE", ["a", "p"], ["y"])]
        payload = network(tensors, operators)
    found = findings(tmp_path, payload, f"model.{format_}")["W102"]
    assert found.message == "2 transpositions of activations"
    assert found.cost.startswith("120 B")


def test_w103_a_reshape_of_a_reshape(tmp_path: Path) -> None:
    to = [T("s", (2,), "int32", np.array([4, 2])), T("r", (2,), "int32", np.array([2, 4]))]
    tensors = [T("x", (1, 8), scale=0.1), *to, T("a", (4, 2), scale=0.1), T("y", (2, 4), scale=0.1)]
    operators = [Op("RESHAPE", ["x", "s"], ["a"]), Op("RESHAPE", ["a", "r"], ["y"])]
    found = findings(tmp_path, network(tensors, operators))["W103"]
    assert found.message.startswith("1 reshapes")
    assert found.cost.startswith("8 B")


def test_w103_a_reshape_to_the_same_shape(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("s", (2,), "int32", np.array([1, 8])), T("y", (1, 8), scale=0.1)]
    assert "W103" in findings(tmp_path, network(tensors, [Op("RESHAPE", ["x", "s"], ["y"])]))


def test_w103_is_not_made_by_a_reshape_that_is_needed(tmp_path: Path) -> None:
    tensors = [T("x", (2, 4), scale=0.1), T("s", (2,), "int32", np.array([1, 8])), T("y", (1, 8), scale=0.1)]
    assert findings(tmp_path, network(tensors, [Op("RESHAPE", ["x", "s"], ["y"])])) == {}


def test_w104_weights_that_are_transposed_at_every_inference(tmp_path: Path) -> None:
    tensors = conv_tensors()
    tensors[1] = T("w", (8, 1, 1, 8), scale=0.1)
    tensors += [T("c", (1, 1, 8, 8), data=np.ones((1, 1, 8, 8)), scale=0.1), T("p", (4,), "int32", np.arange(4))]
    found = findings(tmp_path, network(tensors, [Op("TRANSPOSE", ["c", "p"], ["w"]), CONV]))
    assert found["W104"].cost.startswith("64 B")
    assert "W102" not in found


def test_w105_names_the_float_operators_and_what_they_take(tmp_path: Path) -> None:
    shape = (1, 4, 4, 8)
    tensors = [*conv_tensors(), T("f", shape, "float32"), T("g", shape, "float32"), T("q", shape, scale=0.2)]
    operators = [CONV, Op("DEQUANTIZE", ["y"], ["f"]), Op("EXP", ["f"], ["g"]), Op("QUANTIZE", ["g"], ["q"])]
    found = findings(tmp_path, network(tensors, operators, outputs="q"))["W105"]
    assert found.message == "1 operators compute in float (EXP)"
    assert "512 B instead of 128 B; 2 conversions" in found.cost


def test_w106_a_float_input_and_output_of_an_integer_network(tmp_path: Path) -> None:
    shape = (1, 4, 4, 8)
    tensors = [*conv_tensors(), T("i", shape, "float32"), T("o", shape, "float32")]
    operators = [Op("QUANTIZE", ["i"], ["x"]), CONV, Op("DEQUANTIZE", ["y"], ["o"])]
    found = findings(tmp_path, network(tensors, operators, inputs="i", outputs="o"))
    assert found["W106"].message == "the input and output is float32, the network int8"
    assert found["W106"].cost.startswith("1,024 B instead of 256 B")
    assert "W105" not in found


def test_w107_a_convolution_of_single_channels(tmp_path: Path) -> None:
    tensors = conv_tensors(data=np.ones((8, 1, 1, 1), np.int8))
    tensors[1].shape = (8, 1, 1, 1)
    assert findings(tmp_path, network(tensors, [CONV]))["W107"].message.startswith("1 grouped")


def padded(stride: int) -> bytes:
    side = 4 // stride
    weight = T("w", (8, 3, 3, 8), data=np.ones((8, 3, 3, 8)), scale=[0.1] * 8)
    pads = T("p", (4, 2), "int32", np.array([[0, 0], [1, 1], [1, 1], [0, 0]]))
    tensors = [T("x", (1, 4, 4, 8), scale=0.1), pads, T("a", (1, 6, 6, 8), scale=0.1), weight]
    tensors.append(T("y", (1, side, side, 8), scale=0.1))
    convolution = Op("CONV_2D", ["a", "w"], ["y"], "Conv2DOptions", {"StrideH": stride, "StrideW": stride})
    return network(tensors, [Op("PAD", ["x", "p"], ["a"]), convolution])


def test_i108_padding_that_same_would_do_and_not_that_of_a_stride(tmp_path: Path) -> None:
    assert findings(tmp_path, padded(1))["I108"].cost.startswith("288 B")
    assert "I108" not in findings(tmp_path, padded(2))


def depthwise(scales: int) -> bytes:
    weight = T("w", (1, 3, 3, 8), data=np.ones((1, 3, 3, 8)), scale=[0.1] * scales, axis=3 if scales > 1 else 0)
    tensors = [T("x", (1, 4, 4, 8), scale=0.1), weight, T("y", (1, 2, 2, 8), scale=0.1)]
    return network(tensors, [Op("DEPTHWISE_CONV_2D", ["x", "w"], ["y"], "DepthwiseConv2DOptions")])


def test_w201_one_scale_for_all_depthwise_channels(tmp_path: Path) -> None:
    assert "up to 8 channels" in findings(tmp_path, depthwise(1))["W201"].cost
    assert "W201" not in findings(tmp_path, depthwise(8))


@pytest.mark.parametrize("per_channel", [False, True])
def test_w201_in_onnx(tmp_path: Path, per_channel: bool) -> None:
    scale = np.full(4, 0.1, np.float32) if per_channel else np.float32(0.1)
    zero = np.zeros(4, np.int8) if per_channel else np.int8(0)
    nodes = """xq = QuantizeLinear(x, s, z)
               xd = DequantizeLinear(xq, s, z)
               wd = DequantizeLinear <axis = 0> (w, ws, wz)
               y = Conv <group = 4, kernel_shape = [3, 3]> (xd, wd)"""
    constants = {"s": np.float32(0.1), "z": np.int8(0), "ws": scale, "wz": zero, "w": np.ones((4, 1, 3, 3), np.int8)}
    payload = onnx_file("float[1,4,6,6] x => float[1,4,4,4] y", nodes, constants)
    assert ("W201" in findings(tmp_path, payload, "model.onnx")) is not per_channel


def test_w202_weights_with_a_zero_point(tmp_path: Path) -> None:
    assert "W202" in findings(tmp_path, network(conv_tensors(scale=0.1, zero=3), [CONV]))


def test_w203_integer_weights_with_float_activations(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), "float32"), T("w", (4, 8), data=np.ones((4, 8)), scale=0.1), T("y", (1, 4), "float32")]
    payload = network(tensors, [Op("FULLY_CONNECTED", ["x", "w", None], ["y"], "FullyConnectedOptions")])
    found = findings(tmp_path, payload, "model.tflite", "cortex-m4")
    assert "W203" in found
    assert "dynamic-range" in found["E102"].message


def test_w204_uint8(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), "uint8", scale=0.1, zero=128), T("y", (1, 8), "uint8", scale=0.1, zero=128)]
    found = findings(tmp_path, network(tensors, [Op("RELU", ["x"], ["y"])]), "model.tflite", "cortex-m4")
    assert found["W204"].message == "2 tensors are quantised to uint8"
    assert "not in uint8" in found["E102"].message


def test_w205_weights_of_minus_128(tmp_path: Path) -> None:
    data = np.ones((8, 1, 1, 8), np.int8)
    data[0, 0, 0, :3] = -128
    assert (
        findings(tmp_path, network(conv_tensors(data=data), [CONV]))["W205"].message == "3 weights in 1 layers are -128"
    )


@pytest.mark.parametrize(("value", "expected"), [(2**30, False), (2**30 + 1, True), (-(2**31), True)])
def test_w206_biases_beyond_half_of_the_range(tmp_path: Path, value: int, expected: bool) -> None:
    tensors = conv_tensors()
    tensors[2].data = np.array([value, *range(7)], np.int64).astype(np.int32)
    assert ("W206" in findings(tmp_path, network(tensors, [CONV]))) is expected


def test_w207_constants_of_16_bit_floats(tmp_path: Path) -> None:
    tensors = [
        T("x", (1, 8), "float32"),
        T("h", (4, 8), "float16", np.ones((4, 8))),
        T("w", (4, 8), "float32"),
        T("y", (1, 4), "float32"),
    ]
    operators = [Op("DEQUANTIZE", ["h"], ["w"]), Op("FULLY_CONNECTED", ["x", "w", None], ["y"])]
    found = findings(tmp_path, network(tensors, operators))
    assert found["W207"].cost.startswith("128 B")
    assert "float16" in found["I208"].message


def test_i208_a_float_network(tmp_path: Path) -> None:
    payload = onnx_file("float[1,4] x => float[1,5] y", "y = Gemm(x, w)", {"w": np.ones((4, 5), np.float32)})
    assert "I208" not in findings(tmp_path, payload, "gemm.onnx")  # no convolution: nobody says which input is weights
    nodes = "y = Conv <kernel_shape = [3, 3]> (x, w)"
    payload = onnx_file("float[1,1,6,6] x => float[1,4,4,4] y", nodes, {"w": np.ones((4, 1, 3, 3), np.float32)})
    assert findings(tmp_path, payload, "conv.onnx")["I208"].cost == "144 B of weights, 36 B in int8"


@pytest.mark.parametrize("last", ["SOFTMAX", "DEQUANTIZE", "ABS"])
def test_i209_probabilities_in_8_bits_at_the_end(tmp_path: Path, last: str) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("p", (1, 8), scale=1 / 256, zero=-128)]
    operators = [Op("SOFTMAX", ["x"], ["p"], "SoftmaxOptions", {"Beta": 1.0})]
    if last != "SOFTMAX":
        tensors.append(T("y", (1, 8), "float32" if last == "DEQUANTIZE" else "int8"))
        operators.append(Op(last, ["p"], ["y"]))
    found = findings(tmp_path, network(tensors, operators, outputs="p" if last == "SOFTMAX" else "y"))
    assert ("I209" in found) is (last != "ABS")


def test_w301_zeros_that_are_stored(tmp_path: Path) -> None:
    data = np.ones((8, 1, 1, 8), np.int8)
    data[:, :, :, :4] = 0
    found = findings(tmp_path, network(conv_tensors(data=data), [CONV]))
    assert found["W301"].message == "32 of 64 weights are zero and stored (50 %)"
    assert found["W301"].cost == "32 B of flash"


def test_w301_is_not_made_by_the_zeros_that_any_network_has(tmp_path: Path) -> None:
    data = np.ones((8, 1, 1, 8), np.int8)
    data[0] = 0
    data[0, 0, 0, 0] = 1
    assert "W301" not in findings(tmp_path, network(conv_tensors(data=data), [CONV]))


def test_w302_equal_constants_that_are_not_shared(tmp_path: Path) -> None:
    tensors = [
        *conv_tensors(),
        T("w2", (8, 1, 1, 8), data=np.ones((8, 1, 1, 8)), scale=[0.1] * 8),
        T("z", (1, 4, 4, 8)),
    ]
    tensors[-1].scale = 0.1
    operators = [CONV, Op("CONV_2D", ["y", "w2", "b"], ["z"], "Conv2DOptions")]
    assert findings(tmp_path, network(tensors, operators, outputs="z"))["W302"].cost == "64 B of flash"
    tensors[4].share, tensors[4].data = "w", None
    assert "W302" not in findings(tmp_path, network(tensors, operators, outputs="z"))


def test_w303_channels_without_weights(tmp_path: Path) -> None:
    data = np.ones((8, 1, 1, 8), np.int8)
    data[[2, 5]] = 0
    found = findings(tmp_path, network(conv_tensors(data=data), [CONV]))["W303"]
    assert found.message == "2 output channels have no weight left"
    assert found.cost.startswith("256 multiply-accumulates and 16 B")


def test_w304_constants_that_nothing_reads(tmp_path: Path) -> None:
    tensors = [*conv_tensors(), T("left", (50,), data=np.arange(50))]
    assert findings(tmp_path, network(tensors, [CONV]))["W304"].cost == "50 B of flash"


def test_i305_a_file_of_tables(tmp_path: Path) -> None:
    tensors = [*conv_tensors(), *(T(f"t{n}" * 40, (1, 4), scale=[0.1] * 4, axis=1) for n in range(40))]
    found = findings(tmp_path, network(tensors, [CONV]))
    assert "I305" in found
    assert found["I305"].layer == ""


def test_i401_an_operator_that_decides_the_ram_alone(tmp_path: Path) -> None:
    names, sides = ["x", "a", "b", "c", "d", "y"], [8, 8, 100, 8, 8, 8]
    tensors = [T(name, (1, side), scale=0.1) for name, side in zip(names, sides, strict=True)]
    operators = [Op("ABS", [a], [b]) for a, b in pairwise(names)]
    found = findings(tmp_path, network(tensors, operators))["I401"]
    assert found.message == "108 B live here, at most 16 B where its tensors are not touched"
    assert found.cost == "92 B of RAM"


def test_i401_is_not_made_by_an_even_network(tmp_path: Path) -> None:
    names = ["x", "a", "b", "c", "d", "y"]
    tensors = [T(name, (1, 8), scale=0.1) for name in names]
    operators = [Op("ABS", [a], [b]) for a, b in pairwise(names)]
    assert findings(tmp_path, network(tensors, operators)) == {}


def test_i402_another_order_needs_less(tmp_path: Path) -> None:
    sides = {"x": 10, "big1": 100, "big2": 100, "small1": 10, "small2": 10, "y": 10}
    tensors = [T(name, (1, side), scale=0.1) for name, side in sides.items()]
    operators = [
        Op("ABS", ["x"], ["big1"]),
        Op("ABS", ["x"], ["big2"]),
        Op("ABS", ["big1"], ["small1"]),
        Op("ABS", ["big2"], ["small2"]),
        Op("ADD", ["small1", "small2"], ["y"]),
    ]
    found = findings(tmp_path, network(tensors, operators))["I402"]
    # stored: big1 + big2 + x; better: big1 -> small1 first, then x + small1 + big2
    assert found.message == "120 B instead of 210 B of live activations"
    assert found.cost == "90 B of RAM"


def test_w403_open_sides(tmp_path: Path) -> None:
    payload = onnx_file("float[1,t] x => float[1,t] y", "y = Abs(x)")
    assert findings(tmp_path, payload, "model.onnx")["W403"].message == "2 tensors have sides of open size"


def test_w404_a_branch(tmp_path: Path) -> None:
    nodes = """y = If (c) <then_branch = t () => (float[1,2] a) { a = Identity(x) },
                           else_branch = e () => (float[1,2] b) { b = Neg(x) }>"""
    payload = onnx_file("float[1,2] x, bool c => float[1,2] y", nodes)
    assert findings(tmp_path, payload, "model.onnx")["W404"].message.endswith("sub-graphs beside the main one")


def test_w405_state_between_inferences(tmp_path: Path) -> None:
    state = T("s", (1, 16), "float32", variable=True)
    tensors = [T("x", (1, 16), "float32"), state, T("y", (1, 16), "float32")]
    found = findings(tmp_path, network(tensors, [Op("ADD", ["x", "s"], ["y"], "AddOptions")]))
    assert found["W405"].cost == "64 B of RAM that stay taken"


def test_i502_channels_that_fill_no_vector(tmp_path: Path) -> None:
    tensors = [
        T("x", (1, 4, 4, 8), scale=0.1),
        T("w", (5, 1, 1, 8), data=np.ones((5, 1, 1, 8)), scale=[0.1] * 5),
        T("a", (1, 4, 4, 5), scale=0.1),
        T("y", (1, 4, 4, 5), scale=0.1),
    ]
    found = findings(tmp_path, network(tensors, [Op("CONV_2D", ["x", "w"], ["a"]), Op("ABS", ["a"], ["y"])]))["I502"]
    assert found.cost == "about 384 multiply-accumulates of padding, of 640"


def test_e103_operators_of_tensorflow(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), "float32"), T("y", (1, 8), "float32")]
    payload = network(tensors, [Op("CUSTOM", ["x"], ["y"], custom="FlexErf")])
    assert findings(tmp_path, payload)["E103"].message == "1 TensorFlow operators: FlexErf"


@pytest.mark.parametrize(
    ("scale", "zero", "expected"), [(1 / 256, -128, False), (1 / 255, -128, True), (1 / 256, 0, True)]
)
def test_e104_the_fixed_output_of_logistic(tmp_path: Path, scale: float, zero: int, expected: bool) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("y", (1, 8), scale=scale, zero=zero)]
    found = findings(tmp_path, network(tensors, [Op("LOGISTIC", ["x"], ["y"])]))
    assert ("E104" in found) is expected


def test_e101_and_w501_come_with_their_target(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), scale=0.1), T("a", (1, 8), scale=0.1), T("y", (1, 8), scale=0.1)]
    payload = network(tensors, [Op("GELU", ["x"], ["a"]), Op("ADD_N", ["a", "a"], ["y"])])
    found = findings(tmp_path, payload, "model.tflite", "cortex-m4@80MHz", "ethos-u55")
    assert "GELU (x1) on cortex-m4@80MHz" in found["E101"].message
    assert "1 operators on ethos-u55 stay on the core: ADD_N" in found["W501"].message


def test_errors_come_first(tmp_path: Path) -> None:
    tensors = [T("x", (1, 8), "uint8", scale=0.1), T("y", (1, 8), "uint8", scale=0.1)]
    payload = network(tensors, [Op("GELU", ["x"], ["y"])])
    path = tmp_path / "model.tflite"
    path.write_bytes(payload)
    found = audit(path, arena=False, targets=["cortex-m4"]).models[0].findings
    assert [item.severity for item in found] == ["error", "warning"]


def test_findings_change_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(depthwise(1))
    report = audit(path, arena=False)
    assert report.models[0].findings
    assert report.passed
