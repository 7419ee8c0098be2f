"""Weights without a graph: a .safetensors file, or the one in a run folder that is not compressed yet.

The header is read here (eight bytes of length, a JSON object of names, types, shapes and byte ranges, then the numbers;
https://github.com/huggingface/safetensors#format) and every range is checked: a stranger's file is never trusted.
A name tells what a tensor is, as PyTorch's modules spell it; there are no operators, so neither operations nor RAM.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.audit.document import Layer
from edgeasc.audit.places import BIAS, NORM, RUNNING, STATISTICS, TABLES, WEIGHT
from edgeasc.audit.rules import Counted
from edgeasc.audit.stored_count import StoredCount, sum_parameters
from edgeasc.errors import BadInput

MAX_HEADER = 10_000_000  # bytes
TYPES = {
    "F64": ("<f8", 64),
    "F32": ("<f4", 32),
    "F16": ("<f2", 16),
    "BF16": ("<u2", 16),
    "I64": ("<i8", 64),
    "I32": ("<i4", 32),
    "I16": ("<i2", 16),
    "I8": ("|i1", 8),
    "U64": ("<u8", 64),
    "U32": ("<u4", 32),
    "U16": ("<u2", 16),
    "U8": ("|u1", 8),
    "BOOL": ("|u1", 8),
    "F8_E4M3": ("|u1", 8),
    "F8_E5M2": ("|u1", 8),
}
_MINUS_ZERO = {"BF16": 0x8000, "F8_E4M3": 0x80, "F8_E5M2": 0x80}


def count_weights(payload: bytes, path: Path | None = None) -> tuple[StoredCount, dict[str, str]]:
    """One layer per module, and the file's metadata.

    Raises:
        BadInput: no safetensors file, or one whose ranges do not fit together.
    """
    header, start = _header(payload, path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise BadInput("safetensors", "metadata that is no object", path)
    result, modules = StoredCount(), dict[str, list[tuple[str, Counted, tuple[int, ...]]]]()
    covered = _check_ranges(header, len(payload) - start, path)
    for name in covered:
        kind, shape, counted = _counted(name, header[name], payload, start)
        if kind in (RUNNING, TABLES):
            result.uncounted[kind] += counted.total
            result.uncounted_bytes[kind] += counted.total * counted.bits // 8
        if kind != TABLES:
            modules.setdefault(name.rpartition(".")[0] or name, []).append((kind, counted, shape))
    for module, parts in modules.items():
        own = [counted for _, counted, _ in parts]
        result.counted += own
        sizes = sum_parameters(own)
        shape = max((shape for _, _, shape in parts), key=len)
        result.layers.append(Layer(module, "weights", shape, sizes.total, sizes.nonzero, sizes.nonzero_bytes, 0, 0))
    result.notes.append("weights alone: operations and RAM are not known")
    if any(entry["dtype"] in ("I8", "U8", "I16") for entry in header.values()):
        result.notes.append("integers count as not zero where they are not 0: the file does not tell their zero points")
    return result, {str(key): str(value) for key, value in metadata.items()}


def _header(payload: bytes, path: Path | None) -> tuple[dict[str, Any], int]:
    """The JSON object, and the byte at which the numbers start."""
    length = int.from_bytes(payload[:8], "little")
    if len(payload) < 8 or not 2 <= length <= min(MAX_HEADER, len(payload) - 8):
        raise BadInput("safetensors", "not a safetensors file (its header does not fit)", path)
    try:
        header = json.loads(payload[8 : 8 + length])
    except (ValueError, RecursionError):
        raise BadInput("safetensors", "not a safetensors file (its header is not JSON)", path) from None
    if not isinstance(header, dict):
        raise BadInput("safetensors", "not a safetensors file (its header is no object)", path)
    return header, 8 + length


def _check_ranges(header: dict[str, Any], size: int, path: Path | None) -> list[str]:
    """Names in the order of their bytes, which must cover the rest of the file without gap or overlap."""
    ranges: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        shape, begin, end = _place(entry)
        if shape is None:
            raise BadInput("safetensors", f"tensor {name!r}: not a type, a shape and a range", path)
        elements = math.prod(shape)
        if end > size or (end - begin) * 8 != elements * TYPES[entry["dtype"]][1]:
            raise BadInput(
                "safetensors", f"tensor {name!r}: bytes {begin} to {end} do not hold its shape {shape}", path
            )
        ranges.append((begin, end, name))
    ranges.sort()
    place = 0
    for begin, end, name in ranges:
        if begin != place:
            raise BadInput("safetensors", f"tensor {name!r}: its bytes overlap others or leave a gap", path)
        place = end
    if place != size:
        raise BadInput("safetensors", f"{size - place} bytes behind the last tensor", path)
    return [name for _, _, name in ranges]


def _place(entry: Any) -> tuple[tuple[int, ...] | None, int, int]:
    """Shape, first and last byte of a header's entry; None where it is none."""
    fields = entry if isinstance(entry, dict) else {}
    shape, offsets = fields.get("shape"), fields.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        return None, 0, 0
    if str(fields.get("dtype")) not in TYPES or any(
        type(number) is not int or number < 0 for number in (*shape, *offsets)
    ):
        return None, 0, 0
    return tuple(shape), offsets[0], offsets[1]


def _counted(name: str, entry: dict[str, Any], payload: bytes, start: int) -> tuple[str, tuple[int, ...], Counted]:
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    kind_of_number, bits = TYPES[dtype]
    begin, end = entry["data_offsets"]
    values: NDArray[Any] = np.frombuffer(payload, kind_of_number, (end - begin) * 8 // bits, start + begin)
    zero = values == 0
    if dtype in _MINUS_ZERO:
        zero |= values == _MINUS_ZERO[dtype]
    kind = _kind(name.rpartition(".")[2], len(shape), dtype)
    counted_as = STATISTICS if kind == RUNNING else kind
    nonzero = int(values.size - np.count_nonzero(zero))
    return kind, shape, Counted(counted_as, values.size, values.size, nonzero, bits)


def _kind(leaf: str, rank: int, dtype: str) -> str:
    """What a tensor is by the last part of its name, by its rank and its type."""
    if leaf in ("running_mean", "running_var", "moving_mean", "moving_variance"):
        return RUNNING
    if leaf == "num_batches_tracked" or dtype in ("I64", "U64", "BOOL"):
        return TABLES
    if rank >= 2:
        return WEIGHT
    if leaf.startswith("bias") or leaf == "beta":
        return BIAS
    return NORM
