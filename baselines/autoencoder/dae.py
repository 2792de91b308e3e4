"""Denoising autoencoder: reconstructs the clean event from a corrupted one.

Source      Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders" (ICML),
            section 2: masking noise; Gaussian noise is that of Vincent et al. 2010 (JMLR 11), section 3.
Departures  1. One autoencoder trained end to end with Adam instead of a stack pretrained layer by layer.
            2. Gaussian noise on vectors, where setting a coordinate to zero is no corruption of a known kind.
Shapes      B batch, Z latent_dim, *E event shape.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ganbench.bases.encoder_decoder import EncoderDecoder
from ganbench.bases.outputs import Output, check_output, output_error, output_mean
from ganbench.model import Batch, Count, DataSpec, Defaults, Positive, Probability, register
from ganbench.nn import make_decoder, make_encoder


@register("dae", family="autoencoder", paper="Vincent et al., ICML 2008", gives=("encode", "from_codes", "reconstruct"))
class DenoisingAutoencoder(EncoderDecoder):
    class Config(EncoderDecoder.Config):
        latent_dim: Count = 32  # may exceed the event's size: the noise keeps it from copying
        corruption: Literal["masking", "gaussian"] = "gaussian"
        p_mask: Probability = 0.25  # share of the numbers set to the low end of the domain (0 on vectors)
        noise_std: Positive = 0.3
        output: Output = "gaussian"

    config: Config
    defaults = Defaults(image={"corruption": "masking", "output": "bernoulli"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c = spec, self.config
        check_output(spec, c.output)
        self.encoder = make_encoder(spec, c, c.latent_dim)  # (B, *E) -> (B, Z)
        self.decoder = make_decoder(spec, c, bounded=c.output == "gaussian")  # (B, Z) -> (B, *E): logits or means

    def corrupt(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """A noisy copy: (B, *E) -> (B, *E)."""
        if self.config.corruption == "gaussian":
            return x + self.config.noise_std * torch.randn(x.shape, generator=rng, device=x.device)
        masked = torch.rand(x.shape, generator=rng, device=x.device) < self.config.p_mask
        return x.masked_fill(masked, 0.0 if self.spec.domain is None else self.spec.domain[0])

    def loss(self, batch: Batch) -> Tensor:
        out = self.decoder(self.encoder(self.corrupt(batch.x, batch.rng)))  # from the noisy event ...
        return output_error(batch.x, out, self.spec, self.config.output).mean()  # ... to the clean one

    def from_codes(self, z: Tensor) -> Tensor:
        return output_mean(self.decoder(z), self.spec, self.config.output)
