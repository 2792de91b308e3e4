"""Ceilings, timings and tables: sane on any machine, and the arithmetic behind the shares."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ganbench.bench import ceilings, kernels, tables, workloads
from ganbench.bench.ceilings import Ceilings, Work
from ganbench.bench.timing import interleave, ratio, repeat, summary
from ganbench.bench.train import PlainLoop, iteration_flops, turns
from ganbench.data import DataSpec, Split
from ganbench.engine.turns import matmul_precision
from ganbench.errors import UnknownName
from ganbench.model.make import make

BEST = Ceilings("test", 1, {"float32": 1e9}, copy=1e8, sort={"float32": 1e6}, exp={"float32": 1e7})


def test_the_floor_overlaps_traffic_and_adds_sorting() -> None:
    assert BEST.floor(Work(flops=2e9), "float32") == pytest.approx(2.0)
    assert BEST.floor(Work(flops=2e9, bytes=3e8), "float32") == pytest.approx(3.0)
    assert BEST.floor(Work(flops=1e9, sorted=5e5, exps=1e7), "float32") == pytest.approx(2.5)


def test_ceilings_are_sane() -> None:
    best = ceilings.measure(("float32", "float64"), clock="cpu")
    assert best.gemm["float32"] > 1.2 * best.gemm["float64"] > 1e8
    assert best.copy > 1e8
    assert best.sort["float32"] > 1e5
    small = ceilings.gemm_rate(4, 4, 4, clock="cpu")
    assert small < best.gemm["float32"] / 10  # a ceiling is what large products reach


def test_no_kernel_beats_its_ceiling_and_peers_do_the_same_work() -> None:
    best = ceilings.measure(("float32", "float64", "bfloat16"), clock="cpu")
    for name in ("pairwise_tiles", "mmd_sums"):
        row = kernels.row(kernels.CASES[name], "float32", best, clock="cpu", seconds=0.05)
        assert 0.01 < row.ceiling < 1.15
        assert row.items_per_s == pytest.approx(row.n**2 * (2 if name == "mmd_sums" else 1) / row.median_s, rel=1e-6)


@pytest.mark.parametrize("name", [n for n, c in workloads.CASES.items() if c.available])
def test_every_kernel_runs_small_in_all_its_precisions(name: str) -> None:
    c = workloads.CASES[name]
    for dtype in c.dtypes:
        load = c.make(16, 8, workloads.DTYPES[dtype], torch.device("cpu"))
        load.call()
        if load.peer is not None:
            load.peer()
        assert load.flops > 0
        assert load.items > 0


def test_unknown_kernels_are_refused() -> None:
    with pytest.raises(UnknownName, match="pairwise_tiles"):
        kernels.chosen(["pairwise_tile"])


def test_slope_of_a_power_law() -> None:
    assert kernels.slope([1, 2, 4, 8], [3 * n**1.7 for n in (1, 2, 4, 8)]) == pytest.approx(1.7)


def test_timing_of_known_work() -> None:
    times = summary([3.0, 1.0, 2.0])
    assert (times.median, times.best, times.spread) == (2.0, 1.0, 1.0)
    assert ratio([2.0, 6.0], [1.0, 2.0]) == (2.5, 2.0, 3.0)
    x = torch.rand(64, 64)
    assert 0 < repeat(lambda: x @ x, clock="cpu", seconds=0.02).median < 0.1
    found = interleave({"one": lambda: x @ x, "four": lambda: [x @ x for _ in range(4)]}, clock="cpu", rounds=5)
    assert 2 < ratio(found["four"], found["one"])[0] < 8


def test_flops_of_an_mlp_gan_are_counted() -> None:
    spec = DataSpec("vector", (2,), n_train=64, n_eval=64)
    model = make("gan_ns", spec, {"hidden": (128, 128), "latent_dim": 64})
    data = Split(torch.randn(64, 2))
    g, d = 64 * 128 + 128 * 128 + 128 * 2, 2 * 128 + 128 * 128 + 128
    # Forward: generator twice, discriminator three times. Backward: weights of each on its turn, inputs beyond the
    # first layer (twice in the discriminator's turn, all of it in the generator's).
    inputs = (d - 2 * 128) * 2 + d + (g - 64 * 128)
    assert iteration_flops(model, data) == pytest.approx(2 * 64 * (2 * g + 3 * d + g + 2 * d + inputs))
    assert turns(model) == 2


def test_flops_of_gradient_penalties_and_large_layers_are_counted() -> None:
    spec = DataSpec("vector", (2,), n_train=64, n_eval=64)
    data = Split(torch.randn(64, 2))
    plain, penalised = (iteration_flops(make(name, spec, {"hidden": (300, 300)}), data) for name in ("wgan", "wgan_gp"))
    assert penalised > plain > 2 * 64 * 300 * 300 * 10  # the layers of 90,000 weights go through oneDNN


def test_the_plain_loop_takes_the_same_steps_as_the_engine() -> None:
    from ganbench.engine.loop import train
    from ganbench.model import Budget

    spec = DataSpec("vector", (2,), n_train=256, n_eval=64)
    data = Split(torch.randn(256, 2, generator=torch.Generator().manual_seed(1)))
    ours, plain = (make("gan_ns", spec, {"decay": "none"}) for _ in range(2))
    train(ours, data, Budget(iterations=5), torch.Generator().manual_seed(0))
    PlainLoop(plain, data, torch.Generator().manual_seed(0)).run(5)
    for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_precision_rounds_while_it_lasts() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    a, b = torch.rand(256, 256), torch.rand(256, 256)
    exact = a @ b
    with matmul_precision("bf16"):
        rounded = a @ b
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    torch.testing.assert_close(a @ b, exact, rtol=0, atol=0)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=2**-7, atol=0)  # each input to 8 bits


def test_pages_are_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    rows = [
        kernels.Row("sliced_loss", "float32", 256, 64, 1e-3, 0.1, 1e6, "projections", 0.0, 2.0, 0.06, "", None),
        kernels.Row("pairwise_tiles", "float32", 2048, 64, 1e-3, 0.1, 1e6, "pairs", 0.1, 70.0, 0.72, "cdist", 1.3),
    ]
    lines = [kernels.Scaling("sliced_loss", (128, 256), (1e-3, 2e-3), 1.0)]
    best = Ceilings("A CPU", 1, {"float32": 1e11}, 1e10, {"float32": 1e8}, {"float32": 1e9})
    first = {p.name: p.read_bytes() for p in tables.write_kernels(tmp_path, best, rows, lines, "cpu", "cpu")}
    again = {p.name: p.read_bytes() for p in tables.write_kernels(tmp_path, best, rows, lines, "cpu", "cpu")}
    assert first == again
    page = next(v.decode() for k, v in first.items() if k.endswith(".md") and k != "README.md")
    assert "`sliced_loss` (6%)" in page  # below half of the ceiling: explained
    assert "pairwise_tiles` (" not in page


def test_every_kernel_has_an_explanation() -> None:
    assert set(workloads.CASES) == set(tables.WHY)
    assert all(math.isfinite(c.n * c.d) for c in workloads.CASES.values())
