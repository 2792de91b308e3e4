"""PRD: the curve written out, known answers, which end weighs what, the error, sizes that differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganbench.errors import BadConfig
from ganbench.metrics.precision_recall_curve import prd
from ganbench.ops.clusters import Clusters


def values(x, y, rng, **options):
    return {s.name: s.value for s in prd(x, y, rng=rng, **options)}


def test_agrees_with_the_algorithm_written_out(rng):
    x, y = torch.randn(300, 6, generator=rng) * 1.3, torch.randn(200, 6, generator=rng) + 0.4
    ours = values(x, y, torch.Generator().manual_seed(5), clusters=8, clusterings=3, slopes=501)
    seeded, both = torch.Generator().manual_seed(5), torch.cat([x, y])
    curves = []
    for _ in range(3):  # Algorithm 1 of the paper
        cells = torch.cdist(both.double(), Clusters.of(both, 8, seeded).centers).argmin(1).numpy()
        p, q = (np.bincount(c, minlength=8) / len(c) for c in (cells[:300], cells[300:]))
        curves.append([])
        for angle in np.linspace(1e-6, np.pi / 2 - 1e-6, 501):
            alpha = sum(min(np.tan(angle) * b, a) for a, b in zip(p, q, strict=True))
            curves[-1].append((alpha, alpha / np.tan(angle)))
    precision, recall = np.mean(curves, axis=0).T
    for name, beta in (("prd_f8", 8), ("prd_f1_8", 1 / 8)):
        f = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
        assert ours[name] == pytest.approx(f.max(), rel=1e-9)


def test_equal_sets_give_one_and_disjoint_sets_nought(rng):
    x = torch.randn(200, 4, generator=rng)
    assert values(x, x.flip(0), rng) == pytest.approx({"prd_f8": 1, "prd_f1_8": 1}, abs=1e-5)
    assert values(x + 100, x, rng) == pytest.approx({"prd_f8": 0, "prd_f1_8": 0}, abs=1e-5)


def test_dropped_modes_cost_recall_and_invented_ones_precision(rng):
    modes = 20.0 * torch.eye(10)
    k = torch.arange(600)
    few, all_ = modes[k % 5], modes[k % 10]
    few, all_ = (m + torch.randn(600, 10, generator=rng) for m in (few, all_))
    dropped, invented = values(few, all_, rng, clusters=10), values(all_, few, rng, clusters=10)
    # half the modes: recall one half at precision 1, and the other way round
    assert dropped["prd_f1_8"] > 0.9 > 0.6 > dropped["prd_f8"] > 0.4
    assert invented["prd_f8"] > 0.9 > 0.6 > invented["prd_f1_8"] > 0.4


def test_it_sees_little_within_a_cluster(rng):
    found = values(1.2 * torch.randn(1000, 16, generator=rng), torch.randn(1000, 16, generator=rng), rng)
    assert found == pytest.approx({"prd_f8": 0.99, "prd_f1_8": 0.99}, abs=0.01)


def test_the_error_is_that_of_repeated_draws(rng):
    def draw():
        return prd(torch.randn(300, 3, generator=rng) + 0.7, torch.randn(250, 3, generator=rng), rng=rng, clusterings=2)

    scores = [draw() for _ in range(40)]
    for i in range(2):
        spread = np.std([s[i].value for s in scores])
        assert 0.7 < spread / np.mean([s[i].se for s in scores]) < 1.4  # 40 draws tell it to 11 %


def test_bad_options_are_refused(rng):
    x = torch.randn(30, 2, generator=rng)
    with pytest.raises(BadConfig, match="clusters"):
        prd(x, x, rng=rng, clusters=1)
