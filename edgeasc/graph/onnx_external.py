"""ONNX files whose tensors lie in files beside them, made whole: the tensors are read into the model.

A location is a plain name below the model's own folder and nothing else; a link that leads out of the folder is not
followed, and a range must lie within its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeasc.errors import BadInput

if TYPE_CHECKING:
    import onnx

MAX_BYTES = 1 << 30  # of all data files together


def whole(payload: bytes, folder: Path) -> tuple[bytes, tuple[Path, ...]]:
    """The model with the data of every external tensor read into it, and the files that were read.

    Raises:
        BadInput: a location outside `folder`, a missing file, or a range beyond its end.
    """
    if b"location" not in payload:  # the key that every external tensor has
        return payload, ()
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(payload)
    except (DecodeError, ValueError):
        return payload, ()  # whoever parses it next says what is wrong
    contents: dict[Path, bytes] = {}
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = _inside(folder, entries.get("location", ""), tensor.name)
        if path not in contents:
            contents[path] = _content(path, tensor.name, sum(map(len, contents.values())))
        tensor.raw_data = _range(contents[path], entries, tensor.name)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT
    return (model.SerializeToString(), tuple(contents)) if contents else (payload, ())


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _inside(folder: Path, location: str, name: str) -> Path:
    """The file that `location` means, which must be below `folder`."""
    root = folder.resolve()
    try:
        path = (root / location).resolve()
        inside = bool(location) and path != root and path.is_relative_to(root)
    except (OSError, ValueError):  # such as a name with a zero byte
        inside = False
    if not inside:
        raise BadInput("ONNX", f"tensor {name!r} is kept in {location!r}, which is not in the model's folder")
    return path


def _content(path: Path, name: str, before: int) -> bytes:
    try:
        if not path.is_file():
            raise BadInput("ONNX", f"tensor {name!r} is kept in {path.name!r}, which is not there")
        if before + path.stat().st_size > MAX_BYTES:
            raise BadInput("ONNX", f"its data files hold more than {MAX_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BadInput("ONNX", f"tensor {name!r} is kept in {path.name!r}: {error.strerror}") from None


def _range(content: bytes, entries: dict[str, str], name: str) -> bytes:
    try:
        start = int(entries.get("offset") or 0)
        length = int(entries["length"]) if entries.get("length") else len(content) - start
    except ValueError:
        raise BadInput("ONNX", f"tensor {name!r}: offset or length is no number") from None
    if start < 0 or length < 0 or start + length > len(content):
        raise BadInput("ONNX", f"tensor {name!r} is said to lie at {start} to {start + length} of {len(content)} bytes")
    return content[start : start + length]
