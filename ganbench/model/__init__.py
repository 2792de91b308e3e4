"""The contract of a model, what GANs share, and the door by which every model is made.

What follows is all that a model's file needs: the contract (`ganbench.model.contract`) with the types of its arguments,
and `GAN`. The harness makes models by `ganbench.model.make`.
"""

from ganbench.data import HORIZON, Batch, DataSpec, Split
from ganbench.data.density import Density, Gaussian, Inferred, Metered
from ganbench.errors import NotApplicable
from ganbench.model.contract import (
    Budget,
    Capability,
    Config,
    Count,
    Defaults,
    Fraction,
    Model,
    NonNegative,
    Player,
    Positive,
    Probability,
    register,
)
from ganbench.model.gan import GAN

__all__ = [
    "GAN",
    "HORIZON",
    "Batch",
    "Budget",
    "Capability",
    "Config",
    "Count",
    "DataSpec",
    "Defaults",
    "Density",
    "Fraction",
    "Gaussian",
    "Inferred",
    "Metered",
    "Model",
    "NonNegative",
    "NotApplicable",
    "Player",
    "Positive",
    "Probability",
    "Split",
    "register",
]  # fmt: skip
