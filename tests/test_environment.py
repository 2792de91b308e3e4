"""What is said of the machine: memory that work takes, and nothing of whose machine it is."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from ganbench import environment, evaluate


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_scratch_is_what_the_work_took_at_its_peak() -> None:
    with environment.scratch() as nothing:
        pass
    with environment.scratch() as used:
        torch.ones(64 << 20, dtype=torch.uint8)
    if "bytes" not in used:
        pytest.skip("this system does not reset a process's peak")
    assert nothing.get("bytes", 0) < 8 << 20
    assert 60 << 20 < used["bytes"] < 96 << 20


def test_scores_say_what_they_took() -> None:
    x = torch.randn(500, 2)
    (score,) = evaluate(x, x + 1, ["wasserstein"])
    assert score.peak_bytes is None or 0 <= score.peak_bytes < 1 << 30


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc's allocator")
def test_freed_pages_are_kept_on_request() -> None:
    code = """
import resource, sys, torch
from ganbench.environment import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
x = torch.ones(1 << 22)
for _ in range(3):
    y = x + x  # 16 MB each time
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    y = x + x
    del y
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {
        how: int(subprocess.run([sys.executable, "-c", code, how], capture_output=True, check=True, text=True).stdout)
        for how in ("keep", "free")
    }
    assert faults["keep"] < 20_000, faults  # 4,096 pages a tensor would be 80,000
    assert faults["keep"] <= faults["free"]


def test_paths_lose_their_folders() -> None:
    assert environment.without_paths("cannot read /home/someone/data/x.npy: no") == "cannot read x.npy: no"
