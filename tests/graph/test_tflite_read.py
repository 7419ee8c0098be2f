"""The reader of stored TFLite files: what it finds, and that no damage gets past its checks."""

import numpy as np
import pytest

from edgeasc.errors import BadInput
from edgeasc.export.tflite.flatbuffer import Model, Operator, Tensor
from edgeasc.graph.tflite_names import BUILTIN_OPERATORS
from edgeasc.graph.tflite_read import read_metadata, read_tflite

INT8, INT32 = np.dtype(np.int8), np.dtype(np.int32)
WEIGHT = np.random.default_rng(0).integers(-3, 4, (4, 3, 3, 1), dtype=np.int8)
BIAS = np.arange(4, dtype=np.int32)


@pytest.fixture(scope="module")
def payload() -> bytes:
    """A file with one convolution, 8 x 6 x 1 -> 6 x 4 x 4."""
    model = Model(metadata={"edgeasc.form": b"int8", "binary": b"\xff\xfe"})
    ones = np.ones(4, np.float32)
    source = model.add_tensor(Tensor("input", (1, 8, 6, 1), INT8, np.float32(0.1), 3))
    weight = model.add_tensor(Tensor("conv.weight", (4, 3, 3, 1), INT8, ones, 0, 0, WEIGHT))
    bias = model.add_tensor(Tensor("conv.bias", (4,), INT32, ones, 0, 0, BIAS))
    result = model.add_tensor(Tensor("conv", (1, 6, 4, 4), INT8, np.float32(0.1), 3))
    options = {"Padding": 1, "StrideW": 1, "StrideH": 1}
    model.operators.append(Operator("CONV_2D", 3, (source, weight, bias), (result,), "Conv2DOptions", options))
    model.inputs, model.outputs = [source], [result]
    return model.to_bytes()


def test_constants_come_back_as_written(payload: bytes) -> None:
    tensors = read_tflite(payload).tensors
    assert np.array_equal(tensors[1].data, WEIGHT.ravel())
    assert np.array_equal(tensors[2].data, BIAS)
    assert tensors[0].data is None


def test_operators_name_their_tensors(payload: bytes) -> None:
    model = read_tflite(payload)
    assert [(op.op, op.inputs, op.outputs) for op in model.operators] == [("CONV_2D", (0, 1, 2), (3,))]
    assert (model.inputs, model.outputs) == ((0,), (3,))


def test_operators_are_numbered_as_in_the_schema() -> None:
    from tflite.BuiltinOperator import BuiltinOperator

    known = {number: name for name, number in vars(BuiltinOperator).items() if isinstance(number, int)}
    assert dict(enumerate(BUILTIN_OPERATORS)) == {number: known[number] for number in range(len(BUILTIN_OPERATORS))}


def test_metadata_is_the_part_that_is_text(payload: bytes) -> None:
    assert read_metadata(payload) == {"edgeasc.form": "int8"}


def test_nonzero_compares_with_the_zero_point() -> None:
    model = Model(inputs=[], outputs=[])
    data = np.array([7, 7, 7, 0, 8], np.int8)
    model.add_tensor(Tensor("w", (5,), INT8, np.float32(1), 7, 0, data))
    assert read_tflite(model.to_bytes()).tensors[0].nonzero == 2


@pytest.mark.parametrize("kept", [0, 4, 8, 9, 40, 100, 200])
def test_a_truncated_file_is_refused(payload: bytes, kept: int) -> None:
    with pytest.raises(BadInput):
        read_tflite(payload[:kept])


def test_another_format_is_refused_by_its_mark() -> None:
    with pytest.raises(BadInput, match="TFL3"):
        read_tflite(b"\x08\x00\x00\x00ONNXxxxxxxxxxxxx")


def test_shared_buffers_cannot_make_a_small_file_huge() -> None:
    model = Model()
    data = np.ones(10_000, np.int8)
    for index in range(2_000):
        model.add_tensor(Tensor(str(index), (10_000,), INT8, np.float32(1), 0, 0, data))
    with pytest.raises(BadInput, match="constants"):
        read_tflite(model.to_bytes())


def mutated(payload: bytes, seed: int) -> bytes:
    """`payload` with a few bytes changed, a word made huge, or a part cut out or put in."""
    rng = np.random.default_rng(seed)
    data = bytearray(payload)
    place = int(rng.integers(len(data) - 4))
    match seed % 4:
        case 0:
            for index in rng.integers(len(data), size=int(rng.integers(1, 17))):
                data[index] = int(rng.integers(256))
        case 1:
            data[place : place + 4] = rng.choice([0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0]).astype("<u4").tobytes()
        case 2:
            del data[place : place + int(rng.integers(1, 64))]
        case 3:
            data[place:place] = rng.bytes(int(rng.integers(1, 64)))
    return bytes(data)


def test_a_mutated_file_is_read_or_refused_and_nothing_else(payload: bytes) -> None:
    refused = 0
    for seed in range(2_000):
        try:
            model = read_tflite(mutated(payload, seed))
            assert all(tensor.nonzero <= tensor.elements for tensor in model.tensors)
        except BadInput:
            refused += 1
    assert refused > 500
