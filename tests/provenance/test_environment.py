"""What is said of the machine: memory that work takes, and nothing of whose machine it is."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from ganbench import evaluate
from ganbench.provenance import environment


def told(code: str) -> str:
    """What a fresh process prints: memory that earlier tests left behind would blur it."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is read from /proc")
def test_scratch_is_what_the_work_took_at_its_peak() -> None:
    code = """
import torch
from ganbench.provenance.environment import scratch
with scratch() as nothing:
    pass
with scratch() as used:
    torch.ones(64 << 20, dtype=torch.uint8)
print(nothing.get("bytes", 0), used.get("bytes", -1))
"""
    nothing, used = map(int, told(code).split())
    if used < 0:
        pytest.skip("this system does not reset a process's peak")
    assert nothing < 8 << 20
    assert 60 << 20 < used < 96 << 20


def test_scores_say_what_they_took() -> None:
    x = torch.randn(500, 2)
    with environment.scratch() as used:
        pass
    (score,) = evaluate(x, x + 1, ["wasserstein"])
    assert (score.peak_bytes is None) == ("bytes" not in used)  # said wherever the system tells
    assert score.peak_bytes is None or 0 <= score.peak_bytes < 1 << 30


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc's allocator")
def test_freed_pages_are_kept_on_request() -> None:
    code = """
import resource, torch
from ganbench.provenance.environment import keep_freed_memory
keep_freed_memory()
x = torch.ones(1 << 21)
for i in range(20):
    if i == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step = [x + x for _ in range(8)]  # 64 MB at once, as the activations of a step
    del step
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    # 15 steps of 64 MB are 245,760 pages of 4 KiB; without the call it depends on how the heap happens to lie.
    assert int(told(code)) < 10_000


def test_paths_lose_their_folders() -> None:
    assert environment.without_paths("cannot read /home/someone/data/x.npy: no") == "cannot read x.npy: no"
    assert environment.without_paths("get https://host.org/a/b.pth into /root/.cache/hub") == (
        "get https://host.org/a/b.pth into hub"
    )
