"""A network on raw waveforms through training, evaluation, prediction and audit; what its augmentation does."""

import json
import wave

import numpy as np
import pytest
import torch
from tones import tones

from edgeasc.data.cache import feature_array
from edgeasc.data.inputs import clip_inputs
from edgeasc.errors import UsageError
from edgeasc.evaluation import evaluate_artefact
from edgeasc.nn.registry import create_model
from edgeasc.runtime.predict import predict_files
from edgeasc.runtime.runner import load_runner
from edgeasc.specs import AugmentSpec, Recipe, Waveform, dump_toml, parse_spec
from edgeasc.train.augment import augment
from edgeasc.train.predict import network_predict
from edgeasc.train.run import load_network, train_run
from edgeasc.untrained import audit_recipe

RATE, SAMPLES = 8_000, 3_200
OPTIONS = {"samples": SAMPLES, "factors": "4 4", "channels": 4, "embedding": 16, "layers": 1, "heads": 2}
OPTIONS |= {"gates": 2, "width": 1, "patch": 8}
DOCUMENT = {
    "model": {"name": "eat-s-gmme", "options": OPTIONS},
    "features": {"kind": "waveform", "sample_rate": RATE},
    "data": {"clip_seconds": SAMPLES / RATE},
    "augment": {"roll_seconds": 0.1, "mixup_alpha": 0.0, "gain_db": 3.0, "time_masks": 1, "time_mask_width": 100},
    "train": {
        "optimizer": "adamw",
        "epochs": 8,
        "batch_size": 8,
        "warmup_epochs": 1,
        "lr": 0.004,
        "reestimate": True,
        "threads": 1,
    },
}
OFF = AugmentSpec(roll_seconds=0, mixup_alpha=0, freq_masks=0, time_masks=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train_run(parse_spec(Recipe, DOCUMENT), *tones(), tmp_path_factory.mktemp("runs") / "eat")


def test_training_learns_pitch_from_samples(run):
    losses = [float(row["validation_log_loss"]) for row in run.history()]
    assert min(losses) < 0.8 < 1.0 < losses[0]


def test_the_runner_scores_as_training_did(run):
    dataset, _ = tones()
    assert evaluate_artefact(run.path, dataset)["log_loss"] == pytest.approx(
        json.loads(run.evaluate_file.read_text())["log_loss"], abs=1e-6
    )


def test_a_batch_of_plain_waveforms_gets_its_axis(run):
    network, _, _ = load_network(run.path)
    sounds = np.random.default_rng(0).uniform(-0.9, 0.9, (3, 1, SAMPLES)).astype(np.float32)
    expected = network_predict(network)(sounds[:, :, None])
    np.testing.assert_array_equal(network_predict(network)(sounds), expected)
    with load_runner(run.path) as runner:
        np.testing.assert_allclose(runner.predict(sounds), expected, atol=1e-5)


def recording(path, samples):
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE)
        stream.writeframes(samples.astype("<i2").tobytes())
    return path


def test_recordings_shorter_than_the_input_and_silent_ones_are_predicted(run, tmp_path):
    short = recording(tmp_path / "short.wav", 5_000 * np.sin(np.arange(500)))
    silent = recording(tmp_path / "silent.wav", np.zeros(SAMPLES))
    long = recording(tmp_path / "long.wav", 5_000 * np.sin(np.arange(2 * SAMPLES + 5)))
    found = predict_files(run.path, [short, silent, long])
    assert [item["crops"] for item in found] == [1, 1, 3]
    assert all(sum(item["probabilities"].values()) == pytest.approx(1) for item in found)


def test_stored_clips_are_scaled_and_padded_with_silence():
    dataset, split = tones()
    recipe = parse_spec(Recipe, {**DOCUMENT, "data": {"clip_seconds": 0.5}, "model": {"name": "eat-s-aa"}})
    inputs = clip_inputs(recipe, feature_array(dataset, split.train[:3], recipe))[:, 0]
    assert inputs.shape == (3, 1, 1, 4_000)
    np.testing.assert_allclose(np.abs(inputs).max((1, 2, 3)), 0.95, rtol=1e-6)
    assert not inputs[..., SAMPLES:].any()


def test_the_cache_keeps_samples_bit_for_bit(tmp_path):
    dataset, split = tones()
    recipe = parse_spec(Recipe, DOCUMENT)
    first = feature_array(dataset, split.train[:3], recipe, tmp_path)
    np.testing.assert_array_equal(feature_array(dataset, split.train[:3], recipe, tmp_path), first)


def sounds(n=8, samples=2_000):
    return torch.randn(n, 1, 1, samples, generator=torch.Generator().manual_seed(0))


def augmented(**changes):
    spec = Waveform(kind="waveform", sample_rate=1_000)
    return augment(sounds(), torch.eye(8), OFF.model_copy(update=changes), spec, np.random.default_rng(1))[0]


def test_gain_scales_a_waveform():
    factors = 20 * torch.log10((augmented(gain_db=6.0) / sounds()).flatten(1))
    assert factors.std(1).max() < 1e-4 and factors.abs().max() <= 6.0 and factors[:, 0].std() > 1


def test_masks_of_a_waveform_are_silence_in_time_alone():
    changed = augmented(time_masks=2, time_mask_width=300, freq_masks=2, freq_mask_width=40)
    hidden = changed != sounds()
    assert not changed[hidden].any()
    assert 0 < int(hidden.sum((1, 2, 3)).max()) <= 600


def test_a_roll_is_counted_in_seconds():
    x, rolled = sounds(), augmented(roll_seconds=0.01)  # 10 samples
    for clip, moved in zip(x, rolled, strict=True):
        assert any(torch.equal(torch.roll(clip, s, dims=2), moved) for s in range(-10, 11))


def test_an_audit_of_the_untrained_recipe_counts_its_weights(tmp_path):
    path = tmp_path / "eat.toml"
    path.write_text(dump_toml(parse_spec(Recipe, DOCUMENT)))
    model = audit_recipe(str(path), (), None, None, arena=False, classes=3).report.models[0]
    assert model.parameters.total > 0


def test_a_network_on_waveforms_refuses_spectrograms_with_the_cure():
    network = create_model("eat-s-gmme", 3, **OPTIONS).eval()
    with pytest.raises(UsageError, match='kind = "waveform"'):
        network(torch.zeros(1, 1, 32, 500))
