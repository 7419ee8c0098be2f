"""How many weights a network may keep so that its C goes into so much flash: `compress --limit flash=128KiB`.

Known before training: bytes of every constant array but the weights of point-wise layers, and the code, estimated. What
those layers take depends on where the zeros will lie. They are planned as spread evenly: bytes of the best storage grow
ever more slowly with density, so that an uneven spread of as many weights takes no more. The audit of the compressed
run counts what came out.
"""

from __future__ import annotations

import numpy as np

from edgeasc.errors import CheckFailed
from edgeasc.export.c.bundle import bundle
from edgeasc.export.c.choice import DEFAULT, Pixels, choose
from edgeasc.export.c.flash import code_bytes
from edgeasc.export.c.lower import is_pointwise
from edgeasc.graph.count import BIAS_BYTES
from edgeasc.graph.model import Conv, IntegerGraph
from edgeasc.sizes import format_size

SHORT_BIAS_BYTES, SCALE_BYTES = 2, 4  # as depth-wise layers have them; the word of multiplier and shift
SPARSE_KERNELS = ("pointwise_delta8.c", "pointwise_nibble.c", "pointwise_bitmap.c", "conv_delta8.c")
STEPS = 10  # of bisection: a thousandth of the weights


def keep_for_flash(graph: IntegerGraph, limit: int) -> float:
    """The largest part of all weights with which the C of `graph` is planned to take no more than `limit` bytes.

    Raises:
        CheckFailed: not even a network without point-wise weights does.
    """
    fixed = _fixed_bytes(graph)
    smallest = fixed + _pointwise_bytes(graph, 0.0)
    if smallest > limit:
        raise CheckFailed(
            "limit", f"flash: {format_size(smallest)} is the smallest possible, more than {limit:,}; narrow the network"
        )
    if fixed + _pointwise_bytes(graph, 1.0) <= limit:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        fits = fixed + _pointwise_bytes(graph, middle) <= limit
        low, high = (middle, high) if fits else (low, middle)
    return low


def _fixed_bytes(graph: IntegerGraph) -> int:
    """Everything but the weights of point-wise layers."""
    text = bundle(graph)
    roles = text.facts["bytes_by_role"]
    total = roles["table"] + roles["constant"] + roles["front end"]
    total += code_bytes({*text.files, *SPARSE_KERNELS}, len(text.facts["layers"]))
    for node in graph.nodes:
        if isinstance(node, Conv):
            total += node.scale.size * (SCALE_BYTES + (SHORT_BIAS_BYTES if node.depthwise else BIAS_BYTES))
            total += 0 if is_pointwise(node) else node.weight.size
    return total


def _pointwise_bytes(graph: IntegerGraph, density: float) -> int:
    """Weights and their positions, zeros spread evenly."""
    total = 0
    for index, node in enumerate(graph.nodes):
        if isinstance(node, Conv) and is_pointwise(node):
            kept = np.random.default_rng(index).random(node.weight.shape[:2]) < density
            pixels = Pixels(int(np.prod(graph[node.output].shape[2:])), node.scale.shape[0])
            total += choose(kept.astype(np.int8), pixels, DEFAULT).bytes
    return total
