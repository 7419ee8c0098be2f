"""The evaluation document against a hand-made case."""

import json

import numpy as np
import pytest

from edgeasc.data.clips import Clip
from edgeasc.train.evaluate import score_document
from edgeasc.train.metrics import log_softmax
from edgeasc.train.predict import class_probabilities, log_probabilities

LABELS = ("bus", "park", "tram")
CLIPS = [Clip("1", 0, device="a"), Clip("2", 0, device="b"), Clip("3", 1, device="a"), Clip("4", 2, device="s4")]
LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]))


def document(seen=("a", "b")):
    return score_document(LOGITS, CLIPS, LABELS, seen)


def test_overall_scores():
    found = document()
    assert found["accuracy"] == 0.75
    assert found["macro_accuracy"] == pytest.approx((0.5 + 1 + 1) / 3)
    assert found["log_loss"] == pytest.approx(-np.log([0.7, 0.3, 0.8, 0.6]).mean())


def test_scores_per_class_and_device():
    found = document()
    assert found["per_class"]["bus"] == {"n": 2, "accuracy": 0.5}
    assert found["per_device"] == {
        "a": {"n": 2, "accuracy": 1.0},
        "b": {"n": 1, "accuracy": 0.0},
        "s4": {"n": 1, "accuracy": 1.0},
    }


def test_devices_never_heard_in_training_are_told_apart():
    found = document(seen=("a", "b"))
    assert found["seen"] == {"n": 3, "accuracy": pytest.approx(2 / 3)}
    assert found["unseen"] == {"n": 1, "accuracy": 1.0}
    assert document(seen=("a", "b", "s4"))["unseen"] is None
    assert document(seen=None)["seen"] is None


def test_confusion_counts_true_by_predicted():
    assert document()["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_document_is_plain_json():
    assert json.loads(json.dumps(document())) == document()


FEATURES = np.random.default_rng(0).normal(size=(5, 1, 4, 6)).astype(np.float32)


def first_frame(batch):
    return batch[:, 0, :3, 0]


def test_one_crop_gives_the_networks_own_probabilities_batch_by_batch():
    seen = []

    def predict(batch):
        seen.append(batch.shape)
        return first_frame(batch)

    logs = log_probabilities(predict, FEATURES, n_frames=6, crops=1, silence=-13.8, batch_size=2)
    np.testing.assert_allclose(logs, log_softmax(FEATURES[:, 0, :3, 0]), atol=1e-12)
    assert seen == [(2, 1, 4, 6), (2, 1, 4, 6), (1, 1, 4, 6)]


def test_crops_average_probabilities():
    logs = log_probabilities(first_frame, FEATURES, n_frames=2, crops=2, silence=-13.8)
    first, last = np.exp(log_softmax(FEATURES[:, 0, :3, 0])), np.exp(log_softmax(FEATURES[:, 0, :3, 4]))
    np.testing.assert_allclose(np.exp(logs), (first + last) / 2, atol=1e-12)


def test_crops_of_a_short_clip_are_averaged_over_its_own_length():
    lengths = np.array([6, 3, 6, 6, 1])
    logs = log_probabilities(first_frame, FEATURES, n_frames=2, crops=2, silence=-13.8, batch_size=2, lengths=lengths)
    last = FEATURES[np.arange(5), 0, :3, np.maximum(lengths - 2, 0)]
    expected = (np.exp(log_softmax(FEATURES[:, 0, :3, 0])) + np.exp(log_softmax(last))) / 2
    np.testing.assert_allclose(np.exp(logs), expected, atol=1e-12)


def test_class_probabilities_are_means_over_crops_of_softmax_or_of_sigmoids():
    logits = np.random.default_rng(0).normal(0, 3, (2, 5, 3)).astype(np.float32)
    softmax = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    np.testing.assert_allclose(class_probabilities(logits, sigmoid=False), softmax.mean(0), rtol=1e-5)
    np.testing.assert_allclose(
        class_probabilities(logits, sigmoid=True), (1 / (1 + np.exp(-logits))).mean(0), rtol=1e-5
    )
