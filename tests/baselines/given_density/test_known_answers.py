"""What theory says of methods that are given a density, within Monte Carlo error of the draws that were made.

Bounds are four standard errors, computed from the number of draws, unless a line says otherwise.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ganbench.data import DataSpec, Mixture, Split
from ganbench.data.density import Density, Gaussian
from ganbench.datasets.given import distinct
from ganbench.datasets.laws import (
    Annulus,
    Clutter,
    GaussianLaw,
    LinearGaussian,
    MixtureLaw,
    Probit,
    SubsetRegression,
    isotropic,
)
from ganbench.datasets.synthetic import ring8
from ganbench.engine.loop import train
from ganbench.errors import BadConfig, NotApplicable
from ganbench.metrics.inference import inference, subset_error
from ganbench.model import Budget, Model
from ganbench.ops.chains import autocovariance, chains_ess
from ganbench.registry import DATASETS, MODELS

F64 = torch.float64


def fitted(name: str, law: Density, iterations: int = 1000, seed: int = 0, **config: Any) -> Any:
    d = len(law.base.mean)
    cls: type[Model] = MODELS.load(name)
    spec = DataSpec("law", (d,))
    model = cls(cls.configure(spec, **config))
    model.build(spec)
    data = Split(torch.zeros(0, d), density=law)
    train(model, data, Budget(iterations=iterations), torch.Generator().manual_seed(seed))
    return model


def normal(std: float = 1.0, base: float = 1.0, d: int = 1) -> GaussianLaw:
    return GaussianLaw(isotropic(d, base), isotropic(d, std))


def correlated(rho: float) -> GaussianLaw:
    return GaussianLaw(
        isotropic(2, 1.5), Gaussian(torch.zeros(2, dtype=F64), torch.tensor([[1, rho], [rho, 1]]).double())
    )


def regression() -> LinearGaussian:
    rng = torch.Generator().manual_seed(3)
    a = torch.randn(6, 2, generator=rng, dtype=F64)
    return LinearGaussian.of(isotropic(2, 1.0), a, torch.randn(6, generator=rng, dtype=F64), 0.7)


def probit(n: int) -> Probit:
    rng = torch.Generator().manual_seed(4)
    a = torch.randn(n, generator=rng, dtype=F64)
    return Probit(
        isotropic(1, 2.0), torch.where(a + torch.randn(n, generator=rng, dtype=F64) > 0, 1.0, -1.0).double(), a
    )


def clutter() -> Clutter:
    rng = torch.Generator().manual_seed(5)
    y = torch.where(torch.rand(12, generator=rng) < 0.5, 2.0, 0.0).double() + torch.randn(12, generator=rng, dtype=F64)
    return Clutter(isotropic(1, 10.0), y)


def regressors() -> SubsetRegression:
    rng = torch.Generator().manual_seed(6)
    a = torch.randn(20, 3, generator=rng, dtype=F64)
    y = a @ torch.tensor([0.5, 0.0, 0.3], dtype=F64) + torch.randn(20, generator=rng, dtype=F64)
    return SubsetRegression(isotropic(3, 1.0), a, y, 1.0)


LAWS: dict[str, Any] = {
    "mixture": MixtureLaw.of(Mixture(torch.tensor([[0.0, 1.0], [1.0, -1.0]]), 0.5)),
    "correlated": correlated(0.8),
    "regression": regression(),
    "probit": probit(8),
    "clutter": clutter(),
    "annulus": Annulus(isotropic(2, 1.5)),
}


@pytest.mark.parametrize("name", LAWS)
def test_answers_are_those_of_a_plain_sum_over_a_grid(name: str) -> None:
    """A second way to the same integrals: a grid in one or two dimensions, whose error is its spacing's."""
    law = LAWS[name]
    mean, std = law.base.mean, law.base.std
    sides = [torch.linspace(float(m - 8 * s), float(m + 8 * s), 801, dtype=F64) for m, s in zip(mean, std, strict=True)]
    x = torch.cartesian_prod(*sides).view(-1, len(sides))
    cell = math.prod(float(s[1] - s[0]) for s in sides)
    log_p = torch.cat([law.log_prob(part) for part in x.split(50_000)])
    w, answers = torch.softmax(log_p, 0), law.answers()
    tolerance = 0.02 if name == "annulus" else 1e-6  # its edges cut cells in two
    centre = w @ x
    assert torch.allclose(centre, answers.mean, atol=tolerance)
    assert torch.allclose((x - centre).T @ (w[:, None] * (x - centre)), answers.cov, atol=tolerance)
    assert float(torch.logsumexp(log_p, 0)) + math.log(cell) == pytest.approx(answers.log_evidence, abs=tolerance)


@pytest.mark.parametrize("name", ["correlated", "regression", "probit", "clutter", "annulus"])
def test_exact_draws_have_the_exact_moments(name: str) -> None:
    law, n = LAWS[name], 40_000
    x, answers = law.draw(n, torch.Generator().manual_seed(0)), LAWS[name].answers()
    std = answers.cov.diagonal().sqrt()
    assert ((x.mean(0) - answers.mean).abs() < 4 * std / math.sqrt(n)).all()
    assert torch.allclose(x.T.cov().view_as(answers.cov), answers.cov, atol=float(6 * std.max() ** 2 / math.sqrt(n)))


@pytest.mark.parametrize("name", ["mixture", "correlated", "regression"])
def test_conditionals_are_slices_of_the_density(name: str) -> None:
    """The mean of draws given the other coordinate is that of the density along the line."""
    law, n = LAWS[name], 20_000
    at = torch.tensor([[0.3, -0.2]], dtype=F64)
    line = torch.linspace(-8, 8, 4001, dtype=F64)
    for i in range(2):
        x = at.repeat(len(line), 1)
        x[:, i] = line
        w = torch.softmax(law.log_prob(x), 0)
        mean = float(w @ line)
        std = math.sqrt(float(w @ (line - mean).square()))
        drawn = law.conditional(at.repeat(n, 1), i, torch.Generator().manual_seed(i))
        assert abs(float(drawn.mean()) - mean) < 4 * std / math.sqrt(n)
        assert float(drawn.std()) == pytest.approx(std, rel=0.05)


@pytest.mark.parametrize(
    "law", [LAWS["regression"], LAWS["probit"], LAWS["clutter"]], ids=["linear", "probit", "clutter"]
)
def test_the_density_is_the_base_times_all_factors(law: Any) -> None:
    x = torch.linspace(-1, 1, 5, dtype=F64)[:, None].repeat(1, len(law.base.mean))
    product = law.base.log_prob(x) + law.log_factors((x @ law.directions.T).T).sum(0)
    assert torch.allclose(product, law.log_prob(x))


def test_naive_monte_carlo_errs_by_the_deviation_over_the_root_of_n() -> None:
    """Of N(0, 1) from N(0, s^2) the weight has second moment s^2 / sqrt(2 s^2 - 1); 60 runs tell its error to 10 %."""
    s, n = 1.5, 64 * 20
    law = normal(base=s)
    found = [fitted("naive_monte_carlo", law, 20, seed=k, keep=10).estimate().log_evidence for k in range(60)]
    evidence = torch.tensor(found).exp()
    expected = math.sqrt((s**2 / math.sqrt(2 * s**2 - 1) - 1) / n)
    assert float(evidence.std()) == pytest.approx(expected, rel=0.4)
    assert abs(float(evidence.mean()) - 1) < 4 * expected / math.sqrt(60)


def test_rejection_accepts_one_in_m() -> None:
    """Of N(0, 1) under N(0, s^2) the largest ratio is s, at 0, where draws come close."""
    s, n = 2.0, 64 * 1000
    model = fitted("rejection_sampling", normal(base=s))
    assert float(model.acceptance) == pytest.approx(1 / s, abs=4 * math.sqrt(1 / s * (1 - 1 / s) / n) + 1e-4)
    assert model.estimate().ess == pytest.approx(n / s, rel=0.02)
    assert model.estimate().log_evidence == pytest.approx(0, abs=0.02)


def test_rejection_accepts_the_area_over_m_times_the_base() -> None:
    """Between circles of radius 1 and 2 under N(0, s^2 I): M is 1 / q at the outer circle, Z the area."""
    s, n = 1.5, 64 * 1000
    model = fitted("rejection_sampling", Annulus(isotropic(2, s)))
    expected = 3 * math.pi * math.exp(-4 / (2 * s**2)) / (2 * math.pi * s**2)
    assert float(model.acceptance) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / n) + 1e-3)


@pytest.mark.parametrize("s", [1.0, 1.5, 3.0])
def test_importance_weights_have_the_known_second_moment(s: float) -> None:
    """ESS / n = (E w)^2 / E w^2 = sqrt(2 s^2 - 1) / s^2, to 2 % at 64,000 draws of bounded weights."""
    model = fitted("importance_sampling", normal(base=s), pilot=0.0)
    assert model.estimate().ess / 64_000 == pytest.approx(math.sqrt(2 * s**2 - 1) / s**2, rel=0.02)


def test_importance_sampling_by_too_narrow_a_proposal_loses_its_draws() -> None:
    """For s = 0.4 weights have P(w > t) ~ t^-1.19: the share of effective draws falls as n^-0.68, to a twentieth."""
    law = normal(base=0.4)

    def share(n: int) -> float:
        found = [fitted("importance_sampling", law, n, seed=k, pilot=0.0).estimate().ess / (64 * n) for k in range(15)]
        return sorted(found)[7]

    assert share(1000) < 0.25 * share(10)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.4])
def test_metropolis_accepts_as_often_as_the_closed_form_says(s: float) -> None:
    """(2 / pi) arctan(2 / s); 64,000 steps are worth some thousands of independent ones, hence 1.5 %."""
    model = fitted("metropolis_hastings", normal(), 2000, adapt=False, step=s, starts="dispersed")
    assert float(model.acceptance) == pytest.approx(2 / math.pi * math.atan(2 / s), abs=0.015)


def test_metropolis_is_adapted_to_its_acceptance() -> None:
    assert float(fitted("metropolis_hastings", normal(d=2)).acceptance) == pytest.approx(0.234, abs=0.03)


def test_metropolis_misses_modes_of_the_ring_and_dispersed_starts_do_not() -> None:
    """One chain's steps fit a mode of deviation 0.01, and the next mode is 77 deviations away."""
    law, means = ring8(None).train.density, ring8(None).mixture.means.double()  # type: ignore[arg-type,union-attr]
    for starts, fewest, most in (("one", 1, 3), ("dispersed", 7, 8)):
        x = fitted("metropolis_hastings", law, 2000, starts=starts).sample(2500, torch.Generator().manual_seed(0))
        near = torch.cdist(x.double(), means)
        modes = near.argmin(1)[near.amin(1) < 0.03].unique()
        assert fewest <= len(modes) <= most, starts


@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_gibbs_has_the_autocorrelation_rho_squared(rho: float) -> None:
    law, rng, chains, scans = correlated(rho), torch.Generator().manual_seed(0), 64, 1000
    x = law.draw(chains, rng)
    states = torch.empty(scans, chains, 2, dtype=F64)
    for t in range(scans):
        for i in range(2):
            x[:, i] = law.conditional(x, i, rng)
        states[t] = x
    covariance = autocovariance(states).mean(1)
    assert torch.allclose(covariance[1] / covariance[0], torch.full((2,), rho**2).double(), atol=0.02)
    # An AR(1) of that coefficient has (1 + rho^2) / (1 - rho^2) dependent draws for one
    model = fitted("gibbs", law, 2000)
    kept = 64 * 750
    assert model.estimate().ess == pytest.approx(kept * (1 - rho**2) / (1 + rho**2), rel=0.2)


def test_effective_draws_of_an_autoregression_are_known() -> None:
    rng, rho, steps, chains = torch.Generator().manual_seed(1), 0.7, 2000, 8
    x = torch.empty(steps, chains, 1, dtype=F64)
    x[0] = torch.randn(chains, 1, generator=rng)
    for t in range(1, steps):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho**2) * torch.randn(chains, 1, generator=rng)
    assert chains_ess(x) == pytest.approx(steps * chains * (1 - rho) / (1 + rho), rel=0.15)
    assert chains_ess(torch.randn(steps, chains, 2, generator=rng)) == pytest.approx(steps * chains, rel=0.1)
    apart = torch.randn(steps, chains, 1, generator=rng) + 100 * torch.arange(chains).view(1, -1, 1)
    assert chains_ess(apart) < 2 * chains  # chains that do not meet are worth hardly more than themselves
    assert chains_ess(torch.zeros(steps, chains, 1)) == 0


def test_reversible_jump_visits_subsets_as_often_as_enumeration_says() -> None:
    law = regressors()
    answers = law.answers()
    model = fitted("reversible_jump", law, 4000)
    score = subset_error(samples=model.posterior.points, answers=answers)
    assert score.value < 0.02  # some 10,000 effective draws over 8 subsets: sqrt(8 / 10,000) / 2
    assert torch.allclose(model.estimate().mean, answers.mean, atol=0.02)
    assert torch.allclose(model.estimate().cov, answers.cov, atol=0.02)


def test_subsets_are_enumerated_as_draws_have_them() -> None:
    law = regressors()
    x = law.draw(20_000, torch.Generator().manual_seed(0))
    assert subset_error(samples=x.float(), answers=law.answers()).value < 0.02
    assert torch.allclose(x.mean(0), law.answers().mean, atol=0.02)


@pytest.mark.parametrize("name", ["laplace", "ep"])
def test_laplace_and_ep_are_exact_on_gaussians(name: str) -> None:
    law = regression()
    found, answers = fitted(name, law).estimate(), law.answers()
    assert torch.allclose(found.mean, answers.mean, atol=1e-7)
    assert torch.allclose(found.cov, answers.cov, atol=1e-7)
    assert found.log_evidence == pytest.approx(answers.log_evidence, abs=1e-7)


def test_ep_is_exact_for_one_probit_factor() -> None:
    law = probit(1)
    found, answers = fitted("ep", law).estimate(), law.answers()
    assert torch.allclose(found.mean, answers.mean, atol=1e-6)  # the factors' fixed point is reached to 1e-9
    assert torch.allclose(found.cov, answers.cov, atol=1e-6)
    assert found.log_evidence == pytest.approx(answers.log_evidence, abs=1e-6)


@pytest.mark.parametrize("name", ["probit", "clutter"])
def test_ep_has_the_nearer_mean_where_neither_it_nor_laplace_is_exact(name: str) -> None:
    law, spec = LAWS[name], LAWS[name].answers()
    errors = {m: {s.name: s.value for s in inference(model=fitted(m, law), answers=spec)} for m in ("ep", "laplace")}
    assert errors["ep"]["mean_error"] < errors["laplace"]["mean_error"]


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_mean_field_has_the_known_variances_and_bound(rho: float) -> None:
    """1 - rho^2 and KL = -log(1 - rho^2) / 2.

    The slope of the bound in log s has variance below 2 + rho^2 over 8 draws a step and curvature 2; its average over
    the last quarter errs by sqrt(0.35 / 4 / 900) = 1 %, a variance by twice that: three of these.
    """
    found = fitted("mean_field_vi", correlated(rho), 4000).estimate()
    assert torch.allclose(found.cov.diagonal(), torch.full((2,), 1 - rho**2).double(), rtol=0.06)
    assert torch.allclose(found.mean, torch.zeros(2).double(), atol=0.03)
    assert found.log_evidence == pytest.approx(0.5 * math.log(1 - rho**2), abs=0.02)


@pytest.mark.parametrize("name", [e.name for e in MODELS if e.family == "given_density"])
def test_cost_stays_within_the_budget_and_is_in_evaluations(name: str) -> None:
    law = regressors() if name == "reversible_jump" else regression()
    model = (
        fitted(name, law, 100, keep=50) if name not in ("laplace", "ep", "mean_field_vi") else fitted(name, law, 100)
    )
    assert 0 < model.estimate().evaluations <= 6400
    with pytest.raises(BadConfig, match="evaluations"):
        model.fit(Split(torch.zeros(0, 2), density=law), Budget(seconds=1), torch.Generator())


@pytest.mark.parametrize(
    ("model", "data", "word"),
    [
        ("laplace", "annulus", "gradient"),
        ("mean_field_vi", "annulus", "gradient"),
        ("gibbs", "probit", "conditionals"),
        ("ep", "ring8", "factors"),
        ("reversible_jump", "ring8", "subspaces"),
        ("metropolis_hastings", "subset_regression", "exactly 0"),
        ("metropolis_hastings", "digits", "events"),
        ("metropolis_hastings", "swissroll", "not given"),
    ],
)
def test_what_a_density_lacks_is_said_before_anything_runs(model: str, data: str, word: str) -> None:
    from ganbench.jobs.fitting import incompatible

    assert word in (incompatible(MODELS.get(model), DATASETS.get(data)) or "")


@pytest.mark.parametrize("name", [e.name for e in DATASETS if e.density])
def test_a_density_offers_what_its_registration_says(name: str) -> None:
    from ganbench.datasets.load import load

    data = load(name)
    density: Any = data.train.density
    assert density.offers == DATASETS.get(name).density
    x = data.test.events(slice(0, 8)).double()
    assert torch.isfinite(density.log_prob(x)).all()
    if "conditionals" in density.offers:
        assert density.conditional(x, 0, torch.Generator()).shape == (8,)
    else:
        with pytest.raises(NotApplicable):
            density.conditional(x, 0, torch.Generator())


def test_distinct_rows_keep_their_order() -> None:
    x = torch.tensor([[1.0], [2.0], [1.0], [3.0], [2.0]])
    assert distinct(x, 2).flatten().tolist() == [1, 2]
    assert distinct(x, 5).flatten().tolist() == [1, 2, 3]
