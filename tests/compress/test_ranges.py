"""Ranges of int8 grids: the least error, not the widest range."""

import pytest
import torch

from edgeasc.compress.ranges import LINEAR, OCTAVES, absolute, best_range, of_mean, on_grid, relative


def test_rounding_inside_the_range_errs_by_at_most_half_a_step() -> None:
    value = torch.rand(5000, generator=torch.Generator().manual_seed(0)) * 8 - 3
    low, high = value.min(), value.max()
    # Zero lies on the grid exactly, which may shift the ends by up to half a step more.
    assert (on_grid(value, low, high) - value).abs().max() <= (high - low) / 255 + 1e-6


def test_zero_is_on_every_grid() -> None:
    zero = torch.zeros(3)
    assert torch.equal(on_grid(zero, torch.tensor(-1.3), torch.tensor(2.9)), zero)


def test_values_that_fill_their_range_keep_all_of_it() -> None:
    value = torch.linspace(-1, 1, 4001)
    low, high = best_range(value, absolute, LINEAR)
    assert (float(low), float(high)) == pytest.approx((-1, 1))


def test_a_rare_outlier_does_not_set_the_range_of_gains() -> None:
    gains = torch.cat([torch.linspace(0.5, 2, 999), torch.tensor([200.0])])
    _, high = best_range(gains, relative, OCTAVES)
    assert 2 <= float(high) < 20


def test_squares_with_a_heavy_tail_keep_their_mean() -> None:
    square = torch.randn(8, 6, 5, 40, generator=torch.Generator().manual_seed(1)).square()
    square[0, 0, :, 0] = 3000.0
    narrow = best_range(square, of_mean, OCTAVES)
    full = square.amin(), square.amax()
    assert of_mean(on_grid(square, *narrow), square) <= of_mean(on_grid(square, *full), square)
    assert float(narrow[1]) < 3000.0
