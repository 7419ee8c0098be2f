"""`bench --target qemu:... --audio FILE`: from samples to scenes on an emulated core, front end and network apart.

The firmware is the C folder's own stream (`scene_stream.h`) with samples from a file. Every level of every frame is
held against the numpy front end, every logit against the numpy reference.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.bench import find_code
from edgeasc.bench.mcu.boards import Board, find_board
from edgeasc.bench.mcu.emulate import EMULATOR, run_emulator
from edgeasc.bench.mcu.firmware import Firmware, build
from edgeasc.errors import BadInput, EdgeascError, ResourceExhausted, UsageError
from edgeasc.export.c.bundle import Bundle, parse_payload
from edgeasc.export.c.choice import Optimise
from edgeasc.export.c.frontend import scene_samples
from edgeasc.features.integer import IntegerFrontEnd, pcm16
from edgeasc.features.integer_tables import thresholds
from edgeasc.graph.model import IntegerGraph
from edgeasc.runtime.artefact import Artefact, read_artefact
from edgeasc.specs import LogMel, parse_spec

MAIN = "listen.c"
HEADER = struct.Struct("<8I2Q")
MAGIC = 0x45414C31
TIMEOUT = 300.0  # seconds of one emulation


@dataclass(frozen=True)
class Heard:
    """What the firmware wrote: levels [n_frames, n_mels], logits [n_scenes, n_classes], instructions.

    `front_end` is that of all samples, `largest` of the most expensive hand-over, `layers` of all scenes by layer,
    `between` of all that a scene takes beside its layers.
    """

    levels: NDArray[np.int16]
    logits: NDArray[np.int8]
    front_end: float
    largest: float
    between: float
    layers: tuple[float, ...]
    stack_bytes: int


def bench_listening(
    paths: Iterable[Path],
    cores: Iterable[str],
    audio: Iterable[Path],
    *,
    optimise: Optimise | None = None,
    ram: int | None = None,
) -> dict[str, Any]:
    """Scenes, instructions, flash and RAM of every model on every emulated core for every recording.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `front_end`, `network` and `scenes`, or with `error`
        and `exit_code`. Levels or logits that differ from the numpy reference make the exit code 1.
    """
    rows: list[dict[str, Any]] = []
    recordings = list(map(Path, audio))
    for path in map(Path, paths):
        for core in cores:
            where = {"path": str(path), "target": f"qemu:{core}"}
            try:
                rows += [where | row for row in listen(path, core, recordings, optimise=optimise, ram=ram)]
            except EdgeascError as error:
                rows.append(where | {"audio": "", "error": str(error), "exit_code": error.exit_code})
    failed = [int(row["exit_code"]) for row in rows if "error" in row]
    wrong = any("error" not in row and not row["equal"] for row in rows)
    code = failed[0] if failed else int(wrong)
    return {"schema": 1, "target": "qemu", "machine": describe_machine(), "results": rows, "exit_code": code}


def listen(
    path: Path, core: str, recordings: Iterable[Path], *, optimise: Optimise | None = None, ram: int | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of one model on one core, built once; a recording that cannot be heard is a row that says so.

    Raises:
        BadInput: no C, or no front end in it. MissingDependency: no compiler, no emulator.
    """
    from edgeasc.data.audio import load_audio

    board = find_board(core)
    code, artefact = find_code(path, optimise, ram), read_artefact(path)
    text = parse_payload(code.artefact.payload)
    stream = read_stream(text, path)
    with tempfile.TemporaryDirectory(prefix="edgeasc-fw-") as place:
        firmware = build(text, board, Path(place), code.optimise, MAIN)
        for recording in recordings:
            try:
                samples = pcm16(load_audio(recording, stream.spec.sample_rate))
                heard = hear(stream, board, firmware, samples)
                row = _row(stream, code.graph, artefact, board, firmware, heard, samples)
            except EdgeascError as error:
                row = {"error": str(error), "exit_code": error.exit_code}
            yield {"audio": str(recording)} | row


def hear(stream: Stream, board: Board, firmware: Firmware, samples: NDArray[np.int16]) -> Heard:
    """Run `stream`, built as `firmware`, on `samples`, followed by silence where they are short of the first scene.

    Raises:
        MissingDependency: no emulator. ResourceExhausted: the emulation failed.
    """
    folder, short = firmware.elf.parent, max(0, stream.scene_samples - samples.size)
    (folder / "inputs.bin").write_bytes(np.pad(samples, (0, short)).astype("<i2").tobytes())
    run_emulator(firmware, board, TIMEOUT)
    return _read(folder, board, stream.spec.n_mels, stream.classes)


def _read(folder: Path, board: Board, mels: int, classes: int) -> Heard:
    report, levels, logits = ((folder / f"{name}.bin").read_bytes() for name in ("report", "levels", "outputs"))
    if len(report) < HEADER.size:
        raise ResourceExhausted(EMULATOR, f"{board.name}: the firmware's report makes no sense")
    magic, frames, scenes, stack, known, ticks, layers, largest, front, between = HEADER.unpack(report[: HEADER.size])
    sizes = (HEADER.size + 8 * layers, 2 * frames * mels, scenes * classes)
    if magic != MAGIC or ticks == 0 or sizes != (len(report), len(levels), len(logits)):
        raise ResourceExhausted(EMULATOR, f"{board.name}: the firmware's report makes no sense")
    scale = known / ticks
    return Heard(
        np.frombuffer(levels, "<i2").astype(np.int16).reshape(frames, mels),
        np.frombuffer(logits, np.int8).reshape(scenes, classes),
        front * scale,
        largest * scale,
        between * scale,
        tuple((np.frombuffer(report[HEADER.size :], "<u8") * scale).tolist()),
        stack,
    )


@dataclass(frozen=True)
class Stream:
    """What a C folder says of its stream."""

    spec: LogMel
    frames: int
    classes: int
    table_bytes: int
    scratch_bytes: int
    state_bytes: int
    arena_bytes: int

    @property
    def scene_samples(self) -> int:
        """Samples after which the first scene is due."""
        return scene_samples(self.spec, self.frames)


def read_stream(text: Bundle, path: Path | None = None) -> Stream:
    """The stream of a C folder.

    Raises:
        BadInput: it has none, and why; or its facts make no sense.
    """
    facts = text.facts.get("front_end")
    if not isinstance(facts, dict) or not isinstance(facts.get("features"), dict):
        why = facts.get("left_out") if isinstance(facts, dict) else None
        raise BadInput("bench --audio", f"the C has no front end ({why or 'written by an older edgeasc'})", path)
    try:
        spec = parse_spec(LogMel, facts["features"], path, "front end")
        sizes = (int(facts[key]) for key in ("table_bytes", "scratch_bytes", "state_bytes", "arena_bytes"))
        frames = int(text.facts["input"]["shape"][3])
        stream = Stream(spec, frames, int(np.prod(text.facts["output"]["shape"])), *sizes)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, UsageError) as error:
        raise BadInput("C folder", f"model.json is malformed ({error})", path) from None
    said = (facts.get("frames"), facts.get("scene_samples"), text.facts["input"]["shape"][2])
    if frames < 1 or said != (frames, stream.scene_samples, spec.n_mels):
        raise BadInput("C folder", "its front end does not fit its input", path)
    return stream


def stream_spec(text: Bundle, path: Path | None = None) -> LogMel:
    """The front end of a C folder, whose facts about its stream have been looked at.

    Raises:
        BadInput: it has none, and why; or its facts make no sense.
    """
    return read_stream(text, path).spec


def _row(
    stream: Stream, graph: IntegerGraph | None, artefact: Artefact, board: Board, firmware: Firmware, heard: Heard,
    samples: NDArray[np.int16],
) -> dict[str, Any]:  # fmt: skip
    spec, frames, scenes = stream.spec, len(heard.levels), len(heard.logits)
    levels = IntegerFrontEnd(spec).levels(np.pad(samples, (0, frames * spec.hop_length)))[:, :frames].T
    equal_levels = int((levels == heard.levels).all(axis=1).sum())
    equal_logits = None if graph is None else equal_logits_of(graph, levels, heard.logits, stream.frames)
    times = {"scene_samples": stream.scene_samples, "frames": stream.frames}
    return {
        "sha256": artefact.sha256,
        "origin": "emulated",
        "version": firmware.compiler,
        "seconds": samples.size / spec.sample_rate,
        "front_end": {
            "frames": frames,
            "instructions": round(heard.front_end),
            "per_frame": round(heard.front_end / max(1, frames)),
            "per_second": round(heard.front_end / max(1, frames) * spec.sample_rate / spec.hop_length),
            "largest_push": round(heard.largest),
            "equal_frames": equal_levels,
            "table_bytes": stream.table_bytes,
            "scratch_bytes": stream.scratch_bytes,
            "state_bytes": stream.state_bytes,
        },
        "network": {
            "scenes": scenes,
            "instructions": round((sum(heard.layers) + heard.between) / max(1, scenes)),
            "equal_scenes": equal_logits,
        },
        "equal": equal_levels == frames and equal_logits in (None, scenes),
        "scenes": scenes_of(artefact, heard.logits, times, spec),
        "flash_bytes": firmware.flash_bytes,
        "ram_bytes": firmware.ram_bytes,
        "arena_bytes": stream.arena_bytes,
        "stack_bytes": heard.stack_bytes,
        "sections": firmware.sections,
        "memory": board.chip if firmware.fits else f"the emulator's own: too large for {board.chip}",
    }


def equal_logits_of(graph: IntegerGraph, levels: NDArray[np.int16], logits: NDArray[np.int8], every: int) -> int:
    """Scenes whose every logit is the reference's for its window of `levels` [n_frames, n_mels]."""
    from edgeasc.graph.reference import Reference

    source = graph[graph.input]
    grid = thresholds(float(source.scale), source.zero_point)
    integers = (np.searchsorted(grid, levels, side="right") - 128).astype(np.int8)  # [n_frames, n_mels]
    windows = np.stack([integers[at * every : (at + 1) * every].T[None] for at in range(len(logits))])
    expected = Reference(graph).run(windows)[graph.output].reshape(len(logits), -1)
    return int((expected == logits).all(axis=1).sum())


def scenes_of(
    artefact: Artefact, logits: NDArray[np.int8], facts: dict[str, Any], spec: LogMel
) -> list[dict[str, Any]]:
    """One {seconds, label, logits} per scene; `seconds` is when it was known."""
    labels = artefact.labels or tuple(f"class {index}" for index in range(logits.shape[1]))
    rows = []
    for index, row in enumerate(logits):
        heard = facts["scene_samples"] + index * facts["frames"] * spec.hop_length
        best = int(row.argmax())
        label = labels[best] if best < len(labels) else f"class {best}"
        rows.append({"seconds": heard / spec.sample_rate, "label": label, "logits": row.tolist()})
    return rows
