"""The parity report: every installed runtime on the same inputs, each against its judge.

Inputs come from the run's `parity.safetensors`, from clips, or are seeded and called `random`. A runtime that is not
installed is a rung that says so.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput, CheckFailed, EdgeascError, MissingDependency, UsageError
from edgeasc.export.ladder import (
    CLIPS,
    EQUAL,
    FAKE_QUANTISED,
    INFORMATION,
    LEAST_PATIENCE,
    NEAR,
    REFERENCE,
    Logits,
    Plan,
    Rung,
    compare,
    plan,
)
from edgeasc.files import read_bytes, write_bytes
from edgeasc.graph.model import Form, IntegerGraph
from edgeasc.graph.reference import Reference
from edgeasc.runtime.artefact import Artefact
from edgeasc.runtime.catalogue import RUNTIMES, find_runtime
from edgeasc.runtime.runner import CHUNK_ITEMS, missing_operators, open_runner
from edgeasc.specs import nearest

SCHEMA = 1
MAX_CLIPS = 100_000
_SAID = "edgeasc.parity"
Origin = Literal["clips", "random"]
EXACT = f"{FAKE_QUANTISED}, integer-exact"  # the judge of a network trained with that forward


@dataclass(frozen=True)
class ParityInputs:
    """What the rungs are climbed on, and what was said about it when the file was made."""

    inputs: NDArray[np.int8]  # [n, 1, n_mels, n_frames]
    origin: Origin
    reference: Logits | None = None  # [n, classes], of the numpy integer reference
    fake_quantised: Logits | None = None  # [n, classes]
    fake_quantised_by: str = "run"  # "run": the network in torch; "numpy": the float twin of the graph
    exact: bool = False  # the network was trained with the integer-exact forward, whose logits `reference` are


@dataclass(frozen=True)
class Judges:
    """The logits [n, classes] that runtimes are held against, and the output's step in logits."""

    reference: Logits
    fake_quantised: Logits
    fake_quantised_by: str
    scale: float

    def __getitem__(self, name: str) -> Logits:
        return self.reference if name == REFERENCE else self.fake_quantised

    def label(self, name: str) -> str:
        """`name`, with how it was computed where that is not what one would expect."""
        return f"{name} (numpy)" if name == FAKE_QUANTISED and self.fake_quantised_by == "numpy" else name


class ParityFailed(CheckFailed):
    """A rung was missed. `document` is the whole report."""

    def __init__(self, document: dict[str, Any], path: Path | None = None) -> None:
        self.document = document
        missed = [
            f"{rung['name']} against {rung['against']}: {rung['why'] or _found(rung)} (limit: {rung['limit']})"
            for rung in document["rungs"]
            if rung["passed"] is False
        ]
        super().__init__("parity", "; ".join(missed), path)


def measure_parity(
    form: Form,
    artefacts: Collection[Artefact],
    inputs: ParityInputs,
    judges: Judges,
    *,
    require: Collection[str] = (),
    threads: int = 1,
    timeout: float = LEAST_PATIENCE,
) -> dict[str, Any]:
    """The parity document of `artefacts`, which all claim to compute the same graph of `form`.

    Args:
        require: runtimes that must be installed. timeout: seconds for every 16 clips of a runtime.

    Returns:
        {schema, form, inputs, clips, rungs, passed}.

    Raises:
        MissingDependency: a required runtime is absent. UsageError: a required runtime is no rung.
    """
    check_required(require)
    found = _reference_rungs(inputs, judges)
    for step in plan(form):
        for artefact in artefacts:
            if artefact.kind == step.kind:
                found.append(_climb(step, artefact, inputs.inputs, judges, threads, timeout))
    return {
        "schema": SCHEMA,
        "form": form,
        "inputs": inputs.origin,
        "clips": len(inputs.inputs),
        "rungs": [rung.as_json() for rung in found],
        "passed": all(rung.passed is not False for rung in found),
    }


def _reference_rungs(inputs: ParityInputs, judges: Judges) -> list[Rung]:
    """The numpy reference against what the run stored and against the fake-quantised network.

    A network that was trained with the integer-exact forward is that forward: the reference has to equal it, and how
    far the plain fake-quantised forward lies is only told. So it is on seeded noise, where classes mean nothing.
    """
    found = []
    if inputs.reference is not None:
        against = EXACT if inputs.exact else "stored logits"
        found.append(compare(REFERENCE, against, judges.reference, inputs.reference, judges.scale, EQUAL))
    near = INFORMATION if inputs.exact or inputs.origin == "random" else NEAR
    label = judges.label(FAKE_QUANTISED)
    found.append(compare(REFERENCE, label, judges.reference, judges.fake_quantised, judges.scale, near))
    return found


def check_required(require: Collection[str]) -> None:
    """Before any work: are the runtimes that the user insists on here?

    Raises:
        MissingDependency: one is absent. UsageError: one is no rung of the ladder.
    """
    known = [step.runtime for step in plan("int8")]
    for name in require:
        if name not in known:
            raise UsageError("--require", f"{name!r} is no rung{nearest(name, known)}; known: {', '.join(known)}")
        find_runtime(name)


def compute_judges(graph: IntegerGraph, inputs: ParityInputs) -> Judges:
    """The judges of `graph`: its integer reference, and the run's fake-quantised logits or else the graph's own twin.

    Raises:
        BadInput: inputs or stored logits of another shape than the graph's.
    """
    reference = _in_chunks(Reference(graph).logits, inputs.inputs)
    for stored in (inputs.reference, inputs.fake_quantised):
        if stored is not None and stored.shape != reference.shape:
            raise BadInput("parity inputs", f"logits {stored.shape} where the graph gives {reference.shape}")
    fake_quantised, by = inputs.fake_quantised, inputs.fake_quantised_by
    if fake_quantised is None:
        from edgeasc.graph import simulate

        fake_quantised, by = _in_chunks(functools.partial(simulate.logits, graph), inputs.inputs), "numpy"
    return Judges(reference, fake_quantised, by, float(graph[graph.output].scale))


def _in_chunks(logits: Callable[[NDArray[np.int8]], Logits], inputs: NDArray[np.int8]) -> Logits:
    """`logits` of a few clips at a time: the twins work in 64 bits and keep every tensor."""
    chunks = [logits(inputs[at : at + CHUNK_ITEMS]) for at in range(0, len(inputs), CHUNK_ITEMS)]
    return np.concatenate(chunks).astype(np.float32)


def _climb(
    step: Plan, artefact: Artefact, inputs: NDArray[np.int8], judges: Judges, threads: int, timeout: float
) -> Rung:
    """One runtime's rung; whatever keeps it from running is in the rung."""
    judge, label = judges[step.against], judges.label(step.against)
    empty = Rung(step.runtime, label, len(inputs), str(step.limit))
    try:
        missing = missing_operators(artefact, step.runtime)
        if missing:
            return replace(empty, why=f"not run: {step.runtime} has no operator {', '.join(missing)}")
        runtime = find_runtime(step.runtime)
        with open_runner(artefact, step.runtime, threads=threads, timeout=timeout) as runner:
            candidate = runner.predict(inputs)
            version = f"{runtime.package} {runner.version}"
    except MissingDependency:
        return replace(empty, why=f"not run: {RUNTIMES[step.runtime].install}")
    except EdgeascError as error:
        return replace(empty, passed=False, why=error.why)
    if candidate.shape != judge.shape:
        return replace(empty, passed=False, why=f"gave {candidate.shape[1]} logits, the graph has {judge.shape[1]}")
    return compare(step.runtime, label, candidate, judge, judges.scale, step.limit, version)


def random_inputs(graph: IntegerGraph, clips: int = CLIPS, seed: int = 0) -> ParityInputs:
    """Seeded inputs shaped like spectrograms: a level, a tilt, coarse blobs and noise, over the whole int8 range."""
    random = np.random.default_rng(seed)
    _, channels, height, width = graph[graph.input].shape
    coarse = random.normal(size=(clips, channels, -(-height // 4), -(-width // 4)))
    blobs = np.repeat(np.repeat(coarse, 4, axis=2), 4, axis=3)[:, :, :height, :width]
    level = random.uniform(-80, 80, (clips, 1, 1, 1))
    tilt = random.uniform(-60, 60, (clips, 1, 1, 1)) * np.linspace(-1, 1, height)[:, None]
    noise = random.normal(size=(clips, channels, height, width))
    values = np.clip(np.rint(level + tilt + 40 * blobs + 12 * noise), -128, 127)
    return ParityInputs(values.astype(np.int8), "random")


def read_parity(path: Path) -> ParityInputs:
    """The content of a `parity.safetensors`.

    Raises:
        BadInput: not a safetensors file, or tensors of another name, type or shape.
    """
    library = _safetensors()
    payload = read_bytes(path, "parity inputs")
    try:
        tensors = library.numpy.load(payload)
    except (library.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BadInput("parity inputs", f"not a safetensors file ({error})", path) from None
    inputs = tensors.get("inputs")
    if inputs is None or inputs.dtype != np.int8 or inputs.ndim != 4 or not 0 < len(inputs) <= MAX_CLIPS:
        raise BadInput("parity inputs", "needs int8 'inputs' of shape [n, 1, n_mels, n_frames]", path)
    found: dict[str, Logits | None] = {}
    for name in ("reference", "fake_quantised"):
        logits = tensors.get(name)
        if logits is not None:
            sound = logits.dtype == np.float32 and logits.ndim == 2 and len(logits) == len(inputs) and logits.size > 0
            if not sound or not np.isfinite(logits).all():
                raise BadInput("parity inputs", f"needs float32 {name!r} of shape [{len(inputs)}, classes]", path)
        found[name] = logits
    said = _said(payload)
    return ParityInputs(
        inputs,
        "random" if said.get("inputs") == "random" else "clips",
        found["reference"],
        found["fake_quantised"],
        "numpy" if said.get("fake_quantised") == "numpy" else "run",
        said.get("exact") is True,
    )


def write_parity(path: Path, inputs: ParityInputs) -> None:
    """Write `inputs` as `parity.safetensors`; its metadata says where they are from."""
    tensors: dict[str, NDArray[Any]] = {"inputs": inputs.inputs}
    if inputs.reference is not None:
        tensors["reference"] = inputs.reference
    if inputs.fake_quantised is not None:
        tensors["fake_quantised"] = inputs.fake_quantised
    whole = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    notes = {"inputs": inputs.origin, "fake_quantised": inputs.fake_quantised_by, "exact": inputs.exact}
    said = json.dumps(notes)
    # One key: the library writes several in an order of its own, and equal content shall give equal bytes.
    write_bytes(path, _safetensors().numpy.save(whole, metadata={_SAID: said}))


def _safetensors() -> Any:
    """The library, or the error that names it."""
    try:
        import safetensors.numpy
    except ImportError:
        raise MissingDependency("safetensors", "not installed; pip install safetensors") from None
    return safetensors


def _said(payload: bytes) -> dict[str, Any]:
    """What `write_parity` noted in the header (JSON behind its length) of a safetensors file that loaded."""
    size = int.from_bytes(payload[:8], "little")
    note = (json.loads(payload[8 : 8 + size]).get("__metadata__") or {}).get(_SAID, "{}")
    try:
        said = json.loads(note)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _found(rung: dict[str, Any]) -> str:
    steps = f"{rung['equal']} of {rung['clips']} clips equal, at most {rung['max_steps']} steps, "
    return (
        f"{steps if rung['equal'] is not None else ''}"
        f"top-1 {100 * rung['top1']:.1f} %, mean {rung['mean_logit']:.4f} logit"
    )
