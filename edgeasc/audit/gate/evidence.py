"""Numbers that no file of weights tells: accuracy from an evaluation, parity from an export, latency from a bench.

Evidence counts only for the very bytes it was made of (sha256): a model that was replaced without its evidence has
none. The documents come from the repository and are checked like any input.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard

from edgeasc.audit.gate.artefacts import Listed
from edgeasc.audit.gate.config import MOST
from edgeasc.audit.gate.document import Measured, Unknown
from edgeasc.audit.gate.quantities import FROM_EVALUATION
from edgeasc.errors import BadInput
from edgeasc.files import read_bytes, read_json, sha256

SCHEMA = 1  # of each of the three documents
Z = 1.96  # 95 %
Number = Measured | Unknown


def evaluation_numbers(listed: Listed, root: Path, digest: str) -> dict[str, Number]:
    """The four accuracies of `listed`, whose bytes have the sha256 `digest`, or why they are not known."""
    path = root / listed.evidence(listed.entry.evaluate)
    found = _document(path, "evaluation", digest)
    if isinstance(found, Unknown):
        return dict.fromkeys(FROM_EVALUATION, found)
    listed_seeds = found.get("seeds")
    seeds = ", ".join(map(str, listed_seeds)) if isinstance(listed_seeds, list) and listed_seeds else "not known"
    said = f"n {found.get('n')}, {found.get('split')}, seeds {seeds}"
    numbers: dict[str, Number] = {
        "accuracy": _accuracy(found, path, said),
        "macro_accuracy": _accuracy(found, path, said, "macro_accuracy"),
        "worst_class_accuracy": _worst(found, path, "per_class"),
        "worst_device_accuracy": _worst(found, path, "per_device"),
    }
    return numbers


def _document(path: Path, what: str, digest: str) -> dict[str, Any] | Unknown:
    """The JSON object in `path`, made of the bytes `digest`."""
    try:
        document = read_json(path, what)
    except BadInput as error:
        return Unknown(f"{what}: {path.as_posix()}: {error.why}", error.exit_code)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return Unknown(f"{what}: {path.as_posix()}: not schema {SCHEMA}", BadInput.exit_code)
    of = document.get("sha256")
    if of != digest:
        other = f"of another file (sha256 {of[:12]})" if isinstance(of, str) else "of no file that it names"
        return Unknown(f"{what}: {path.as_posix()}: {other}, this one is {digest[:12]}; make it anew")
    return document


def _accuracy(document: dict[str, Any], path: Path, detail: str, key: str = "accuracy") -> Number:
    value, n = document.get(key), document.get("n")
    if not _is_share(value) or not _is_number_of_clips(n):
        return Unknown(f"evaluation: {path.as_posix()}: {key} or n is no number", BadInput.exit_code)
    surely = wilson_lower(value, n) if key == "accuracy" else None
    return Measured(value, "evaluated", detail, surely)


def _worst(document: dict[str, Any], path: Path, key: str) -> Number:
    """The lowest accuracy of the groups in `key`, and whose it is."""
    groups, where = document.get(key), f"evaluation: {path.as_posix()}"
    if not isinstance(groups, dict):
        return Unknown(f"{where}: no {key}", BadInput.exit_code)
    rows = []
    for label, group in groups.items():
        value, n = (group.get("accuracy"), group.get("n")) if isinstance(group, dict) else (None, None)
        if not _is_share(value) or not _is_number_of_clips(n):
            return Unknown(f"{where}: {key} {label!r} has no accuracy and n", BadInput.exit_code)
        rows.append((float(value), label, n))
    if not rows:
        return Unknown(f"{where}: {key} is empty, its clips name none")
    value, label, n = min(rows)
    return Measured(value, "evaluated", f"{label}, n {n}", wilson_lower(value, n))


def _is_share(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def _is_number_of_clips(value: Any) -> TypeGuard[int]:
    return type(value) is int and 1 <= value <= MOST


def wilson_lower(share: float, n: int) -> float:
    """Lower end of the 95 % interval of a share among `n` (Wilson, 1927)."""
    centre = share + Z * Z / (2 * n)
    spread = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return max((centre - spread) / (1 + Z * Z / n), 0.0)


def parity_number(listed: Listed, root: Path, digest: str) -> Number:
    """Missed rungs of the parity ladder that the export beside `listed` climbed; the manifest ties it to the file."""
    path = root / listed.evidence(listed.entry.parity)
    where = f"parity: {path.as_posix()}"
    try:
        manifest, report = read_json(path.parent / "manifest.json", "parity"), read_json(path, "parity")
        own = sha256(read_bytes(path, "parity"))
    except BadInput as error:
        return Unknown(f"parity: {error.path}: {error.why}", error.exit_code)
    entries = manifest.get("files") if isinstance(manifest, dict) else None
    entries = entries if isinstance(entries, list) else []
    files = [entry.get("sha256") for entry in entries if isinstance(entry, dict)]
    if digest not in files or own not in files:
        return Unknown(f"{where}: the manifest beside it is of other files than these; export anew")
    return _rungs(report, where, listed.limits.parity)


def _rungs(report: Any, where: str, wanted: bool | tuple[str, ...]) -> Number:
    rungs = report.get("rungs") if isinstance(report, dict) else None
    if not isinstance(rungs, list) or not all(isinstance(rung, dict) for rung in rungs):
        return Unknown(f"{where}: not a parity report", BadInput.exit_code)
    missed = [str(rung.get("name")) for rung in rungs if rung.get("passed") is False]
    held = [str(rung.get("name")) for rung in rungs if rung.get("passed") is True]
    absent = [name for name in (wanted if isinstance(wanted, tuple) else ()) if name not in held + missed]
    if absent:
        return Unknown(f"{where}: {', '.join(absent)} did not climb it; export with --require")
    if not held + missed:
        return Unknown(f"{where}: no rung with a limit was climbed")
    said = f"{report.get('clips')} {'clips' if report.get('inputs') == 'clips' else 'random inputs'}"
    return Measured(len(missed), "measured", f"{'missed: ' + ', '.join(missed) if missed else ', '.join(held)}; {said}")


def bench_rows(listed: Listed, root: Path, digest: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Measured latencies of these very bytes, from every bench document beside them, and what was wrong with some."""
    rows, notes = [], []
    for path in _glob(root, listed.evidence(listed.entry.bench)):
        try:
            document = read_json(path, "bench")
        except BadInput as error:
            notes.append(str(error))
            continue
        for row in _bench_rows(document):
            median = row.get("median_us")
            good = isinstance(median, (int, float)) and not isinstance(median, bool) and 0 < median <= MOST
            if good and row.get("sha256") == digest and row.get("origin") == "measured":
                rows.append(row)
    return rows, notes


def _bench_rows(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return
    results = document.get("results", [document])
    for row in results if isinstance(results, list) else ():
        if isinstance(row, dict):
            yield {"target": document.get("target"), **row}


def _glob(root: Path, pattern: str) -> list[Path]:
    if (root / pattern).is_file():
        return [root / pattern]
    return [root / path for path in sorted(glob.glob(pattern, root_dir=root, recursive=True))]


def latency_number(target: str, rows: list[dict[str, Any]], estimate: Callable[[str], Number]) -> Number:
    """Median latency in microseconds on `target` (or `target/runtime`): measured, or else as `estimate` says.

    Where several runtimes were measured on the target and none is named, the slowest is meant.
    """
    name, _, runtime = target.partition("/")
    fitting = [row for row in rows if row["target"] == name and runtime in ("", row.get("runtime"))]
    if not fitting:
        return estimate(target)
    row = max(fitting, key=lambda row: float(row["median_us"]))
    return Measured(float(row["median_us"]), "measured", f"median, {row.get('runtime')} on {name}")
