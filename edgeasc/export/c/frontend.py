"""The front end in the C folder: its constants, `scene_stream.h` with the numbers, and what it weighs.

The kernels are `kernels/spectrum.c` and `kernels/mel.c`, the stream is `stream/scene_stream.c`; those texts are the
same for every network. The transform works in the arena, which is free between runs of the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from edgeasc.errors import BadInput, EdgeascError
from edgeasc.export.c.memory import ALIGNMENT, Layout
from edgeasc.export.c.program import Array, Program
from edgeasc.features.integer_tables import FrontEndTables, front_end_tables, thresholds
from edgeasc.specs import LogMel, Waveform, parse_front_end

FEATURES = "edgeasc.features"
KERNELS = ("mel", "spectrum")
NOT_ASKED_FOR = "not asked for"
POINTER_BYTES = 4  # on the chip
MOST_SAMPLES = 2**26  # more than an hour at 16 kHz
STATE_NUMBERS = 5  # int32 fields of a scene_stream


@dataclass(frozen=True)
class FrontEnd:
    """A front end for one network: `frames` of it are one input."""

    spec: LogMel
    tables: FrontEndTables
    arrays: tuple[Array, ...]
    frames: int

    @property
    def table_bytes(self) -> int:
        """Flash bytes of the constants."""
        return sum(array.bytes for array in self.arrays)

    @property
    def scratch_bytes(self) -> int:
        """RAM of the transform, which lies in the arena."""
        return -(-(4 * self.spec.n_fft + 2 * self.spec.n_mels) // ALIGNMENT) * ALIGNMENT

    @property
    def state_bytes(self) -> int:
        """RAM of a `scene_stream`: the samples of one window and the frames of one input."""
        numbers = POINTER_BYTES + 4 * STATE_NUMBERS
        return -(-(numbers + 2 * self.spec.win_length + self.frames * self.spec.n_mels) // 4) * 4

    def arena_bytes(self, layout: Layout) -> int:
        """The arena that holds the network and the transform in turn."""
        return max(layout.arena_bytes, self.scratch_bytes)

    @property
    def scene_samples(self) -> int:
        """Samples after which the first scene is due."""
        return scene_samples(self.spec, self.frames)


def first_frame_samples(spec: LogMel) -> int:
    """Samples after which the first frame is complete; zeros precede them, as `features.logmel` pads."""
    return spec.win_length - (spec.n_fft // 2 - (spec.n_fft - spec.win_length) // 2)


def scene_samples(spec: LogMel, frames: int) -> int:
    """Samples after which the first scene, of `frames` frames, is due.

    Raises:
        BadInput: more than `MOST_SAMPLES`.
    """
    samples = first_frame_samples(spec) + (frames - 1) * spec.hop_length
    if samples > MOST_SAMPLES:
        raise BadInput("front end in C", f"{samples:,} samples make one scene; at most {MOST_SAMPLES:,}")
    return samples


def find_front_end(program: Program, wanted: bool | None) -> tuple[FrontEnd | None, str]:
    """The front end of `program`, or None and why there is none.

    Args:
        wanted: True refuses to go on without one; None takes it where it can be had; False leaves it out.

    Raises:
        BadInput: wanted, and the network names none, or one that the integers cannot do.
    """
    if wanted is False:
        return None, NOT_ASKED_FOR
    try:
        return _front_end(program), ""
    except EdgeascError as error:
        if wanted:
            raise
        return None, f"{error.what}: {error.why}"


def asked_for(facts: Mapping[str, Any]) -> bool | None:
    """What `find_front_end` was told, from the facts of the C folder that came of it."""
    said = facts.get("front_end")
    return False if isinstance(said, dict) and said.get("left_out") == NOT_ASKED_FOR else None


def _front_end(program: Program) -> FrontEnd:
    said = program.metadata.get(FEATURES)
    if said is None:
        raise BadInput("front end in C", f"the model says nothing about its front end (metadata {FEATURES})")
    try:
        document = json.loads(said)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise BadInput("front end in C", f"metadata {FEATURES} is not a JSON object")
    spec = parse_front_end(document, what="front end in C")
    if isinstance(spec, Waveform):
        scaled = f", each scaled to a peak of {spec.peak:g}" if spec.peak else ""
        raise BadInput("front end in C", f"the network hears waveforms{scaled}: quantise whole clips for scene_run")
    shape = program.input.shape
    if len(shape) != 4 or shape[:2] != (1, 1) or shape[2] != spec.n_mels:
        raise BadInput("front end in C", f"the input {list(shape)} is not one of {spec.n_mels} mels")
    tables = front_end_tables(spec)
    scene_samples(spec, shape[3])
    return FrontEnd(spec, tables, _arrays(tables, program), shape[3])


def _arrays(tables: FrontEndTables, program: Program) -> tuple[Array, ...]:
    grid = thresholds(program.input.scale, program.input.zero_point)
    return (
        Array("fe_window", "uint16_t", tables.window, "front end"),
        Array("fe_cosine", "int32_t", tables.cosine, "front end"),
        Array("fe_bins", "uint16_t", tables.bins, "front end"),
        Array("fe_slope", "uint32_t", tables.slope, "front end"),
        Array("fe_lean", "uint32_t", tables.lean, "front end"),
        Array("fe_floor", "uint32_t", tables.floor, "front end"),
        Array("fe_offset", "int32_t", tables.offset, "front end"),
        Array("fe_logarithm", "int32_t", tables.logarithm, "front end"),
        Array("fe_thresholds", "int16_t", grid, "front end"),
    )


def stream_files(front: FrontEnd, layout: Layout, head: str) -> dict[str, str]:
    """The files of the stream by name, except the kernels. `head` begins a generated file."""
    fixed = {name: stream_text(name) for name in stream_names()}
    return {"scene_stream.h": stream_header(stream_numbers(front, layout), head), **fixed}


def stream_names() -> tuple[str, ...]:
    """The files of the stream whose text is always the same."""
    return ("scene_stream.c", "scene_listen_host.c")


def stream_text(name: str) -> str:
    """One of `stream_names`."""
    return (resources.files("edgeasc.export.c") / "stream" / name).read_text(encoding="utf-8")


STREAM_NUMBERS = (
    "SAMPLE_RATE", "WIN_LENGTH", "HOP_LENGTH", "MELS", "FRAMES", "FIRST_FRAME_SAMPLES", "FIRST_SCENE_SAMPLES",
    "STREAM_ARENA_BYTES", "LOG2_FFT", "WINDOW_SHIFT", "FIRST_BIN", "FLOOR_SHIFT",
)  # fmt: skip


def stream_numbers(front: FrontEnd, layout: Layout) -> dict[str, int]:
    """The numbers of `scene_stream.h` by name."""
    spec, tables = front.spec, front.tables
    numbers = (
        spec.sample_rate, spec.win_length, spec.hop_length, spec.n_mels, front.frames, first_frame_samples(spec),
        front.scene_samples, front.arena_bytes(layout), tables.log2_fft, tables.shift, tables.first_bin,
        tables.floor_shift,
    )  # fmt: skip
    return dict(zip(STREAM_NUMBERS, numbers, strict=True))


def stream_header(numbers: dict[str, int], head: str) -> str:
    """The text of `scene_stream.h`."""
    defines = "\n".join(f"#define SCENE_{name} {value}" for name, value in numbers.items())
    return f"""{head}#ifndef SCENE_STREAM_H
#define SCENE_STREAM_H

#include <stdint.h>

#include "scene.h"

{defines}

#ifdef __cplusplus
extern "C" {{
#endif

/* A microphone's state: the samples of one window and the frames of one network input. Place it anywhere. */
typedef struct {{
    void *arena;
    int32_t oldest;
    int32_t wait;
    int32_t frame;
    int32_t until;
    int32_t interval;
    int16_t samples[SCENE_WIN_LENGTH];
    int8_t history[SCENE_FRAMES * SCENE_MELS];
}} scene_stream;

/* `arena` has SCENE_STREAM_ARENA_BYTES, aligned to 8. After the first scene one is due every `interval` frames:
 * SCENE_FRAMES for windows that do not overlap, 1 for a scene each hop. 0, or -1 where an argument is no use. */
int scene_stream_init(scene_stream *stream, void *arena, int32_t interval);

/* Takes 16-bit mono samples at SCENE_SAMPLE_RATE and works out every frame that they complete, in the arena. Returns
 * how many it took: fewer than `count` where a scene became due, none where one is. */
int32_t scene_stream_push(scene_stream *stream, const int16_t *samples, int32_t count);

/* Whether scene_stream_run is due. */
int scene_stream_due(const scene_stream *stream);

/* Runs the network on the last SCENE_FRAMES frames and returns the scene's number, for scene_labels. Its logits are
 * scene_output(arena) until the next samples are pushed. */
int scene_stream_run(scene_stream *stream);

#ifdef __cplusplus
}}
#endif

#endif
"""


def front_end_facts(front: FrontEnd | None, layout: Layout, why: str) -> dict[str, Any]:
    """What `model.json` says of the front end."""
    if front is None:
        return {"left_out": why}
    return {
        "features": front.spec.model_dump(mode="json"),
        "frames": front.frames,
        "scene_samples": front.scene_samples,
        "table_bytes": front.table_bytes,
        "scratch_bytes": front.scratch_bytes,
        "state_bytes": front.state_bytes,
        "arena_bytes": front.arena_bytes(layout),
    }
