"""What `bench metrics` reports of a case: values that agree, ratios of turns, and the least time that is possible."""

from __future__ import annotations

import pytest

from ganbench.bench import metric_tables, metrics
from ganbench.bench.ceilings import Ceilings, Work

RATES = Ceilings("here", 1, gemm={"float32": 1e9}, copy=1e9, sort={"float32": 1e6}, exp={"float32": 1e7})


def measured(monkeypatch: pytest.MonkeyPatch, made: metrics.Case, turns: int = 3) -> metrics.Result:
    monkeypatch.setitem(metrics.CASES, "made", lambda: made)
    monkeypatch.setattr(metrics, "product_rate", lambda clock: 1e9)
    return metrics.measure("made", turns, "wall", RATES)


class Clock:
    """A clock that only work moves."""

    now = 0.0

    def work(self, seconds: float) -> float:
        self.now += seconds
        return 1.0


def test_a_floor_adds_products_sorts_and_exponentials_at_the_rates_of_the_machine(monkeypatch) -> None:
    clock = Clock()
    monkeypatch.setitem(metrics.CLOCKS, "wall", lambda: clock.now)
    took = iter([0.01, 0.01, 0.02, 0.04])  # the first is the warm-up
    least = Work(flops=2e6, sorted=1e3, exps=1e4)
    found = measured(
        monkeypatch,
        metrics.Case("w", lambda: clock.work(next(took)), lambda: clock.work(0.08), "slow", least=least),
    )
    assert found.floor == pytest.approx(2e-3 + 1e-3 + 1e-3)
    assert (found.seconds, found.peer_seconds, found.ratio) == pytest.approx((0.02, 0.08, 4))
    assert found.ratios == pytest.approx((2, 8))
    assert found.ceiling == pytest.approx(2e6 / 0.02 / 1e9)
    assert found.turns == 3
    assert "20.0x" in metric_tables.render([found])  # the peer's time over the floor


def test_without_a_peer_or_known_work_there_is_no_ratio_and_no_floor(monkeypatch) -> None:
    found = measured(monkeypatch, metrics.Case("w", lambda: 1.0))
    assert (found.ratio, found.ratios, found.ceiling, found.floor) == (None, None, None, None)
    assert metric_tables.render([found]).splitlines()[-1].count("| - ") >= 5


def test_values_that_differ_are_no_comparison(monkeypatch) -> None:
    with pytest.raises(AssertionError):
        measured(monkeypatch, metrics.Case("w", lambda: 1.0, lambda: 1.1))
