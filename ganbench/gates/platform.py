"""Which machines share floating-point results bit for bit, or nearly: the tag that stored curves are kept under."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def platform_tag() -> str:
    """System, machine, processor maker, its vector unit as torch uses it, and torch's minor version."""
    import torch

    version = ".".join(torch.__version__.split(".")[:2])
    unit = torch.backends.cpu.get_cpu_capability().lower()
    parts = [platform.system().lower(), platform.machine(), _maker(), unit, f"torch{version}"]
    return re.sub(r"[^a-z0-9._-]+", "_", "-".join(parts).lower())


def processor(tag: str) -> str:
    """The maker of the processor in a tag: amd, intel or other."""
    return next((maker for maker in ("amd", "intel") if f"-{maker}-" in tag), "other")


def _maker() -> str:
    try:
        match = re.search(r"vendor_id\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        match = None
    return {"AuthenticAMD": "amd", "GenuineIntel": "intel"}.get(match.group(1), "other") if match else "other"
