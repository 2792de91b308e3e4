"""Packing: the discriminator judges m examples at once, side by side in the channels or in the vector.

Source      Lin et al. 2018, "PacGAN: The power of two samples in generative adversarial networks", section 2.
Shapes      B batch, m pack, D dimensions, C H W image.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from ganbench.data import DataSpec
from ganbench.errors import BadConfig


def pack(x: Tensor, m: int) -> Tensor:
    """(B, D) -> (B / m, m D), or (B, C, H, W) -> (B / m, m C, H, W): m consecutive examples become one."""
    return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])


def packed_spec(spec: DataSpec, m: int) -> DataSpec:
    """The spec of packs: m times the channels or dimensions."""
    return replace(spec, event_shape=(m * spec.event_shape[0], *spec.event_shape[1:]))


def check_pack(batch_size: int, m: int) -> None:
    """Raise `BadConfig` unless packs of m fill the batch exactly."""
    if batch_size % m:
        near = max(m, batch_size // m * m)
        raise BadConfig(f"batch_size must be a multiple of the pack size {m}; got {batch_size}, try {near}")
