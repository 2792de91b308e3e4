"""Spectral normalisation of every linear and convolutional layer of a network.

Source      Miyato et al. 2018, arXiv:1802.05957, Algorithm 1; the parametrisation is PyTorch's.
"""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

N = TypeVar("N", bound=nn.Module)


def spectrally_normalised(network: N) -> N:
    """The same network with each weight matrix divided by its largest singular value, in place."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            spectral_norm(layer)
    return network
