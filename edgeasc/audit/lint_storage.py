"""What costs flash and RAM without computing anything, and what a memory plan cannot see."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import numpy as np

from edgeasc.audit.document import ModelAudit
from edgeasc.audit.findings import finding
from edgeasc.audit.liveness import activation_steps, variables
from edgeasc.audit.macs import count_macs
from edgeasc.audit.memory import live_bytes
from edgeasc.audit.target_document import Finding
from edgeasc.audit.wiring import WEIGHTS, Wiring
from edgeasc.graph.stored import StoredOperator, StoredTensor

MANY_ZEROS = 0.2  # part of the weights, above which pruning was meant
SMALL = 64  # bytes; repeated constants below are not worth a word
OUTWEIGHED = 0.5  # part of the file that is not weights
SMALL_FILE = 4096  # bytes; below, the format's frame outweighs anything
DECIDES = 1.5  # times the peak of everything else
VECTOR = 4  # channels that optimised kernels compute at once
WORTH_PADDING = 0.1  # part of the multiply-accumulates


def stored_zeros(wiring: Wiring) -> Finding | None:
    """W301: zero weights that are stored one by one."""
    zeros = elements = size = worst = 0
    name = ""
    for operator, weight in _once(wiring):
        if weight.sparse:
            continue
        count = weight.elements - weight.nonzero
        zeros, elements, size = zeros + count, elements + weight.elements, size + count * weight.bits // 8
        if count > worst:
            worst, name = count, operator.name
    if not elements or zeros < MANY_ZEROS * elements:
        return None
    message = f"{zeros:,} of {elements:,} weights are zero and stored ({100 * zeros / elements:.0f} %)"
    return finding("W301", name, message, f"{size:,} B of flash")


def repeated_constants(wiring: Wiring) -> Finding | None:
    """W302: constants with equal bytes in different buffers."""
    first: dict[tuple[str, str], str] = {}
    seen: set[Hashable] = set()
    count, size, name = 0, 0, ""
    for tensor in wiring.model.tensors:
        place = tensor.storage or tensor.name
        if tensor.data is None or tensor.bytes < SMALL or place in seen:
            continue
        seen.add(place)
        if first.setdefault((tensor.content, tensor.dtype), place) != place:
            count, size, name = count + 1, size + tensor.bytes, name or tensor.name
    return finding("W302", name, f"{count} constants repeat another one", f"{size:,} B of flash") if count else None


def dead_channels(wiring: Wiring) -> Finding | None:
    """W303: output channels without a weight that is not zero."""
    channels = macs = size = 0
    name = ""
    for operator, weight in wiring.weights():
        axis, dead = WEIGHTS[operator.op][1], 0
        values = _values(weight)
        if values is None or len(weight.shape) < 2:
            continue
        others = tuple(number for number in range(values.ndim) if number != axis % values.ndim)
        dead = int(np.count_nonzero(~values.any(axis=others)))
        if not dead:
            continue
        count = count_macs(operator, wiring.model.tensors, wiring.tflite) or 0
        channels, macs = channels + dead, macs + count * dead // weight.shape[axis]
        size, name = size + weight.bytes * dead // weight.shape[axis], name or operator.name
    cost = f"{macs:,} multiply-accumulates and {size:,} B of weights here alone"
    return finding("W303", name, f"{channels} output channels have no weight left", cost) if channels else None


def _values(weight: StoredTensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None:
    """Which weights are not zero, in their shape; None where the file does not store all of them."""
    if weight.data is None or weight.sparse or -1 in weight.shape or len(weight.data) != weight.elements:
        return None
    values, zero = weight.data.reshape(weight.shape), weight.zero_points
    if len(zero) > 1 and len(zero) == weight.shape[weight.axis]:
        zero = zero.reshape([-1 if axis == weight.axis else 1 for axis in range(values.ndim)])
    elif len(zero) > 1:
        return None
    return np.asarray(values != zero) if zero.size else np.asarray(values != 0)


def unread_constants(wiring: Wiring) -> Finding | None:
    """W304: constants of a .tflite that no operator and no output uses."""
    model = wiring.model
    used = {index for operator in model.operators for index in operator.inputs} | set(model.outputs)
    storages = {model.tensors[index].storage for index in used if index >= 0}
    found = [
        tensor
        for number, tensor in enumerate(model.tensors)
        if tensor.data is not None and number not in used and tensor.storage not in storages
    ]
    size = sum({tensor.storage: tensor.bytes for tensor in found}.values())
    if not wiring.tflite or not size or model.other_subgraphs:
        return None
    return finding("W304", found[0].name, f"{len(found)} constants are read by nothing", f"{size:,} B of flash")


def deciding_operator(wiring: Wiring) -> Finding | None:
    """I401: the peak of live activations stands alone."""
    steps, sizes = activation_steps(wiring.model)
    kept = variables(wiring.model)
    live = live_bytes(steps, sizes, (*wiring.model.inputs, *kept), (*wiring.model.outputs, *kept))
    if not live:
        return None
    top = live.index(max(live))
    touched = {*steps[top].reads, *steps[top].writes}
    others = [
        size for size, step in zip(live, steps, strict=True) if not touched.intersection((*step.reads, *step.writes))
    ]
    if not others or live[top] < DECIDES * max(others):
        return None
    message = f"{live[top]:,} B live here, at most {max(others):,} B where its tensors are not touched"
    return finding("I401", steps[top].name, message, f"{live[top] - max(others):,} B of RAM")


def open_sides(wiring: Wiring) -> Finding | None:
    """W403: shapes that the file leaves open beyond the batch."""
    found = [t for t in wiring.model.tensors if t.data is None and any(side < 0 for side in t.shape[1:])]
    return finding("W403", found[0].name, f"{len(found)} tensors have sides of open size") if found else None


def further_subgraphs(wiring: Wiring) -> Finding | None:
    """W404: loops, branches and further sub-graphs."""
    found = [operator for operator in wiring.model.operators if operator.subgraphs]
    count = max(wiring.model.other_subgraphs, len(found))
    return finding("W404", found[0].name if found else "", f"{count} sub-graphs beside the main one") if count else None


def kept_state(wiring: Wiring) -> Finding | None:
    """W405: variables that live from one inference to the next."""
    states = [tensor for tensor in wiring.model.tensors if tensor.variable]
    handles = list(wiring.of(("VAR_HANDLE", "ASSIGN_VARIABLE")))
    if not states and not handles:
        return None
    name = states[0].name if states else handles[0].name
    size = sum(tensor.bytes for tensor in states)
    cost = f"{size:,} B of RAM that stay taken" if size else ""
    return finding("W405", name, f"{len(states) or len(handles)} variables outlive an inference", cost)


def odd_channels(wiring: Wiring) -> Finding | None:
    """I502: convolutions whose channels are no multiple of 4."""
    wasted = total = count = 0
    name = ""
    for operator, weight in wiring.weights():
        macs = count_macs(operator, wiring.model.tensors, wiring.tflite) or 0
        total += macs
        axis = WEIGHTS[operator.op][1]
        outputs = weight.shape[axis] if weight.shape else 0
        last = operator is wiring.model.operators[-1] or operator.op == "FULLY_CONNECTED"  # classes are what they are
        if outputs > 1 and outputs % VECTOR and not last:
            padded = -(-outputs // VECTOR) * VECTOR
            wasted, count, name = wasted + macs * (padded - outputs) // outputs, count + 1, name or operator.name
    if not wasted or wasted < WORTH_PADDING * total:
        return None
    message = f"{count} convolutions have channels that are no multiple of {VECTOR}"
    return finding("I502", name, message, f"about {wasted:,} multiply-accumulates of padding, of {total:,}")


def storage_of_file(audit: ModelAudit) -> Iterator[Finding]:
    """I305 and I402: what the audit's totals tell."""
    rest = audit.file_bytes - audit.stored.bytes
    if audit.has_operators and audit.file_bytes > SMALL_FILE and rest > OUTWEIGHED * audit.file_bytes:
        share = 100 * rest / audit.file_bytes
        yield finding("I305", "", f"{share:.0f} % of the file are neither weights nor biases", f"{rest:,} B of flash")
    if audit.best_order and audit.best_peak_bytes < audit.peak_activation_bytes:
        saved = audit.peak_activation_bytes - audit.best_peak_bytes
        message = f"{audit.best_peak_bytes:,} B instead of {audit.peak_activation_bytes:,} B of live activations"
        yield finding("I402", audit.peak_layer, message, f"{saved:,} B of RAM")


def _once(wiring: Wiring) -> Iterator[tuple[StoredOperator, StoredTensor]]:
    """Operators with weights, each storage once."""
    seen: set[str] = set()
    for operator, weight in wiring.weights():
        key = weight.storage or weight.name
        if key not in seen:
            seen.add(key)
            yield operator, weight


STORAGE = (
    stored_zeros,
    repeated_constants,
    dead_channels,
    unread_constants,
    deciding_operator,
    open_sides,
    further_subgraphs,
    kept_state,
    odd_channels,
)
