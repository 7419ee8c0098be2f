"""Does a runtime compute what the numpy reference computes? Asked on a few seeded inputs beside every measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.errors import BadInput
from edgeasc.graph.model import Form
from edgeasc.runtime.artefact import read_artefact
from edgeasc.runtime.runner import Runner


@dataclass(frozen=True)
class Expected:
    """Seeded int8 inputs [n, ...], the reference's logits [n, classes] of them, and one output step in logits."""

    form: Form
    inputs: NDArray[np.int8]
    logits: NDArray[np.float32]
    scale: float


def expected_of(path: Path, clips: int) -> Expected | None:
    """What the quantised ONNX at `path`, or in that folder, computes; None where there is none that edgeasc reads."""
    from edgeasc.export.parity import random_inputs
    from edgeasc.graph.onnx_read import read_onnx
    from edgeasc.graph.reference import Reference

    artefact = read_artefact(path)
    if artefact.kind != "onnx":
        return None
    try:
        graph = read_onnx(artefact.payload)
    except BadInput:  # a float or a foreign network, which has no integer reference
        return None
    inputs, reference = random_inputs(graph, clips).inputs, Reference(graph)
    logits = np.concatenate([reference.logits(inputs[at : at + 1]) for at in range(clips)])
    return Expected(graph.form, inputs, logits.astype(np.float32), float(graph[graph.output].scale))


def agreement(runner: Runner, expected: Expected | None) -> dict[str, Any]:
    """{clips, equal, max_steps, top1}: inputs whose every integer is the reference's, and the largest distance.

    All None where there is nothing to compare with.
    """
    if expected is None:
        return {"clips": None, "equal": None, "max_steps": None, "top1": None}
    found = runner.predict(expected.inputs)
    if found.shape != expected.logits.shape:
        raise BadInput(runner.runtime, f"gave {found.shape[1]} logits, the graph has {expected.logits.shape[1]}")
    if not np.isfinite(found).all():
        raise BadInput(runner.runtime, "gave logits that are not finite")
    steps = np.abs(np.rint((found - expected.logits) / expected.scale))
    return {
        "clips": len(found),
        "equal": int((steps == 0).all(axis=1).sum()),
        "max_steps": int(steps.max()),
        "top1": float((found.argmax(axis=1) == expected.logits.argmax(axis=1)).mean()),
    }
