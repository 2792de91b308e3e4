"""Likelihoods against closed forms: a Gaussian model, its Parzen estimate, a scaled reconstruction."""

import math

import pytest
import torch
from torch.testing import assert_close

from ganbench.data import DataSpec
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.likelihood import elbo, iwae, nll, parzen, parzen_fgan, perplexity, reconstruction_error
from ganbench.registry import MODELS


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


class Uniform:
    """The density that spreads evenly over all grey levels; outside it is zero, which would be an error."""

    name, gives, log_prob_kind, log_prob_of = "uniform", ("log_prob",), "exact", "density"

    def __init__(self, levels, domain=(-1.0, 1.0)):
        self.spec = DataSpec("grey", (1, 4, 4), domain=domain)
        width = (domain[1] - domain[0]) / (levels - 1)
        self.low, self.high = domain[0] - width / 2, domain[1] + width / 2

    def log_prob(self, x, rng):
        inside = ((x >= self.low - 1e-6) & (x <= self.high + 1e-6)).flatten(1).all(1)
        return torch.where(inside, -16 * math.log(self.high - self.low), -math.inf)


@pytest.mark.parametrize(
    ("levels", "domain"), [(256, (-1.0, 1.0)), (256, (0.0, 1.0)), (17, (-1.0, 1.0)), (2, (0.0, 1.0))]
)
def test_uniform_grey_levels_take_the_logarithm_of_their_number(levels, domain):
    grey = torch.randint(levels, (200, 1, 4, 4), generator=rng()) / (levels - 1) * (domain[1] - domain[0]) + domain[0]
    nats, bits = nll(Uniform(levels, domain), grey, rng=rng())
    assert_close(bits.value, math.log2(levels), rtol=1e-6, atol=0)  # the model answers in single precision
    assert nats.signature == f"nll|nats|exact|density of {levels} levels|m=200|v2"


class Pixels(Gaussian):
    """Independent normal pixels of a given deviation."""

    spec = DataSpec("grey", (1, 8, 8), domain=(-1.0, 1.0))

    def __init__(self, std):
        self.std = std

    def log_prob(self, x, rng):
        return torch.distributions.Normal(0.0, self.std).log_prob(x.double()).flatten(1).sum(1)


def test_bits_of_a_discretised_gaussian_are_its_entropy_in_levels():
    std, width = 0.2, 2 / 255
    grey = ((std * normal(2000, 1, 8, 8) + 1) / width).round() * width - 1  # 25 levels a deviation
    _, bits = nll(Pixels(std), grey.clamp(-1, 1), rng=rng())
    # the noise of rounding and the uniform noise add width^2 / 6 to the variance, which costs width^2 / 12 std^2 nats
    entropy = math.log2(std / width * math.sqrt(2 * math.pi * math.e)) + (width / std) ** 2 / 12 / math.log(2)
    assert_close(bits.value, entropy, rtol=0, atol=4 * bits.se)


def test_a_small_deviation_no_longer_buys_likelihood():
    # On constant pixels the density of the levels themselves grows without bound as the deviation s falls; spread out
    # by noise of one level w it is -log(s sqrt(2 pi)) - w^2 / 24 s^2 on average, never above -log w.
    width, blank = 2 / 255, torch.full((500, 1, 8, 8), 1 - 6 / 255)

    class Around(Pixels):
        def log_prob(self, x, rng):
            return super().log_prob(x - blank[:1], rng)

    for std in (width / 20, width / math.sqrt(12), width, 0.1):
        score = nll(Around(std), blank, rng=rng())[0]
        expected = 64 * (math.log(std * math.sqrt(2 * math.pi)) + width**2 / (24 * std**2))
        assert_close(score.value, expected, rtol=1e-4, atol=4 * score.se)
        assert score.value > 64 * math.log(width)


def test_masses_and_cross_entropies_are_left_as_they_are():
    class Mass(Pixels):
        log_prob_of = "cross entropy of grey values"

    grey = torch.randint(256, (50, 1, 8, 8), generator=rng()) / 127.5 - 1
    nats, bits = nll(Mass(0.5), grey, rng=rng())
    assert_close(nats.value, -float(Mass(0.5).log_prob(grey, None).mean()), rtol=1e-12, atol=0)
    assert_close(bits.value, nats.value / 64 / math.log(2), rtol=1e-12, atol=0)
    assert "|exact|cross entropy of grey values|" in nats.signature
    assert nats.signature != nll(Pixels(0.5), grey, rng=rng())[0].signature


@pytest.mark.parametrize("name", ["vae_bernoulli", "beta_vae", "vae_gaussian"])
def test_what_variational_autoencoders_sign(name):
    model_class = MODELS.load(name)
    spec = DataSpec("grey", (1, 8, 8), domain=(-1.0, 1.0), n_train=64, n_eval=64)
    model = model_class(model_class.configure(spec, hidden=(8,)))
    model.build(spec)
    assert model.log_prob_of == ("density" if name == "vae_gaussian" else "cross entropy of grey values")


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


class LatentGaussian(Gaussian):
    """x = z + e with z, e standard normal, and a posterior that is off by a known divergence: bounds in closed form."""

    log_prob_kind = "elbo"

    class config:
        n_particles = 500

    def exact(self, x):
        return (-x.square() / 4 - math.log(4 * math.pi) / 2).flatten(1).sum(1)

    def elbo(self, x, rng):
        return self.exact(x) - 0.5  # KL between q and the posterior

    def iwae(self, x, rng):
        return self.exact(x) - 0.01

    def log_prob(self, x, rng):
        return self.elbo(x, rng)


def test_bounds_are_told_apart_and_ordered():
    x, model = normal(700, 3), LatentGaussian()
    exact = float(model.exact(x).mean())
    low, high = elbo(model, x, rng=rng()), iwae(model, x, rng=rng())
    assert_close((low.value, high.value), (exact - 0.5, exact - 0.01), rtol=1e-6, atol=0)
    assert_close(low.value, -nll(model, x, rng=rng())[0].value, rtol=1e-12, atol=0)
    assert (low.signature, high.signature) == ("elbo|nats|density|m=700|v2", "iwae|nats|k=500|density|m=700|v2")
    assert iwae(model, normal(1200, 3), rng=rng()).n == 1000  # hundreds of decodings for each
    with pytest.raises(NotApplicable, match="no evidence lower bound"):
        elbo(Gaussian(), x, rng=rng())
    with pytest.raises(NotApplicable, match="no importance-weighted bound"):
        iwae(Gaussian(), x, rng=rng())


class Words:
    name, gives, log_prob_kind, log_prob_of = "words", ("log_prob",), "exact", "mass of words in order"

    def __init__(self, law):
        self.law = law

    def log_prob(self, x, rng):
        return x.double() @ self.law.log()


def test_perplexity_counts_the_words_one_hesitates_between():
    x = torch.tensor([[3.0, 1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 9.0]])
    assert_close(perplexity(Words(torch.full((4,), 0.25, dtype=torch.float64)), x, rng=rng()).value, 4.0)
    law = torch.tensor([0.5, 0.25, 0.125, 0.125], dtype=torch.float64)
    bits = (3 * 1 + 1 * 2 + 5 * 3 + 9 * 3) / 18
    assert_close(perplexity(Words(law), x, rng=rng()).value, 2**bits)
    with pytest.raises(NotApplicable, match="probability of documents"):
        perplexity(Gaussian(), x, rng=rng())


class Sampler(Gaussian):
    def sample(self, n, rng):
        return torch.randn(n, 2, generator=rng)


def test_fgans_windows_stand_on_their_own_samples():
    x, held = normal(300, 2, seed=1), normal(300, 2, seed=2)
    score = parzen_fgan(Sampler(), x, held, rng=rng(5))
    drawn = torch.cat([torch.randn(500, 2, generator=g) for g in [rng(5)] for _ in range(33)])[:16_384]
    assert_close(score.value, parzen(drawn, x, held).value, rtol=1e-9, atol=0)
    assert score.n == 16_384
    assert score.signature == "parzen_fgan|width-holdout|n=16384|m=300|v1"
    with pytest.raises(NotApplicable, match="without labels"):
        parzen_fgan(Conditional(), x, held, rng=rng())


class Conditional(Gaussian):
    def sample(self, n, rng, y):
        return torch.randn(n, 2, generator=rng)
