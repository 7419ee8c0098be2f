"""Islands in TensorFlow Lite: DEQUANTIZE -> float operators -> QUANTIZE."""

from __future__ import annotations

import numpy as np

from edgeasc.export.tflite.operators import FLOAT, Emitter
from edgeasc.graph.model import Node, ResNorm, Silu


def enter(node: Node, emitter: Emitter, place: int = 0) -> int:
    """DEQUANTIZE of an input; the real tensor."""
    index = emitter.source(node.inputs[place])
    real = emitter.real(f"{node.name}/real" + (str(place) if place else ""), emitter.shape(index))
    return emitter.operator("DEQUANTIZE", 2, [index], real, "DequantizeOptions")


def leave(node: Node, emitter: Emitter, index: int) -> None:
    """QUANTIZE of the real tensor `index` to the node's output."""
    emitter.operator("QUANTIZE", 1, [index], emitter.output(node.output, node.name), "QuantizeOptions")


def lower_silu(node: Silu, emitter: Emitter) -> None:
    """`x * sigmoid(x)`: LOGISTIC, MUL."""
    x = enter(node, emitter)
    shape = emitter.shape(x)
    gate = emitter.unary("LOGISTIC", x, emitter.real(f"{node.name}/gate", shape))
    leave(node, emitter, emitter.mul([x, gate], emitter.real(f"{node.name}/product", shape)))


def lower_resnorm(node: ResNorm, emitter: Emitter) -> None:
    """`lam * x + (x - mean) / sqrt(var + eps)`: two-pass statistics over time and channels (NHWC axes 2, 3)."""

    def real(part: str, shape: tuple[int, ...]) -> int:
        return emitter.real(f"{node.name}/{part}", shape)

    x = enter(node, emitter)
    full = emitter.shape(x)
    per_bin = (1, full[1], 1, 1)
    mean = emitter.mean(x, (2, 3), True, real("mean", per_bin))
    centred = emitter.sub([x, mean], real("centred", full))
    square = emitter.mul([centred, centred], real("square", full))
    variance = emitter.mean(square, (2, 3), True, real("variance", per_bin))
    eps = emitter.constant(f"{node.name}/eps", np.array([node.eps], dtype=FLOAT))
    shifted = emitter.add([variance, eps], real("variance_eps", per_bin))
    gain = emitter.unary("RSQRT", shifted, real("gain", per_bin))
    normalised = emitter.mul([centred, gain], real("normalised", full))
    lam = emitter.constant(f"{node.name}/lam", np.array([node.lam], dtype=FLOAT))
    residual = emitter.mul([x, lam], real("residual", full))
    leave(node, emitter, emitter.add([residual, normalised], real("sum", full)))
