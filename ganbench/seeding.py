"""One random stream per role, derived by hashing what the role may depend on.

Data order, latent draws and metric draws depend on (data set, seed) only, so that models are compared in pairs on the
same draws; initialisation and training noise depend on the model too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Role = Literal["init", "data", "training", "sampling", "metrics", "labels"]


def seed_for(role: Role, *parts: object) -> int:
    """A 63-bit seed from the role and everything it depends on; stable across processes and machines."""
    text = "\x1f".join([role, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(role: Role, *parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one role."""
    return torch.Generator(device=device).manual_seed(seed_for(role, *parts))


@contextmanager
def global_stream(role: Role, *parts: object) -> Iterator[None]:
    """Seed torch's global generators for what torch draws itself (layer init, dropout); restored on exit."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed_for(role, *parts))
        yield
