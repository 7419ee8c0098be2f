"""Stored clips to network inputs: whole, random crops, even crops."""

import numpy as np
import pytest

from edgeasc.data.cache import feature_array
from edgeasc.data.clips import Clip, Dataset
from edgeasc.data.inputs import MAX_STORED_SECONDS, clip_inputs, even_starts, fit_length, stored_frames
from edgeasc.specs import DataSpec, LogMel, ModelSpec, Recipe

SPEC = LogMel(n_fft=512, win_length=400, hop_length=160, n_mels=4)


def recipe(clip_seconds: float, **data: object) -> Recipe:
    return Recipe(
        model=ModelSpec(name="bcresnet-mod-1"),
        features=SPEC,
        data=DataSpec(clip_seconds=clip_seconds, **data),  # type: ignore[arg-type]
    )


def numbered(n_clips: int, n_frames: int) -> np.ndarray:
    """Features whose every value is its frame number."""
    return np.broadcast_to(np.arange(n_frames, dtype=np.float32), (n_clips, 1, 4, n_frames)).copy()


def test_a_long_clip_is_cut_at_its_end() -> None:
    inputs = clip_inputs(recipe(0.05), numbered(2, 30))
    assert inputs.shape == (2, 1, 1, 4, 6)
    assert inputs[1, 0, 0, 3].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_short_clip_ends_in_silence() -> None:
    inputs = clip_inputs(recipe(0.05), numbered(1, 4))
    assert inputs[0, 0, 0, 0].tolist() == [0, 1, 2, 3, np.float32(SPEC.silence), np.float32(SPEC.silence)]


def test_even_crops_reach_from_the_first_to_the_last_frame() -> None:
    inputs = clip_inputs(recipe(0.05, test_crops=3), numbered(1, 26))
    assert inputs[0, :, 0, 0, 0].tolist() == [0, 10, 20]
    assert inputs[0, -1, 0, 0, -1] == 25


def test_more_crops_than_the_recipe_asks_for() -> None:
    assert clip_inputs(recipe(0.05), numbered(2, 30), crops=5).shape == (2, 5, 1, 4, 6)


def test_random_crops_are_consecutive_frames_from_every_possible_start() -> None:
    inputs = clip_inputs(recipe(0.05, crop="random"), numbered(400, 10), np.random.default_rng(0))
    assert inputs.shape == (400, 1, 1, 4, 6)
    assert (np.diff(inputs, axis=-1) == 1).all()
    assert set(inputs[:, 0, 0, 0, 0].astype(int)) == {0, 1, 2, 3, 4}


def test_training_on_whole_clips_takes_one_input_each() -> None:
    inputs = clip_inputs(recipe(0.05, test_crops=4), numbered(3, 30), np.random.default_rng(0))
    assert inputs.shape == (3, 1, 1, 4, 6) and (inputs[..., 0] == 0).all()


@pytest.mark.parametrize(("stored", "n_frames", "crops"), [(10, 10, 3), (4, 10, 2), (11, 10, 1), (100, 7, 8)])
def test_starts_lie_inside_the_clip(stored: int, n_frames: int, crops: int) -> None:
    starts = even_starts(stored, n_frames, crops)
    assert len(starts) == crops
    assert starts.min() == 0 and starts.max() <= max(0, stored - n_frames)


def test_fit_length_leaves_the_right_length_alone() -> None:
    features = numbered(1, 5)
    assert np.array_equal(fit_length(features, 5, -1.0), features)


def test_clips_are_stored_at_the_length_of_the_longest_up_to_a_limit() -> None:
    short = recipe(1.0)
    assert stored_frames([10, 50, 20], short) == 50
    assert stored_frames([10**6], short) == SPEC.n_frames(int(MAX_STORED_SECONDS * 16_000))
    assert stored_frames([10**6], recipe(60.0)) == recipe(60.0).n_frames


class LengthSource:
    """Silence as long as the clip's id says, in samples."""

    def waveform(self, clip: Clip, sample_rate: int) -> np.ndarray:
        return np.full(int(clip.id), 0.1, np.float32)

    def digest(self, clip: Clip) -> str:
        return clip.id


def test_clips_of_unequal_length_are_padded_with_silence() -> None:
    dataset = Dataset("lengths", ("x", "y"), (Clip("1600", 0), Clip("3200", 1)), LengthSource())
    features = feature_array(dataset, dataset.clips, recipe(0.05))
    assert features.shape == (2, 1, 4, 21)
    assert (features[0, ..., 11:] == np.float32(SPEC.silence)).all()
    assert (features[0, ..., :11] > SPEC.silence).all()
