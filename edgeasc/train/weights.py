"""Tensors on disk: safetensors that carry the digest of their own content, and never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from edgeasc.errors import BadInput
from edgeasc.files import read_bytes, sha256, write_bytes

MAX_TENSORS = 10_000


def write_tensors(path: Path, tensors: dict[str, Tensor], document: dict[str, Any] | None = None) -> None:
    """Write tensors and a small JSON document, whole or not at all."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = sha256(_payload(save(stored)))
    # One key: safetensors writes several in an order that changes from process to process.
    header = json.dumps({"sha256": digest, "document": document or {}}, sort_keys=True)
    write_bytes(path, save(stored, metadata={"edgeasc": header}))


def read_tensors(path: Path, what: str = "checkpoint") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the JSON document of a safetensors file; the document is empty in a file not written by us.

    Raises:
        BadInput: missing, corrupt (our digest does not fit), absurdly many tensors, or NaN and infinity in them.
    """
    content = read_bytes(path, what)
    try:
        tensors = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
        header = json.loads(metadata.get("edgeasc", "{}"))
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise BadInput(what, f"not a safetensors file ({error})", path) from error
    document = header.get("document", {}) if isinstance(header, dict) else None
    if len(tensors) > MAX_TENSORS or not isinstance(document, dict):
        raise BadInput(what, "not a checkpoint of ours", path)
    if header.get("sha256", sha256(_payload(content))) != sha256(_payload(content)):
        raise BadInput(what, "corrupt (the digest of its tensors differs)", path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadInput(what, f"tensor {name!r} is not finite", path)
    return tensors, document


def load_weights(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put `tensors` into `network`, every one in its place.

    Raises:
        BadInput: a tensor is missing, unknown, or of another shape.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n\t")[1:2]) or str(error)
        first, *more = reason.split(", ")
        rest = f" and {len(more)} more" if more and first.endswith('"') else "".join(f", {word}" for word in more)
        raise BadInput("checkpoint", f"does not fit the network: {first}{rest}", path) from error


def _payload(content: bytes) -> bytes:
    """The tensors' bytes of a safetensors file, without its header."""
    return content[8 + int.from_bytes(content[:8], "little") :]
