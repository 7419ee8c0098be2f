"""Stored clips to network inputs: whole, random crops, even crops."""

import numpy as np
import pytest

from edgeasc.data.cache import feature_array, stored_clips
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


LENGTHS = np.array([8, 30, 4])  # frames of three clips stored at 30


def stored() -> np.ndarray:
    """Three clips of their own length, silence after it."""
    rows = [fit_length(numbered(1, int(length))[0], 30, SPEC.silence) for length in LENGTHS]
    return np.stack(rows)


def test_stored_clips_say_how_long_each_was() -> None:
    dataset = Dataset("lengths", ("x", "y"), (Clip("1600", 0), Clip("3200", 1)), LengthSource())
    lengths = stored_clips(dataset, dataset.clips, recipe(0.05))[1]
    assert lengths is not None and lengths.tolist() == [11, 21]
    assert stored_clips(dataset, dataset.clips[:1], recipe(0.05))[1] is None


def test_even_crops_of_a_short_clip_leave_its_padding_alone() -> None:
    inputs = clip_inputs(recipe(0.05), stored(), crops=3, lengths=LENGTHS)
    assert inputs[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [0, 12, 24], [0, 0, 0]]
    assert (inputs[:2] >= 0).all()  # sound alone
    assert (inputs[2, ..., :4] >= 0).all() and (inputs[2, ..., 4:] == np.float32(SPEC.silence)).all()


def test_random_crops_lie_within_each_clips_own_sound() -> None:
    rng = np.random.default_rng(0)
    draws = [clip_inputs(recipe(0.05, crop="random"), stored(), rng, lengths=LENGTHS)[:, 0] for _ in range(200)]
    first = np.stack(draws)[:, :, 0, 0, 0].astype(int)
    assert set(first[:, 0]) == {0, 1, 2} and set(first[:, 1]) == set(range(25)) and set(first[:, 2]) == {0}


def test_clips_of_one_length_draw_the_crops_they_drew_before() -> None:
    inputs = clip_inputs(recipe(0.05, crop="random"), numbered(5, 30), np.random.default_rng(4))
    starts = np.random.default_rng(4).integers(0, 24, size=5, endpoint=True)
    assert inputs[:, 0, 0, 0, 0].tolist() == starts.tolist()
