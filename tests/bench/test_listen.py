"""Firmware that hears: levels and logits equal to numpy on every core, counts apart, refusals in one line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_builder import bcresnet

from edgeasc.bench.mcu import listen
from edgeasc.bench.mcu.bench import bench_cores
from edgeasc.bench.mcu.boards import BOARDS, find_board
from edgeasc.bench.mcu.firmware import build
from edgeasc.bench.mcu.listen import bench_listening, hear, read_stream
from edgeasc.cli import main
from edgeasc.errors import BadInput
from edgeasc.export.c.bundle import bundle
from edgeasc.features.integer import IntegerFrontEnd
from edgeasc.graph.onnx_write import onnx_bytes
from edgeasc.specs import LogMel

pytestmark = pytest.mark.needs("arm-none-eabi-gcc", "qemu-system-arm")
soundfile = pytest.importorskip("soundfile", reason="reads the recordings; pip install 'edgeasc[audio]'")


def network(form: str = "int8"):
    graph = bcresnet(form)
    mels = graph[graph.input].shape[2]
    spec = LogMel(n_fft=512, win_length=400, hop_length=160, n_mels=mels)
    return replace(graph, metadata={**graph.metadata, "edgeasc.features": spec.model_dump_json()})


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    path.write_bytes(onnx_bytes(network()))
    return path


@pytest.fixture(scope="module")
def recording(model) -> Path:
    rng = np.random.default_rng(4)
    samples = (rng.normal(0, 1, 8000) * np.linspace(0, 12000, 8000)).clip(-32768, 32767).astype(np.int16)
    soundfile.write(model.parent / "street.wav", samples, 16000)
    return model.parent / "street.wav"


@pytest.fixture(scope="module")
def heard(model, recording) -> dict:
    (row,) = bench_listening([model], ["cortex-m4"], [recording])["results"]
    return row


@pytest.fixture(scope="module")
def alone(model) -> dict:
    (row,) = bench_cores([model], ["cortex-m4"])["results"]
    return row


@pytest.mark.parametrize("core", list(BOARDS))
def test_every_level_and_logit_equals_numpy_on_every_core(model, recording, core):
    document = bench_listening([model], [core], [recording])
    (row,) = document["results"]
    assert document["exit_code"] == 0 and row["equal"] and row["origin"] == "emulated"
    front, heard = row["front_end"], row["network"]
    assert front["equal_frames"] == front["frames"] > 40 and heard["equal_scenes"] == heard["scenes"] > 1
    assert len(row["scenes"]) == heard["scenes"] and {scene["label"] for scene in row["scenes"]} <= {"a", "b"}


def test_front_end_and_network_are_counted_apart(heard, alone):
    assert heard["network"]["instructions"] == pytest.approx(alone["instructions"], rel=0.1)  # of other inputs
    front = heard["front_end"]
    assert front["instructions"] == pytest.approx(front["per_frame"] * front["frames"], abs=front["frames"])
    assert front["largest_push"] < 1.2 * front["per_frame"]


def test_the_front_end_is_in_flash_and_ram(heard, alone):
    assert heard["flash_bytes"] > alone["flash_bytes"] + heard["front_end"]["table_bytes"]
    assert heard["ram_bytes"] >= alone["ram_bytes"] + heard["front_end"]["state_bytes"]


def test_a_front_end_that_hears_differently_fails(model, recording, monkeypatch):
    plain = IntegerFrontEnd.frame_levels

    def other(self, frames):
        levels = plain(self, frames)
        levels[0, 0] += 1
        return levels

    monkeypatch.setattr(listen.IntegerFrontEnd, "frame_levels", other)
    document = bench_listening([model], ["cortex-m4"], [recording])
    (row,) = document["results"]
    assert document["exit_code"] == 1 and row["front_end"]["equal_frames"] < row["front_end"]["frames"]


def test_a_recording_short_of_a_scene_is_followed_by_silence(tmp_path):
    text = bundle(network())
    samples = np.full(300, 9000, np.int16)
    board = find_board("cortex-m4")
    heard = hear(read_stream(text), board, build(text, board, tmp_path, "size", "listen.c"), samples)
    levels = IntegerFrontEnd(read_stream(text).spec).levels(np.pad(samples, (0, 10_000)))[:, : len(heard.levels)]
    assert len(heard.logits) == 1 and np.array_equal(heard.levels.T, levels)


def test_c_without_a_front_end_is_refused_and_says_why(tmp_path, recording):
    (tmp_path / "deaf.onnx").write_bytes(onnx_bytes(bcresnet("int8")))
    document = bench_listening([tmp_path / "deaf.onnx"], ["cortex-m4"], [recording])
    assert document["exit_code"] == BadInput.exit_code
    assert "the C has no front end (front end in C: the model says nothing" in document["results"][0]["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"features": {"n_mels": 40, "hop_length": 10**12}},
        {"features": {"n_mels": 7}},
        {"features": {"n_mels": "many"}},
        {"table_bytes": "none"},
        {"arena_bytes": float("inf")},
    ],
)
def test_facts_that_make_no_sense_are_refused(change):
    text = bundle(network())
    facts = {**text.facts, "front_end": {**text.facts["front_end"], **change}}
    with pytest.raises(BadInput):
        read_stream(replace(text, facts=facts))


def test_the_command_names_the_scenes_and_counts_the_same_every_time(model, recording, heard, capsys):
    assert main(["bench", str(model), "--target", "qemu:cortex-m4", "--audio", str(recording)]) == 0
    text = capsys.readouterr().out
    assert "front end per frame" in text and "street.wav" in text
    assert f"s  {heard['scenes'][0]['label']}" in text
    assert f"{heard['front_end']['per_frame']:,}" in text and f"{heard['network']['instructions']:,}" in text


def test_a_recording_that_is_none_leaves_the_others(model, recording, tmp_path):
    (tmp_path / "noise.wav").write_bytes(b"RIFF but no more")
    document = bench_listening([model], ["cortex-m4"], [tmp_path / "noise.wav", recording])
    bad, good = document["results"]
    assert document["exit_code"] == BadInput.exit_code and "noise.wav" in bad["error"] and good["equal"]


def test_recordings_need_a_core(model, recording, capsys):
    assert main(["bench", str(model), "--audio", str(recording)]) == 2
    assert "--audio" in capsys.readouterr().err


def test_the_firmware_demo_names_the_scene_of_a_clip(recording):
    script = Path(__file__).parents[2] / "examples" / "firmware" / "hear_scenes.py"
    done = subprocess.run([sys.executable, script, recording], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.split(":")[0].strip() == "street" and first.endswith(" at 2.04 s"), done.stdout
    assert any("Every level and logit is equal to the numpy reference" in line for line in rest)
