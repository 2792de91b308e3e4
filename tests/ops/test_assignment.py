"""Exact transport agrees with POT and scipy, proves itself, and refuses what is not optimal."""

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.testing import assert_close

from ganbench.errors import BadInput
from ganbench.ops.assignment import NotOptimal, certify, cost_matrix, solve, sort_line, transport
from ganbench.ops.costs import Distances, Matrix


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(n, seed=0, zeros=0):
    w = torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    w[:zeros] = 0
    return w / w.sum()


def clouds():
    yield "plane", normal(700, 2), normal(700, 2, seed=1) + 0.1
    yield "64 dimensions", normal(700, 64), normal(700, 64, seed=1)
    yield "low intrinsic dimension", normal(500, 4) @ normal(4, 40), normal(500, 4, seed=1) @ normal(4, 40)
    yield "different sizes", normal(400, 3), normal(650, 3, seed=1)
    yield "few against many", normal(5, 3), normal(960, 3, seed=1)
    yield "collapsed samples", torch.zeros(500, 4, dtype=torch.float64), normal(500, 4)
    yield "ten distinct samples", normal(10, 4)[torch.arange(600) % 10], normal(600, 4, seed=1)
    yield (
        "ties on a lattice",
        torch.arange(400).view(-1, 1).div(7).floor().fmod(5) * normal(1, 2),
        normal(400, 2).round(),
    )
    yield "one point each", normal(1, 2), normal(1, 2, seed=1)


@pytest.mark.parametrize("share", [None, 0.5])
@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize(("name", "x", "y"), list(clouds()), ids=lambda v: v if isinstance(v, str) else "")
def test_costs_in_float32_lie_below_and_the_least_of_them_is_exact(name, x, y, p, share):
    near, exact = Distances(x, y, p), Matrix(cost_matrix(x, y, p))
    cap = np.inf if share is None else float(exact.cost.median()) + 1e-3
    v = exact.cost.amin(0) + 0.1 * normal(len(y), seed=2)
    for i in range(0, len(x), 128):
        low, true = (c.below(slice(i, i + 128), v, cap) for c in (near, exact))
        assert bool((low[:, len(y) :] == np.inf).all())
        missing, size = true - low[:, : len(y)], exact.cost[i : i + 128].clamp_max(cap) + v.abs()
        assert bool((missing >= -(2**-24) * size).all())
        assert bool((missing <= 2**-20 * size).all())
        assert_close(near.least(i, low, v, cap), exact.least(i, true, v, cap), rtol=0, atol=1e-11 * float(size.max()))
    columns, u = torch.arange(min(5, len(y))), exact.cost.amin(1)
    some, all_of = (c.below_columns(columns, u, cap) for c in (near, exact))
    assert_close(some.double(), all_of, rtol=0, atol=2**-20 * float(exact.largest + u.max()))
    assert near.largest == exact.largest


def test_differences_that_float32_cannot_see_are_seen():
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    angle, radius = torch.linspace(0, 6, 500, dtype=torch.float64), 1 + 1e-10 * order.double()
    y = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    near, v = Distances(torch.zeros(3, 2), y), torch.zeros(500, dtype=torch.float64)
    for cap in (np.inf, 1 + 1e-10):
        least = near.least(0, near.below(slice(0, 3), v, cap), v, cap)
        assert_close(least, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("name", "x", "y"), list(clouds()), ids=[c[0] for c in clouds()])
def test_cost_is_that_of_pot_and_duals_are_feasible(name, x, y, p):
    cost = cost_matrix(x, y, p)
    plan = transport(x, y, p=p)
    exact = ot.emd2([], [], cost.numpy(), numItermax=10**9)
    scale = float(cost.max())
    assert_close(plan.primal, exact, rtol=1e-9, atol=1e-12 * scale)
    assert_close(plan.dual, exact, rtol=1e-9, atol=2e-12 * scale)
    assert float((plan.u[:, None] + plan.v - cost).max()) <= 1e-12 * scale
    assert_close(torch.bincount(plan.rows, plan.mass, len(x)), torch.full((len(x),), 1 / len(x), dtype=torch.float64))
    assert_close(torch.bincount(plan.cols, plan.mass, len(y)), torch.full((len(y),), 1 / len(y), dtype=torch.float64))


@pytest.mark.parametrize("zeros", [0, 50])
def test_weighted_measures_agree_with_pot(zeros):
    x, y = normal(400, 3), normal(550, 3, seed=1)
    a, b = weights(400, zeros=zeros), weights(550, seed=1, zeros=zeros)
    plan = transport(x, y, a=a, b=b)
    cost = cost_matrix(x, y)
    assert_close(plan.primal, ot.emd2(a.numpy(), b.numpy(), cost.numpy(), numItermax=10**9), rtol=1e-9, atol=0)
    assert float((plan.u[:, None] + plan.v - cost).max()) <= 1e-12
    assert plan.gap <= 1e-9 * plan.primal


@pytest.mark.parametrize("solver", ["columns", "simplex", "lapjv"])
def test_every_solver_finds_the_assignment_of_scipy(solver):
    cost = torch.rand(450, 450, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    i, j = linear_sum_assignment(cost.numpy())
    assert_close(solve(cost, solver=solver).primal, float(cost[i, j].mean()), rtol=1e-10, atol=0)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(("n", "m"), [(300, 300), (200, 333), (1, 7)])
def test_sorting_on_a_line_equals_the_general_solver_with_feasible_duals(n, m, p):
    x, y = normal(n, 1), normal(m, 1, seed=1).round(decimals=1)  # ties
    for a, b in ((None, None), (weights(n), weights(m, seed=1))):
        line = sort_line(x[:, 0], y[:, 0], p=p, a=a, b=b)
        cost = cost_matrix(x, y, p)
        assert_close(line.primal, solve(cost, a, b).primal, rtol=1e-9, atol=1e-12)
        assert_close(line.dual, line.primal, rtol=1e-9, atol=1e-12)
        assert float((line.u[:, None] + line.v - cost).max()) <= 1e-12
        assert certify(cost, (line.rows, line.cols, line.mass), a, b).gap <= 1e-9


@pytest.mark.parametrize("swap", [2, 300])
def test_a_forged_assignment_is_rejected(swap):
    cost = cost_matrix(normal(600, 2), normal(600, 2, seed=1))
    best = solve(cost)
    cols = best.cols[best.rows.argsort()]
    mass = torch.full((600,), 1 / 600, dtype=torch.float64)
    assert certify(cost, (torch.arange(600), cols, mass)).primal == pytest.approx(best.primal, rel=1e-12)
    forged = cols.clone()
    forged[:swap] = forged[:swap].roll(1)
    with pytest.raises(NotOptimal) as caught:
        certify(cost, (torch.arange(600), forged, mass))
    low, high = caught.value.interval
    assert low <= best.primal < high


def test_a_plan_that_moves_too_little_mass_is_rejected():
    cost = cost_matrix(normal(50, 2), normal(50, 2, seed=1))
    best = solve(cost)
    mass = best.mass.clone()
    mass[0] = 0
    with pytest.raises(BadInput, match="row and column sums"):
        certify(cost, (best.rows, best.cols, mass))


@pytest.mark.parametrize("rows", [[0, 3], [-1, 1], [0]])
def test_a_plan_outside_its_matrix_is_refused(rows):
    with pytest.raises(BadInput, match="rows must be indices below 2"):
        certify(torch.ones(2, 2), (torch.tensor(rows), torch.tensor([0, 1]), torch.full((2,), 0.5)))


def test_bad_potentials_never_certify():
    cost = cost_matrix(normal(300, 2), normal(300, 2, seed=1))
    best = solve(cost)
    with pytest.raises(NotOptimal):
        certify(cost, (best.rows, best.cols, best.mass), potential=best.v + 0.01 * normal(300))


def test_a_simplex_that_stops_early_gives_an_interval_and_no_number():
    cost = cost_matrix(normal(500, 2), normal(500, 2, seed=1))
    with pytest.raises(NotOptimal) as caught:
        solve(cost, solver="simplex", iterations=1000)
    low, high = caught.value.interval
    assert low <= solve(cost).primal <= high


@pytest.mark.slow
def test_the_default_cap_of_pot_is_noticed_at_4000_points():
    cost = cost_matrix(normal(4000, 2), normal(4000, 2, seed=1) + 0.1, 2.0)
    best = solve(cost)
    stopped = ot.emd2([], [], cost.numpy())  # its default, 100,000 pivots
    assert stopped > best.primal * 1.001
    with pytest.raises(NotOptimal):
        solve(cost, solver="simplex", iterations=100_000)


def test_a_cost_of_coincident_points_is_exactly_zero_in_high_dimension():
    x = normal(200, 100) + 1e4
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    cost = cost_matrix(x, x[order])
    assert float(cost[order, torch.arange(200)].max()) == 0
    assert transport(x, x[order]).primal == 0


def test_costs_from_the_matrix_product_are_as_exact_as_direct_ones():
    x, y = normal(300, 64) + 50, normal(280, 64, seed=1) + 50
    y[:5] = x[:5] + 1e-7
    direct = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    assert_close(cost_matrix(x, y), direct, rtol=1e-10, atol=0)
    assert_close(cost_matrix(x, y, 3.0), direct**3, rtol=1e-9, atol=0)


def test_row_order_and_dtype_of_the_points_do_not_move_the_value():
    x, y = normal(400, 3).float(), normal(400, 3, seed=1).float()
    value = transport(x, y).primal
    order = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    assert_close(transport(x[order], y).primal, value, rtol=1e-10, atol=0)
    assert_close(transport(x.double(), y.double()).primal, value, rtol=1e-12, atol=0)


def test_threads_do_not_move_the_value():
    x, y = normal(600, 20), normal(600, 20, seed=1)
    before = torch.get_num_threads()
    values = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            values.append(transport(x, y).primal)
    finally:
        torch.set_num_threads(before)
    assert_close(values[0], values[1], rtol=1e-12, atol=0)


def test_memory_is_refused_before_it_is_taken():
    huge = torch.zeros(1, 2).expand(100_000, 2)
    with pytest.raises(BadInput, match=r"80.00 GB.*draw at most 22360"):
        cost_matrix(huge, huge)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.5}, "p must be at least 1"),
        ({"p": float("nan")}, "p must be at least 1"),
        ({"a": torch.tensor([-0.5, 1.5])}, "not negative"),
        ({"a": torch.tensor([0.5, 0.6])}, "sum to 1"),
        ({"a": torch.tensor([1.0])}, "one weight for each of 2"),
        ({"a": torch.tensor([float("nan"), 1.0])}, "weight 0 is nan"),
        ({"solver": "sort"}, "points on a line"),
        ({"solver": "sinkhorn"}, "solver must be"),
        ({"solver": "lapjv"}, "equal sizes"),
    ],
)
def test_bad_input_is_refused_by_name(change, message):
    with pytest.raises(BadInput, match=message):
        transport(normal(2, 2), normal(3, 2), **change)


def test_a_cost_with_nan_is_refused_instead_of_hanging():
    cost = torch.ones(400, 400, dtype=torch.float64)
    cost[3, 4] = float("nan")
    with pytest.raises(BadInput, match="finite"):
        solve(cost)
    with pytest.raises(BadInput, match="overflow"):
        transport(np.inf * torch.ones(2, 2), torch.ones(2, 2))
