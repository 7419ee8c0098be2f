"""One artefact -> one `ModelAudit`: open it, choose how to count, put the rules and limits on top."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeasc.audit.arena import measure_arena
from edgeasc.audit.document import Arena, Flash, ModelAudit, RuleMacs, RuleSize
from edgeasc.audit.flash import estimate_flash
from edgeasc.audit.limits import judge
from edgeasc.audit.lint import lint
from edgeasc.audit.rules import Rule, apply, read_inventory
from edgeasc.audit.sharing import count_graph, merge_layers, share_bands
from edgeasc.audit.stored_count import StoredCount, count_stored
from edgeasc.audit.stored_notes import lower_bound
from edgeasc.audit.target_document import TargetAudit
from edgeasc.errors import BadInput, EdgeascError
from edgeasc.files import read_bytes
from edgeasc.graph.stored import StoredModel, StoredTensor
from edgeasc.runtime.artefact import Artefact, read_artefact

if TYPE_CHECKING:
    from edgeasc.audit.fit import Flashed
    from edgeasc.audit.measured import Measurement
    from edgeasc.audit.targets import Placed

_NO_TARGET = (
    "weights alone do not tell what a chip would run",
    "generated C is not estimated but run: edgeasc bench --target qemu:cortex-m4",
)
OWN_MARK = "edgeasc.form"  # metadata of every file that edgeasc writes


def inspect(
    path: Path,
    rules: Sequence[Rule],
    budget: int | None = None,
    limits: Mapping[str, int] | None = None,
    arena: bool = True,
    targets: Sequence[Placed] = (),
    measurements: Sequence[Measurement] = (),
    flash: bool = False,
) -> ModelAudit:
    """Count everything in the artefact at `path`, judge it, look at it for every target, and advise.

    Raises:
        BadInput: not a readable artefact, or a rule that cannot be computed from it.
    """
    artefact = _open(path)
    with ThreadPoolExecutor(1) as pool:  # TFLM works in its process while we count
        measured = pool.submit(measure_arena, artefact) if arena or "arena" in (limits or {}) else None
        try:
            with np.errstate(all="ignore"):  # whatever numbers a damaged file holds
                found = _count(artefact)
        except EdgeascError as error:
            raise type(error)(error.what, error.why, artefact.path) from None
    count, raw, own = found.network, found.stored, found.own
    document = ModelAudit(
        path=str(path),
        format=artefact.kind,
        sha256=artefact.sha256,
        file_bytes=_file_bytes(artefact),
        gzip_bytes=len(gzip.compress(artefact.payload, 9, mtime=0)),
        ends=found.ends,
        counted_by="integer graph" if own else "stored",
        parameters=count.parameters,
        stored=raw.parameters,
        macs=count.macs,
        peak_activation_bytes=count.memory.peak,
        peak_layer=count.memory.peak_layer,
        best_peak_bytes=count.memory.best_peak,
        best_peak_exact=count.memory.exact,
        best_order=count.memory.order,
        layers=merge_layers(count.layers) if own else tuple(count.layers),
        operators=dict(raw.operators.most_common()),
        uncounted=raw.apart,
        metadata=_metadata(artefact),
        arena=measured.result() if measured else Arena(None, "not asked for"),
        flash=estimate_flash(artefact) if flash or "flash" in (limits or {}) else Flash(None, "not asked for"),
        rules=tuple(_rule_size(rule, artefact, path, found) for rule in rules),
        notes=(*count.notes, *_file_notes(artefact)),
        unknown=tuple(sorted(count.unknown)),
        hidden=found.model.hidden if found.model else 0,
        partial=lower_bound(found.model) if found.model and not own else "",
        has_operators=found.has_operators,
    )
    document = replace(document, limits=judge(document, budget, dict(limits or {})))
    if found.model is None:
        if targets:
            raise BadInput("target", _NO_TARGET[artefact.kind == "c"], artefact.path)
        return document
    placed = _on_targets(document, artefact, found, targets, measurements)
    return replace(document, targets=placed, findings=lint(found.model, document, placed))


def _on_targets(
    document: ModelAudit,
    artefact: Artefact,
    found: _Found,
    targets: Sequence[Placed],
    measurements: Sequence[Measurement],
) -> tuple[TargetAudit, ...]:
    """The artefact on every target; what has to be turned into another format for one is turned once."""
    if not targets or found.model is None:
        return ()
    from edgeasc.audit.fit import audit_target, lowered_file

    own = _own_file(artefact, found, targets)
    foreign = any(own.kind not in item.target.runtimes for item in targets)
    lowered = lowered_file(artefact) if foreign and own.kind == "onnx" else f"no way from .{own.kind}"
    return tuple(audit_target(document, own, lowered, item, measurements) for item in targets)


def _own_file(artefact: Artefact, found: _Found, targets: Sequence[Placed]) -> Flashed:
    """The artefact as it would be flashed; an .onnx of ours is read again with the shapes that its time depends on."""
    from edgeasc.audit.fit import flashed_file

    model, peak = found.model, found.stored.memory.peak
    assert model is not None
    if found.own and artefact.kind == "onnx" and any("onnx" in item.target.runtimes for item in targets):
        from edgeasc.graph.onnx_stored import read_stored_onnx

        model = read_stored_onnx(artefact.payload)
        peak = count_stored(model).memory.peak
    return flashed_file(artefact, model, peak)


@dataclass(frozen=True)
class _Found:
    """The counts of the network and of the file as it is stored; `own` where edgeasc wrote the file."""

    network: StoredCount
    stored: StoredCount
    ends: str
    own: bool
    has_operators: bool = True
    model: StoredModel | None = None


def _open(path: Path) -> Artefact:
    """The artefact at `path`; weights alone are one as well."""
    if path.suffix.lower() == ".safetensors" and not path.is_dir():
        return Artefact("safetensors", read_bytes(path, "model"), path)
    artefact = read_artefact(path)
    if artefact.kind == "run":  # not compressed: the float network's weights
        return replace(artefact, payload=read_bytes(path / "best.safetensors", "weights"))
    return artefact


def _count(artefact: Artefact) -> _Found:
    """Count by the format of the artefact."""
    own = artefact.metadata.get(OWN_MARK, "float") != "float"  # of an integer graph
    if artefact.kind in ("safetensors", "run"):
        from edgeasc.audit.weights import count_weights

        count, _ = count_weights(artefact.payload, artefact.path)
        return _Found(count, count, "weights alone", own=False, has_operators=False)
    if artefact.kind == "c":
        from edgeasc.audit.c_count import count_c

        network, raw, ends = count_c(artefact.payload)
        return _Found(network, raw, ends, own=True)
    if artefact.kind == "tflite":
        from edgeasc.graph.tflite_read import read_tflite

        stored = read_tflite(artefact.payload)
        raw = count_stored(stored)
        return _Found(count_stored(share_bands(stored)) if own else raw, raw, _ends(stored), own, model=stored)
    from edgeasc.graph.onnx_read import read_onnx
    from edgeasc.graph.onnx_stored import read_stored_onnx

    stored = read_stored_onnx(artefact.payload, shapes=not own)
    raw = count_stored(stored)
    network = count_graph(read_onnx(artefact.payload)) if own else raw
    return _Found(network, raw, _ends(stored), own, model=stored)


def _rule_macs(rule: Rule, found: _Found) -> RuleMacs | None:
    """Operations under `rule`: torchinfo's where that is its counter, unless the network itself needs more."""
    if not found.has_operators:
        return None
    network, torchinfo = found.network.macs, found.stored.torchinfo_macs
    return RuleMacs(network, torchinfo, "torchinfo" if rule.macs == "torchinfo" and torchinfo > network else "network")


def _rule_size(rule: Rule, artefact: Artefact, path: Path, found: _Found) -> RuleSize:
    """The artefact under one rule.

    Raises:
        BadInput: a rule about training, and no inventory beside the file.
    """
    macs = _rule_macs(rule, found)
    if rule.form == "deployed":
        return apply(rule, found.network.counted, macs=macs)
    inventory = path / "inventory.json"
    if not path.is_dir() or not inventory.is_file():
        why = f"rule {rule.name} is not computable from this file: it counts the network before folding"
        raise BadInput("rule", f"{why}; audit the run folder, which has the inventory", artefact.path)
    tensors = read_inventory(inventory)
    kept = sum(item.kept for item in tensors if item.kind == "conv")
    nonzero = sum(item.nonzero for item in tensors if item.kind == "conv")
    rounded = f"after rounding to 8 bits {nonzero:,} of the {kept:,} convolution weights kept are not zero"
    return apply(rule, tensors, rounded, macs)


def _file_bytes(artefact: Artefact) -> int:
    """Bytes on disk, those of files that hold its tensors included."""
    if artefact.path is None or not artefact.beside:
        return len(artefact.payload)
    return sum(path.stat().st_size for path in (artefact.path, *artefact.beside))


def _file_notes(artefact: Artefact) -> list[str]:
    names = ", ".join(path.name for path in artefact.beside)
    return [f"its tensors are kept in {names}; the file's bytes include them"] if names else []


def _ends(model: StoredModel) -> str:
    def words(indices: tuple[int, ...]) -> str:
        tensors: list[StoredTensor] = [model.tensors[index] for index in indices]
        return ", ".join(f"{t.dtype} [{', '.join('?' if s < 0 else str(s) for s in t.shape)}]" for t in tensors)

    return f"{words(model.inputs)} -> {words(model.outputs)}"


def _metadata(artefact: Artefact) -> dict[str, str]:
    """What edgeasc embeds, of which a reader wants to know."""
    known = {key: value for key, value in artefact.metadata.items() if key.startswith("edgeasc.")}
    if artefact.features is not None:
        known["edgeasc.features.hash"] = artefact.features.digest
    return known
