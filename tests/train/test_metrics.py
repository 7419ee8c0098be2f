"""Scores against scikit-learn and hand counts."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from edgeasc.train.metrics import accuracy_by, log_softmax, mean_average_precision, scores

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 60) % 3  # class 3 never occurs; classes are unbalanced
LOGITS = RNG.normal(0, 2, (60, 4)).astype(np.float32)
LOGS = log_softmax(LOGITS)


def test_scores_equal_scikit_learn():
    found = scores(LOGS, LABELS)
    assert found.accuracy == pytest.approx(oracle.accuracy_score(LABELS, LOGS.argmax(1)))
    assert found.macro_accuracy == pytest.approx(
        oracle.recall_score(LABELS, LOGS.argmax(1), labels=[0, 1, 2], average="macro")
    )
    assert found.log_loss == pytest.approx(oracle.log_loss(LABELS, np.exp(LOGS), labels=[0, 1, 2, 3]))


def test_log_softmax_bears_large_logits():
    assert log_softmax(np.array([[1000.0, 0.0]])).tolist() == [[0.0, -1000.0]]


def test_mean_average_precision_of_a_perfect_ranking_is_one():
    probabilities = np.eye(4)[LABELS] * 0.5 + 0.1
    assert mean_average_precision(probabilities, LABELS) == pytest.approx(1.0)


def test_mean_average_precision_ranks_by_what_it_is_given():
    sigmoids = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    expected = np.mean([oracle.average_precision_score(k == LABELS, LOGITS[:, k]) for k in range(3)])
    found = scores(LOGS, LABELS, sigmoids)
    assert found.mean_average_precision == pytest.approx(expected)
    assert found.mean_average_precision != scores(LOGS, LABELS).mean_average_precision


def test_mean_average_precision_of_a_worked_example():
    # Class 0 ranked 1st and 3rd of 3: (1 + 2/3) / 2; class 1 ranked 2nd by its own probability: 1/2.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    assert mean_average_precision(probabilities, np.array([0, 1, 0])) == pytest.approx(((1 + 2 / 3) / 2 + 0.5) / 2)


def test_accuracy_by_group_counts_every_clip_once():
    right = np.array([True, False, True])
    assert accuracy_by(right, ["b", "a", "b"]) == {"a": {"n": 1, "accuracy": 0.0}, "b": {"n": 2, "accuracy": 1.0}}
