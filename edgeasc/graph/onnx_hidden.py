"""Numbers of an .onnx file that no count holds: in function bodies, in attributes, in bodies of unknown operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeasc.graph.onnx_scopes import body_parts, scopes
from edgeasc.graph.stored import count_elements

if TYPE_CHECKING:
    import onnx

TABLE = 16  # whole numbers that still are a shape or axes
BLOB = 256  # bytes of text that still are a name or a setting


def hidden_numbers(model: onnx.ModelProto) -> int:
    """How many numbers lie in attributes, functions and bodies that no operator is known to run: nobody counts them."""
    found = 0
    waiting = [(node, False) for _, graph in scopes(model.graph) for node in graph.node]
    waiting += [(node, True) for function in model.functions for node in function.node]
    while waiting:
        node, inside = waiting.pop()
        known = node.domain in ("", "ai.onnx")
        constant = node.op_type == "Constant" and known
        counted = () if inside else body_parts(node)
        for attribute in node.attribute:
            if inside or not constant:
                found += _numbers_in(attribute, lists=constant or not known)
            for graph in (*(() if attribute.name in counted else (attribute.g,)), *attribute.graphs):
                values = [*graph.initializer, *(item.values for item in graph.sparse_initializer)]
                found += sum(map(_weights_of, values))
                waiting += [(inner, True) for inner in graph.node]
    return found


def _numbers_in(attribute: onnx.AttributeProto, lists: bool) -> int:
    """Numbers in an attribute itself; `lists` of numbers are settings where an operator of ONNX's own has them."""
    sparse = [*([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []), *attribute.sparse_tensors]
    found = sum(map(_weights_of, (attribute.t, *attribute.tensors, *(item.values for item in sparse))))
    if lists:
        found += len(attribute.floats) if len(attribute.floats) > 1 else 0
        found += len(attribute.ints) if len(attribute.ints) > TABLE else 0
        found += sum(len(text) for text in (attribute.s, *attribute.strings) if len(text) > BLOB)
    return found


def _weights_of(tensor: onnx.TensorProto) -> int:
    """Elements of a tensor that may be weights: a single number is none, nor are a few whole ones, such as a shape."""
    size = count_elements(tuple(tensor.dims))
    whole = tensor.data_type in (tensor.INT64, tensor.INT32, tensor.UINT64, tensor.UINT32, tensor.BOOL, tensor.STRING)
    return size if tensor.data_type and size > (TABLE if whole else 1) else 0
