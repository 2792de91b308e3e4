"""Neighbours, balls and closest pairs against direct float64 distances, with ties, duplicates and offsets."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial.distance import cdist, pdist

from ganbench.ops.balls import balls
from ganbench.ops.closest_pairs import closest_pairs, first_equal
from ganbench.ops.neighbors import below, nearest, nearest_both


def sets(rng):
    """Clouds that try a screen: offset, integer ties, copies, one point, roundings larger than the distances."""
    x, y = torch.randn(300, 20, generator=rng), torch.randn(200, 20, generator=rng) * 0.9
    far = torch.tensor([100.0, 3.0])
    return {
        "plain": (x, y),
        "float64": (x.double(), y.double()),
        "offset": (x + 1000, y + 1000),
        "ties": (x[:, :4].round(), y[:, :4].round()),
        "copies": (x, torch.cat([x[:150], y[:50]])),
        "one point": (torch.ones(30, 3), torch.ones(20, 3)),
        "tiny": (x[:, :2] * 1e-5 + far, y[:, :2] * 1e-5 + far),
        "two far clouds": (torch.cat([x + 3e3, x[:50] - 3e3]), torch.cat([y + 3e3, y - 3e3])),
        "nearer and nearer": (x[x.norm(dim=1).argsort(descending=True)] * 3, y[y.norm(dim=1).argsort(descending=True)]),
        "by class": (x + 9 * (torch.arange(300) // 100)[:, None], y + 9 * (torch.arange(200) // 67)[:, None]),
        "outlier": (torch.cat([x, torch.full((1, 20), 1e4)]), y),
    }


NAMES = [
    "plain", "float64", "offset", "ties", "copies", "one point", "tiny", "two far clouds", "nearer and nearer",
    "by class", "outlier",
]  # fmt: skip


def squares_of(x, y):
    return torch.from_numpy(cdist(x.double().numpy(), y.double().numpy(), "sqeuclidean"))


@pytest.mark.parametrize("waiting", [0, 32])
@pytest.mark.parametrize("size", [17, 64])
@pytest.mark.parametrize("name", NAMES)
def test_nearest_distances_are_exact(rng, name, size, waiting, monkeypatch):
    monkeypatch.setattr("ganbench.ops.pairwise.tile_size", lambda x: size)
    monkeypatch.setattr("ganbench.ops.neighbors.WAITING", waiting)
    x, y = sets(rng)[name]
    within = squares_of(x, x).fill_diagonal_(torch.inf)
    found = nearest(x, k=4)
    torch.testing.assert_close(found.squares, within.sort(1).values[:, :4], rtol=1e-12, atol=0)
    torch.testing.assert_close(within.gather(1, found.index), found.squares, rtol=1e-12, atol=0)
    to_y, to_x = nearest_both(x, y, k=2)
    torch.testing.assert_close(to_y.squares, squares_of(x, y).sort(1).values[:, :2], rtol=1e-12, atol=0)
    torch.testing.assert_close(to_x.squares, squares_of(y, x).sort(1).values[:, :2], rtol=1e-12, atol=0)
    torch.testing.assert_close(nearest(x, y, k=2).squares, to_y.squares, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_balls_are_decided_by_exact_distances(rng, name, monkeypatch):
    monkeypatch.setattr("ganbench.ops.pairwise.tile_size", lambda x: 64)
    x, y = sets(rng)[name]
    square = squares_of(x, y)
    near_x, near_y = nearest(x, k=5).squares, nearest(y, k=3).squares
    found = balls(x, y, near_x[:, 2], near_y[:, 2], near_x[:, 4])
    # radii by the same sums as `square`, so that the reference's own ties are ties
    radius_x = squares_of(x, x).fill_diagonal_(torch.inf).sort(1).values
    radius_y = squares_of(y, y).fill_diagonal_(torch.inf).sort(1).values
    assert torch.equal(found.y_covered, (square <= radius_x[:, 2, None]).any(0))
    assert torch.equal(found.x_covered, (square <= radius_y[None, :, 2]).any(1))
    assert torch.equal(found.holding, (square < radius_x[:, 4, None]).sum(0))
    assert torch.equal(found.held, (square < radius_x[:, 4, None]).sum(1))


def test_balls_that_hold_everything_are_counted(rng):
    # real rows on a shell, samples at its centre: every ball around a real row holds every sample
    x = torch.nn.functional.normalize(torch.randn(150, 200, generator=rng), dim=1)
    y = torch.randn(130, 200, generator=rng) * 1e-3
    near_x, near_y = nearest(x, k=3).squares[:, 2], nearest(y, k=3).squares[:, 2]
    found = balls(x, y, near_x, near_y, near_x)
    assert found.y_covered.all()
    assert not found.x_covered.any()
    assert (found.holding == 150).all()
    assert (found.held == 130).all()


def test_what_is_below_a_bound_is_listed_unless_it_is_much(rng):
    tile = torch.randn(9, 7, generator=rng)
    for bound in (torch.zeros(7), torch.zeros(9, 1), torch.tensor(0.3)):
        found = below(tile, bound, 63)
        assert torch.equal(torch.zeros(63).index_fill_(0, found, 1).view(9, 7) > 0, tile < bound)
        assert below(tile, bound, len(found) - 1) is None


def test_too_few_rows_for_k_neighbours_is_an_error(rng):
    with pytest.raises(ValueError, match="5 neighbours"):
        nearest(torch.randn(5, 2, generator=rng), k=5)


@pytest.mark.parametrize("k", [1, 20])
@pytest.mark.parametrize("name", [*NAMES, "wide", "plane", "line", "three"])
def test_closest_pairs_are_those_of_all_distances(rng, name, k):
    more = {
        "wide": torch.randn(700, 900, generator=rng) + 50,
        "plane": torch.randn(2000, 2, generator=rng),
        "line": torch.randn(700, 1, generator=rng),
        "three": torch.randn(3, 4, generator=rng),
    }
    x = more[name] if name in more else torch.cat(sets(rng)[name])
    pairs, distances = closest_pairs(x, k)
    every = torch.from_numpy(pdist(x.double().numpy(), "sqeuclidean"))
    i, j = torch.triu_indices(len(x), len(x), 1)
    order = every.argsort(stable=True)[:k]  # ties in order of index
    assert torch.equal(pairs, torch.stack([i[order], j[order]], 1))
    torch.testing.assert_close(distances, every[order].sqrt(), rtol=1e-12, atol=0)


def test_closest_pairs_across_many_small_boxes(rng, monkeypatch):
    monkeypatch.setattr("ganbench.ops.closest_pairs.LEAF", 6)
    x = torch.rand(600, 2, generator=rng)
    every = torch.from_numpy(pdist(x.double().numpy(), "sqeuclidean"))
    for k in (1, 5, 50, 400):
        _, distances = closest_pairs(x, k)
        torch.testing.assert_close(distances, every.sort().values[:k].sqrt(), rtol=1e-12, atol=0)


def test_first_equal_finds_exact_copies_and_treats_both_zeros_as_one():
    x = torch.tensor([[0.0, 1.0], [2.0, 3.0], [-0.0, 1.0], [2.0, 3.0], [2.0, 3.0000002]])
    assert first_equal(x).tolist() == [0, 1, 0, 1, 4]
