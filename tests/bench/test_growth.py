"""The growth page: its fit finds the exponent of a law, and its tables name all that the script covers; untimed."""

from __future__ import annotations

import math

import growth
import pytest
import torch
from growth import Growth, Reading

from ganbench.bench.workloads import CASES
from ganbench.registry import METRICS

SUBJECTS = [s.name for s in (*growth.kernels(), *growth.metrics())]


def made_up(name: str, exponent: float = 2.0, scratch: float = 1.0) -> Growth:
    """Readings of exact laws: 2 us n^exponent d, 4 kB n^scratch."""
    sizes = (1000, 2000, 4000, 8000)
    over_n = [Reading(n, 64, 2e-6 * n**exponent * 64, int(4096 * n**scratch)) for n in sizes]
    return Growth(name, over_n, [Reading(2000, d, 2e-6 * 2000**exponent * d, None) for d in (16, 64, 256)])


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.7, 3.0])
def test_the_fit_of_a_law_is_the_law(exponent: float) -> None:
    found = growth.fit([10, 20, 40, 80], [3e-6 * n**exponent for n in (10, 20, 40, 80)])
    assert found.exponent == pytest.approx(exponent, abs=1e-9)
    assert found.half == pytest.approx(0, abs=1e-6)
    assert found.at(1e6) == pytest.approx(3e-6 * 1e6**exponent)


def test_the_interval_holds_the_exponent_nineteen_times_in_twenty() -> None:
    rng, sizes, hits, draws = torch.Generator().manual_seed(0), [500, 1000, 2000, 4000], 0, 1000
    for _ in range(draws):
        noise = torch.randn(4, generator=rng, dtype=torch.float64).mul(0.1).exp().tolist()
        found = growth.fit(sizes, [n**2 * e for n, e in zip(sizes, noise, strict=True)])
        hits += abs(found.exponent - 2) <= found.half
    # Exact for normal errors of the logarithm; four standard deviations of the count.
    assert abs(hits / draws - 0.95) < 4 * math.sqrt(0.95 * 0.05 / draws)


def test_a_line_says_what_a_million_rows_cost() -> None:
    cells = growth.row(made_up("a", 2.0, 2.0))
    # 2e-6 * 64 * 1e12 = 1.28e8 s; 4096 * 1e12 bytes.
    assert cells[0] == "`a`"
    assert cells[4:8] == ["2.00 ± 0.00", "1.00 ± 0.00", "2.00 ± 0.00", "4.1 years"]
    assert cells[8:] == ["4,096 TB", "no"]
    little = Growth("b", [Reading(n, 64, 1e-6 * n, 1 << 20) for n in (1000, 2000, 4000, 8000)])
    assert growth.row(little)[5:] == ["–", "–", "1 s", "1 MB", "yes"]  # too little scratch to fit, no dimensions
    late = Growth("d", [Reading(n, 64, 1e-6 * n, 1024 * n) for n in (1000, 2000, 4000, 8000)])
    assert growth.row(late)[6:] == ["–", "1 s", "–", "–"]  # too few readings above what can be told: no saying
    untold = Growth("c", [Reading(n, 64, 1e-6 * n, None) for n in (1000, 2000, 4000, 8000)])
    assert growth.row(untold)[6:] == ["–", "1 s", "–", "–"]


def test_the_page_lists_every_kernel_and_every_metric_of_plain_sets() -> None:
    of_kernels, of_metrics = ([made_up(s.name) for s in found] for found in (growth.kernels(), growth.metrics()))
    text = growth.page(of_kernels, of_metrics, "a machine")
    lines = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]
    assert lines == [f"`{name}`" for name in SUBJECTS]
    assert set(CASES) <= set(SUBJECTS)
    assert {"mmd", "wasserstein", "frechet", "prdc", "inception_score"} <= set(SUBJECTS)
    left_out = [e for e in METRICS if e.name not in SUBJECTS]
    assert all(set(e.needs) - growth.SETS for e in left_out)  # each asks for something that is no plain set


def test_what_metrics_are_given_differs_by_name_and_has_the_size_asked_for() -> None:
    x, y = growth.inputs("samples", 50, 8), growth.inputs("reference", 50, 8)
    assert x.shape == y.shape == (50, 8)
    assert not torch.equal(x, y)
    assert growth.inputs("probs", 50, 8).sum(1).allclose(torch.ones(50))
    assert growth.inputs("samples", 5, 8, image=True).abs().max() <= 1
