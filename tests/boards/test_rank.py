"""Facts of the statistics behind the boards: t intervals, Welch, Holm, letters, ranks with intervals."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganbench.boards.rank import impute_worst, overall, tie_letters
from ganbench.errors import BadInput
from ganbench.stats import estimate, holm, welch

VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=6)


def test_the_interval_is_scipys_student_t() -> None:
    x = [0.31, 0.28, 0.44, 0.39, 0.30]
    e = estimate(x)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(x), scale=stats.sem(x))
    assert (e.low, e.high, e.n) == (pytest.approx(low), pytest.approx(high), 5)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_no_interval_under_three_seeds(n: int) -> None:
    e = estimate([1.0, 2.0][:n])
    assert e.low is None
    assert e.high is None
    assert e.n == n


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = [(e := estimate(row)).low <= 0 <= e.high for row in rng.normal(size=(2000, 3)).tolist()]  # type: ignore[operator]
    assert 0.935 < np.mean(hits) < 0.965  # 3 standard errors of a share of 2,000


@given(VALUES, VALUES)
def test_welch_is_symmetric_and_a_probability(a: list[float], b: list[float]) -> None:
    assert welch(a, b) == pytest.approx(welch(b, a))
    assert 0 <= welch(a, b) <= 1


def test_welch_agrees_with_scipy_and_settles_constants() -> None:
    a, b = [1.0, 1.2, 0.9], [2.0, 2.6, 1.9, 2.2]
    assert welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert welch([8.0] * 3, [8.0] * 3) == 1
    assert welch([8.0] * 3, [7.0] * 3) == 0
    assert welch([8.0], [7.0, 7.1]) == 1  # one seed tells nothing


def test_holm_steps_down() -> None:
    # 0.01 <= .05/4; 0.013 <= .05/3; 0.03 > .05/2 stops the rest, though 0.04 <= .05.
    assert holm([0.04, 0.01, 0.03, 0.013], 0.05) == [False, True, False, True]


@given(st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), VALUES, min_size=1, max_size=7))
def test_letters_are_shared_by_exactly_the_pairs_that_holm_does_not_separate(values: dict[str, list[float]]) -> None:
    letters = tie_letters(values, "min")
    pairs = list(itertools.combinations(sorted(values), 2))
    different = dict(zip(pairs, holm([welch(values[a], values[b]) for a, b in pairs], 0.05), strict=True))
    for (a, b), apart in different.items():
        assert bool(set(letters[a]) & set(letters[b])) != apart
    assert all(letters.values())


def test_the_best_carries_the_letter_a_in_both_directions() -> None:
    values = {"x": [1.0, 1.01, 0.99], "y": [5.0, 5.01, 4.99], "z": [1.0, 1.01, 0.99]}
    assert tie_letters(values, "min") == {"x": "a", "z": "a", "y": "b"}
    assert tie_letters(values, "max") == {"y": "a", "x": "b", "z": "b"}


def test_entries_between_two_groups_carry_both_letters() -> None:
    values = {"low": [0.0, 0.1, 0.2, 0.1], "mid": [0.0, 1.0, 2.0, 1.0], "high": [1.8, 1.9, 2.0, 1.9]}
    assert tie_letters(values, "min") == {"low": "a", "mid": "ab", "high": "b"}


def table(means: dict[str, list[float]], noise: float = 0.01) -> dict[str, tuple[str, dict[str, list[float]]]]:
    """Tasks from entry -> mean per task, with three seeds around each."""
    tasks = len(next(iter(means.values())))
    return {f"t{t}": ("min", {e: [m[t] - noise, m[t], m[t] + noise] for e, m in means.items()}) for t in range(tasks)}


def test_clear_winners_have_tight_intervals() -> None:
    ranks = overall(table({"a": [1, 1, 1], "b": [2, 2, 2], "c": [3, 3, 3]}))
    assert [(r.place, r.low, r.high) for r in ranks.values()] == [(1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_equal_entries_share_a_place_and_the_interval_holds_both() -> None:
    ranks = overall(table({"a": [1, 1], "b": [1, 1], "c": [3, 3]}, noise=0.0))
    assert [(r.place, r.low, r.high) for r in ranks.values()] == [(1, 1, 2), (1, 1, 2), (3, 3, 3)]
    assert ranks["a"].mean_rank == 1.5


def test_direction_turns_the_order() -> None:
    up = {t: ("max", column) for t, (_, column) in table({"a": [1, 1], "b": [2, 2]}).items()}
    assert overall(up)["b"].place == 1


def test_the_order_of_entries_tasks_and_seeds_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    tasks = {f"t{t}": ("min", {f"e{i}": rng.normal(i / 3, 1, 4).tolist() for i in range(6)}) for t in range(3)}
    turned = {t: (d, {e: v[::-1] for e, v in reversed(column.items())}) for t, (d, column) in reversed(tasks.items())}
    assert overall(tasks) == overall(turned)
    for t in tasks:
        assert tie_letters(tasks[t][1], "min") == tie_letters(turned[t][1], "min")


def test_a_diverged_seed_counts_as_the_worst_value_and_a_diverged_entry_comes_last() -> None:
    filled = impute_worst({"a": [1.0, 2.0], "b": [5.0], "c": []}, {"b": 1, "c": 2}, "min")
    assert filled == {"a": [1.0, 2.0], "b": [5.0, 5.0], "c": [math.inf, math.inf]}
    assert impute_worst({"a": [1.0, 2.0], "b": []}, {"a": 1, "b": 3}, "max")["a"] == [1.0, 2.0, 1.0]
    ranks = overall({"t": ("min", filled)})
    assert [ranks[e].place for e in "abc"] == [1, 2, 3]
    assert tie_letters(filled, "min")["c"] not in tie_letters(filled, "min")["a"]


def test_entries_that_always_diverge_tie_with_each_other() -> None:
    filled = impute_worst({"a": [1.0, 2.0], "c": [], "d": []}, {"c": 3, "d": 3}, "min")
    ranks = overall({"t": ("min", filled)})
    assert (ranks["c"].place, ranks["d"].place) == (2, 2)
    assert tie_letters(filled, "min")["c"] == tie_letters(filled, "min")["d"]


def test_an_incomplete_table_is_refused() -> None:
    with pytest.raises(BadInput, match="complete table"):
        overall({"t0": ("min", {"a": [1.0], "b": [2.0]}), "t1": ("min", {"a": [1.0]})})


def test_an_added_entry_far_behind_changes_nobody_elses_interval() -> None:
    means = {"a": [1.0, 1.2], "b": [1.1, 1.1], "c": [1.3, 1.0]}
    before = overall(table(means, 0.2))
    after = overall(table({**means, "z": [1e6, 1e6]}, 0.2))
    assert {e: after[e] for e in means} == before


def test_an_entry_that_blew_up_ties_nobody() -> None:
    tasks = table({"a": [1.0], "b": [2.0], "z": [1e18]}, 0.01)
    assert [r.place for r in overall(tasks).values()] == [1, 2, 3]


def test_means_that_differ_by_rounding_alone_share_a_place() -> None:
    ranks = overall({"t": ("min", {"a": [0.1 + 0.2] * 3, "b": [0.3] * 3})})
    assert [(r.place, r.low, r.high) for r in ranks.values()] == [(1, 1, 2), (1, 1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("tasks", [2, 3, 6, 12])
def test_rank_intervals_cover_the_true_ranks(tasks: int, seeds: int, alike: bool) -> None:
    """True ranks: those of the mean over the board's tasks of the ranks of the entries' true means.

    Eight entries, neighbours a quarter to a half of a standard error apart, in one order on all tasks or in an order of
    its own on each; seeds spread by another amount for each entry and task. Wider apart, intervals cover more: places
    are whole numbers.
    """
    rng = np.random.default_rng((tasks, seeds, alike))
    hits = []
    for gap in [0.25, 0.5] * 75:
        order = np.tile(np.arange(8.0), (tasks, 1))
        means = order if alike else rng.permuted(order, axis=1)
        truth = stats.rankdata(means.mean(0))
        step = gap / math.sqrt(seeds * tasks if alike else seeds)  # alike, the tasks' means join
        spread = np.exp(rng.normal(0, 0.3, (tasks, 8, 1)))
        values = step * means[..., None] + spread * rng.normal(size=(tasks, 8, seeds))
        columns = {f"t{t}": ("min", {f"e{e}": values[t, e].tolist() for e in range(8)}) for t in range(tasks)}
        ranks = overall(columns, draws=500)
        hits += [ranks[f"e{e}"].low <= truth[e] <= ranks[f"e{e}"].high for e in range(8)]
    assert 0.90 <= np.mean(hits) <= 0.98, np.mean(hits)


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "seeds", "entries"), [(2, 3, 8), (3, 5, 8), (6, 3, 8), (12, 5, 20)])
def test_rank_intervals_cover_at_least_as_often_when_entries_stand_apart(tasks: int, seeds: int, entries: int) -> None:
    """Entries spread with SD 1, an entry's quality varies over tasks with SD 1, over seeds with SD 0.7, skewed."""
    rng = np.random.default_rng(tasks * 100 + seeds)
    hits = []
    for _ in range(75):
        means = rng.normal(0, 1, entries) + rng.normal(0, 1, (tasks, entries))
        values = means[..., None] + 0.7 * (rng.lognormal(0, 0.5, (tasks, entries, seeds)) - math.exp(0.125)) / 0.6
        columns = {f"t{t}": ("min", {f"e{e:02}": values[t, e].tolist() for e in range(entries)}) for t in range(tasks)}
        ranks = overall(columns, draws=500)
        truth = stats.rankdata(stats.rankdata(means, axis=1).mean(0))
        hits += [ranks[f"e{e:02}"].low <= truth[e] <= ranks[f"e{e:02}"].high for e in range(entries)]
    assert np.mean(hits) >= 0.93, np.mean(hits)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_task_places_cover_the_true_places_of_contested_entries(seeds: int) -> None:
    """One task, eight entries whose true means lie half a standard error apart; wider apart, intervals cover more."""
    rng = np.random.default_rng(seeds)
    truth = np.arange(8) / (2 * math.sqrt(seeds))
    hits = []
    for _ in range(400):
        values = truth[:, None] + rng.normal(size=(8, seeds))
        ranks = overall({"t": ("min", {f"e{e}": values[e].tolist() for e in range(8)})}, draws=500)
        hits += [ranks[f"e{e}"].low <= e + 1 <= ranks[f"e{e}"].high for e in range(8)]
    assert 0.90 <= np.mean(hits) <= 0.98, np.mean(hits)
