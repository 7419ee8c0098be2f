"""Generated C, counted: what `model.json` says of the network, held against the numbers in `weights.c`.

The network's parameters are those of its integer graph. What the C stores is something else, and listed as such: pruned
layers by their weights that are not zero and where these belong, biases with the input's zero point in them,
multipliers, shifts and tables beside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.audit.document import Layer
from edgeasc.audit.memory import Plan
from edgeasc.audit.rules import Counted
from edgeasc.audit.stored_count import StoredCount
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import parse_payload
from edgeasc.export.c.program import WIDTH
from edgeasc.export.c.sparse import count_nonzero, stored_weights
from edgeasc.graph.count import BIAS_BYTES

_ARRAY = re.compile(r"^const (u?int(?:8|16|32)_t) (\w+)\[(\d+)\] = \{([-0-9, ()\n]*)\};$", re.MULTILINE)
_APART = {
    "indices": "positions of weights",
    "scales": "scales and shifts",
    "table": "tables",
    "constant": "single constants",
    "front end": "front-end tables",
}
_NUMBERS = ("weights", "nonzero_weights", "parameters", "nonzero", "bytes", "biases", "nonzero_biases", "macs",
            "activation_bytes")  # fmt: skip


def count_c(payload: bytes) -> tuple[StoredCount, StoredCount, str]:
    """The network, the constants as the C stores them, and its ends in words.

    Raises:
        BadInput: `model.json` is malformed, or says of a layer what its weights do not show.
    """
    bundle = parse_payload(payload)
    facts = bundle.facts
    arrays = read_arrays(bundle.files.get("weights.c", ""))
    network, stored = StoredCount(), StoredCount()
    try:
        for row in facts["layers"]:
            _count_layer(row, arrays, facts["arrays"], network, stored)
        _set_apart(arrays, facts["arrays"], stored)
        arena = int(facts["arena_bytes"])
        front_end = _front_end_words(facts.get("front_end"))
        ends = " -> ".join(f"int8 {list(facts[side]['shape'])}" for side in ("input", "output"))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput("C folder", f"model.json is malformed ({error})") from None
    live = tuple(layer.activation_bytes for layer in network.layers)
    names = [layer.name for layer in network.layers if layer.activation_bytes == max(live)]
    network.memory = stored.memory = Plan(live, names[0] if names else "", max(live, default=0))
    network.notes.append(f"arena of {arena:,} B, placed by the caller; layers may work in place")
    network.notes += front_end
    stored.operators = network.operators
    return network, stored, ends


def _front_end_words(facts: Any) -> list[str]:
    """What the front end takes of flash and RAM, in words; nothing where the C has none."""
    if not isinstance(facts, dict) or "features" not in facts:
        return []
    tables, state, scratch, arena = (
        int(facts[key]) for key in ("table_bytes", "state_bytes", "scratch_bytes", "arena_bytes")
    )
    return [
        f"front end from 16-bit samples: {tables:,} B of tables in flash, {state:,} B of RAM for the stream, and "
        f"{scratch:,} B of scratch in an arena of {arena:,} B that it shares with the network"
    ]


def read_arrays(text: str) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """Type and numbers of every array in `weights.c`."""
    found = {}
    for ctype, name, size, body in _ARRAY.findall(text):
        plain = body.replace("(-2147483647 - 1)", str(-(2**31)))
        values = np.array([int(number) for number in plain.split(",") if number.strip()], np.int64)
        if len(values) != int(size):
            raise BadInput("C folder", f"array {name} has {len(values)} numbers, {size} declared")
        found[name] = (ctype, values)
    return found


def _count_layer(
    row: Mapping[str, Any],
    arrays: Mapping[str, tuple[str, NDArray[np.int64]]],
    roles: Mapping[str, str],
    network: StoredCount,
    stored: StoredCount,
) -> None:
    name = str(row["name"])
    numbers = {key: int(row[key]) for key in _NUMBERS}
    weights = [item for item in row["arrays"] if roles[item] == "weights"]
    channels = int(row["output_shape"][1])
    shown = sum(count_nonzero(*arrays[item], channels) for item in weights)
    # Weights of which no band is left are in the arrays and count as zero.
    if shown < numbers["nonzero_weights"] or any(number < 0 for number in numbers.values()):
        why = f"{name}: {numbers['nonzero_weights']} weights that are not zero are claimed, weights.c has {shown}"
        raise BadInput("C folder", why)
    network.layers.append(
        Layer(
            name, str(row["op"]), tuple(int(side) for side in row["output_shape"]), numbers["parameters"],
            numbers["nonzero"], numbers["bytes"], numbers["macs"], numbers["activation_bytes"],
        )
    )  # fmt: skip
    network.operators[str(row["op"])] += 1
    plain = numbers["parameters"] - numbers["biases"]
    network.counted.append(Counted("weight", plain, plain, numbers["nonzero"] - numbers["nonzero_biases"], 8))
    biases, left = numbers["biases"], numbers["nonzero_biases"]
    network.counted.append(Counted("bias", biases, biases, left, 8 * BIAS_BYTES))
    for item in row["arrays"]:
        if roles[item] in ("weights", "bias"):
            ctype, values = arrays[item]
            if roles[item] == "weights":
                whole, values = len(values), stored_weights(ctype, values, channels)
                if whole > len(values):  # a stream of gaps and weights
                    stored.uncounted[_APART["indices"]] += whole - len(values)
                    stored.uncounted_bytes[_APART["indices"]] += whole - len(values)
            kind = "weight" if roles[item] == "weights" else "bias"
            stored.counted.append(
                Counted(kind, len(values), len(values), int(np.count_nonzero(values)), 8 * _width(ctype))
            )


def _set_apart(
    arrays: Mapping[str, tuple[str, NDArray[np.int64]]], roles: Mapping[str, str], stored: StoredCount
) -> None:
    for name, (ctype, values) in arrays.items():
        what = _APART.get(roles[name])
        if what is not None:
            stored.uncounted[what] += len(values)
            stored.uncounted_bytes[what] += len(values) * _width(ctype)


def _width(ctype: str) -> int:
    return WIDTH[ctype]
