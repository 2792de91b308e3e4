"""Networks and layers: shapes in, module out; no training logic."""

from ganbench.nn.autoencoder import make_decoder, make_encoder
from ganbench.nn.dcgan import DCGANDiscriminator, DCGANGenerator
from ganbench.nn.default import make_discriminator, make_generator
from ganbench.nn.ema import EMA
from ganbench.nn.mlp import MLP, mlp_discriminator, mlp_encoder, mlp_generator
from ganbench.nn.spectral import spectrally_normalised

__all__ = [
    "EMA",
    "MLP",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "make_decoder",
    "make_discriminator",
    "make_encoder",
    "make_generator",
    "mlp_discriminator",
    "mlp_encoder",
    "mlp_generator",
    "spectrally_normalised",
]
