"""Embeddings of networks: what the classifier reads, for every network of the zoo; the file; the machine on them."""

import numpy as np
import pytest
import torch
from torch import nn

from edgeasc.embeddings import Embeddings, read_embeddings, write_embeddings
from edgeasc.errors import BadInput, UsageError
from edgeasc.nn.registry import create_model
from edgeasc.specs import Recipe, parse_spec
from edgeasc.train.embed import classifier_layers, embed
from edgeasc.train.svm import COSTS, linear_svm

WIDTH = {"width": 1 / 32}
SMALL = {
    "cnn6": WIDTH, "cnn10": WIDTH, "mobilenet-v1": WIDTH, "resnet22": WIDTH, "wideresnet28-2": WIDTH,
    "cnn10-resnet22": WIDTH, "bcresnet-8": {"c": 4}, "bcresnet-mod-1": {"c": 4},
}  # fmt: skip


def recipe(**data):
    features = {"n_mels": 64, "n_fft": 512, "win_length": 400, "hop_length": 160}
    return parse_spec(Recipe, {"model": {"name": "cnn10"}, "features": features, "data": {"clip_seconds": 0.7, **data}})


def stored(n=3, frames=90):
    return np.random.default_rng(0).normal(-4, 2, (n, 1, 64, frames)).astype(np.float32)


def lively(name):
    torch.manual_seed(0)
    network = create_model(name, 4, **SMALL[name])
    network.train()
    with torch.no_grad():
        network(torch.from_numpy(stored(8)))  # batch-norm statistics
    return network.eval()


@pytest.mark.parametrize("name", SMALL)
def test_the_classifier_on_the_embedding_gives_the_logits(name):
    network, chosen = lively(name), recipe()
    points = embed(network, stored(), chosen)
    layers = classifier_layers(network)
    logits = sum(
        part @ layer.weight.flatten(1).T + (0 if layer.bias is None else layer.bias)
        for layer, part in zip(layers, points.split([layer.in_channels for layer in layers], 1), strict=True)
    )
    with torch.no_grad():
        expected = network(torch.from_numpy(stored()[..., : chosen.n_frames]))
    torch.testing.assert_close(logits.detach(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "values"), [("cnn10", 512), ("resnet22", 2048), ("cnn10-resnet22", 2560)])
def test_full_width_embeddings_have_the_published_size(name, values):
    with torch.device("meta"):
        assert sum(layer.in_channels for layer in classifier_layers(create_model(name, 5))) == values


def test_several_crops_give_the_mean_of_their_embeddings():
    network, chosen = lively("cnn6"), recipe(test_crops=3)
    frames = chosen.n_frames
    spare = 90 - frames
    one = recipe()
    parts = [embed(network, stored()[..., start:], one) for start in (0, round(spare / 2), spare)]
    torch.testing.assert_close(embed(network, stored(), chosen), sum(parts) / 3, atol=1e-5, rtol=1e-5)


def test_a_network_without_a_classifier_is_refused():
    with pytest.raises(UsageError, match="ends without"):
        classifier_layers(nn.Sequential(nn.ReLU(), nn.Flatten()))


def clips(n=60, spread=0.3, validation=True, seed=0):
    """Three classes round the corners of a triangle; recordings of four clips."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n // 4) % 3, 4)
    corners = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float32)
    points = corners[labels] + rng.normal(0, spread, (n, 3))
    roles = np.array(["train", "validation", "test"])[np.arange(n) // (n // 3) % 3]
    if not validation:
        roles[roles == "validation"] = "train"
    names, groups = np.array(["a", "b", "c"]), np.array([f"g{k // 4}" for k in range(n)])
    return Embeddings(points.astype(np.float32), labels, names, np.array([f"{k}.wav" for k in range(n)]), groups, roles)


def test_the_file_gives_back_what_was_written(tmp_path):
    path, content = tmp_path / "emb.npz", clips()
    write_embeddings(path, content)
    found = read_embeddings(path)
    for name in ("embeddings", "labels", "names", "clips", "groups", "roles"):
        np.testing.assert_array_equal(getattr(found, name), getattr(content, name))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": np.array([0, 1, 7])}, "indices"),
        ({"labels": np.array([0, 1])}, "shape"),
        ({"embeddings": np.zeros((3, 2), np.int64)}, "floats"),
        ({"embeddings": np.full((3, 2), np.nan)}, "not finite"),
        ({"roles": np.array(["train", "test", "exam"])}, "exam"),
        ({"clips": np.array([1, 2, 3])}, "words"),
        ({"names": np.array(["a", {"b": 1}], dtype=object)}, "not a file"),  # a pickle
    ],
)
def test_hostile_files_are_refused(tmp_path, change, word):
    words = np.array(["x", "y", "z"])
    good = {"embeddings": np.zeros((3, 2), np.float32), "labels": np.array([0, 1, 0]), "names": np.array(["a", "b"])}
    good |= {"clips": words, "groups": words, "roles": np.array(["train", "test", "test"])}
    path = tmp_path / "emb.npz"
    np.savez(path, **(good | change))
    with pytest.raises(BadInput, match=word):
        read_embeddings(path)


@pytest.mark.parametrize("payload", [b"", b"PK\x03\x04 broken", b"\x93NUMPY", bytes(200)])
def test_what_is_no_archive_is_refused(tmp_path, payload):
    path = tmp_path / "emb.npz"
    path.write_bytes(payload)
    with pytest.raises(BadInput, match="embeddings"):
        read_embeddings(path)


def test_the_machine_equals_one_fitted_by_hand():
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import SVC

    content = clips()
    train, held, test = (content.roles == role for role in ("train", "validation", "test"))
    document = linear_svm(content)
    recalls = []
    for cost in COSTS:
        machine = SVC(C=cost, kernel="linear").fit(content.embeddings[train], content.labels[train])
        recalls.append(balanced_accuracy_score(content.labels[held], machine.predict(content.embeddings[held])))
    assert [row["macro_accuracy"] for row in document["searched"]] == pytest.approx(recalls)
    best = COSTS[int(np.argmax(recalls))]
    machine = SVC(C=best, kernel="linear").fit(content.embeddings[~test], content.labels[~test])
    guess = machine.predict(content.embeddings[test])
    assert document["C"] == best
    assert document["macro_accuracy"] == pytest.approx(balanced_accuracy_score(content.labels[test], guess))
    assert document["accuracy"] == pytest.approx((guess == content.labels[test]).mean())
    assert (document["n"], document["n_learnt"]) == (20, 40)
    assert np.trace(document["confusion"]) == (guess == content.labels[test]).sum()


def test_cross_validation_cuts_no_recording():
    from edgeasc.train.svm import _splits

    content = clips(validation=False)
    splits, words = _splits(content)
    assert len(splits) == 5
    assert "5 parts" in words
    judged = np.zeros(len(content), int)
    for learnt, held in splits:
        assert not set(content.groups[learnt]) & set(content.groups[held])
        assert not (learnt | held)[content.roles == "test"].any()
        judged += held
    np.testing.assert_array_equal(judged, content.roles == "train")


def test_the_test_clips_do_not_move_the_choice():
    content, other = clips(spread=0.8), clips(spread=0.8)
    other.labels[other.roles == "test"] = (other.labels[other.roles == "test"] + 1) % 3
    first, second = linear_svm(content), linear_svm(other)
    assert first["searched"] == second["searched"]
    assert first["C"] == second["C"]
    assert first["accuracy"] != second["accuracy"]


def test_without_test_clips_there_is_nothing_to_score():
    content = clips()
    content.roles[:] = "train"
    with pytest.raises(BadInput, match="role test"):
        linear_svm(content)
