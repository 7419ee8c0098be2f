"""Who writes and who reads each tensor of a stored model, and what its operators are called in either format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from edgeasc.graph.stored import StoredModel, StoredOperator, StoredTensor

QUANTIZE = ("QUANTIZE", "QuantizeLinear")
DEQUANTIZE = ("DEQUANTIZE", "DequantizeLinear")
TRANSPOSE = ("TRANSPOSE", "Transpose")
RESHAPE = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
DEPTHWISE = ("DEPTHWISE_CONV_2D",)
# Operators with weights, by the position of these and the axis of their output channels
WEIGHTS = {
    "CONV_2D": (1, 0),
    "DEPTHWISE_CONV_2D": (1, -1),
    "FULLY_CONNECTED": (1, 0),
    "TRANSPOSE_CONV": (1, 0),
    "Conv": (1, 0),
    "QLinearConv": (3, 0),
    "ConvInteger": (1, 0),
    "FusedConv": (1, 0),
}
QUANTISED = ("int8", "uint8", "int16", "int4")
FLOATS = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class Wiring:
    """A model with its tensors' users at hand."""

    model: StoredModel = field(repr=False)

    @cached_property
    def users(self) -> dict[int, list[StoredOperator]]:
        """The operators that read each tensor, once each."""
        found: dict[int, list[StoredOperator]] = {}
        for operator in self.model.operators:
            for index in dict.fromkeys(operator.inputs):
                found.setdefault(index, []).append(operator)
        return found

    @cached_property
    def makers(self) -> dict[int, StoredOperator]:
        """The operator that writes each activation."""
        return {index: operator for operator in self.model.operators for index in operator.outputs}

    @property
    def tflite(self) -> bool:
        """Whether the file is a .tflite."""
        return self.model.format == "tflite"

    def of(self, names: Iterable[str]) -> Iterator[StoredOperator]:
        """The operators called one of `names`, in order."""
        wanted = frozenset(names)
        return (operator for operator in self.model.operators if operator.op in wanted)

    def input(self, operator: StoredOperator, place: int = 0) -> StoredTensor | None:
        """Input number `place`, None where it is left out."""
        given = place < len(operator.inputs) and operator.inputs[place] >= 0
        return self.model.tensors[operator.inputs[place]] if given else None

    def output(self, operator: StoredOperator) -> StoredTensor | None:
        """The first output."""
        return self.model.tensors[operator.outputs[0]] if operator.outputs else None

    def readers(self, operator: StoredOperator) -> list[StoredOperator]:
        """The operators that read its first output; empty where it is an output of the model as well."""
        if not operator.outputs or operator.outputs[0] in self.model.outputs:
            return []
        return self.users.get(operator.outputs[0], [])

    def weights(self) -> Iterator[tuple[StoredOperator, StoredTensor]]:
        """Every operator with constant weights, with these; in ONNX through their DequantizeLinear."""
        for operator in self.of(WEIGHTS):
            found = self.stored_weight(operator)
            if found is not None:
                yield operator, found

    def stored_weight(self, operator: StoredOperator) -> StoredTensor | None:
        """The constant behind the weights of `operator`, None where there is none."""
        place = WEIGHTS[operator.op][0]
        tensor = self.input(operator, place)
        maker = self.makers.get(operator.inputs[place]) if tensor is not None else None
        if maker is not None and maker.op in DEQUANTIZE:
            tensor = self.input(maker)
        return tensor if tensor is not None and tensor.data is not None else None

    def weight_scales(self, operator: StoredOperator) -> int:
        """How many scales the weights of `operator` have; 0 where they are not quantised."""
        place = WEIGHTS[operator.op][0]
        weight = self.input(operator, place)
        if weight is None:
            return 0
        if self.tflite:
            return weight.scales
        maker = self.makers.get(operator.inputs[place])
        if operator.op == "QLinearConv":
            scale = self.input(operator, 4)
        else:
            scale = self.input(maker, 1) if maker is not None and maker.op in DEQUANTIZE else None
        return scale.elements if scale is not None else 0

    def is_depthwise(self, operator: StoredOperator) -> bool:
        """Whether every output channel sees one input channel, of several."""
        if operator.op in DEPTHWISE:
            return True
        weight, data = self.stored_weight(operator), self.input(operator)
        onnx = operator.op in ("Conv", "QLinearConv", "ConvInteger", "FusedConv")
        return bool(onnx and weight and data and weight.shape[1:2] == (1,) and data.shape[1:2] not in ((1,), ()))
