"""Likelihoods against closed forms: a Gaussian model, its Parzen estimate, a scaled reconstruction."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.likelihood import nll, parzen, reconstruction_error


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=rng(seed))


class Gaussian:
    name, gives = "gaussian", ("sample", "log_prob", "reconstruct")
    log_prob_kind, log_prob_of = "exact", "density"

    def log_prob(self, x, rng):
        return -x.square().flatten(1).sum(1) / 2 - x[0].numel() / 2 * math.log(2 * math.pi)

    def reconstruct(self, x):
        return 0.5 * x


def test_nll_of_a_gaussian_is_its_entropy_and_the_error_bar_covers_it():
    entropy = 3 / 2 * math.log(2 * math.pi * math.e)
    covered = 0
    for seed in range(400):
        score, bits = nll(Gaussian(), normal(300, 3, seed=seed), rng=rng())
        covered += abs(score.value - entropy) <= 1.96 * score.se
    assert 0.90 <= covered / 400 <= 0.98
    assert_close(bits.value, score.value / 3 / math.log(2), rtol=1e-12, atol=0)
    assert score.signature.startswith("nll|nats|exact|density")


def test_a_bound_has_another_signature():
    class Bound(Gaussian):
        log_prob_kind = "elbo"

    x = normal(10, 2)
    assert nll(Bound(), x, rng=rng())[0].signature != nll(Gaussian(), x, rng=rng())[0].signature


def test_parzen_equals_the_sum_written_out():
    s, h, x = normal(50, 4), normal(40, 4, seed=1), normal(30, 4, seed=2)
    score = parzen(s, x, h)
    w = score.extra["bandwidth"]
    law = torch.distributions.Normal(s.double(), w)
    direct = torch.logsumexp(law.log_prob(x.double()[:, None]).sum(-1), 1) - math.log(50)
    assert_close(score.value, float(direct.mean()), rtol=1e-10, atol=0)
    assert_close(score.se, float(direct.std()) / math.sqrt(30), rtol=1e-9, atol=0)


def test_parzen_nears_the_true_density_on_a_line():
    score = parzen(normal(10_000, 1), normal(1000, 1, seed=2), normal(1000, 1, seed=1))
    assert_close(score.value, -0.5 * math.log(2 * math.pi * math.e), rtol=0, atol=4 * score.se + 0.02)
    assert not score.extra["bandwidth_at_end"]


def test_bandwidth_is_chosen_without_the_test_events():
    s, h = normal(200, 3), normal(200, 3, seed=1)
    widths = {parzen(s, normal(50, 3, seed=k) * k, h).extra["bandwidth"] for k in (1, 2, 9)}
    assert len(widths) == 1


def test_pixels_are_scored_in_units_of_the_unit_interval():
    images, test, held = normal(60, 1, 2, 2), normal(20, 1, 2, 2, seed=1), normal(20, 1, 2, 2, seed=2)
    score = parzen(images, test, held, bandwidth=0.3)
    law = torch.distributions.Normal((images.double().flatten(1) + 1) / 2, 0.3)
    direct = torch.logsumexp(law.log_prob((test.double().flatten(1)[:, None] + 1) / 2).sum(-1), 1) - math.log(60)
    assert_close(score.value, float(direct.mean()), rtol=1e-10, atol=0)


def test_halved_reconstruction_has_a_quarter_of_the_power():
    x = normal(200, 1, 4, 4)
    assert_close(reconstruction_error(Gaussian(), x).value, float(x.double().square().mean()) / 4, rtol=1e-6, atol=0)


def test_bad_models_and_inputs_are_refused():
    class Bare:
        name, gives = "bare", ("sample",)

    class Broken(Gaussian):
        def log_prob(self, x, rng):
            return x.flatten(1).sum(1) / 0

    x = normal(20, 2)
    for call in (lambda: nll(Bare(), x, rng=rng()), lambda: reconstruction_error(Bare(), x)):
        with pytest.raises(NotApplicable, match="bare"):
            call()
    with pytest.raises(BadInput, match="test event 0"):
        nll(Broken(), x, rng=rng())
    with pytest.raises(BadInput, match="share an event shape"):
        parzen(x, normal(20, 3), x)
    with pytest.raises(BadInput, match="copies of one event"):
        parzen(x, x, torch.ones(20, 2))
