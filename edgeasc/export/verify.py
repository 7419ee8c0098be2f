"""`verify`: every number of an exported folder, derived again.

First the hashes, before anything is parsed: damage that a parser would swallow is found there. Then what the artefacts
say of themselves, the counts, and the whole parity ladder on the stored inputs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeasc.errors import BadInput, CheckFailed
from edgeasc.export.artefacts import C_FOLDER, ONNX, PARITY_INPUTS, PARITY_REPORT, TFLITE
from edgeasc.export.folder import MARK
from edgeasc.export.ladder import patience
from edgeasc.export.manifest import Counts, Manifest, describe, read_manifest
from edgeasc.export.parity import (
    Judges,
    ParityInputs,
    check_required,
    compute_judges,
    measure_parity,
    read_parity,
)
from edgeasc.files import read_bytes, read_json, sha256
from edgeasc.graph.onnx_read import read_onnx
from edgeasc.runtime.artefact import Artefact, c_artefact, read_artefact
from edgeasc.runtime.runner import CHUNK_ITEMS

SCHEMA = 1


@dataclass(frozen=True)
class Check:
    """One number: what the manifest says and what was found."""

    name: str
    expected: Any
    found: Any

    @property
    def passed(self) -> bool:
        """Whether both are the same."""
        return bool(self.expected == self.found)

    def as_json(self) -> dict[str, Any]:
        """The check as a JSON object."""
        return {"name": self.name, "expected": self.expected, "found": self.found, "passed": self.passed}


class VerificationFailed(CheckFailed):
    """Something in the folder is not what its manifest says. `document` is the whole report."""

    def __init__(self, document: dict[str, Any], folder: Path) -> None:
        self.document = document
        wrong = [
            f"{check['name']} is {check['found']}, the manifest says {check['expected']}"
            for check in document["checks"]
            if not check["passed"]
        ]
        parity = document["parity"] or {"rungs": []}
        wrong += [
            f"parity: {rung['name']} missed {rung['limit']}" for rung in parity["rungs"] if rung["passed"] is False
        ]
        super().__init__("verify", "; ".join(wrong), folder)


def verify_folder(folder: Path, require: Collection[str] = (), threads: int = 1) -> dict[str, Any]:
    """Check an exported folder against its manifest.

    Args:
        require: runtimes that must be installed for parity.

    Returns:
        {schema, path, checks: [{name, expected, found, passed}], notes, parity, passed}, with everything passed.

    Raises:
        VerificationFailed: a hash, a count, a statement or a rung differs; after a wrong hash nothing is parsed.
        BadInput: no manifest, or a malformed one. MissingDependency: a required runtime is absent.
    """
    if not folder.is_dir():
        raise BadInput("verify", "no such folder", folder)
    check_required(require)
    manifest = read_manifest(folder)
    document: dict[str, Any] = {"schema": SCHEMA, "path": str(folder), "checks": [], "notes": [], "parity": None}
    _record(document, _hashes(folder, manifest), folder)
    listed = {entry.name for entry in manifest.files}
    document["notes"] = [
        f"{path.relative_to(folder).as_posix()} is not in the manifest"
        for path in sorted(path for path in folder.rglob("*") if not path.is_dir())
        if path.relative_to(folder).as_posix() not in listed | {MARK}
    ]
    artefacts = [read_artefact(folder / name) for name in (ONNX, TFLITE) if name in listed]
    if not artefacts or PARITY_INPUTS not in listed:
        raise BadInput("manifest", f"lists no artefact, or no {PARITY_INPUTS}", folder / MARK)
    inputs = read_parity(folder / PARITY_INPUTS)
    judges, checks = _derive(folder, manifest, artefacts, inputs)
    _record(document, checks, folder)
    artefacts += _generated_c(folder, artefacts, document, listed)
    wait = patience(manifest.counts.macs, CHUNK_ITEMS)
    parity = measure_parity(manifest.form, artefacts, inputs, judges, require=require, threads=threads, timeout=wait)
    document["parity"] = parity
    stored = read_json(folder / PARITY_REPORT, "parity report") if PARITY_REPORT in listed else None
    if isinstance(stored, dict):
        document["notes"] += _moved(stored, parity)
    document["passed"] = bool(parity["passed"])
    if not parity["passed"]:
        raise VerificationFailed(document, folder)
    return document


def _hashes(folder: Path, manifest: Manifest) -> list[Check]:
    """Size and digest of every listed file; a missing one is a finding, not an error."""
    checks = []
    for entry in manifest.files:
        path = folder / entry.name
        if path.is_symlink() or not path.is_file():
            checks.append(Check(f"{entry.name}", "a file", "a link" if path.is_symlink() else "missing"))
            continue
        payload = read_bytes(path, "verify")
        checks.append(Check(f"{entry.name} bytes", entry.bytes, len(payload)))
        checks.append(Check(f"{entry.name} sha256", entry.sha256, sha256(payload)))
    return checks


def _derive(
    folder: Path, manifest: Manifest, artefacts: list[Artefact], inputs: ParityInputs
) -> tuple[Judges, list[Check]]:
    """The judges for parity, and what the artefacts say against what the manifest says."""
    checks = [
        Check("features digest", manifest.features_digest, manifest.features.digest if manifest.features else None)
    ]
    for artefact in artefacts:
        said = {"features": artefact.features, "labels": artefact.labels, "clip_seconds": artefact.clip_seconds}
        for key, value in said.items():
            checks.append(Check(f"{key} in the {artefact.kind} file", _plain(getattr(manifest, key)), _plain(value)))
    onnx = next((artefact for artefact in artefacts if artefact.kind == "onnx"), None)
    if onnx is None:  # the graph itself is not there: the stored logits are the judges
        if inputs.reference is None or inputs.fake_quantised is None:
            raise BadInput("parity inputs", "without an ONNX file they need stored logits", folder / PARITY_INPUTS)
        by = inputs.fake_quantised_by
        return Judges(inputs.reference, inputs.fake_quantised, by, manifest.output.scale), checks
    graph = read_onnx(onnx.payload)
    fresh = describe(graph, onnx.payload, manifest.converter)
    checks += [
        Check(key, _plain(getattr(manifest, key)), _plain(getattr(fresh, key)))
        for key in ("source_sha256", "form", "input", "output")
    ]
    expected, found = manifest.counts.model_dump(), Counts.of(graph).model_dump()
    checks += [Check(f"{key} counted", expected[key], found[key]) for key in expected]
    return compute_judges(graph, inputs), checks


def _generated_c(folder: Path, artefacts: list[Artefact], document: dict[str, Any], listed: set[str]) -> list[Artefact]:
    """The C of the folder, if it is what this version writes for the folder's own graph.

    Foreign C is never compiled: what is run is the text that the ONNX file gives, and the folder's has to equal it.
    """
    onnx = next((artefact for artefact in artefacts if artefact.kind == "onnx"), None)
    if not any(name.startswith(f"{C_FOLDER}/") for name in listed):
        return []
    if onnx is None:
        document["notes"].append(f"{C_FOLDER}/ is not run: without model.onnx its text cannot be derived")
        return []
    from edgeasc.export.c.bundle import bundle, plan_of, read_bundle
    from edgeasc.export.c.choice import parse_optimise
    from edgeasc.export.c.frontend import asked_for
    from edgeasc.export.c.packages import PACKAGES, package_files

    stored = read_bundle(folder / C_FOLDER)
    optimise = parse_optimise(str(stored.facts.get("optimise")))
    fresh = bundle(read_onnx(onnx.payload), asked_for(stored.facts), plan_of(stored.facts), optimise)
    checks = [
        Check(f"{C_FOLDER}/{name} as derived from the ONNX file", digest, stored.facts["files"].get(name))
        for name, digest in fresh.facts["files"].items()
    ]
    for kind in PACKAGES:
        checks += _package(folder, kind, package_files(fresh, kind), listed)
    _record(document, checks, folder)
    return [c_artefact(fresh)]


def _package(folder: Path, kind: str, fresh: dict[str, str], listed: set[str]) -> list[Check]:
    """A package of the C, where there is one, against what is written for the folder's own graph."""
    there = sorted(name for name in listed if name.startswith(f"{kind}/"))
    if not there:
        return []
    derived = {f"{kind}/{name}": sha256(text.encode()) for name, text in fresh.items()}
    return [
        Check(f"{name} as derived from the ONNX file", derived.get(name), sha256(read_bytes(folder / name, "verify")))
        for name in there
    ] + [Check(f"files in {kind}/", len(derived), len(there))]


def _record(document: dict[str, Any], checks: list[Check], folder: Path) -> None:
    """Add `checks` to the report and stop at the first stage that has a wrong one."""
    document["checks"] += [check.as_json() for check in checks]
    document["passed"] = all(check["passed"] for check in document["checks"])
    if not document["passed"]:
        raise VerificationFailed(document, folder)


def _plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value


def _moved(stored: dict[str, Any], parity: dict[str, Any]) -> list[str]:
    """Rungs that came out otherwise than when the folder was made: another processor or another version."""
    before = {(r.get("name"), r.get("against")): r for r in stored.get("rungs", []) if isinstance(r, dict)}
    notes = []
    for rung in parity["rungs"]:
        old = before.get((rung["name"], rung["against"]))
        if old is None or old.get("clips") is None or rung["mean_logit"] is None or old.get("mean_logit") is None:
            continue
        if any(old.get(key) != rung[key] for key in ("equal", "max_steps", "top1")):
            notes.append(
                f"{rung['name']} against {rung['against']}: {rung['equal']} clips equal, "
                f"{old.get('equal')} when exported ({old.get('version') or 'same'} then)"
            )
    return notes
