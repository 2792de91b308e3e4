"""Tiles against dense float64 distances: values, error bound, offsets, symmetry."""

from __future__ import annotations

import pytest
import torch

from ganbench.ops.pairwise import center_of, distance_error, squared_distances, squared_norms, tiles


def dense(x, y):
    """|x_i - y_j|^2 directly in float64."""
    return (x.double()[:, None] - y.double()[None]).square().sum(-1)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("size", [7, 64, 1000])
def test_tiles_cover_all_pairs_within_the_error_bound_at_any_offset(rng, size, offset):
    x, y = torch.randn(131, 41, generator=rng) + offset, torch.randn(77, 41, generator=rng) + offset
    got = torch.full((131, 77), torch.nan)
    for i, j, tile in tiles(x, y, size=size):
        got[i, j] = tile
    center = center_of(x, y)
    bound = distance_error(squared_norms(x, center)[:, None], squared_norms(y, center), 41, torch.float32)
    assert ((got - dense(x, y)).abs() <= bound).all()
    assert bound.max() < 2e-3  # distances are near 82: the bound is of use


def test_tiles_of_one_set_are_the_upper_triangle(rng):
    x = torch.randn(50, 3, generator=rng, dtype=torch.float64)
    got = torch.full((50, 50), torch.nan, dtype=torch.float64)
    for i, j, tile in tiles(x, size=8):
        assert i.start <= j.start
        got[i, j] = tile
    above = torch.triu(torch.ones(50, 50, dtype=torch.bool))
    torch.testing.assert_close(got[above], dense(x, x)[above], rtol=1e-12, atol=1e-12)


def test_product_tiles_are_inner_products(rng):
    x, y = torch.randn(20, 5, generator=rng, dtype=torch.float64), torch.randn(30, 5, generator=rng).double()
    for i, j, tile in tiles(x, y, form="product", size=16):
        torch.testing.assert_close(tile, x[i] @ y[j].T)


def test_identical_points_are_at_distance_zero_exactly():
    for _, _, tile in tiles(torch.full((40, 6), 0.1), size=16):
        assert (tile == 0).all()


def test_dense_distances_have_the_gradient_of_the_definition(rng):
    x = torch.randn(9, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    y = torch.randn(7, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(9, 7, generator=rng, dtype=torch.float64)
    ours = torch.autograd.grad((squared_distances(x, y) * weights).sum(), (x, y))
    theirs = torch.autograd.grad(((x[:, None] - y[None]).square().sum(-1) * weights).sum(), (x, y))
    torch.testing.assert_close(ours, theirs)
