"""The integer kernels on torch tensors: the same arithmetic as the numpy reference, fast enough to train with.

Convolutions sum integers in float32, which is exact while no partial sum reaches 2^24, else in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from edgeasc.errors import BadInput
from edgeasc.graph import model as graph
from edgeasc.graph.kernels import conv, elementwise, pool, rectify, reduce, resnorm, transformer, unary
from edgeasc.graph.kernels.arrays import lookup
from edgeasc.graph.model import Form, Node, QTensor

Tensors = Mapping[str, QTensor]
Kernel = Callable[..., Tensor]
LARGEST_EXACT = 2**24


def convolve(node: graph.Conv, tensors: Tensors, form: Form, values: Tensor) -> Tensor:
    """int64 output integers of a convolution on int64 input integers `[B, C, F, T]`."""
    source, output = tensors[node.inputs[0]], tensors[node.output]
    parameters = conv.conv_parameters(node, source, output, form)
    return torch.as_tensor(conv.requantize_conv(_sums(node, values - source.zero_point).long(), parameters))


def convolve_once(node: graph.Conv, tensors: Tensors, x: Tensor) -> Tensor:
    """Real outputs on their grid for reals `x` on theirs: sums of integers, then one product in float32.

    So multiply ONNX Runtime and LiteRT. A float convolution would leave what lies near a tie to its order of summing,
    and a deep network makes differences of whole logits of a few such steps.
    """
    source, output = tensors[node.inputs[0]], tensors[node.output]
    bias = int(np.abs(node.bias.astype(np.int64)).max(initial=0))
    sums = _sums(node, torch.round(x / float(source.scale)), bias)
    height = sums.shape[2] // node.bands

    def per_channel(values: NDArray[Any]) -> Tensor:
        rows = np.repeat(values.T, height, axis=1)[None, :, :, None]  # [1, C, F, 1]
        return torch.from_numpy(np.ascontiguousarray(rows)).to(x.device, sums.dtype)

    sums.mul_(per_channel(node.sign)).add_(per_channel(node.bias))  # in place: of large images no copy is spare
    factor = (source.scale * node.scale / output.scale).astype(np.float32)
    steps = sums.float().mul_(per_channel(factor).float()).round_()
    low = 0 if node.activation == "relu" else -128 - output.zero_point
    return steps.clamp_(max(low, -128 - output.zero_point), 127 - output.zero_point).mul_(float(output.scale))


def _sums(node: graph.Conv, centred: Tensor, bias: int = 0) -> Tensor:
    """Sums of weights times whole numbers of at most 255, exact in their float type, which has room for a `bias`."""
    largest = int(np.abs(node.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max(initial=0)) * 255 + bias
    kind = torch.float32 if largest < LARGEST_EXACT else torch.float64
    before_f, before_t, after_f, after_t = node.padding
    padded = F.pad(centred.to(kind), (before_t, after_t, before_f, after_f))
    weight = torch.from_numpy(node.weight).to(centred.device, kind)
    return F.conv2d(padded, weight, None, node.stride, 0, node.dilation, node.groups)


def kernel_of(node: Node, tensors: Tensors, form: Form) -> Kernel:
    """The kernel of any operator but convolution and maximum, its parameters bound: int64 tensors in and out.

    Raises:
        BadInput: no kernel computes this operator.
    """
    first, last = tensors[node.inputs[0]], tensors[node.output]
    second = tensors[node.inputs[-1]]
    match node:
        case graph.Add():
            parameters = elementwise.sum_parameters(first, second, last, form, node.activation)
            return lambda a, b: elementwise.add(a, b, parameters)
        case graph.Sub():
            difference = elementwise.sum_parameters(first, second, last, form, subtract=True)
            return lambda a, b: elementwise.add(a, b, difference)
        case graph.Mul():
            product = elementwise.product_parameters(first, second, last, form)
            return lambda a, b: elementwise.multiply(a, b, product)
        case graph.Mean():
            mean = reduce.mean_parameters(first, last, node.axes, node.keep, form)
            return lambda x: reduce.mean(x, mean)
        case graph.AvgPool():
            low = pool.pool_low(node, last.zero_point)
            return lambda x: pool.avg_pool(x, node.kernel, node.stride, low)
        case graph.Logistic():
            return _table(unary.logistic_table(first, form))
        case graph.LeakyRelu():
            return _table(rectify.leaky_relu_table(node, first, last, form))
        case graph.PRelu():
            slopes = rectify.prelu_parameters(node, first, last, form)
            return lambda x: rectify.prelu(x, slopes)
        case graph.Rsqrt():
            return _table(unary.rsqrt_table(first, last, form))
        case graph.Silu():
            return _table(unary.silu_table(first, last))
        case graph.ResNorm():
            constants = resnorm.resnorm_parameters(node, first, last)
            return lambda x: resnorm.resnorm(x, constants)
        case graph.Gelu():
            return _table(unary.gelu_table(first, last))
        case graph.ChannelNorm():
            norm = transformer.channel_norm_parameters(node, first, last)
            return _through_numpy(lambda x: transformer.channel_norm(x, norm))
        case graph.Attention():
            queries, keys, values = (tensors[name] for name in node.inputs)
            mixing = transformer.attention_parameters(node, (queries, keys, values), last)
            return _through_numpy(lambda q, k, v: transformer.attention(q, k, v, mixing))
    raise BadInput("compress", f"{node.name}: no integer kernel for operator {node.op!r}")


def _table(table: unary.Table) -> Kernel:
    return lambda x: lookup(table, x)


def _through_numpy(kernel: Callable[..., NDArray[np.int8]]) -> Kernel:
    """The numpy kernel itself: a float computation would not have the same last bits in two libraries."""

    def on_tensors(*inputs: Tensor) -> Tensor:
        found = kernel(*(values.detach().cpu().numpy() for values in inputs))
        return torch.from_numpy(found.astype(np.int64)).to(inputs[0].device)

    return on_tensors


class ExactKernels:
    """Kernels by layer, rebuilt when a grid changes; those of layers with weights follow them every time."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.kernels: dict[str, tuple[tuple[object, ...], Kernel]] = {}

    def apply(self, node: Node, tensors: Tensors, values: Sequence[Tensor]) -> Tensor:
        """int64 output integers of `node` on int64 input integers."""
        if isinstance(node, graph.Conv):
            return convolve(node, tensors, self.form, values[0])
        if isinstance(node, graph.ChannelNorm | graph.PRelu):  # whose gains, offsets and slopes are trained
            return kernel_of(node, tensors, self.form)(*values)
        grids = tuple((tensors[n].scale, tensors[n].zero_point) for n in (*node.inputs, node.output))
        known = self.kernels.get(node.name)
        if known is None or known[0] != grids:
            known = self.kernels[node.name] = (grids, kernel_of(node, tensors, self.form))
        return known[1](*values)
