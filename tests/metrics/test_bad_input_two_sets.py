"""Every metric of two sets refuses bad sets with an error that names the argument and the cure; dtypes agree."""

from __future__ import annotations

import inspect

import pytest
import torch

from ganbench.errors import BadInput
from ganbench.metrics.frechet import frechet
from ganbench.metrics.mmd import kid, mmd
from ganbench.metrics.neighbors import authenticity, nn_two_sample, prdc
from ganbench.metrics.realism import realism
from ganbench.metrics.sliced import max_sliced_wasserstein, sliced_wasserstein
from ganbench.registry import METRICS as REGISTRY

METRICS = [mmd, kid, sliced_wasserstein, max_sliced_wasserstein, frechet, prdc, nn_two_sample, authenticity, realism]


def call(metric, x, y):
    """The metric on two sets, its generator seeded anew."""
    options = {"rng": torch.Generator().manual_seed(0)} if "rng" in inspect.signature(metric).parameters else {}
    result = metric(x, y, **options)
    return result if isinstance(result, list) else [result]


def argument(metric, position):
    return list(inspect.signature(metric).parameters)[position]


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.__name__)
class TestBadSets:
    def test_nan_and_infinity_name_the_row(self, metric, rng):
        for position in (0, 1):
            sets = [torch.randn(30, 4, generator=rng), torch.randn(30, 4, generator=rng)]
            sets[position][17, 2] = [torch.nan, torch.inf][position]
            with pytest.raises(BadInput, match=rf"{argument(metric, position)}.*row 17"):
                call(metric, *sets)

    def test_empty_sets_shapes_dtypes_and_types(self, metric, rng):
        x = torch.randn(30, 4, generator=rng)
        first, second = argument(metric, 0), argument(metric, 1)
        with pytest.raises(BadInput, match=f"{first} must hold at least"):
            call(metric, x[:0], x)
        with pytest.raises(BadInput, match=f"{second} must hold at least"):
            call(metric, x, x[:0])
        with pytest.raises(BadInput, match=f"{first} and {second} must share an event shape"):
            call(metric, x, x[:, :3])
        with pytest.raises(BadInput, match=f"{first} and {second} must share dtype"):
            call(metric, x, x.double())
        with pytest.raises(BadInput, match=f"{first} must be floating point"):
            call(metric, (x * 10).to(torch.uint8), x)
        with pytest.raises(BadInput, match=f"{second} must have shape"):
            call(metric, x, x[:, 0])
        with pytest.raises(BadInput, match=f"{first} must be a tensor"):
            call(metric, x.tolist(), x)

    def test_half_and_single_precision_agree_with_double(self, metric, rng):
        x, y = torch.randn(120, 6, generator=rng), torch.randn(110, 6, generator=rng) * 1.1 + 0.2
        exact = call(metric, x.half().double(), y.half().double())
        for dtype, tolerance in ((torch.float32, 2e-5), (torch.float16, 2e-5)):  # half is lifted to float32 at once
            got = call(metric, x.half().to(dtype), y.half().to(dtype))
            for a, b in zip(got, exact, strict=True):
                assert a.value == pytest.approx(b.value, rel=tolerance, abs=1e-6), a.name
                assert a.direction == REGISTRY.get(a.name).direction
                assert a.n == 120

    def test_order_of_rows_does_not_matter(self, metric, rng):
        x, y = torch.randn(90, 5, generator=rng).double(), torch.randn(80, 5, generator=rng).double() + 0.3
        if metric is kid:
            metric_scores = (kid(x, y, rng=rng)[1:], kid(x.flip(0), y.flip(0), rng=rng)[1:])  # subsets are drawn by row
        else:
            metric_scores = call(metric, x, y), call(metric, x.flip(0), y.flip(0))
        for a, b in zip(*metric_scores, strict=True):
            # the ascent of the max-sliced distance amplifies roundings of its path
            assert a.value == pytest.approx(b.value, rel=1e-3 if "max" in a.name else 1e-9), a.name
