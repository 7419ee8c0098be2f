"""The front end in C: every level equal to the numpy twin's, streams equal to whole clips, refusals."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_op import random_conv

from edgeasc.audit.c_count import count_c
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import Bundle, bundle
from edgeasc.export.c.frontend import asked_for
from edgeasc.export.c.genuine import check_genuine
from edgeasc.features.integer import IntegerFrontEnd
from edgeasc.features.quantize import quantize
from edgeasc.graph.model import IntegerGraph
from edgeasc.graph.reference import Reference
from edgeasc.runtime.native_c import build_host
from edgeasc.specs import LogMel

FRAMES = 6
SPECS = {
    "paper": LogMel(n_mels=64),
    "odd": LogMel(n_fft=512, win_length=401, hop_length=160, n_mels=40),
    "gaps": LogMel(n_fft=1024, win_length=600, hop_length=1000, n_mels=9, f_min=50.0, mel_scale="htk"),
    "tiny": LogMel(n_fft=16, win_length=16, hop_length=5, n_mels=3),
}
LEVELS = r"""
#include <stdio.h>
#include "scene_stream.h"
static union { uint64_t aligned; unsigned char bytes[SCENE_STREAM_ARENA_BYTES]; int32_t words[1]; } arena;
static scene_stream stream;
int main(void)
{
    int16_t sample;
    if (scene_stream_init(&stream, &arena, SCENE_FRAMES) != 0)
        return 1;
    while (fread(&sample, sizeof sample, 1, stdin) == 1) {
        const int32_t frame = stream.frame;
        stream.until = 2;
        if (scene_stream_push(&stream, &sample, 1) != 1)
            return 2;
        if (stream.frame != frame && fwrite(arena.words + (1 << SCENE_LOG2_FFT), 2, SCENE_MELS, stdout) != SCENE_MELS)
            return 3;
    }
    return 0;
}
"""


def network(spec: LogMel) -> IntegerGraph:
    graph = random_conv(np.random.default_rng(3), (1, spec.n_mels, FRAMES), 2, (spec.n_mels, FRAMES))
    source = replace(graph[graph.input], scale=np.float32(0.09), zero_point=20)
    tensors = {**graph.tensors, graph.input: source}
    return replace(graph, tensors=tensors, metadata={"edgeasc.features": spec.model_dump_json()})


def sounds(spec: LogMel) -> np.ndarray:
    """Loud, quiet, tonal and silent samples, and the largest there are, each for three windows and some."""
    rng, length = np.random.default_rng(8), 3 * spec.win_length + 7
    n = np.arange(length)
    parts = (
        rng.integers(-32768, 32768, length),
        rng.integers(-3, 4, length),
        32767 * np.sin(0.7 * n),
        np.zeros(length),
        np.where(n // 3 % 2, 32767, -32768),
        rng.choice([-32768, 32767], length),
    )
    return np.concatenate(parts).astype(np.int16)


def run(text: Bundle, folder, main: str, payload: bytes, *arguments: str) -> bytes:
    program, _, sanitised = build_host(text, folder, sanitise=True, main=main)
    assert sanitised
    done = subprocess.run([program, *arguments], input=payload, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    return done.stdout


def expected_levels(spec: LogMel, samples: np.ndarray) -> np.ndarray:
    """Levels [n_frames, n_mels] of the frames that `samples` complete."""
    levels = IntegerFrontEnd(spec).levels(samples)
    first = spec.win_length - (spec.n_fft // 2 - (spec.n_fft - spec.win_length) // 2)
    return levels[:, : max(0, 1 + (samples.size - first) // spec.hop_length)].T


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("name", SPECS)
def test_every_level_equals_the_numpy_twin(name, tmp_path):
    spec, samples = SPECS[name], sounds(SPECS[name])
    ours = bundle(network(spec))
    output = run(
        replace(ours, files={**ours.files, "levels_host.c": LEVELS}), tmp_path, "levels_host", samples.tobytes()
    )
    expected = expected_levels(spec, samples)
    assert len(expected) > 10
    assert np.array_equal(np.frombuffer(output, np.int16).reshape(-1, spec.n_mels), expected)


@pytest.mark.needs("gcc")
def test_a_clip_in_the_stream_gives_the_input_that_the_clip_alone_has(tmp_path):
    spec = SPECS["odd"]
    graph = network(spec)
    samples = sounds(spec)[-(FRAMES - 1) * spec.hop_length :]
    output = run(bundle(graph), tmp_path, "scene_listen_host", samples.tobytes(), "0")
    source = graph[graph.input]
    features = IntegerFrontEnd(spec).levels(samples).astype(np.float32) / 1024
    expected = quantize(features[:, :FRAMES], float(source.scale), source.zero_point)
    assert np.array_equal(np.frombuffer(output, np.int8).reshape(expected.shape), expected)


@pytest.mark.needs("gcc")
@pytest.mark.parametrize("every", [1, FRAMES])
def test_a_scene_each_hop_or_each_window_is_that_of_its_frames(every, tmp_path):
    spec = SPECS["odd"]
    graph, samples = network(spec), sounds(spec)
    lines = run(bundle(graph), tmp_path, "scene_listen_host", samples.tobytes(), str(every)).decode().splitlines()
    source = graph[graph.input]
    levels = expected_levels(spec, samples)
    values = quantize(levels.astype(np.float32) / 1024, float(source.scale), source.zero_point)
    windows = [values[end - FRAMES : end].T[None, None] for end in range(FRAMES, len(values) + 1, every)]
    logits = Reference(graph).run(np.concatenate(windows))[graph.output].reshape(len(windows), -1)
    assert [line.split(": ")[1] for line in lines] == [f"class {index}" for index in logits.argmax(axis=1)]
    assert len(set(lines)) > 1


@pytest.mark.needs("gcc")
@settings(max_examples=2, deadline=None)
@given(
    log2=st.integers(4, 9), share=st.floats(0.3, 1.0), mels=st.integers(1, 30), hop=st.integers(1, 300),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_any_spec_equals_the_numpy_twin(log2, share, mels, hop, seed, tmp_path_factory):
    size = 1 << log2
    spec = LogMel(n_fft=size, win_length=max(16, int(share * size)), hop_length=hop, n_mels=mels, log_floor=1e-5)
    samples = np.random.default_rng(seed).integers(-32768, 32768, 5 * hop + size).astype(np.int16)
    ours = bundle(network(spec), front_end=True)
    files = {**ours.files, "levels_host.c": LEVELS}
    output = run(replace(ours, files=files), tmp_path_factory.mktemp("any"), "levels_host", samples.tobytes())
    assert np.array_equal(np.frombuffer(output, np.int16).reshape(-1, mels), expected_levels(spec, samples))


@pytest.mark.needs("gcc", "clang")
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_both_compilers_take_the_stream_without_a_warning(compiler, tmp_path):
    ours = bundle(network(SPECS["paper"]))
    for name, text in ours.files.items():
        (tmp_path / name).write_text(text)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-DEA_ROUNDING=2", "-c"]
    names = ["scene_stream.c", "spectrum.c", "mel.c", "scene_listen_host.c"]
    done = subprocess.run([compiler, *flags, *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_facts_are_those_of_the_files():
    ours = bundle(network(SPECS["paper"]))
    facts = ours.facts["front_end"]
    assert facts["table_bytes"] == 2 * 1041 + 4 * 1025 + 65 * (2 + 4 + 4) + 64 * (4 + 4) + 65 * 4 + 255 * 2
    assert facts["scratch_bytes"] == 4 * 4096 + 2 * 64 and facts["state_bytes"] == 24 + 2 * 2080 + FRAMES * 64
    assert f"#define SCENE_STREAM_ARENA_BYTES {facts['arena_bytes']}\n" in ours.files["scene_stream.h"]
    assert json.loads(json.dumps(facts)) == facts


def test_the_stream_is_genuine_and_a_changed_one_is_not():
    ours = bundle(network(SPECS["paper"]))
    check_genuine(ours)
    for name, before, after in (
        ("scene_stream.h", "#define SCENE_MELS 64", "#define SCENE_MELS evil()"),
        ("scene_stream.h", "#define SCENE_MELS 64", "#define evil 64"),
        ("scene_stream.c", "stream->arena = arena;", "evil();"),
        ("scene_listen_host.c", "int main(", "int evil; int main("),
    ):
        assert before in ours.files[name]
        changed = {**ours.files, name: ours.files[name].replace(before, after)}
        with pytest.raises(BadInput, match="not what edgeasc writes"):
            check_genuine(replace(ours, files=changed))


@pytest.mark.parametrize(
    "metadata, why",
    [
        ({}, "says nothing about its front end"),
        ({"edgeasc.features": "["}, "not a JSON object"),
        ({"edgeasc.features": '{"n_mels": 63}'}, "is not one of 63 mels"),
        ({"edgeasc.features": '{"kind": "waveform"}'}, "hears waveforms, each scaled to a peak of 0.95"),
        ({"edgeasc.features": '{"n_mels": 64, "n_fft": 4098}'}, "n_fft 4098 is no power of two"),
        ({"edgeasc.features": '{"n_mels": 64, "hop_length": 100000000}'}, "samples make one scene; at most"),
    ],
)
def test_a_front_end_that_cannot_be_had_is_left_out_or_refused(metadata, why):
    graph = replace(network(SPECS["paper"]), metadata=metadata)
    assert why in bundle(graph).facts["front_end"]["left_out"] and "scene_stream.h" not in bundle(graph).files
    with pytest.raises(BadInput, match=why):
        bundle(graph, front_end=True)


def test_what_was_asked_for_is_found_in_the_facts():
    graph = network(SPECS["paper"])
    assert asked_for(bundle(graph, front_end=False).facts) is False
    assert asked_for(bundle(graph).facts) is None and asked_for(bundle(replace(graph, metadata={})).facts) is None


def test_the_audit_tells_tables_stream_and_scratch():
    ours = bundle(network(SPECS["paper"]))
    found, stored, _ = count_c(ours.payload)
    facts = ours.facts["front_end"]
    (note,) = [note for note in found.notes if "front end" in note]
    assert all(f"{facts[key]:,} B" in note for key in ("table_bytes", "state_bytes", "scratch_bytes", "arena_bytes"))
    assert stored.uncounted_bytes["front-end tables"] == facts["table_bytes"]


def test_without_a_front_end_nothing_of_it_is_written():
    files = bundle(network(SPECS["paper"]), front_end=False).files
    assert not {"scene_stream.h", "scene_stream.c", "spectrum.c", "ea_frontend.h"} & files.keys()
    assert "fe_cosine" not in files["weights.c"]
