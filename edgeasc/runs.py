"""The run folder: what a training or compression leaves on disk, and how it is read back.

Small text files only; weights are `train.checkpoint`'s, and torch is not imported here.
`run.json` is written first with the state `running`, so that whatever is found in a folder says what it is.
"""

from __future__ import annotations

import csv
import io
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

from edgeasc.errors import BadInput, EdgeascError, UsageError
from edgeasc.files import read_bytes, read_json, write_bytes, write_json, write_text
from edgeasc.specs import Recipe, document_digest, dump_toml, parse_spec, read_toml

SCHEMA = 1
Kind = Literal["train", "compress"]
State = Literal["running", "interrupted", "complete"]
Role = Literal["train", "validation", "test"]
HISTORY_COLUMNS = (
    "phase",
    "epoch",  # 1-based within the phase
    "lr",  # at the last step of the epoch
    "train_loss",
    "train_accuracy",
    "validation_log_loss",
    "validation_accuracy",
    "validation_macro_accuracy",
    "sparsity",
    "seconds",
    "finished",  # seconds since 1970
    "iteration",  # updates of the phase so far
    "validation_mean_average_precision",
)
LATER_COLUMNS = HISTORY_COLUMNS[-2:]  # an older run has no such columns: they are empty there
_PACKAGES = ("edgeasc", "numpy", "torch", "lightning", "onnx", "onnxruntime", "ai-edge-litert", "tflite-runtime")


@dataclass(frozen=True)
class RunInfo:
    """The content of `run.json`.

    Attributes:
        parent: the run folder this one was compressed from, or None.
        teacher: the run folder whose logits were distilled, or None.
        recipe_hash: digest of `recipe.toml`.
        data: name of the data set, fold and the rule of the split.
        request: what a compression was asked for besides its recipe; empty for a training, and in older runs.
        threads: CPU threads used; a resumed run uses the same, since sums depend on it.
    """

    kind: Kind
    recipe_hash: str
    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    threads: int
    state: State = "running"
    parent: str | None = None
    teacher: str | None = None
    data: dict[str, str | int | None] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitRow:
    """One clip of the split: its id, the SHA-256 of its audio, and what it was used for."""

    clip: str
    sha256: str
    role: Role


@dataclass(frozen=True)
class Run:
    """A run folder. Attributes below are paths; not all exist at every state or for every kind."""

    path: Path

    @property
    def info_file(self) -> Path:
        return self.path / "run.json"

    @property
    def recipe_file(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def split_file(self) -> Path:
        return self.path / "split.csv"

    @property
    def calibration_file(self) -> Path:
        """The clips that gave a compression its ranges."""
        return self.path / "calibration.toml"

    @property
    def history_file(self) -> Path:
        return self.path / "history.csv"

    @property
    def events_file(self) -> Path:
        """TensorBoard scalars; `tensorboard --logdir RUN` finds them."""
        return self.path / "tb" / "events.out.tfevents.edgeasc"

    @property
    def evaluate_file(self) -> Path:
        return self.path / "evaluate.json"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def optimizer(self) -> Path:
        """Everything a resumed run continues from: weights, optimiser state and counters, in one file."""
        return self.path / "last.optim.safetensors"

    @property
    def onnx(self) -> Path:
        return self.path / "model.onnx"

    @property
    def inventory(self) -> Path:
        return self.path / "inventory.json"

    @property
    def parity(self) -> Path:
        return self.path / "parity.safetensors"

    @property
    def exists(self) -> bool:
        return self.info_file.is_file()

    def create(self, info: RunInfo, recipe: Recipe, split: Iterable[SplitRow]) -> None:
        """Write `run.json`, `recipe.toml` and `split.csv`.

        Raises:
            UsageError: there is a run in this folder already.
        """
        if self.exists:
            raise UsageError("run", "there is a run here already; choose another folder, or --resume", self.path)
        write_text(self.recipe_file, dump_toml(recipe))
        write_csv(self.split_file, [asdict(row) for row in split], tuple(f.name for f in fields(SplitRow)))
        self.write_info(info)

    def write_info(self, info: RunInfo) -> None:
        """Replace `run.json`."""
        write_json(self.info_file, {"schema": SCHEMA, **asdict(info)})

    def set_state(self, state: State) -> None:
        """Change the state in `run.json`."""
        self.write_info(replace(self.info(), state=state))

    def give_up(self) -> None:
        """After a failure: what `create` wrote goes, so that it blocks no place; where epochs are done, they wait."""
        if self.history_file.exists():
            with suppress(EdgeascError):  # a full disk: what is there stays
                self.set_state("interrupted")
            return
        for path in (self.info_file, self.recipe_file, self.split_file, self.calibration_file):
            path.unlink(missing_ok=True)

    def info(self) -> RunInfo:
        """What `run.json` says.

        Raises:
            BadInput: no run here, or a document that is not a run's.
        """
        if not self.exists:
            raise BadInput("run", "no run folder (run.json is missing)", self.path)
        document = read_json(self.info_file, "run")
        if not isinstance(document, dict) or document.pop("schema", None) != SCHEMA:
            raise BadInput("run", f"not a run of schema {SCHEMA}", self.info_file)
        return _checked_info(document, self.info_file)

    def recipe(self) -> Recipe:
        """The resolved recipe; keys that a later version added have their defaults.

        Raises:
            BadInput: it is not the one the run was started with.
        """
        wanted = self.info().recipe_hash  # first, for it says whether there is a run at all
        document = read_toml(self.recipe_file, "recipe")
        recipe = parse_spec(Recipe, document, self.recipe_file)
        if wanted not in (recipe.digest, document_digest(document)):
            raise BadInput(
                "recipe", "changed since the run was started (its hash differs from run.json)", self.recipe_file
            )
        return recipe

    def split(self) -> tuple[SplitRow, ...]:
        """The rows of `split.csv`.

        Raises:
            BadInput: a wrong header or role, with the line.
        """
        rows = read_csv(self.split_file, tuple(f.name for f in fields(SplitRow)), "split")
        for line, row in enumerate(rows, start=2):
            if row["role"] not in get_args(Role):
                raise BadInput("split", f"line {line}: unknown role {row['role']!r}", self.split_file)
        return tuple(SplitRow(row["clip"], row["sha256"], row["role"]) for row in rows)  # type: ignore[arg-type]

    def history(self) -> list[dict[str, str]]:
        """The rows of `history.csv`, oldest first; empty before the first epoch.

        Raises:
            BadInput: a wrong header or epoch, with the line.
        """
        if not self.history_file.exists():
            return []
        rows = read_csv(self.history_file, HISTORY_COLUMNS, "history", later=LATER_COLUMNS)
        for line, row in enumerate(rows, start=2):
            if not row["epoch"].isdecimal():
                raise BadInput("history", f"line {line}: epoch {row['epoch']!r} is not a number", self.history_file)
        return rows

    def append_history(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Add one epoch and give all rows. Rows of that phase from that epoch on, left by a killed process, go."""
        new = {column: _cell(row.get(column)) for column in HISTORY_COLUMNS}
        kept = [old for old in self.history() if old["phase"] != new["phase"] or int(old["epoch"]) < int(new["epoch"])]
        write_csv(self.history_file, [*kept, new], HISTORY_COLUMNS)
        return [*kept, new]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second writer; the system lets go when the process dies.

        A folder into which nothing was written goes again.

        Raises:
            UsageError: another process is writing this run.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "ab") as stream:
            try:
                _lock(stream.fileno())
            except OSError:
                raise UsageError("run", "another process is writing this run", self.path) from None
            for torn in self.path.rglob(".*.part"):  # of a writer that was killed: nobody else writes here now
                torn.unlink(missing_ok=True)
            try:
                yield
            finally:
                self._leave_nothing_empty(Path(stream.name))

    def _leave_nothing_empty(self, lock: Path) -> None:
        if [path.name for path in self.path.iterdir()] == [lock.name]:
            with suppress(OSError):  # Windows keeps the lock of an open file
                lock.unlink()
                self.path.rmdir()


def installed_versions() -> dict[str, str]:
    """Python's version and those of the packages that decide results, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def write_csv(path: Path, rows: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """Write rows as CSV (UTF-8, one header line, `\\n`), whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def read_csv(path: Path, columns: tuple[str, ...], what: str, later: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The rows of a CSV file that has exactly `columns`; those of `later`, the last ones, may be missing together.

    Raises:
        BadInput: unreadable, another header, or a row of another length, with the line.
    """
    try:
        text = read_bytes(path, what).decode()
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(what, f"not CSV ({error})", path) from error
    header = columns[: len(columns) - len(later)] if lines and len(lines[0]) < len(columns) else columns
    if not lines or tuple(lines[0]) != header:
        raise BadInput(what, f"line 1: expected the header {','.join(columns)}", path)
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise BadInput(what, f"line {number}: {len(line)} values, expected {len(header)}", path)
    empty = dict.fromkeys(columns[len(header) :], "")
    return [dict(zip(header, line, strict=True)) | empty for line in lines[1:]]


def _cell(value: Any) -> str:
    """A value for CSV: floats with their shortest exact text, None empty."""
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _checked_info(document: dict[str, Any], path: Path) -> RunInfo:
    """`document` as `RunInfo`, with every type looked at: the file is a user's."""
    document.setdefault("request", {})
    known = {f.name for f in fields(RunInfo)}
    if set(document) != known:
        odd = ", ".join(sorted(set(document) ^ known))
        raise BadInput("run", f"missing or unknown keys: {odd}", path)
    lists = {"labels": str, "seeds": int}
    for key, kind in lists.items():
        if not isinstance(document[key], list) or not all(isinstance(item, kind) for item in document[key]):
            raise BadInput("run", f"{key} is not a list of {kind.__name__}", path)
        document[key] = tuple(document[key])
    good = (
        document["kind"] in get_args(Kind)
        and document["state"] in get_args(State)
        and isinstance(document["threads"], int)
        and isinstance(document["recipe_hash"], str)
        and isinstance(document["data"], dict)
        and isinstance(document["request"], dict)
        and isinstance(document["versions"], dict)
        and all(document[key] is None or isinstance(document[key], str) for key in ("parent", "teacher"))
    )
    if not good:
        raise BadInput("run", "a value of the wrong kind", path)
    return RunInfo(**document)


def _lock(descriptor: int) -> None:
    """Take an exclusive lock at once, or raise OSError."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
