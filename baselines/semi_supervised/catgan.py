"""CatGAN: a discriminator sure of the class of real events and unsure of fakes, with every class used alike.

Source      Springenberg 2016, "Unsupervised and Semi-supervised Learning with Categorical Generative Adversarial
            Networks", section 3: the semi-supervised objective.
Departures  1. The discriminator is that of Salimans et al. 2016 for MNIST, whose weight norm, unlike batch norm, keeps
               an event's prediction from hanging on those beside it.
            2. Generator and optimiser are ours: two hidden layers of 500 under batch norm, Adam at 1e-3.
            3. Smaller networks on events below 100 numbers.
Shapes      B batch, L labelled, Z latent_dim, K classes, F features, *E event shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.categorical import conditional_entropy, marginal_entropy
from ganbench.model import GAN, Batch, Count, DataSpec, Defaults, NonNegative, Split, register
from ganbench.nn import NoisyClassifier, mlp_generator, to_unit

INITIAL = 500  # training examples that the initialisation looks at


@register(
    "catgan",
    family="semi_supervised",
    paper="arXiv:1511.06390",
    gives=("sample", "classify", "features"),
    needs=("labels",),
    version=2,
)
class CatGAN(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        latent_dim: Count = 128
        hidden: tuple[Count, ...] = (500, 500)  # of the generator
        classifier: tuple[Count, ...] = (1000, 500, 250, 250, 250)
        input_noise: NonNegative = 0.3
        noise: NonNegative = 0.5
        label_weight: NonNegative = 1.0  # lambda

    config: Config
    discriminator: NoisyClassifier
    defaults = Defaults(image={"decay": "none"}, small={"hidden": (128, 128), "classifier": (250, 250, 250)})

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        self.generator = mlp_generator(spec, c.latent_dim, c.hidden, norm=nn.BatchNorm1d)  # (B, Z) -> (B, *E)
        self.discriminator = NoisyClassifier(spec.n_dims, c.classifier, k, c.input_noise, c.noise)

    def start(self, data: Split, rng: torch.Generator) -> None:
        some = torch.randperm(len(data), generator=rng, device=rng.device)[:INITIAL]
        self.discriminator.initialise(self.seen(data.events(some)), rng)

    def seen(self, x: Tensor) -> Tensor:
        """Events as the discriminator takes them, images in [0, 1]: (B, *E) -> (B, *E)."""
        return to_unit(x, self.spec) if self.spec.domain else x

    def draw_latent(self, n: int, rng: torch.Generator) -> Tensor:  # z ~ U(0, 1): -> (n, Z)
        return torch.rand(n, self.config.latent_dim, generator=rng, device=rng.device)

    def discriminator_loss(self, batch: Batch) -> Tensor:
        """All classes used, sure of real events, unsure of fakes, right about the labelled."""
        x, y = batch.labelled
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        parts = [x, batch.x, fake]
        logits = self.discriminator(self.seen(torch.cat(parts)), batch.rng)  # (L + 2 B, K)
        labelled, real, made = logits.split([len(p) for p in parts])
        unsupervised = -marginal_entropy(real) + conditional_entropy(real) - conditional_entropy(made)
        return unsupervised + self.config.label_weight * F.cross_entropy(labelled, y)

    def generator_loss(self, batch: Batch) -> Tensor:
        """Fakes of which the discriminator is sure, spread over all classes."""
        made = self.discriminator(self.seen(self.generate(len(batch.x), batch.rng)), batch.rng)
        return -marginal_entropy(made) + conditional_entropy(made)

    def features(self, x: Tensor) -> Tensor:
        """The discriminator's last hidden layer: (B, *E) -> (B, F)."""
        return self.discriminator.features(self.seen(x))

    def classify(self, x: Tensor) -> Tensor:
        return self.discriminator(self.seen(x))
