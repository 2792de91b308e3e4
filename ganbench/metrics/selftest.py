"""Known answers: every metric on inputs whose score is known, and on inputs it must refuse or catch.

Rows whose name starts with "control" are negative controls: something is wrong on purpose, and the row passes when the
metric notices. Expected values are closed forms, derived beside each check.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ganbench.data import Mixture
from ganbench.errors import BadInput, GanbenchError
from ganbench.metrics.birthday import birthday
from ganbench.metrics.data_copying import ct
from ganbench.metrics.frechet import frechet
from ganbench.metrics.inception import inception_score, mode_score, mode_score_che
from ganbench.metrics.memorization import mifid
from ganbench.metrics.mmd import mmd
from ganbench.metrics.modes import modes
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc
from ganbench.metrics.precision_recall_curve import prd
from ganbench.metrics.realism import realism
from ganbench.metrics.semi_supervised import accuracy_of_features
from ganbench.metrics.sliced import sliced_wasserstein
from ganbench.metrics.vendi import vendi
from ganbench.metrics.wasserstein import wasserstein
from ganbench.ops.assignment import NotOptimal, certify, cost_matrix, solve


@dataclass(frozen=True)
class Row:
    """One known answer and what this machine made of it."""

    name: str
    expected: str
    got: str
    passed: bool


def selftest() -> list[Row]:
    """Run every check; a check that raises becomes a failed row with the error, so the table is always whole."""
    rows: list[Row] = []
    for check in CHECKS:
        try:
            rows += check()
        except Exception as error:
            rows.append(Row(check.__name__.strip("_"), "no error", f"{type(error).__name__}: {error}", False))
    return rows


def near(name: str, expected: float, got: float, tolerance: float) -> Row:
    """Passes within an absolute tolerance."""
    return Row(
        name, f"{expected:.10g} +- {tolerance:.2g}", f"{got:.10g}", bool(abs(got - expected) <= tolerance)
    )  # NaN fails


def between(name: str, low: float, high: float, got: float) -> Row:
    """Passes inside [low, high]."""
    return Row(name, f"in [{low:.6g}, {high:.6g}]", f"{got:.10g}", bool(low <= got <= high))


def refused(name: str, call: Callable[[], Any], error: type[GanbenchError] = BadInput) -> Row:
    """Passes when the call raises `error`."""
    try:
        result = call()
    except error as caught:
        return Row(name, f"refused ({error.__name__})", f"refused: {str(caught)[:80]}", True)
    return Row(name, f"refused ({error.__name__})", f"accepted: {getattr(result, 'value', result)}", False)


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=_rng(seed), dtype=torch.float64)


def _inception() -> Iterator[Row]:
    one_hot = torch.eye(10, dtype=torch.float64).repeat(100, 1)
    score = inception_score(one_hot, rng=_rng(), splits=1)
    yield near("inception score: balanced one-hot posteriors give K", 10, score.value, 1e-9)
    balanced = inception_score(one_hot, rng=_rng(), shuffle=False)
    yield near("inception score: balanced splits spread by 0", 0, balanced.extra["split_std"], 1e-9)
    same = torch.full((50, 4), 0.25)
    yield near("inception score: equal posteriors give 1", 1, inception_score(same, rng=_rng()).value, 1e-9)
    yield near("inception score: one sample gives 1", 1, inception_score(same[:1], rng=_rng(), splits=1).value, 1e-9)
    two = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64).repeat(50, 1)
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    got = inception_score(two, rng=_rng(), splits=1).value
    yield near("inception score: (.9, .1) and (.1, .9) give 2 exp(-h(.1))", 2 * math.exp(-entropy), got, 1e-9)
    draws = torch.randint(10, (1000,), generator=_rng())
    corrected = inception_score(torch.eye(10)[draws], rng=_rng(), splits=1)
    bias = corrected.extra["log_bias"]
    yield near("inception score: log bias of one-hot posteriors is -(K-1)/2N", -9 / 2000, bias, 1e-9)
    by_class = one_hot[one_hot.argmax(1).argsort(stable=True)]
    yield refused("control: a file sorted by class", lambda: inception_score(by_class, rng=_rng(), shuffle=False))
    shuffled = inception_score(by_class, rng=_rng())
    yield Row(
        "control: class order noticed when shuffled",
        "True",
        str(shuffled.extra["class_sorted"]),
        shuffled.extra["class_sorted"],
    )
    yield refused("control: logits given as probabilities", lambda: inception_score(_normal(100, 10), rng=_rng()))
    nan = one_hot.clone()
    nan[7, 3] = math.nan
    yield refused("control: NaN in a posterior", lambda: inception_score(nan, rng=_rng()))
    p, r = torch.softmax(_normal(500, 10), 1), torch.softmax(_normal(400, 10, seed=1), 1)
    free = inception_score(p, rng=_rng(), splits=1).value
    yield near("mode score: equals IS where p_g = p_r", free, mode_score(p, p).value, 1e-9)
    collapsed = mode_score(torch.eye(10)[:1].repeat(100, 1), one_hot).value
    yield near("mode score: one class of K gives 1/K", 0.1, collapsed, 1e-9)
    yield near("mode score of Che et al.: equals IS always", free, mode_score_che(p, r).value, 1e-9)


def _transport() -> Iterator[Row]:
    x = _normal(400, 5)
    t = _normal(5, seed=1)
    moved = (x + t)[torch.randperm(400, generator=_rng())]
    for p in (1.0, 2.0):
        got = wasserstein(x, moved, rng=_rng(), p=p).value
        yield near(f"W{p:g}: a cloud and itself moved by t give |t|", float(t.norm()), got, 1e-8)
    a, b = torch.zeros(1, 1), torch.tensor([[-1.0], [1.0]])
    yield near("W1: {0} against {-1, 1} gives 1", 1, wasserstein(a, b, rng=_rng()).value, 1e-12)
    line = solve(cost_matrix(x[:300, :1], moved[:, :1])).primal
    yield near("W1: sorting on a line equals the general solver", line, _line(x[:300, :1], moved[:, :1]), 1e-9)
    hidden = torch.randperm(500, generator=_rng())
    cost = torch.rand(500, 500, generator=_rng(1), dtype=torch.float64) + 1
    cost[torch.arange(500), hidden] = 0.5
    yield near("transport: a permutation hidden in a cost matrix", 0.5, solve(cost).primal, 1e-12)
    cost = cost_matrix(_normal(600, 2), _normal(600, 2, seed=1))
    best = solve(cost)
    yield between("transport: relative gap of primal and dual", -1e-9, 1e-9, best.gap / best.primal)
    forged = best.cols[best.rows.argsort()].clone()
    forged[:2] = forged[:2].flip(0)
    plan = (torch.arange(600), forged, torch.full((600,), 1 / 600, dtype=torch.float64))
    yield refused("control: a plan with two rows swapped", lambda: certify(cost, plan), NotOptimal)
    yield refused("control: a simplex stopped early", lambda: solve(cost, solver="simplex", iterations=500), NotOptimal)
    yield refused("control: NaN among the points", lambda: wasserstein(x / 0 * 0, x, rng=_rng()))
    yield refused("control: shapes that differ", lambda: wasserstein(x, x[:, :3], rng=_rng()))


def _line(x: Tensor, y: Tensor) -> float:
    return wasserstein(x, y, rng=_rng()).value


def _kernels() -> Iterator[Row]:
    x, y = _normal(200, 3), _normal(150, 3, seed=1) + 0.5
    order = torch.randperm(200, generator=_rng())
    got = mmd(x, x[order], rng=_rng(), estimator="biased").value
    yield near("MMD^2 biased: a set and itself permuted give 0", 0, got, 1e-12)
    mean = float((x.mean(0) - y.mean(0)).square().sum())
    got = mmd(x, y, rng=_rng(), kernel="linear", estimator="biased").value
    yield near("MMD^2 biased, linear kernel: squared distance of means", mean, got, 1e-10)
    got = mmd(x, x, rng=_rng()).value
    yield between("MMD^2 unbiased: a set and itself fall below 0", -math.inf, -1e-6, got)
    t = _normal(3, seed=2)
    got = sliced_wasserstein(x, x + t, rng=_rng(), n_directions=300).value
    yield near("SW2: moved by t gives |t| / sqrt(D), orthogonal directions", float(t.norm()) / math.sqrt(3), got, 1e-6)


def _modes() -> Iterator[Row]:
    angle = torch.arange(8) * 2 * math.pi / 8
    ring = Mixture(torch.stack([angle.cos(), angle.sin()], 1), 0.01)
    x, _ = ring.sample(2500, _rng())
    count, good, kl = modes(x, ring)
    yield near("modes: a perfect sampler finds 8 of 8", 8, count.value, 0)
    exact = 1 - math.exp(-4.5)  # P(chi_2 <= 3)
    spread = 4 * math.sqrt(exact * (1 - exact) / 2500)
    yield near("modes: share within 3 standard deviations is 1 - exp(-9/2)", exact, good.value, spread)
    yield between("modes: reverse KL of a perfect sampler is near (K-1)/2N", 0, 5 * 7 / 5000, kl.value)
    one = modes(ring.means[:1].repeat(2500, 1), ring)
    yield near("control: one mode gives a count of 1", 1, one[0].value, 0)
    yield near("control: one mode gives reverse KL ln K", math.log(8), one[2].value, 1e-9)
    yield near("control: noise has no sample of high quality", 0, modes(_normal(2500, 2) + 9, ring)[1].value, 0)


def _support() -> Iterator[Row]:
    real = _normal(1000, 12, seed=9)
    for size in (100, 1000, 10_000):
        pool = _normal(size, 12, seed=size)
        x = pool[torch.randint(size, (4000,), generator=_rng(size))]
        score = birthday(x, real, rng=_rng(), n=4000)
        low, high = score.interval or (math.nan, math.nan)
        yield Row(
            f"birthday: support {size} lies in the interval", str(size), f"[{low:.4g}, {high:.4g}]", low <= size <= high
        )
    fresh = birthday(_normal(2000, 12, seed=5), real, rng=_rng())
    yield Row(
        "birthday: fresh draws do not collide", "0 pairs", f"{fresh.extra['pairs']} pairs", fresh.extra["censored"]
    )
    blank = birthday(torch.zeros(200, 1, 4, 4), torch.rand(100, 1, 4, 4, generator=_rng()), rng=_rng())
    yield near("control: one blank image has support 1", 1, blank.value, 1e-9)
    yield near("control: blank images are counted apart", 200, blank.extra["constant_images"], 0)
    lattice = torch.randint(2, (1000, 8), generator=_rng()).float()
    score = birthday(lattice, torch.randint(2, (1000, 8), generator=_rng(1)).float(), rng=_rng())
    spread = 4 * 256 / (1000 * 999 / 2 / 256) ** 0.5  # of a Poisson count of pairs
    yield near("birthday: binary events of 8 bits are 256", 256, score.value, spread)
    year = torch.eye(365)[torch.randint(365, (20_000, 23), generator=_rng())].sum(1).amax(1)
    share = float((year > 1).double().mean())
    yield near("birthday: 23 people share a birthday in 50.73 % of rooms", 0.507297, share, 0.011)


def _labels() -> Iterator[Row]:
    y = torch.arange(2000) % 10
    clean = torch.eye(10, dtype=torch.float64)[y] + 0.01 * _normal(2000, 10)
    x, test = clean[:1000].numpy(), clean[1000:].numpy()

    def accuracy(y: Tensor) -> float:
        return accuracy_of_features(x, y[:1000], test, y[1000:], rng=_rng(), labels=50, draws=3).value

    yield near("few labels: separable features give 100 %", 1, accuracy(y), 0)
    mixed = y[torch.randperm(2000, generator=_rng())]
    yield between("control: shuffled labels give chance, 1/K", 0.06, 0.14, accuracy(mixed))
    yield near("few labels: new class numbers change nothing", 1, accuracy(7 * y + 3), 0)


def _inputs() -> Iterator[Row]:
    x = _normal(50, 4)
    calls: dict[str, Callable[..., Any]] = {
        "wasserstein": wasserstein,
        "mmd": mmd,
        "sliced_wasserstein": sliced_wasserstein,
        "birthday": birthday,
    }
    for name, call in calls.items():
        bad = {
            "no samples": x[:0],
            "a NaN": torch.where(torch.arange(50)[:, None] == 3, math.nan, x),
            "integers": torch.randint(0, 255, (50, 4), dtype=torch.uint8),
        }
        for what, samples in bad.items():
            yield refused(f"control: {name} of {what}", lambda c=call, s=samples: c(s, x, rng=_rng()))  # type: ignore[misc]
    half = wasserstein(x.half(), x.half() + 1, rng=_rng()).value
    yield near("W1: half precision agrees with double", wasserstein(x, x + 1, rng=_rng()).value, half, 2e-3)


def _features() -> Iterator[Row]:
    x, far = _normal(300, 6), _normal(300, 6, seed=1) + 50
    yield near("Frechet: a set and itself give 0", 0, frechet(x, x, rng=_rng()).value, 1e-8)
    t = _normal(6, seed=2)
    yield near("Frechet: moved by t gives |t|^2", float(t @ t), frechet(x + t, x, rng=_rng()).value, 1e-6)
    few = frechet(_normal(20, 40), _normal(25, 40, seed=1), rng=_rng()).value
    yield between("Frechet: finite with fewer events than dimensions", 0, 1e3, few)
    for score in prdc(x, x, rng=_rng()):
        if score.name != "density":
            yield near(f"{score.name}: a set and itself give 1", 1, score.value, 0)
    for score in prdc(far, x, rng=_rng()):
        yield near(f"control: {score.name} of a set far away gives 0", 0, score.value, 0)
    core = {s.name: s.value for s in prdc(0.2 * _normal(300, 6, seed=3), x, rng=_rng())}
    yield between("prdc: a tight core has high precision", 0.9, 1, core["precision"])
    yield between("prdc: a tight core has low recall", 0, 0.1, core["recall"])
    yield near("control: 1-NN accuracy of separate sets gives 1", 1, nn_two_sample(far, x).value, 0)
    yield near("control: 1-NN accuracy of copies gives 0", 0, nn_two_sample(x, x).value, 0)
    same = nn_two_sample(_normal(300, 6, seed=4), x)
    yield between("1-NN accuracy of one law is near one half", 0.4, 0.6, same.value)
    yield near("control: authenticity of copies gives 0", 0, authenticity(x, x).value, 0)
    held, fresh = _normal(300, 6, seed=5), _normal(300, 6, seed=6)
    yield between("data copying: fresh draws are N(0, 1)", -4, 4, ct(fresh, held, x, rng=_rng()).value)
    altered = x + 0.1 * _normal(300, 6, seed=7)
    yield between("control: copies with noise are far below 0", -math.inf, -8, ct(altered, held, x, rng=_rng()).value)
    yield between("control: too wide samples are far above 0", 4, math.inf, ct(1.5 * fresh, held, x, rng=_rng()).value)
    free = frechet(fresh, held, rng=_rng()).value
    score = mifid(fresh, held, x, threshold=0)
    yield near("MiFID: is the Frechet distance where nothing is copied", free, score.value, 1e-9)
    distance = mifid(altered, held, x).extra["cosine_distance"]
    yield between("control: copies with noise have a small cosine distance", 0, 0.05, distance)
    yield between("realism: the core of the data is above 1", 1, math.inf, realism(0.3 * fresh, x).value)
    yield between("control: realism of a set far away is near 0", 0, 0.1, realism(far, x).value)
    for score in prd(x, x, rng=_rng()):
        yield near(f"{score.name}: a set and itself give 1", 1, score.value, 1e-5)
    for score in prd(far, x, rng=_rng()):
        yield near(f"control: {score.name} of a set far away gives 0", 0, score.value, 1e-5)
    yield near("Vendi: equal events give 1", 1, vendi(torch.ones(50, 4)).value, 1e-6)
    yield near("Vendi: orthogonal events give their number", 6, vendi(torch.eye(6).repeat(10, 1)).value, 1e-6)


CHECKS: tuple[Callable[[], Any], ...] = (
    _inception,
    _transport,
    _kernels,
    _features,
    _modes,
    _support,
    _labels,
    _inputs,
)
