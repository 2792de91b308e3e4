"""The kernels under pytest-benchmark: `pytest tests/benchmarks -m slow --benchmark-only --benchmark-compare`.

They measure; what the same calls compute is tested in tests/ops and tests/bench.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganbench.bench.workloads import CASES, DTYPES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.available])
def test_kernel(benchmark: Any, name: str) -> None:
    c = CASES[name]
    benchmark(c.make(c.n // 4, c.d, DTYPES[c.dtypes[0]], torch.device("cpu")).call)
