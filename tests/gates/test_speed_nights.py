"""The speed gate on simulated timings, through the rounds it would play."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganbench.bench.ab import Round
from ganbench.gates.speed import FEWEST, MOST, Trial, collect, judge, outcome, undecided


def invocation(rng: np.random.Generator, slower: float, jitter: float, drift: float = 0.0) -> Trial:
    """Rounds of A B C C B A with independent jitter on every reading, and a drift over the visits."""

    def play() -> Round:
        cost = {"A": 0.0, "B": math.log1p(slower), "C": 0.0}
        seen: dict[str, list[float]] = {"A": [], "B": [], "C": []}
        for i, key in enumerate("ABCCBA"):
            seen[key].append(cost[key] + jitter * rng.standard_normal() + drift * i)
        mean = {k: sum(v) / 2 for k, v in seen.items()}
        return Round({"cpu": mean["B"] - mean["A"]}, {"cpu": mean["C"] - mean["A"]})

    rounds = collect(play, "cpu")
    return Trial(tuple(r.change["cpu"] for r in rounds), tuple(r.control["cpu"] for r in rounds))


def gate(rng: np.random.Generator, slower: float, jitter: float) -> str:
    """Looks as often as the gate does."""
    said = [judge(invocation(rng, slower, jitter))]
    while undecided(said):
        said.append(judge(invocation(rng, slower, jitter)))
    return outcome(said)


def test_no_false_alarm_at_2_percent_jitter_in_1000() -> None:
    rng = np.random.default_rng(0)
    said = [gate(rng, 0.0, 0.02) for _ in range(1000)]
    assert said.count("slower") == 0
    assert said.count("ok") >= 950


def test_a_10_percent_slowdown_is_caught() -> None:
    rng = np.random.default_rng(1)
    assert sum(gate(rng, 0.10, 0.02) == "slower" for _ in range(500)) >= 0.95 * 500


def test_a_noisy_machine_is_called_noisy() -> None:
    rng = np.random.default_rng(2)
    said = [gate(rng, 0.0, 0.20) for _ in range(300)]
    assert said.count("slower") <= 3
    assert said.count("noisy") >= 200


def test_twice_as_slow_is_seen_on_a_noisy_machine() -> None:
    rng = np.random.default_rng(3)
    assert sum(gate(rng, 1.0, 0.05) == "slower" for _ in range(200)) >= 190


def test_rounds_are_added_until_the_bound_is_narrow() -> None:
    rng = np.random.default_rng(4)
    quiet, loud = invocation(rng, 0.0, 0.005), invocation(rng, 0.0, 0.3)
    assert len(quiet.change) == FEWEST
    assert len(loud.change) == MOST


def test_drift_cancels_within_a_round() -> None:
    rng = np.random.default_rng(5)
    trial = invocation(rng, 0.0, 1e-6, drift=0.1)
    assert max(map(abs, trial.change)) < 1e-4
    assert max(map(abs, trial.control)) < 1e-4


@pytest.mark.parametrize("moved", [0.05, -0.05])
def test_a_control_that_moves_makes_it_noisy(moved: float) -> None:
    steady = tuple(0.05 + 1e-4 * i for i in range(7))
    assert judge(Trial(steady, (0.0,) * 7)) == "slower"
    assert judge(Trial(steady, (moved,) * 7)) == "noisy"
    assert judge(Trial(steady, (0.0,) * 7), machine=(moved,) * 7) == "noisy"
    assert judge(Trial((0.001,) * 7, (moved,) * 7)) == "noisy"
    assert judge(Trial(tuple(0.7 + v for v in steady), (moved,) * 7)) == "slower"  # far beyond what the control moved


def test_what_could_not_tell_is_looked_at_again_and_only_three_slow_looks_fail() -> None:
    assert undecided(["noisy"])
    assert not undecided(["noisy", "ok"])
    assert outcome(["noisy", "ok"]) == "ok"
    assert undecided(["noisy", "slower", "slower"])
    assert outcome(["noisy", "slower", "slower", "slower"]) == "slower"
    assert outcome(["slower", "slower", "ok"]) == "ok"
    assert not undecided(["noisy"] * 5)
    assert outcome(["slower", "noisy", "noisy", "slower", "noisy"]) == "noisy"
