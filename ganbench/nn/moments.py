"""Moments of batch norms: held still while a loss looks ahead, and taken anew from the events that will be judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrizations import _SpectralNorm

from ganbench.data import Split


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Those in a module."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]


@contextmanager
def without_trace(module: nn.Module) -> Iterator[None]:
    """Norms as the losses see them, while this lasts, of which they remember nothing.

    Batch norm goes by the batch's own moments: a discriminator never sees its running ones, those of data and fakes
    mixed, and what it says by them of a divergence can be wrong by many orders of magnitude. Spectral norm keeps its
    estimate of the singular vectors.
    """
    norms, spectral = batch_norms(module), [m for m in module.modules() if isinstance(m, _SpectralNorm)]
    before = [(m.training, m.track_running_stats) for m in norms]
    training = [m.training for m in spectral]
    try:
        for m in norms:
            m.training, m.track_running_stats = True, False
        for s in spectral:
            s.training = False
        yield
    finally:
        for m, (was, tracks) in zip(norms, before, strict=True):
            m.training, m.track_running_stats = was, tracks
        for s, was in zip(spectral, training, strict=True):
            s.training = was


@torch.no_grad()
def take_moments(module: nn.Module, look: Callable[[Tensor], Any], batches: Iterable[Tensor]) -> None:
    """Running moments of the module's batch norms become the means of those that `look` shows them, batch by batch.

    A judge's are else a mixture of data and fakes, by which no batch was ever normed in training. Norms that `look`
    does not come by stay as they are.
    """
    norms = batch_norms(module)
    if not norms:
        return
    before = [(m.training, m.momentum, {k: v.clone() for k, v in m.named_buffers()}) for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.training, m.momentum = True, None  # a plain mean over batches
    try:
        for x in batches:
            look(x)
    finally:
        for m, (training, momentum, buffers) in zip(norms, before, strict=True):
            m.training, m.momentum = training, momentum
            if not m.num_batches_tracked:
                m.load_state_dict(buffers, strict=False)


def some_batches(data: Split, size: int, rng: torch.Generator, most: int = 100) -> Iterator[Tensor]:
    """At most so many batches of different training events (size, *E), all of one size."""
    size = min(size, len(data))
    order = torch.randperm(len(data), generator=rng, device=rng.device)
    for rows in order.split(size)[:most]:
        if len(rows) == size > 1:  # one event has no moments
            yield data.events(rows)
