"""The arithmetic of every kernel gives on torch tensors what it gives on numpy arrays."""

from typing import Any

import numpy as np
import pytest
import torch
from one_op import random_conv, random_int8, tensor

from edgeasc.graph.kernels import conv, elementwise, pool, reduce, resnorm, unary
from edgeasc.graph.kernels.arrays import lookup
from edgeasc.graph.model import Form, ResNorm

FORMS: list[Form] = ["int8", "island"]
X = random_int8(np.random.default_rng(0), 3, 4, 8, 6).astype(np.int64)
Y = random_int8(np.random.default_rng(1), 3, 4, 1, 6).astype(np.int64)
SHAPE = (1, 4, 8, 6)


def assert_same(torch_result: Any, numpy_result: Any) -> None:
    assert torch_result.dtype == torch.int64 and numpy_result.dtype == np.int64
    assert len(np.unique(numpy_result)) > 5
    np.testing.assert_array_equal(torch_result.numpy(), numpy_result)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("subtract", [False, True])
def test_sum(form: Form, subtract: bool) -> None:
    ends = tensor("a", SHAPE, 0.05, 3), tensor("b", (1, 4, 1, 6), 0.02, -9), tensor("c", SHAPE, 0.06, 11)
    parameters = elementwise.sum_parameters(*ends, form, "relu", subtract)
    result = elementwise.add(torch.from_numpy(X), torch.from_numpy(Y), parameters)
    assert_same(result, elementwise.add(X, Y, parameters))


@pytest.mark.parametrize("form", FORMS)
def test_product(form: Form) -> None:
    ends = tensor("a", SHAPE, 0.05, 3), tensor("b", (1, 4, 1, 6), 0.02, -9), tensor("c", SHAPE, 0.06, 11)
    parameters = elementwise.product_parameters(*ends, form)
    result = elementwise.multiply(torch.from_numpy(X), torch.from_numpy(Y), parameters)
    assert_same(result, elementwise.multiply(X, Y, parameters))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("keep", [False, True])
def test_mean(form: Form, keep: bool) -> None:
    source, output = tensor("a", SHAPE, 0.05, 3), tensor("b", (1, 4, 1, 1), 0.01, -9)
    parameters = reduce.mean_parameters(source, output, ("F", "T"), keep, form)
    assert_same(reduce.mean(torch.from_numpy(X), parameters), reduce.mean(X, parameters))


@pytest.mark.parametrize("form", FORMS)
def test_conv_requantisation(form: Form) -> None:
    options = {"padding": (1, 0, 1, 0), "depthwise": True, "bands": 4, "signs": True}
    graph = random_conv(np.random.default_rng(2), (4, 8, 6), 4, (3, 1), **options)
    (node,) = graph.convs()
    accumulator = conv.accumulate(X.astype(np.int8), node, graph["input"].zero_point)
    parameters = conv.conv_parameters(node, graph["input"], graph["output"], form)
    result = conv.requantize_conv(torch.from_numpy(accumulator), parameters)
    assert_same(result, conv.requantize_conv(accumulator, parameters))


def test_max_pool() -> None:
    assert_same(pool.max_pool(torch.from_numpy(X), (2, 2), (2, 2)), pool.max_pool(X, (2, 2), (2, 2)))


def test_table() -> None:
    table = unary.silu_table(tensor("a", SHAPE, 0.05, 3), tensor("b", SHAPE, 0.04, -100))
    assert_same(lookup(table, torch.from_numpy(X)), lookup(table, X))


def test_resnorm() -> None:
    source, output = tensor("a", SHAPE, 0.05, 3), tensor("b", SHAPE, 0.03, -9)
    parameters = resnorm.resnorm_parameters(ResNorm("norm", ("a",), "b"), source, output)
    assert_same(resnorm.resnorm(torch.from_numpy(X), parameters), resnorm.resnorm(X, parameters))
