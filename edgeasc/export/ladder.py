"""The rungs of the parity ladder: how two sets of logits are compared, and what each comparison must reach.

Limits are those of the project's design and are not loosened to pass. What a runtime is judged against depends on the
form: an int8 graph has one right answer in integers, an island of floats has not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.graph.model import Form

Logits = NDArray[np.float32]
CLIPS, CLIPS_OF_LARGE = 200, 20  # the least inputs of a parity report
LARGE_MACS = 200_000_000
SLOWEST_MACS = 20_000_000  # a second: reference kernels under sanitisers on a busy machine
LEAST_PATIENCE = 300.0  # seconds
REFERENCE, FAKE_QUANTISED = "numpy reference", "fake-quantised"


def parity_clips(macs: int) -> int:
    """How many inputs a network of `macs` multiply-accumulates has to be judged on."""
    return CLIPS if macs <= LARGE_MACS else CLIPS_OF_LARGE


def patience(macs: int, clips: int) -> float:
    """Seconds in which any runtime that is alive has computed `clips` inputs of `macs` multiply-accumulates."""
    return max(LEAST_PATIENCE, clips * macs / SLOWEST_MACS)


@dataclass(frozen=True)
class Limit:
    """What a rung must reach; None where it need not."""

    equal: bool = False
    top1: float | None = None  # least share of clips with the judge's class
    mean_logit: float | None = None  # largest mean absolute difference

    def __str__(self) -> str:
        if self.equal:
            return "equal integers"
        parts = [f"top-1 >= {100 * self.top1:g} %"] if self.top1 is not None else []
        parts += [f"mean <= {self.mean_logit:g} logit"] if self.mean_logit is not None else []
        return ", ".join(parts) or "none, for information"


EQUAL, CLOSE, NEAR, INFORMATION = Limit(equal=True), Limit(top1=0.99, mean_logit=0.01), Limit(top1=0.95), Limit()


@dataclass(frozen=True)
class Rung:
    """One comparison. `passed` is None where there is no limit or the rung was not run; `why` says what kept it."""

    name: str
    against: str
    clips: int
    limit: str
    equal: int | None = None  # clips of which every logit is the same integer
    max_steps: int | None = None  # largest difference in steps of the output's scale
    mean_logit: float | None = None
    top1: float | None = None
    passed: bool | None = None
    version: str = ""
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """The rung as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """A rung to climb: the runtime that computes, the kind of artefact it reads, the judge and the limit."""

    runtime: str
    kind: str
    against: str
    limit: Limit


def plan(form: Form) -> tuple[Plan, ...]:
    """The rungs of `form`, native runtimes only.

    In form `island` the float region's bits are each runtime's own, so that of the others only C, which computes it in
    integers, can equal the integer twin.
    """
    exact = EQUAL if form == "int8" else INFORMATION
    return (
        Plan("tflite-reference", "tflite", REFERENCE, exact),
        Plan("tflm", "tflite", REFERENCE, exact),
        Plan("native-c", "c", REFERENCE, EQUAL),
        Plan("onnxruntime", "onnx", FAKE_QUANTISED, CLOSE),
        Plan("litert", "tflite", FAKE_QUANTISED, CLOSE),
        Plan("tflite-runtime", "tflite", FAKE_QUANTISED, INFORMATION),
    )


def compare(
    name: str, against: str, candidate: Logits, judge: Logits, scale: float, limit: Limit, version: str = ""
) -> Rung:
    """The rung of `candidate` against `judge`, both [n, classes] in real units; `scale` is the output's step."""
    if not np.isfinite(candidate).all():
        return Rung(
            name, against, len(judge), str(limit), passed=False, version=version, why="logits that are not finite"
        )
    steps = np.rint(np.abs(candidate.astype(np.float64) - judge) / scale).astype(np.int64)
    equal = int((steps == 0).all(axis=1).sum())
    mean = float(np.abs(candidate.astype(np.float64) - judge).mean())
    top1 = float((candidate.argmax(axis=1) == judge.argmax(axis=1)).mean())
    checks = []
    if limit.equal:
        checks.append(equal == len(judge))
    if limit.top1 is not None:
        checks.append(top1 >= limit.top1)
    if limit.mean_logit is not None:
        checks.append(mean <= limit.mean_logit)
    return Rung(
        name,
        against,
        len(judge),
        str(limit),
        equal,
        int(steps.max()),
        mean,
        top1,
        all(checks) if checks else None,
        version,
    )
