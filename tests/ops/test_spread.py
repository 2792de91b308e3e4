"""Transport stays exact when the largest cost is far above the optimum: units, far points, columns, clusters, powers.

The truth comes from scipy's assignment on parts where nothing is far: weights are whole numbers, so points are repeated
that often; a far point that both sides share costs nothing; groups further apart than any plan inside them pays for
are matched one by one. Small matrices are searched through in rational arithmetic.
"""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from ganbench.errors import BadInput
from ganbench.metrics.wasserstein import wasserstein
from ganbench.ops.assignment import NotOptimal, cost_matrix, solve, sort_line, transport

KINDS = {
    "unit": (1e-12, 1e-6, 1.0, 1e6, 1e12),
    "outlier": (1e2, 1e4, 1e6, 1e9, 1e12),
    "column": (1e2, 1e4, 1e6, 1e8),
    "clusters": (1e2, 1e4, 1e6, 1e8),
}
SIZES, DIMENSIONS, POWERS = ("equal", "unequal", "weighted"), (1, 2, 64), (1.0, 2.0, 4.0)


def matched(x, y, times_x, times_y, p):
    """Least sum of |x - y|^p over matchings of the repeated points."""
    cost = cdist(np.repeat(x, times_x, 0), np.repeat(y, times_y, 0)) ** p
    return math.fsum(cost[linear_sum_assignment(cost)])


def case(kind, far, n, size, d, p, seed):
    """Points, how often each counts, and the true W_p."""
    rng = np.random.default_rng(seed)
    n = n // 6 * 6
    m = n // 3 * 2 if size == "unequal" else n
    x, y = rng.normal(size=(n, d)), 1.2 * rng.normal(size=(m, d)) + 0.1
    times_x, times_y = np.full(n, 2), np.full(m, 3 if size == "unequal" else 2)
    half_x, half_y = np.arange(n) < n // 2, np.arange(m) < m // 2
    if size == "weighted":
        times_x = rng.integers(1, 4, n)
        times_y = np.r_[rng.permutation(times_x[half_x]), rng.permutation(times_x[~half_x])]
    parts = [(half_x, half_y), (~half_x, ~half_y)] if kind in ("column", "clusters") else [(slice(None),) * 2]
    if kind == "clusters":
        x, y = x + far * half_x[:, None], y + far * half_y[:, None]
    total = math.fsum(matched(x[i], y[j], times_x[i], times_y[j], p) for i, j in parts)
    if kind == "unit":
        x, y, total = x * far, y * far, total * far**p
    elif kind == "column":
        x, y = np.c_[far * half_x, x], np.c_[far * half_y, y]
    elif kind == "outlier":
        point = np.eye(1, d) * far
        copies = (3, 2) if size == "unequal" else (1, 1)
        x, y = (np.r_[t, np.repeat(point, k, 0)] for t, k in zip((x, y), copies, strict=True))
        times_x, times_y = (np.r_[t, [6 // k] * k] for t, k in zip((times_x, times_y), copies, strict=True))
        if size == "equal":
            times_x[-1] = times_y[-1] = 2
    order_x, order_y = rng.permutation(len(x)), rng.permutation(len(y))
    truth = (total / times_x.sum()) ** (1 / p)
    return x[order_x], y[order_y], times_x[order_x], times_y[order_y], truth


def misses(kind, far, n, size, d, p, seed):
    """1 where transport gives no number; fails where it gives a wrong one."""
    x, y, times_x, times_y, truth = case(kind, far, n, size, d, p, seed)
    weights = {}
    if size == "weighted":
        weights = {"a": torch.tensor(times_x / times_x.sum()), "b": torch.tensor(times_y / times_y.sum())}
    try:
        plan = transport(torch.tensor(x), torch.tensor(y), p=p, **weights)
    except NotOptimal:
        return 1
    assert plan.unit * plan.primal ** (1 / p) == pytest.approx(truth, rel=1e-9), (kind, far, n, size, d, p, seed)
    assert 0 <= plan.gap <= 1e-9 * plan.primal
    return 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_seeded_share_of_the_grid_is_exact(kind, size):
    grid = list(itertools.product(KINDS[kind], DIMENSIONS, POWERS))
    draw = np.random.default_rng(0)
    for far, d, p in [grid[k] for k in draw.permutation(len(grid))[:12]]:
        assert misses(kind, far, 48, size, d, p, 1) == 0  # the dense simplex
    assert misses(kind, KINDS[kind][-1], 340, size, 2, 2.0, 2) == 0  # column generation, or again dense


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 400, 1500])
def test_the_whole_grid_is_exact(n):
    grid = [
        (k, far, n, s, d, p, n) for k in KINDS for far in KINDS[k] for s in SIZES for d in DIMENSIONS for p in POWERS
    ]
    if n == 1500:
        grid = [grid[k] for k in np.random.default_rng(0).permutation(len(grid))[:80]]
    assert sum(misses(*row) for row in grid) <= 0.02 * len(grid)


def searched(cost):
    """The least mean cost of a permutation, in rational arithmetic."""
    exact = [[Fraction(float(c)) for c in row] for row in cost]
    n = len(exact)
    return float(min(sum(exact[i][s[i]] for i in range(n)) for s in itertools.permutations(range(n))) / n)


@pytest.mark.parametrize("solver", ["columns", "simplex", "lapjv"])
@pytest.mark.parametrize("forbidden", [1e6, 1e12, 1e32, 1e150])
def test_matrices_with_forbidden_pairs_are_solved_exactly(forbidden, solver):
    rng = np.random.default_rng(3)
    for _ in range(15):
        cost = rng.uniform(0, 100, (5, 5))
        cost[rng.random((5, 5)) < 0.5] = forbidden
        assert solve(torch.tensor(cost), solver=solver).primal == pytest.approx(searched(cost), rel=1e-12)


def test_a_large_matrix_with_forbidden_pairs():
    rng = np.random.default_rng(4)
    cost = rng.uniform(0, 100, (400, 400))
    cost[rng.random((400, 400)) < 0.6] = 1e32
    best = cost[linear_sum_assignment(np.minimum(cost, 1e6))].mean()  # a single pair of 1e6 would cost more than all
    assert best < 100
    assert solve(torch.tensor(cost)).primal == pytest.approx(best, rel=1e-12)


def test_an_optimum_that_has_to_pay_a_far_cost_with_little_mass():
    x, y = torch.zeros(2, 2).double(), torch.zeros(2, 2).double()
    x[1], y[1] = 1.0, 1e7
    w = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    plan = transport(x, y, a=w / w.sum(), b=w / w.sum())
    assert plan.primal == pytest.approx(1e-9 * math.dist((1, 1), (1e7, 1e7)) / (1 + 1e-9), rel=1e-9)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def score(x, y, **options):
    return wasserstein(x, y, rng=torch.Generator().manual_seed(0), **options)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e30, 1e160, 1e290])
@pytest.mark.parametrize("p", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("d", [1, 3])
def test_value_error_and_bracket_scale_with_the_points(scale, p, d):
    x, y = normal(60, d), normal(50, d, seed=1)
    one, scaled = score(x, y, p=p), score(x * scale, y * scale, p=p)
    assert scaled.value / scale == pytest.approx(one.value, rel=1e-9)
    assert scaled.se / scale == pytest.approx(one.se, rel=1e-6)
    assert scaled.extra["bracket"][0] / scale == pytest.approx(one.value, rel=1e-9)


@pytest.mark.parametrize("p", [20.0, 64.0, 540.0, 800.0])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_high_powers_keep_their_value(p, scale):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=30), rng.normal(size=30) + 0.5
    gaps = np.abs(np.sort(x) - np.sort(y))
    truth = gaps.max() * np.mean((gaps / gaps.max()) ** p) ** (1 / p)
    line = score(torch.tensor(x * scale)[:, None], torch.tensor(y * scale)[:, None], p=p)
    flat = score(torch.tensor(np.c_[x, x] * scale), torch.tensor(np.c_[y, y] * scale), p=p)
    assert line.value / scale == pytest.approx(truth, rel=1e-9)
    assert flat.value / scale == pytest.approx(truth * math.sqrt(2), rel=1e-9)
    assert 0 < line.se < math.inf
    assert 0 < flat.se < math.inf


@pytest.mark.parametrize("p", [801.0, math.inf])
def test_powers_beyond_float64_are_refused(p):
    with pytest.raises(BadInput, match="at most 800"):
        transport(normal(3, 2), normal(3, 2), p=p)


def test_points_at_the_end_of_float64_are_refused():
    for d in (1, 2):
        with pytest.raises(BadInput, match="less than 1e300 apart"):
            transport(normal(5, d) * 1e300, -normal(5, d).abs() * 1e307)


@pytest.mark.parametrize(
    "shapes", [((0, 2), (3, 2)), ((3, 2), (0, 2)), ((3, 2), (3, 3)), ((3,), (3,)), ((0, 1), (2, 1))]
)
def test_sets_that_do_not_go_together_are_refused(shapes):
    with pytest.raises(BadInput, match="two matrices"):
        transport(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("d", [1, 2, 30])
@pytest.mark.parametrize("constant", [1e3, 1e9, 1e300])
def test_a_constant_column_changes_nothing(d, constant):
    x, y = normal(90, d), normal(90, d, seed=1)
    wide_x, wide_y = (torch.cat([t, torch.full((len(t), 1), constant, dtype=torch.float64)], 1) for t in (x, y))
    assert score(wide_x, wide_y, p=2.0).value == pytest.approx(score(x, y, p=2.0).value, rel=1e-11)


@pytest.mark.parametrize("d", [2, 16, 17, 64, 700])
@pytest.mark.parametrize("far", [0.0, 1e4, 1e8, 1e16])
def test_every_distance_is_exact_to_1e_12(d, far):
    """Against differences in extended precision; near pairs, two clusters, one far point, an offset."""
    x, y = normal(60, d) + 3, normal(50, d, seed=1) + 3
    x[:5] = y[:5] + 1e-6 * normal(5, d, seed=2)
    x[20:40, 0] += far
    y[20:40, 0] += far
    y[-1] = 1e3 * far
    wide = x.numpy().astype(np.longdouble)[:, None] - y.numpy().astype(np.longdouble)
    exact = np.sqrt((wide**2).sum(-1))
    for p in (1.0, 2.0, 3.0):
        error = np.abs(cost_matrix(x, y, p).numpy() / exact**p - 1).max()
        assert error <= p * 1e-12


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_potentials_of_a_line_are_feasible_and_small_beside_a_shared_far_point(p):
    x, y = (torch.cat([normal(40, seed=s), torch.tensor([-1e9, 1e9]).double()]) for s in (0, 1))
    for a in (None, torch.full((42,), 1 / 42).double()):
        line = sort_line(x, y, p=p, a=a)
        cost = cost_matrix(x[:, None], y[:, None], p)
        assert float(((line.u[:, None] + line.v) - cost).max()) <= 1e-12 * 10**p
        assert max(float(line.u[:40].abs().max()), float(line.v[:40].abs().max())) <= 100
        inside = sort_line(x[:40], y[:40], p=p)
        assert line.primal * 42 == pytest.approx(inside.primal * 40, rel=1e-12)
