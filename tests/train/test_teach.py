"""A teacher with a front end of its own hears what the student hears: the same part of each clip, with the same roll,
level and Mixup; masks are the student's alone."""

import numpy as np
import pytest
import torch
from tones import recipe, tones

from edgeasc.errors import UsageError
from edgeasc.features.logmel import log_mel
from edgeasc.runs import Run
from edgeasc.specs import AugmentSpec, LogMel, Waveform
from edgeasc.train.augment import Draw, Mixing, augment
from edgeasc.train.batches import ClipArrays
from edgeasc.train.run import clip_arrays, load_teacher, train_run
from edgeasc.train.teach import Heard, OwnEars, Teacher

RATE = 16_000
OFF = AugmentSpec(roll_seconds=0, mixup_alpha=0, freq_masks=0, time_masks=0)
SPEC = LogMel(n_mels=32, n_fft=512, win_length=400, hop_length=400)
WAVES = {"kind": "waveform", "sample_rate": RATE, "peak": 0.0}
EAT = {"samples": 3_200, "factors": "4 4", "channels": 4, "embedding": 16, "layers": 1, "heads": 2, "gates": 2}


def sounds(n=4, seconds=0.5):
    return np.random.default_rng(0).normal(0, 0.1, (n, round(seconds * RATE))).astype(np.float32)


def ears(n_frames=0, seconds=0.25):
    """A teacher on samples, as they were recorded, beside a student on mels."""
    clips = ClipArrays(sounds()[:, None, None], np.zeros(4, np.int64), 3)
    document = recipe(features={}, data={"clip_seconds": seconds})
    heard = document.model_copy(update={"features": Waveform(**WAVES)})
    return OwnEars(torch.nn.Identity(), heard, clips, n_frames)


def student_frames(waveform):
    """The student's frames of what the teacher hears, without those that look over its ends."""
    return log_mel(waveform, SPEC)[:, 1:-1]


@pytest.mark.parametrize("roll", [0.0, 0.1])
@pytest.mark.parametrize("gain", [0.0, 6.0])
def test_its_sound_makes_the_students_features(roll, gain):
    spec = OFF.model_copy(update={"roll_seconds": roll, "gain_db": gain})
    starts = np.array([0, 2, 4, 9])  # frames of 25 ms
    stored = np.stack([log_mel(sound, SPEC) for sound in sounds()])[:, None]
    cropped = np.stack([clip[..., at : at + 11] for clip, at in zip(stored, starts, strict=True)])
    features, _, drawn = augment(torch.from_numpy(cropped), torch.eye(4), spec, SPEC, np.random.default_rng(2))
    found = ears().features(Heard(np.arange(4), starts * 400 / RATE, drawn))
    assert found.shape == (4, 1, 1, 4_000)
    for clip in range(4):
        mine = features[clip, 0].numpy()
        shift = 0 if drawn.later is None else round(drawn.later[clip] * 40)
        theirs = student_frames(np.roll(found[clip, 0, 0].numpy(), -shift * 400))
        # The eleventh frame of the student lies on the seam of the circle, which samples know and frames do not.
        np.testing.assert_allclose(theirs, np.roll(mine, -shift, axis=1)[:, 1:10], atol=2e-3)


def test_partners_and_shares_are_the_students():
    mixing = Mixing(np.arange(4), np.array([1, 0, 3, 2]), np.array([0.25, 0.5, 1.0, 0.0], np.float32))
    found = ears().features(Heard(np.arange(4), np.zeros(4), Draw(mixing=mixing)))[:, 0, 0].numpy()
    x = sounds()[:, :4_000]
    expected = [0.25 * x[0] + 0.75 * x[1], 0.5 * (x[0] + x[1]), x[2], x[2]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_network_of_one_length_gets_silence_behind_the_sound():
    found = ears(5_000).features(Heard(np.arange(4), np.full(4, 0.01), Draw()))[:, 0, 0].numpy()
    assert found.shape == (4, 5_000) and not found[:, 4_000:].any()
    np.testing.assert_array_equal(found[:, :4_000], sounds()[:, 160:4_160])


def test_masks_of_the_student_do_not_reach_it():
    spec = OFF.model_copy(update={"time_masks": 2, "time_mask_width": 6, "freq_masks": 2, "freq_mask_width": 9})
    x = torch.zeros(4, 1, 32, 11).normal_()
    masked, _, drawn = augment(x, torch.eye(4), spec, SPEC, np.random.default_rng(2))
    assert not torch.equal(masked, x) and drawn == Draw()


def test_answers_to_inputs_that_repeat_are_computed_once_per_clip():
    teacher = Teacher(own := ears(), own, 4, inputs_repeat=True)
    calls = []
    own.network.register_forward_hook(lambda *_: calls.append(1))
    own.network.forward = lambda x: x.mean((2, 3))
    some = Heard(np.array([2, 0]), np.zeros(2), Draw())
    first, again = (teacher.logits(torch.zeros(2, 1, 32, 11), some) for _ in range(2))
    assert torch.equal(first, again) and len(calls) == 1


@pytest.fixture(scope="module")
def waveform_teacher(tmp_path_factory):
    chosen = {"model": {"name": "eat-s-gmme", "options": EAT}, "features": {**WAVES, "sample_rate": 8_000}}
    spec = recipe(train={"epochs": 1})
    document = spec.model_dump(mode="json") | chosen
    return train_run(type(spec).model_validate(document), *tones(), tmp_path_factory.mktemp("runs") / "waves")


def test_a_network_on_waveforms_teaches_one_on_mels(waveform_teacher, tmp_path):
    alone = train_run(recipe(), *tones(), tmp_path / "alone")
    taught = train_run(recipe(), *tones(), tmp_path / "taught", teacher=waveform_teacher.path)
    assert taught.info().teacher == str(waveform_teacher.path)
    assert taught.last.read_bytes() != alone.last.read_bytes()
    again = train_run(recipe(), *tones(), tmp_path / "again", teacher=waveform_teacher.path)
    assert taught.last.read_bytes() == again.last.read_bytes()


def test_features_of_another_kind_teach_a_network_on_waveforms(tmp_path):
    teacher = train_run(recipe(train={"epochs": 1}), *tones(), tmp_path / "mels")
    document = recipe(train={"epochs": 1}).model_dump(mode="json")
    document |= {"model": {"name": "eat-s-gmme", "options": EAT}, "features": {**WAVES, "sample_rate": 8_000}}
    student = type(recipe()).model_validate(document)
    taught = train_run(student, *tones(), tmp_path / "taught", teacher=teacher.path)
    assert np.isfinite(float(taught.history()[-1]["train_loss"]))


def test_a_teacher_with_the_students_own_front_end_hears_the_students_inputs(tmp_path):
    teacher = train_run(recipe(train={"epochs": 1}), *tones(), tmp_path / "mels")
    dataset, split = tones()
    assert not isinstance(load_teacher(teacher.path, recipe(), dataset, split.train), OwnEars)
    other = load_teacher(teacher.path, recipe(features={"n_mels": 64}), dataset, split.train)
    assert isinstance(other, OwnEars)
    np.testing.assert_array_equal(other.clips.features, clip_arrays(dataset, split.train, recipe()).features)


def test_a_teacher_whose_inputs_are_shorter_than_the_students_is_refused(waveform_teacher, tmp_path):
    longer = recipe(data={"clip_seconds": 0.6})
    with pytest.raises(UsageError, match=r"hears 0\.4 s at a time, the student 0\.6 s"):
        load_teacher(waveform_teacher.path, longer, *teaching())


def teaching():
    dataset, split = tones()
    return dataset, split.train


def test_a_teacher_with_other_ears_cannot_follow_waveform_augmentation(tmp_path):
    teacher = train_run(recipe(train={"epochs": 1}), *tones(), tmp_path / "mels")
    document = recipe().model_dump(mode="json")
    document |= {"model": {"name": "eat-s-gmme", "options": EAT}, "features": {**WAVES, "sample_rate": 8_000}}
    student = type(recipe()).model_validate(document | {"wave_augment": {"mixes": []}})
    with pytest.raises(UsageError, match=r"cannot follow \[wave_augment\]"):
        train_run(student, *tones(), tmp_path / "student", teacher=teacher.path)
    assert not Run(tmp_path / "student").exists
