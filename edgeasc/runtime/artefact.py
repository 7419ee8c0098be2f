"""What an artefact says about itself: kind, bytes, front end, labels, quantisation of input and output.

Kinds are `onnx`, `tflite`, `c` (a folder of generated C) and `run` (a run folder's float network). Files are read once:
what is described, hashed and run are the same bytes.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeasc.errors import BadInput, EdgeascError, UsageError
from edgeasc.files import read_bytes, sha256
from edgeasc.specs import FrontEndSpec, parse_front_end

if TYPE_CHECKING:
    import onnx

    from edgeasc.export.c.bundle import Bundle

MAX_LABELS = 10_000


@dataclass(frozen=True)
class Quantisation:
    """`real = (integer - zero_point) * scale`, per tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class Artefact:
    """One runnable thing. `payload` is the file's bytes, empty for a run folder."""

    kind: str
    payload: bytes
    path: Path | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    input: Quantisation | None = None  # as far as the file itself says so; TFLite runtimes tell theirs
    output: Quantisation | None = None
    beside: tuple[Path, ...] = ()  # files that held tensors of an ONNX file; `payload` is whole without them

    @cached_property
    def sha256(self) -> str:
        """Digest of the bytes that are run; of the weights for a run folder."""
        if self.kind == "run" and self.path is not None:
            return sha256(read_bytes(self.path / "best.safetensors", "weights"))
        return sha256(self.payload)

    @property
    def features(self) -> FrontEndSpec | None:
        """The front end that the network was trained with.

        Raises:
            BadInput: the embedded specification is malformed.
        """
        document = self._document("edgeasc.features")
        if document is None:
            return None
        if not isinstance(document, dict):
            raise BadInput("metadata", "edgeasc.features is not a JSON object", self.path)
        try:
            return parse_front_end(document, self.path)
        except UsageError as error:
            raise BadInput("metadata", f"edgeasc.features: {error.why}", self.path) from None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits; empty where the file has none.

        Raises:
            BadInput: the embedded list is malformed.
        """
        document = self._document("edgeasc.labels")
        if document is None:
            return ()
        if (
            not isinstance(document, list)
            or len(document) > MAX_LABELS
            or not all(isinstance(name, str) for name in document)
        ):
            raise BadInput("metadata", "edgeasc.labels is not a list of names", self.path)
        return tuple(document)

    @property
    def clip_seconds(self) -> float | None:
        """Length of one network input in seconds, where the file says so.

        Raises:
            BadInput: not a positive number.
        """
        document = self._document("edgeasc.clip_seconds")
        if document is None:
            return None
        if isinstance(document, bool) or not isinstance(document, (int, float)) or not 0 < document < math.inf:
            raise BadInput("metadata", "edgeasc.clip_seconds is not a positive number", self.path)
        return float(document)

    def _document(self, key: str) -> Any:
        if key not in self.metadata:
            return None
        try:
            return json.loads(self.metadata[key])
        except (ValueError, RecursionError):
            raise BadInput("metadata", f"{key} is not JSON", self.path) from None


def read_artefact(path: Path) -> Artefact:
    """The artefact at `path`: a `.onnx`, a `.tflite`, a run folder or an exported folder.

    A compressed run folder and an exported folder stand for their `model.onnx`.

    Raises:
        BadInput: nothing there that can be run, or malformed.
    """
    if path.is_dir():
        for name in ("model.onnx", "model.tflite"):
            if (path / name).is_file():
                return read_artefact(path / name)
        for folder in (path, path / "c"):
            if (folder / "model.json").is_file():
                return read_c_folder(folder)
        if (path / "best.safetensors").is_file():
            return read_run(path)
        raise BadInput("model", "a folder without model.onnx, model.tflite, generated C or best.safetensors", path)
    payload = read_bytes(path, "model")
    if path.suffix.lower() == ".onnx":
        return onnx_artefact(payload, path)
    if path.suffix.lower() == ".tflite":
        return tflite_artefact(payload, path)
    raise BadInput("model", f"{path.suffix or 'no'} suffix; known: .onnx, .tflite and folders", path)


def onnx_artefact(payload: bytes, path: Path | None = None) -> Artefact:
    """An artefact of the bytes of an ONNX file; tensors in files beside it are read into it.

    Raises:
        BadInput: not ONNX, or with tensors in files that are not below its folder.
    """
    from edgeasc.graph.onnx_external import whole
    from edgeasc.graph.onnx_read import parse_onnx

    try:
        payload, beside = whole(payload, path.parent) if path is not None else (payload, ())
        model = parse_onnx(payload)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        source, result = _onnx_quantisation(model)
    except EdgeascError as error:
        raise BadInput("ONNX", error.why, path) from None
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInput("ONNX", f"malformed ({error})", path) from None
    return Artefact("onnx", payload, path, metadata, source, result, beside)


def tflite_artefact(payload: bytes, path: Path | None = None) -> Artefact:
    """An artefact of the bytes of a TFLite file.

    Raises:
        BadInput: not TFLite.
    """
    from edgeasc.graph.tflite_read import read_metadata

    try:
        metadata = read_metadata(payload)
    except BadInput as error:
        raise BadInput(error.what, error.why, path) from None
    return Artefact("tflite", payload, path, metadata)


def read_c_folder(path: Path) -> Artefact:
    """An artefact of a folder of generated C.

    Raises:
        BadInput: not one of ours, or changed.
    """
    from edgeasc.export.c.bundle import read_bundle

    return c_artefact(read_bundle(path), path)


def c_artefact(bundle: Bundle, path: Path | None = None) -> Artefact:
    """An artefact of generated C.

    Raises:
        BadInput: malformed facts.
    """
    ports = []
    for side in ("input", "output"):
        port = bundle.facts.get(side)
        try:
            ports.append(Quantisation(float(port["scale"]), int(port["zero_point"])))  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            raise BadInput("C folder", f"says nothing of its {side}", path) from None
    said = bundle.facts.get("metadata")
    metadata = {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}
    return Artefact("c", bundle.payload, path, metadata, ports[0], ports[1])


def read_run(path: Path) -> Artefact:
    """The float network of a run folder as an artefact.

    Raises:
        BadInput: not a run folder.
    """
    from edgeasc.runs import Run

    run = Run(path)
    recipe = run.recipe()
    metadata = {
        "edgeasc.features": recipe.features.model_dump_json(),
        "edgeasc.labels": json.dumps(run.info().labels),
        "edgeasc.clip_seconds": json.dumps(recipe.data.clip_seconds),
    }
    return Artefact("run", b"", path, metadata)


def _onnx_quantisation(model: onnx.ModelProto) -> tuple[Quantisation | None, Quantisation | None]:
    """Input's and output's scales: of the (De)QuantizeLinear next to them, on whichever side the integers are."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = {value.name for value in model.graph.input} - constants.keys()
    outputs = {value.name for value in model.graph.output[:1]}

    def numbers(node: onnx.NodeProto) -> Quantisation | None:
        if len(node.input) < 2 or node.input[1] not in constants:
            return None
        scale = numpy_helper.to_array(constants[node.input[1]])
        zero = numpy_helper.to_array(constants[node.input[2]]) if len(node.input) > 2 and node.input[2] else None
        if scale.size != 1 or (zero is not None and zero.size != 1):
            return None
        number = 0 if zero is None else int(zero.item())
        # uint8 is told in the convention of int8.
        return Quantisation(float(scale.item()), number - 128 if zero is not None and zero.dtype == "uint8" else number)

    source = result = None
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            if source is None and inputs & {node.input[0]}:
                source = numbers(node)
            if outputs & set(node.output):
                result = numbers(node)
    return source, result
