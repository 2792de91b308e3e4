"""The error of predicted ratings, on models whose predictions are known."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import NotApplicable
from ganbench.metrics.ratings import rating_rmse


class Constant:
    """Predicts the same rating everywhere, and remembers what it was shown."""

    name, gives = "constant", ("reconstruct",)

    def __init__(self, value):
        self.value = value

    def reconstruct(self, x):
        self.seen = x.clone()
        return torch.full_like(x, self.value)


def table(n, rng):
    """Ratings 2 and 4 alike, half of them known."""
    x = 2 * torch.randint(1, 3, (n, 30), generator=rng).float()
    return torch.where(torch.rand(n, 30, generator=rng) < 0.5, x, torch.zeros(n, 30))


def test_a_constant_in_the_middle_is_off_by_one(rng):
    x = table(200, rng)
    model = Constant(3.0)
    score = rating_rmse(model, x, x, rng=rng)
    assert_close(score.value, 1.0)
    assert_close(score.se, 0.0)
    assert_close(rating_rmse(Constant(5.0), x, x, rng=rng).value, math.sqrt(5), rtol=0.02, atol=0)
    assert_close(score.extra["of_item_means"], 1.0, rtol=0.02, atol=0)


def test_what_is_judged_was_not_seen_and_the_rest_was(rng):
    x = table(200, rng)
    model = Constant(3.0)
    rating_rmse(model, x, x, rng=rng)
    hidden = model.seen != x
    assert (model.seen[hidden] == 0).all()
    assert_close(float(hidden.sum() / (x > 0).sum()), 0.2, rtol=0.1, atol=0)


def test_the_error_bar_covers_the_truth(rng):
    covered = 0
    for seed in range(200):
        own = torch.Generator().manual_seed(seed)
        score = rating_rmse(Constant(5.0), table(100, own), table(2, own), rng=own)
        covered += abs(score.value - math.sqrt(5)) <= 1.96 * score.se
    assert 0.90 <= covered / 200 <= 0.99


def test_data_that_are_no_ratings_are_refused(rng):
    for bad in (torch.randn(20, 5, generator=rng), torch.ones(20, 5), torch.zeros(20, 1, 4, 4)):
        with pytest.raises(NotApplicable, match="rows of ratings"):
            rating_rmse(Constant(3.0), bad, bad, rng=rng)
    model = Constant(3.0)
    model.gives = ("encode",)
    with pytest.raises(NotApplicable, match="does not reconstruct"):
        rating_rmse(model, table(5, rng), table(5, rng), rng=rng)
