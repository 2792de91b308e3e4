"""What a run ran on: versions, device, threads, source commit. No user, host or absolute path."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganbench.errors import in_one_line as in_one_line
from ganbench.errors import without_paths as without_paths

PACKAGES = (
    "ganbench", "torch", "torchvision", "numpy", "scipy", "POT", "lapx", "scikit-learn", "pandas", "pydantic",
    "safetensors", "matplotlib", "pillow",
)  # fmt: skip
MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG")


def describe() -> dict[str, Any]:
    """The environment of this process; imports torch."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "schema": "ganbench.provenance.environment/1",
        "python": platform.python_version(),
        "os": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "packages": versions(),
        "installed": installed(),
        "torch": {
            "threads": torch.get_num_threads(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
        },
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
        "driver": _driver(),
        "variables": {k: os.environ[k] for k in THREAD_VARIABLES if k in os.environ},
    }


def _driver() -> str | None:
    """The version of NVIDIA's kernel driver; None where there is none."""
    try:
        found = re.search(r"(\d+\.\d+(?:\.\d+)?)", Path("/proc/driver/nvidia/version").read_text(encoding="utf-8"))
    except OSError:
        return None
    return found.group(1) if found else None


def versions() -> dict[str, str | None]:
    """Installed versions of the packages that can move a number."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found | {"ganbench": found["ganbench"] or version()}


def version() -> str:
    """Of this source."""
    from ganbench import __version__

    return __version__


def installed() -> list[str]:
    """Every installed distribution, as name==version: what a constraints file of this environment would say."""
    found = {(d.metadata["Name"] or "", d.version) for d in importlib.metadata.distributions()}
    return sorted((f"{name}=={version}" for name, version in found if name), key=str.lower)


def cpu_name() -> str:
    """The processor's model name."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match.group(1).strip() if match else platform.machine()


def memory_bytes() -> int | None:
    """Physical memory, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def git() -> dict[str, Any]:
    """Commit of the source tree that ganbench runs from, and of what was changed the hash; empty outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return {}
    try:
        commit = _git(root, "rev-parse", "HEAD")
        if not _git(root, "status", "--porcelain", "--untracked-files=no"):
            return {"commit": commit, "dirty": False}
        changes = _git(root, "diff", "HEAD", "--no-color", "--no-ext-diff")
        return {"commit": commit, "dirty": True, "diff_sha256": hashlib.sha256(changes.encode()).hexdigest()}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def determinism(device: str) -> dict[str, Any]:
    """The switches that decide whether a run repeats bit by bit."""
    import torch

    return {
        "device": device,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


def reset_peak_memory() -> None:
    """Start counting peak memory anew, where the system lets us."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Peak resident bytes of this process since the reset, and of the GPU where there is one."""
    found: dict[str, float] = {}
    peak: float | None = _resident("VmHWM")
    if peak is None:
        peak = _most_resident()
    if peak is not None:
        found["peak_rss_bytes"] = peak
    import torch

    if torch.cuda.is_available():
        found["peak_cuda_bytes"] = torch.cuda.max_memory_allocated()
    return found


def _most_resident() -> int | None:
    """Peak resident bytes where there is no /proc: macOS counts in bytes, others in KiB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextlib.contextmanager
def scratch() -> Iterator[dict[str, int]]:
    """Memory that a piece of work takes beyond what was there before: `{"bytes": N}` once it has ended.

    Resident memory, or the device's where CUDA allocates more; empty where the system does not tell. Starts the
    process's peak anew, and lets go of pages that earlier work freed: taken up again, they would not be seen.
    """
    import torch

    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory()
    found: dict[str, int] = {}
    before = _resident("VmRSS"), torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    start = _resident("VmHWM")
    yield found
    if before[0] is not None and start is not None and start > before[0] + (8 << 20):
        return  # the peak was not reset: it is that of earlier work
    after = _resident("VmHWM"), torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    if before[0] is not None and after[0] is not None:
        found["bytes"] = max(0, after[0] - before[0], after[1] - before[1])


def _resident(field: str) -> int | None:
    try:
        match = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(match.group(1)) * 1024 if match else None


def keep_freed_memory() -> None:
    """Let this process keep the pages it frees; its peak stays what it was.

    glibc would return those of large tensors to the kernel, and faulting them in again at the next step costs more than
    the arithmetic on them.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MALLOC_TRIM_THRESHOLD, (1 << 31) - 1)
        mallopt(MALLOC_MMAP_THRESHOLD, 1 << 25)  # the largest that glibc takes


def limit_memory() -> None:
    """Let this process take what is free now and no more: what grows past it fails alone, with an error of its own."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        free, taken = _free_memory(), _resident("VmData")
        if free is not None and taken is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            most = taken + free - free // 20
            resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def kills_for_memory() -> int:
    """How many processes the kernel has killed so far because memory ran out; 0 where it does not say."""
    try:
        found = re.search(r"^oom_kill (\d+)", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def _free_memory() -> int | None:
    """Bytes that can be had without swapping, by the machine and by the control group of this process."""
    free = []
    with contextlib.suppress(OSError, AttributeError, ValueError):
        free.append(int(re.search(r"MemAvailable:\s*(\d+)", Path("/proc/meminfo").read_text()).group(1)) * 1024)  # type: ignore[union-attr]
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        cache = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
        used = int((group / "memory.current").read_text()) - (int(cache.group(1)) if cache else 0)
        free.append(int((group / "memory.max").read_text()) - used)
    return min(free) if free else None
