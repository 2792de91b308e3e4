"""Networks and layers: shapes in, module out; no training logic."""

from ganbench.nn.architectures import NAMED, ROBUSTNESS, STACKED, Residual, Robustness, Stacked
from ganbench.nn.autoencoder import make_decoder, make_encoder
from ganbench.nn.dcgan import DCGANDiscriminator, DCGANGenerator
from ganbench.nn.default import (
    JudgeNorm,
    adversarial_generator,
    batch_norm,
    make_discriminator,
    make_generator,
    make_judge,
    make_pair,
)
from ganbench.nn.domain import bounds, from_unit, to_unit
from ganbench.nn.donahue import ConditionedGenerator, ConditionedMLP
from ganbench.nn.ema import EMA
from ganbench.nn.history import ParameterHistory
from ganbench.nn.joint import JointDiscriminator
from ganbench.nn.maxout import Maxout, MaxoutDiscriminator
from ganbench.nn.minibatch import MinibatchDiscrimination, MinibatchDiscriminator
from ganbench.nn.mlp import MLP, mlp_discriminator, mlp_generator
from ganbench.nn.packing import check_pack, pack, packed_spec
from ganbench.nn.representation import hidden_layers, pooled
from ganbench.nn.softplus import Softplus
from ganbench.nn.spectral import spectrally_normalised
from ganbench.nn.virtual_norm import VirtualBatchNorm, WithReference
from ganbench.nn.weight_norm import NoisyClassifier, WeightNormLinear
from ganbench.nn.weight_norm_conv import DoublingGenerator, DropoutClassifier

__all__ = [
    "EMA",
    "MLP",
    "NAMED",
    "ROBUSTNESS",
    "STACKED",
    "ConditionedGenerator",
    "ConditionedMLP",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DoublingGenerator",
    "DropoutClassifier",
    "JointDiscriminator",
    "JudgeNorm",
    "Maxout",
    "MaxoutDiscriminator",
    "MinibatchDiscrimination",
    "MinibatchDiscriminator",
    "NoisyClassifier",
    "ParameterHistory",
    "Residual",
    "Robustness",
    "Softplus",
    "Stacked",
    "VirtualBatchNorm",
    "WeightNormLinear",
    "WithReference",
    "adversarial_generator",
    "batch_norm",
    "bounds",
    "check_pack",
    "from_unit",
    "hidden_layers",
    "make_decoder",
    "make_discriminator",
    "make_encoder",
    "make_generator",
    "make_judge",
    "make_pair",
    "mlp_discriminator",
    "mlp_generator",
    "pack",
    "packed_spec",
    "pooled",
    "spectrally_normalised",
    "to_unit",
]
