"""`bench --target serial:PORT --audio FILE`: a board hears a recording and says what scene it is, and what that cost.

Samples go over the line as a microphone would hand them over; the board's own front end and network do the rest. Every
frame that it heard is held against the numpy front end, every logit against the numpy reference.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeasc.bench.machine import describe_machine
from edgeasc.bench.mcu.listen import equal_logits_of, scenes_of, stream_spec
from edgeasc.bench.mcu.serial_bench import BAUD, check_board, cost
from edgeasc.bench.mcu.serial_link import (
    ANSWER_SECONDS,
    HISTORY,
    OUTPUT,
    RUN_SECONDS,
    SAMPLES,
    TICKS,
    Board,
    Port,
    SerialLink,
    open_port,
)
from edgeasc.errors import BadInput, EdgeascError
from edgeasc.export.c.bundle import Bundle, bundle, parse_payload
from edgeasc.features.integer import IntegerFrontEnd, pcm16
from edgeasc.features.integer_tables import thresholds
from edgeasc.graph.model import IntegerGraph
from edgeasc.runtime.artefact import Artefact, read_artefact
from edgeasc.specs import LogMel


@dataclass(frozen=True)
class Heard:
    """What a board made of samples.

    `frames` are the network's inputs [n_scenes * frames, n_mels] in int8, `logits` [n_scenes, n_classes]; `front_end`
    ticks of all frames, of which there are `front_frames`; `network` ticks of all scenes.
    """

    frames: NDArray[np.int8]
    logits: NDArray[np.int8]
    front_frames: int
    front_end: int
    network: int
    stack_bytes: int


def bench_boards_listening(
    paths: Iterable[Path],
    ports: Iterable[str],
    audio: Iterable[Path],
    *,
    baud: int = BAUD,
    timeout: float = RUN_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
    connect: Callable[[str, int], Port] = open_port,
) -> dict[str, Any]:
    """Scenes and cycles of every model on the board at every port for every recording.

    Args:
        audio: recordings; what is short of a scene is filled with silence, what is beyond the last scene is not heard.
            The others are as in `bench_boards`.

    Returns:
        {schema, target, machine, results, exit_code}: rows with `front_end`, `network` and `scenes`, in `unit`s, or
        with `error` and `exit_code`. Frames or logits that differ from the numpy reference make the exit code 1.
    """
    rows: list[dict[str, Any]] = []
    recordings = list(map(Path, audio))
    for path in map(Path, paths):
        for name in ports:
            where = {"path": str(path), "target": f"serial:{name}"}
            try:
                with contextlib.closing(connect(name, baud)) as port:
                    link = SerialLink(port, name, answer_seconds=answer_seconds, run_seconds=timeout)
                    rows += [where | row for row in _listen(path, name, link, recordings)]
            except EdgeascError as error:
                rows.append(where | {"audio": "", "error": str(error), "exit_code": error.exit_code})
    failed = [int(row["exit_code"]) for row in rows if "error" in row]
    wrong = any("error" not in row and not row["equal"] for row in rows)
    code = failed[0] if failed else int(wrong)
    return {"schema": 1, "target": "serial", "machine": describe_machine(), "results": rows, "exit_code": code}


def _listen(path: Path, name: str, link: SerialLink, recordings: Iterable[Path]) -> Iterator[dict[str, Any]]:
    from edgeasc.data.audio import load_audio

    text, graph, artefact = _prepare(path)
    spec = stream_spec(text, path)
    board = link.hello()
    check_board(board, text, name)
    for recording in recordings:
        samples = pcm16(load_audio(recording, spec.sample_rate))
        heard = hear(link, board, text.facts["front_end"], samples)
        yield {"audio": str(recording)} | _row(text, graph, artefact, board, heard, spec, samples)


def _prepare(path: Path) -> tuple[Bundle, IntegerGraph | None, Artefact]:
    """The C of a model, that of an exported folder as it lies there; the graph where there is one.

    Raises:
        BadInput: the model has no C.
    """
    artefact = read_artefact(path)
    if artefact.kind == "c":
        return parse_payload(artefact.payload), None, artefact
    if artefact.kind != "onnx":
        raise BadInput("bench", f"a {artefact.kind} model has no C; give its quantised .onnx or its run", path)
    from edgeasc.graph.onnx_read import read_onnx

    graph = read_onnx(artefact.payload)
    folder = path / "c"
    return parse_payload(read_artefact(folder).payload) if folder.is_dir() else bundle(graph), graph, artefact


def hear(link: SerialLink, board: Board, front: dict[str, Any], samples: NDArray[np.int16]) -> Heard:
    """Let the board hear `samples` up to their last whole scene, the first filled with silence where it is short.

    Raises:
        ResourceExhausted: the board fails.
    """
    mels, every, hop = front["features"]["n_mels"], front["frames"], front["features"]["hop_length"]
    scenes = max(1, 1 + (samples.size - front["scene_samples"]) // (every * hop))
    whole = front["scene_samples"] + (scenes - 1) * every * hop
    waiting = np.pad(samples[:whole], (0, max(0, whole - samples.size)))
    frames: list[NDArray[np.int8]] = []
    logits: list[NDArray[np.int8]] = []
    counted = ticks = network = stack = 0
    link.listen()
    while len(logits) < scenes:
        if not waiting.size:
            raise link.nonsense("no scene after all samples")
        pushed = link.hear(waiting[:SAMPLES])
        waiting = waiting[pushed.taken :]
        counted, ticks = counted + pushed.frames, ticks + pushed.ticks
        if pushed.due:
            frames.append(np.frombuffer(link.read(HISTORY, every * mels), np.int8).reshape(every, mels))
            stack, _ = link.decide()
            logits.append(np.frombuffer(link.read(OUTPUT, board.output_bytes), np.int8))
            network += int(np.frombuffer(link.read(TICKS, 8 * board.layers), "<u8").sum())
    return Heard(np.concatenate(frames), np.stack(logits), counted, ticks, network, stack)


def _row(
    text: Bundle, graph: IntegerGraph | None, artefact: Artefact, board: Board, heard: Heard, spec: LogMel,
    samples: NDArray[np.int16],
) -> dict[str, Any]:  # fmt: skip
    facts = text.facts["front_end"]
    frames, scenes, every = len(heard.frames), len(heard.logits), int(facts["frames"])
    levels = IntegerFrontEnd(spec).levels(np.pad(samples, (0, frames * spec.hop_length)))[:, :frames].T
    grid = thresholds(text.facts["input"]["scale"], text.facts["input"]["zero_point"])
    equal_frames = int((np.searchsorted(grid, levels, side="right") - 128 == heard.frames).all(axis=1).sum())
    equal_logits = None if graph is None else equal_logits_of(graph, levels, heard.logits, every)
    unit, (front, network) = cost(board, np.array([heard.front_end / heard.front_frames, heard.network / scenes]))
    return {
        "sha256": artefact.sha256,
        "origin": "emulated" if board.emulated else "measured",
        "board": board.name,
        "build": board.build,
        "counter": board.counter,
        "version": board.compiler,
        "unit": unit,
        "clock_hz": board.clock_hz,
        "seconds": samples.size / spec.sample_rate,
        "front_end": {
            "frames": frames,
            "per_frame": round(front),
            "per_second": round(front * spec.sample_rate / spec.hop_length),
            "equal_frames": equal_frames,
            **{key: facts[key] for key in ("table_bytes", "scratch_bytes", "state_bytes")},
        },
        "network": {"scenes": scenes, "per_scene": round(network), "equal_scenes": equal_logits},
        "equal": equal_frames == frames and equal_logits in (None, scenes),
        "scenes": scenes_of(artefact, heard.logits, facts, spec),
        "flash_bytes": board.flash_bytes,
        "arena_bytes": facts["arena_bytes"],
        "stack_bytes": heard.stack_bytes,
    }
