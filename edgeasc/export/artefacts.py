"""`export`: from a run folder or a quantised ONNX to a folder of artefacts that were seen to agree.

The ONNX goes out byte for byte as it came; TFLite is written from its integer graph. Parity is measured before anything
is put in place, and a missed rung leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import edgeasc
from edgeasc.errors import BadInput, UsageError
from edgeasc.export.c.choice import DEFAULT, Optimise
from edgeasc.export.folder import MARK, check_place, whole_folder
from edgeasc.export.ladder import parity_clips, patience
from edgeasc.export.manifest import describe, read_manifest, write_manifest
from edgeasc.export.parity import (
    EXACT,
    ParityFailed,
    ParityInputs,
    check_required,
    compute_judges,
    measure_parity,
    random_inputs,
    read_parity,
    write_parity,
)
from edgeasc.files import read_bytes, read_json, sha256, write_bytes, write_json, write_text
from edgeasc.graph.count import count
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.runtime.artefact import Artefact, c_artefact, onnx_artefact, tflite_artefact
from edgeasc.runtime.runner import CHUNK_ITEMS

Converter = Literal["direct", "tensorflow"]
ONNX, TFLITE, PARITY_INPUTS, PARITY_REPORT = "model.onnx", "model.tflite", "parity.safetensors", "parity.json"
C_FOLDER = "c"


@dataclass(frozen=True)
class Source:
    """The quantised ONNX that is exported, and where parity inputs may come from."""

    path: Path
    payload: bytes
    graph: IntegerGraph
    parity: Path | None = None
    exact: bool = False  # trained with the integer-exact forward


def export_artefacts(
    source: Path,
    out: Path,
    *,
    onnx: bool = True,
    tflite: bool = True,
    c: bool = False,
    optimise: Optimise = DEFAULT,
    converter: Converter = "direct",
    data: Path | None = None,
    require: Collection[str] = (),
    clips: int | None = None,
    threads: int = 1,
    front_end: bool | None = None,
    packages: Collection[str] = (),
    ram: int | None = None,
) -> dict[str, Any]:
    """Write `model.onnx`, `model.tflite`, `c/`, their parity inputs, `parity.json` and `manifest.json` into `out`.

    Args:
        source: a compressed run folder, or a quantised `.onnx` from any tool.
        onnx, tflite, c: which artefacts. optimise: how C stores weights.
        converter: who writes the TFLite; `tensorflow` needs that package.
        data: recordings to take parity inputs from where the source brings none; without them they are seeded.
        require: runtimes that must be installed for parity. clips: how many inputs where the source brings none; by
            default 200, or 20 above 200 million multiply-accumulates.
        front_end: C with the integer front end; None: where the model names one that C can do.
        packages: of `export.c.packages`, the C as `arduino/` or `zephyr/` beside `c/`.
        ram: most bytes of the C's arena, for which parts of the network run in strips.

    Returns:
        {manifest, parity}, the two documents as written.

    Raises:
        ParityFailed: a rung was missed; nothing is written. BadInput: the source cannot be used or expressed.
        CheckFailed: no plan gets below `ram`. UsageError: `out` is in use. MissingDependency: a required runtime or
        the converter is absent.
    """
    if not (onnx or tflite or c):
        raise UsageError("export", "nothing to write; choose among --onnx, --tflite and --c")
    check_place(out)
    check_required(require)
    found = read_source(source)
    artefacts = _artefacts(found, onnx, tflite, optimise if c else None, converter, front_end, ram)
    inputs = _inputs(found, data, clips)
    judges = compute_judges(found.graph, inputs)
    wait = patience(count(found.graph).macs, CHUNK_ITEMS)
    parity = measure_parity(found.graph.form, artefacts, inputs, judges, require=require, threads=threads, timeout=wait)
    if not parity["passed"]:
        raise ParityFailed(parity, source)
    kept = replace(
        inputs,
        reference=judges.reference,
        fake_quantised=judges.fake_quantised,
        fake_quantised_by=judges.fake_quantised_by,
    )
    with whole_folder(out) as folder:
        for artefact in artefacts:
            _write(artefact, folder, packages)
        write_parity(folder / PARITY_INPUTS, kept)
        write_json(folder / PARITY_REPORT, parity)
        manifest = write_manifest(folder, describe(found.graph, found.payload, converter if tflite else None))
    return {"manifest": manifest, "parity": parity}


def front_end_words(out: Path) -> str:
    """Whether the C in the exported folder `out` has its front end, or why not."""
    from edgeasc.export.c.bundle import read_bundle

    facts = read_bundle(out / C_FOLDER).facts["front_end"]
    return f"left out ({facts['left_out']})" if "left_out" in facts else "taken from the model's metadata"


def read_source(source: Path) -> Source:
    """The quantised ONNX of a compressed run folder, of an exported folder, or in a file.

    Raises:
        BadInput: neither, not finished, or not expressible as an integer graph.
    """
    parity, exact, path = None, False, source
    exported = source.is_dir() and (source / MARK).is_file() and (source / ONNX).is_file()
    if exported:
        path, parity = source / ONNX, source / PARITY_INPUTS if (source / PARITY_INPUTS).is_file() else None
        exact = parity is not None and _was_exact(source / PARITY_REPORT)
    elif source.is_dir():
        from edgeasc.runs import Run

        run = Run(source)
        if run.info().kind != "compress" or run.info().state != "complete":
            raise BadInput(
                "run",
                "not a completed compression; run `edgeasc compress` on it first (--onnx alone: in floats)",
                source,
            )
        path, parity = run.onnx, run.parity if run.parity.is_file() else None
        exact = run.recipe().quantize.exact_epochs > 0
    elif source.suffix.lower() != ".onnx":
        raise BadInput("export", "takes a compressed run folder or a quantised .onnx", source)
    payload = read_bytes(path, "ONNX")
    if exported and sha256(payload) != read_manifest(source).source_sha256:
        raise BadInput("ONNX", f"changed since {MARK} was written", path)
    try:
        graph = read_onnx(payload)
    except BadInput as error:
        raise BadInput(error.what, error.why, path) from None
    return Source(path, payload, graph, parity, exact)


def _was_exact(report: Path) -> bool:
    """Whether an earlier export's report says that the network was trained with the integer-exact forward."""
    document = read_json(report, "parity report") if report.is_file() else None
    rungs = document.get("rungs") if isinstance(document, dict) else None
    return any(isinstance(rung, dict) and rung.get("against") == EXACT for rung in rungs or ())


def tflite_payload(graph: IntegerGraph, converter: Converter = "direct") -> bytes:
    """The TFLite file of `graph` with its metadata, by our writer or by TensorFlow's converter.

    Raises:
        BadInput: a node that TFLite cannot express. MissingDependency: TensorFlow is not installed.
    """
    said = {"edgeasc.form": graph.form, "edgeasc.version": edgeasc.__version__}
    described = replace(graph, metadata={**said, **graph.metadata})
    if converter == "tensorflow":
        from edgeasc.export.tensorflow import tensorflow_tflite_bytes

        return tensorflow_tflite_bytes(described)
    from edgeasc.export.tflite import tflite_bytes

    return tflite_bytes(described)


def _write(artefact: Artefact, folder: Path, packages: Collection[str]) -> None:
    """Put one artefact into the folder under its fixed name."""
    if artefact.kind == "c":
        from edgeasc.export.c.bundle import parse_payload, write_bundle
        from edgeasc.export.c.packages import package_files

        bundle = parse_payload(artefact.payload)
        write_bundle(bundle, folder / C_FOLDER)
        for kind in packages:
            for name, text in package_files(bundle, kind).items():
                write_text(folder / kind / name, text)
        return
    write_bytes(folder / (ONNX if artefact.kind == "onnx" else TFLITE), artefact.payload)


def _artefacts(
    source: Source,
    onnx: bool,
    tflite: bool,
    c: Optimise | None,
    converter: Converter,
    front_end: bool | None = None,
    ram: int | None = None,
) -> list[Artefact]:
    """What goes into the folder, in memory."""
    found = [onnx_artefact(source.payload, source.path)] if onnx else []
    if tflite:
        found.append(tflite_artefact(tflite_payload(source.graph, converter)))
    if c is not None:
        from edgeasc.export.c.bundle import bundle

        found.append(c_artefact(bundle(source.graph, front_end, optimise=c, ram=ram)))
    return found


def _inputs(source: Source, data: Path | None, asked: int | None) -> ParityInputs:
    """Parity inputs: of the run, of recordings, or seeded."""
    if source.parity is not None:
        return replace(read_parity(source.parity), exact=source.exact)
    clips = asked if asked is not None else parity_clips(count(source.graph).macs)
    if data is not None:
        from edgeasc.export.recordings import recorded_inputs

        return recorded_inputs(source.graph, data, clips)
    return random_inputs(source.graph, clips)
