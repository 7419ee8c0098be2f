"""Shapes of ONNX Runtime's own operators: each is replaced by the standard operator whose output has the same shape.

ONNX's shape inference knows only ONNX's operators; a file that ONNX Runtime has optimised or quantised would lose the
shapes behind the first `com.microsoft` node. The stand-ins serve inference in the child process and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeasc.graph.onnx_scopes import scopes

if TYPE_CHECKING:
    import onnx

DOMAIN = "com.microsoft"
# Operator -> the standard one and which inputs it gets
_SAME: dict[str, tuple[str, tuple[int, ...]]] = {
    "FusedConv": ("Conv", (0, 1)),
    "FusedGemm": ("Gemm", (0, 1)),
    "QGemm": ("Gemm", (0, 3)),
    "FusedMatMul": ("MatMul", (0, 1)),
    "MatMulIntegerToFloat": ("MatMulInteger", (0, 1)),  # 32 bits as well
    "DynamicQuantizeMatMul": ("MatMul", (0, 1)),
    "DynamicQuantizeLSTM": ("LSTM", (0, 1, 2)),
    "QLinearAdd": ("Add", (0, 3)),
    "QLinearMul": ("Mul", (0, 3)),
    "BiasGelu": ("Identity", (0,)),
    "FastGelu": ("Identity", (0,)),
    "Gelu": ("Identity", (0,)),
    "QuickGelu": ("Identity", (0,)),
    "QLinearSigmoid": ("Identity", (0,)),
    "QLinearLeakyRelu": ("Identity", (0,)),
    "QLinearSoftmax": ("Identity", (0,)),
    "SkipLayerNormalization": ("Identity", (0,)),
    "MultiHeadAttention": ("Identity", (0,)),
    "QLinearAveragePool": ("AveragePool", (0,)),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", (0,)),
}
_KEPT = {
    "Conv": {"kernel_shape", "strides", "pads", "dilations", "group", "auto_pad"},
    "AveragePool": {"kernel_shape", "strides", "pads", "auto_pad", "ceil_mode", "count_include_pad"},
    "Gemm": {"transA", "transB"},
    "LSTM": {"hidden_size", "direction", "layout"},
}
_PACKED = ("Attention", "QAttention")


def put_stand_ins(model: onnx.ModelProto) -> None:
    """Replace every operator of ONNX Runtime that has one, and declare whatever domains the others come from."""
    graphs = [graph for _, graph in scopes(model.graph)]
    for graph in graphs:
        _put_into(graph)
    known = {item.domain for item in model.opset_import}
    for domain in sorted({node.domain for graph in graphs for node in graph.node} - known - {"ai.onnx"}):
        model.opset_import.add(domain=domain, version=1)


def _put_into(graph: onnx.GraphProto) -> None:
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    for node in graph.node:
        if node.domain != DOMAIN:
            continue
        if node.op_type in _PACKED:
            _stand_in_for_attention(node, shapes, graph)
        elif node.op_type in _SAME and not _is_nhwc(node) and not _is_transposed(node):
            op, places = _SAME[node.op_type]
            _replace(node, op, [node.input[place] for place in places if place < len(node.input)])


def _replace(node: onnx.NodeProto, op: str, inputs: list[str]) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name in _KEPT.get(op, ())]
    outputs = list(node.output)[: 3 if op == "LSTM" else 1]
    for field in ("input", "output", "attribute"):
        node.ClearField(field)
    node.domain, node.op_type = "", op
    node.input.extend(inputs)
    node.output.extend(outputs)
    node.attribute.extend(kept)


def _is_nhwc(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "channels_last" and attribute.i for attribute in node.attribute)


def _is_transposed(node: onnx.NodeProto) -> bool:
    """A FusedMatMul that transposes, for which MatMul would be wrong."""
    flips = ("transA", "transB", "transBatchA", "transBatchB")
    return node.op_type == "FusedMatMul" and any(item.name in flips and item.i for item in node.attribute)


def _stand_in_for_attention(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], graph: onnx.GraphProto) -> None:
    """Packed weights [n_in, 3 * width] give [batch, length, width], as a product with weights [n_in, width] does."""
    weights = shapes.get(node.input[1], ())
    if len(weights) != 2 or weights[1] % 3 or any(item.name == "qkv_hidden_sizes" for item in node.attribute):
        return
    name = f"{node.output[0]}/stand-in"
    graph.initializer.add(name=name, dims=[weights[0], weights[1] // 3], data_type=1)
    _replace(node, "MatMul", [node.input[0], name])
