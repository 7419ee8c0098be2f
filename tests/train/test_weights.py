"""Weights on disk: exact round trip, refusal of what is not whole."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgeasc.errors import BadInput
from edgeasc.train.weights import load_weights, read_tensors, write_tensors


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "best.safetensors"
    write_tensors(file, {"a": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}, {"epoch": 2})
    return file


def test_tensors_and_document_come_back_exactly(path):
    tensors, document = read_tensors(path)
    assert torch.equal(tensors["a"], torch.arange(6.0).view(2, 3))
    assert (tensors["n"].item(), document) == (3, {"epoch": 2})


def test_same_tensors_give_the_same_bytes(path, tmp_path):
    write_tensors(tmp_path / "again", {"n": torch.tensor(3), "a": torch.arange(6.0).view(2, 3)}, {"epoch": 2})
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_every_single_byte_change_is_refused_or_changes_nothing(path):
    content = path.read_bytes()
    good = read_tensors(path)[0]
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
        try:
            tensors, _ = read_tensors(path)
        except BadInput:
            continue
        same_names = set(tensors) == set(good)
        assert not same_names or all(torch.equal(tensors[name], good[name]) for name in good)


@pytest.mark.parametrize("length", [0, 4, 8, 60])
def test_truncated_file_is_refused(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(BadInput):
        read_tensors(path)


def test_pickle_is_refused_without_running_it(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match="not a safetensors file"):
        read_tensors(tmp_path / "x.safetensors")


def test_not_a_number_is_refused(tmp_path):
    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match="'w' is not finite"):
        read_tensors(tmp_path / "x.safetensors")


def test_plain_safetensors_of_somebody_else_is_read(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "x.safetensors")
    tensors, document = read_tensors(tmp_path / "x.safetensors")
    assert (tensors["w"].tolist(), document) == ([1.0, 1.0], {})


@pytest.mark.parametrize(
    "tensors", [{}, {"weight": torch.zeros(2, 3)}, {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}]
)
def test_weights_of_another_network_are_refused(tensors, tmp_path):
    with pytest.raises(BadInput, match="does not fit the network"):
        load_weights(nn.Linear(3, 2), tensors, tmp_path / "x.safetensors")


def test_weights_of_another_network_name_one_tensor_and_count_the_rest(tmp_path):
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    with pytest.raises(BadInput, match=r'Missing key\(s\) in state_dict: "0.weight" and 79 more$'):
        load_weights(network, {}, tmp_path / "x.safetensors")


def test_random_mutations_never_escape_as_another_error(path):
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        mutated = bytearray(content)
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            mutated[place] = rng.integers(256)
        path.write_bytes(bytes(mutated))
        try:
            read_tensors(path)
        except BadInput as error:
            assert "\n" not in str(error)
