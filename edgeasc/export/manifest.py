"""`manifest.json`: what is in an exported folder, and everything needed to check it again.

It holds no time and no path, so that the same export gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

import edgeasc
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.folder import MARK
from edgeasc.files import read_bytes, read_json, sha256, write_json
from edgeasc.graph.count import count
from edgeasc.graph.model import Form, IntegerGraph, QTensor
from edgeasc.runs import installed_versions
from edgeasc.runtime.artefact import Artefact
from edgeasc.specs import AnyFrontEnd, Spec, parse_spec

SCHEMA = 1
PLAIN = "[A-Za-z0-9][A-Za-z0-9._-]{0,127}"


class FileEntry(Spec):
    """One file of the folder: a plain name, `c/` and a plain name, or a path in a package of the C."""

    name: str = Field(pattern=rf"^(c/|(arduino|zephyr)/({PLAIN}/){{0,3}})?{PLAIN}$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Port(Spec):
    """Input or output: logical shape, and `real = (integer - zero_point) * scale`."""

    shape: tuple[int, ...]
    scale: float = Field(gt=0)
    zero_point: int = Field(ge=-128, le=127)


class Counts(Spec):
    """Sizes of the integer graph: weights and biases, those not zero, the latter's bytes, multiply-accumulates."""

    parameters: int
    nonzero: int
    nonzero_bytes: int
    macs: int

    @classmethod
    def of(cls, graph: IntegerGraph) -> Counts:
        """Counted from the graph."""
        found = count(graph)
        return cls(
            parameters=found.parameters,
            nonzero=found.nonzero,
            nonzero_bytes=found.nonzero_bytes,
            macs=found.macs,
        )


class Manifest(Spec):
    """The document; unknown keys are refused."""

    schema_: int = Field(alias="schema", ge=1, le=SCHEMA)
    kind: str = Field(pattern="^export$")
    versions: dict[str, str]
    source_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    form: Form
    converter: str | None
    features: AnyFrontEnd | None
    features_digest: str | None
    labels: tuple[str, ...]
    clip_seconds: float | None
    input: Port
    output: Port
    counts: Counts
    files: tuple[FileEntry, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The document as it is written."""
        return self.model_dump(mode="json", by_alias=True)


def describe(graph: IntegerGraph, payload: bytes, converter: str | None) -> Manifest:
    """The manifest of `graph`, read from the ONNX `payload`, without its files.

    Raises:
        BadInput: the metadata of the ONNX is malformed.
    """
    said = Artefact("onnx", b"", metadata=graph.metadata)
    return Manifest(
        schema=SCHEMA,
        kind="export",
        versions={**installed_versions(), "edgeasc": edgeasc.__version__},
        source_sha256=sha256(payload),
        form=graph.form,
        converter=converter,
        features=said.features,
        features_digest=said.features.digest if said.features else None,
        labels=said.labels,
        clip_seconds=said.clip_seconds,
        input=_port(graph[graph.input]),
        output=_port(graph[graph.output]),
        counts=Counts.of(graph),
    )


def _port(tensor: QTensor) -> Port:
    return Port(shape=tensor.shape, scale=float(tensor.scale), zero_point=tensor.zero_point)


def write_manifest(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Write `manifest.json` about all files now in `folder`; the document."""
    entries = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        payload = read_bytes(path, "export")
        name = path.relative_to(folder).as_posix()
        entries.append(FileEntry(name=name, bytes=len(payload), sha256=sha256(payload)))
    document = manifest.model_copy(update={"files": tuple(entries)}).as_json()
    write_json(folder / MARK, document)
    return document


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an exported folder.

    Raises:
        BadInput: none there, or not one of ours.
    """
    path = folder / MARK
    document = read_json(path, "manifest")
    if not isinstance(document, dict):
        raise BadInput("manifest", "not a JSON object", path)
    try:
        manifest = parse_spec(Manifest, document, path, "manifest")
    except UsageError as error:
        raise BadInput("manifest", error.why, path) from None
    names = [entry.name for entry in manifest.files]
    if len(set(names)) != len(names) or MARK in names or not names:
        raise BadInput("manifest", "no files, or one listed twice", path)
    return manifest
