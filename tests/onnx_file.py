"""An ONNX file from a few lines of ONNX's own text form, with numpy arrays as its constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"


def onnx_file(signature: str, nodes: str, constants: dict[str, Any] | None = None, opset: int = 21) -> bytes:
    """The file of `signature` (`float[1,2] x => float[1,3] y`) and `nodes` (`y = MatMul(x, w)`).

    A constant is an array, or a TensorProto for types that numpy does not have.
    """
    left, right = signature.split("=>")
    graph = onnx.parser.parse_graph(f"g ({left}) => ({right}) {{ {nodes} }}")
    for name, value in (constants or {}).items():
        item = value if isinstance(value, onnx.TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        graph.initializer.append(item)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets).SerializeToString()


def packed(name: str, kind: int, shape: Sequence[int], values: Sequence[int]) -> onnx.TensorProto:
    """A constant of a type smaller than a byte."""
    return helper.make_tensor(name, kind, shape, values)
