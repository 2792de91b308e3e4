"""The quality gate over simulated nights: how often it cries wolf, and what it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from ganbench.errors import BadInput
from ganbench.gates.statistics import detectable, more_often, welch_greater
from ganbench.gates.training import Pool, Runs, read_pools, screen_and_confirm
from ganbench.gates.verdict import Verdict, exit_code
from ganbench.stats import holm

METRICS = 20
SD = 0.2  # of the logarithm over seeds


def night(rng: np.random.Generator, worse_by: Mapping[str, float] = {}, seeds: int = 20) -> list[Verdict]:
    """One night on METRICS independent scores; `worse_by` shifts some of them, in standard deviations."""

    def values(n: int, shift: float = 0.0) -> list[float]:
        return list(np.exp(SD * (rng.standard_normal(n) + shift)))

    pools = {f"m{i}": Pool(tuple(values(seeds)), "min", tolerance=10.0) for i in range(METRICS)}

    def measure(stage: str, names: Sequence[str]) -> dict[str, Runs]:
        n = 5 if stage == "screen" else 10
        return {name: (values(n, worse_by.get(name, 0.0)), 0) for name in names}

    return screen_and_confirm(pools, measure)


def test_false_alarms_and_power_over_2000_nights() -> None:
    rng = np.random.default_rng(0)
    alarms = sum(exit_code(night(rng)) == 1 for _ in range(2000))
    assert alarms <= 0.03 * 2000
    caught = 0
    for _ in range(500):
        verdicts = {v.name: v.outcome for v in night(rng, {"m3": 2.0})}
        caught += verdicts["m3"] == "regression"
    assert caught >= 0.90 * 500


def test_the_detectable_effect_is_detected_as_often_as_said() -> None:
    effect = detectable(20, 5, 10, 0.05, 0.01, 0.8)
    assert 1.4 < effect < 1.9  # 71 % at 1.5 SD and 95 % at 2 SD
    rng = np.random.default_rng(1)
    seen = sum(
        next(v for v in night(rng, {"m0": effect}) if v.name == "m0").outcome == "regression" for _ in range(400)
    )
    assert 0.70 < seen / 400 < 0.88


def test_an_improvement_is_no_regression() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        assert next(v for v in night(rng, {"m0": -5.0}) if v.name == "m0").outcome == "ok"


def test_direction_and_scale() -> None:
    low, high = (1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.0, 1.01, 0.99), (2.0, 2.1, 1.9, 2.05, 1.95)

    def outcome(pool: Pool, values: Sequence[float]) -> str:
        return screen_and_confirm({"x": pool}, lambda stage, names: dict.fromkeys(names, (values * 2, 0)))[0].outcome

    assert outcome(Pool(low, "min"), high) == "regression"
    assert outcome(Pool(low, "max"), high) == "ok"
    negative = tuple(v - 1.5 for v in low)  # an unbiased estimate may be below zero
    assert outcome(Pool(negative, "min", scale="raw", tolerance=1.0), [v - 1.5 for v in high]) == "regression"


def test_small_effects_are_reported_not_failed() -> None:
    pool = Pool(tuple(1 + 1e-6 * i for i in range(10)), "min")
    (verdict,) = screen_and_confirm({"x": pool}, lambda stage, names: {"x": ([1.01 + 1e-6 * i for i in range(10)], 0)})
    assert (verdict.outcome, exit_code([verdict])) == ("note", 0)
    (verdict,) = screen_and_confirm({"x": pool}, lambda stage, names: {"x": ([1.03 + 1e-6 * i for i in range(10)], 0)})
    assert verdict.outcome == "regression"


def test_too_coarse_a_gate_says_so() -> None:
    rng = np.random.default_rng(3)
    values = np.exp(rng.standard_normal(30))
    pool = Pool(tuple(values[:20]), "min", tolerance=0.5)
    (verdict,) = screen_and_confirm({"x": pool}, lambda stage, names: {"x": (list(values[20:]), 0)})
    assert verdict.outcome == "inconclusive"
    assert verdict.numbers["detectable"] > 0.5
    assert exit_code([verdict]) == 4


def test_seeds_that_diverge_count() -> None:
    pool = Pool(tuple(1 + 0.1 * np.sin(i) for i in range(20)), "min", tolerance=10.0)
    all_lost = screen_and_confirm({"x": pool}, lambda stage, n: {"x": ([], 5 if stage == "screen" else 10)})
    assert all_lost[0].outcome == "regression"
    one_lost = screen_and_confirm({"x": pool}, lambda stage, n: {"x": (list(pool.values[:4]), 1)})
    assert one_lost[0].outcome == "ok"


def test_a_pool_of_few_seeds_is_refused() -> None:
    with pytest.raises(BadInput, match="10 seeds or more"):
        screen_and_confirm({"x": Pool((1.0, 2.0, 3.0), "min")}, lambda stage, names: {})
    with pytest.raises(BadInput, match="--update"):
        read_pools('{"run": {}, "pools": {"x": {"values": ["a"]}}}')


def test_one_sided_welch_agrees_with_scipy() -> None:
    from scipy import stats

    rng = np.random.default_rng(4)
    a, b = rng.normal(size=20), rng.normal(0.4, 2.0, size=5)
    expected = stats.ttest_ind(b, a, equal_var=False, alternative="greater").pvalue
    assert welch_greater(list(a), list(b)) == pytest.approx(float(expected), rel=1e-9)
    assert welch_greater([8.0] * 5, [8.0] * 5) == 1.0
    assert welch_greater([8.0] * 5, [9.0] * 5) == 0.0


def test_fisher_agrees_with_scipy() -> None:
    from scipy import stats

    expected = stats.fisher_exact([[3, 2], [1, 19]], alternative="greater").pvalue
    assert more_often((1, 20), (3, 5)) == pytest.approx(float(expected), rel=1e-9)


def test_holm_is_uniformly_at_least_bonferroni() -> None:
    p = [0.001, 0.004, 0.02, 0.5]
    assert holm(p, 0.01) == [True, False, False, False]
    assert holm([0.001, 0.003], 0.01) == [True, True]


def test_exit_codes() -> None:
    def of(*outcomes: str) -> int:
        return exit_code([Verdict("speed", "x", o) for o in outcomes])  # type: ignore[arg-type]

    assert of("ok", "note") == 0
    assert of("noisy", "environment", "regression") == 1
    assert of("noisy", "environment") == 5
    assert of("ok", "inconclusive") == of("noisy") == 4
