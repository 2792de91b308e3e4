"""Semi-supervised ALI: the discriminator of pairs (event, code) also says the class of the real ones.

Source      Dumoulin et al. 2017, "Adversarially Learned Inference", section 4.3: K + 1 classes, the last for generated
            pairs; no feature matching. The loss of K + 1 classes is that of Salimans et al. 2016, section 5.
Departures  1. Players take turns; the default networks; noise on the discriminator's events stands for dropout.
            2. Adam at 1e-3, on images at 5e-4, for budgets far below the paper's thousands of epochs at 1e-4.
            3. Events are classified with the mean of their code, not with a draw.
Shapes      B batch, L labelled, Z latent_dim, K classes, *E event shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.adversarial import discriminator_bce
from ganbench.losses.likelihoods import gaussian_draw
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Player, register
from ganbench.nn import JointDiscriminator, make_encoder, make_generator


@register(
    "ali_semisup",
    family="semi_supervised",
    paper="arXiv:1606.00704",
    gives=("sample", "encode", "reconstruct", "classify"),
    needs=("labels",),
)
class SemiSupervisedALI(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        input_noise: NonNegative = 0.3

    config: Config
    defaults = Defaults(image={"latent_dim": 64, "lr": 5e-4, "decay": "none"})

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        self.generator = make_generator(spec, c)  # (B, Z) -> (B, *E)
        self.encoder = make_encoder(spec, c, 2 * c.latent_dim)  # (B, *E) -> (B, 2 Z): mean and log variance of q(z | x)
        # (B, *E), (B, Z) -> (B, K); the logit of "generated" is held at 0
        self.discriminator = JointDiscriminator(spec, c, (c.latent_dim,), (k,))

    def players(self) -> list[Player]:
        coders = nn.ModuleList([self.generator, self.encoder])
        return [
            Player("discriminator", self.discriminator, self.discriminator_loss, self.adam),
            Player("generator and encoder", coders, self.coders_loss, self.adam),
        ]

    def infer(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """z ~ q(z | x), reparametrised: (B, *E) -> (B, Z)."""
        return gaussian_draw(*self.encoder(x).chunk(2, 1), rng=rng)

    def judge(self, x: Tensor, z: Tensor, rng: torch.Generator) -> Tensor:
        """Class logits of pairs whose events carry noise: (B, *E), (B, Z) -> (B, K)."""
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        return self.discriminator(x + self.config.input_noise * noise, z)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        x_labelled, y = batch.labelled
        rng = batch.rng
        with torch.no_grad():
            z = self.draw_latent(len(batch.x), rng)
            x = torch.cat([x_labelled, batch.x])
            pairs = torch.cat([x, self.generator(z)]), torch.cat([self.infer(x, rng), z])
        logits = self.judge(*pairs, rng)  # (L + 2 B, K)
        labelled, inferred, generated = logits.split([len(x_labelled), len(batch.x), len(z)])
        unsupervised = discriminator_bce(inferred.logsumexp(1), generated.logsumexp(1))
        return F.cross_entropy(labelled, y) + unsupervised / 2

    def coders_loss(self, batch: Batch) -> Tensor:
        z = self.draw_latent(len(batch.x), batch.rng)
        inferred = self.judge(batch.x, self.infer(batch.x, batch.rng), batch.rng)
        generated = self.judge(self.generator(z), z, batch.rng)
        return discriminator_bce(generated.logsumexp(1), inferred.logsumexp(1))  # labels swapped

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).chunk(2, dim=1)[0]

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.generator(self.encode(x))

    def classify(self, x: Tensor) -> Tensor:
        return self.discriminator(x, self.encode(x))
