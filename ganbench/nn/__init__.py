"""Networks and layers: shapes in, module out; no training logic."""

from ganbench.nn.autoencoder import make_decoder, make_encoder
from ganbench.nn.dcgan import DCGANDiscriminator, DCGANGenerator
from ganbench.nn.default import make_discriminator, make_generator
from ganbench.nn.domain import bounds, from_unit, to_unit
from ganbench.nn.ema import EMA
from ganbench.nn.joint import JointDiscriminator
from ganbench.nn.mlp import MLP, mlp_discriminator, mlp_encoder, mlp_generator

__all__ = [
    "EMA",
    "MLP",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "JointDiscriminator",
    "bounds",
    "from_unit",
    "make_decoder",
    "make_discriminator",
    "make_encoder",
    "make_generator",
    "mlp_discriminator",
    "mlp_encoder",
    "mlp_generator",
    "to_unit",
]
