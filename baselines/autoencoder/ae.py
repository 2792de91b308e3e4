"""Autoencoder: a code of each event from which the event can be decoded; it has no prior, so it does not sample.

Source      Hinton and Salakhutdinov 2006, "Reducing the Dimensionality of Data with Neural Networks", Science 313: the
            loss is -log p(x | decoder(encoder(x))), Gaussian (squared error) or Bernoulli (cross entropy).
Departures  1. Trained end to end with Adam and ReLU; the paper pretrains sigmoid layers as Boltzmann machines.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.bases.outputs import Output, check_output, output_error, output_mean
from ganbench.model import Batch, Count, DataSpec, Defaults, register
from ganbench.nn import make_decoder, make_encoder


@register(
    "ae", family="autoencoder", paper="doi:10.1126/science.1127647", gives=("encode", "from_codes", "reconstruct")
)
class Autoencoder(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        latent_dim: Count = 1  # below the two dimensions of the plane: a code of two could copy
        output: Output = "gaussian"

    config: Config
    defaults = Defaults(image={"latent_dim": 30, "output": "bernoulli"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        check_output(spec, c.output)
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=c.output == "gaussian")  # (B, Z) -> (B, *E): logits or means

    def loss(self, batch: Batch) -> Tensor:
        out = self.decoder(self.encoder(batch.x))
        return output_error(batch.x, out, self.spec, self.config.output).mean()

    def from_codes(self, z: Tensor) -> Tensor:
        return output_mean(self.decoder(z), self.spec, self.config.output)
