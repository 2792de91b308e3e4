"""GANSynth: a WGAN-GP of notes as images of log magnitude and instantaneous frequency, told the pitch to play.

Source      Engel et al. 2019 (arXiv:1902.08710), section 3 and appendix A: pitch as one-hot beside the latent, an
            auxiliary pitch classifier in the critic, gradient penalty 10, drift 0.001, Adam (0, 0.99) at 8e-4. As in
            the authors' code, samples are of a moving average of the generator's weights.
Departures  1. Networks do not grow, and have no minibatch deviation, which a penalty on each example forbids. 2. 32x32,
            few channels; the average forgets faster (the code's decay: 0.999), for training is short. As in the code,
            the classifier learns from real notes alone.
Shapes      B batch, Z latent, K pitches, *E event shape (2, F, T).
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.penalties import gradient_penalty
from ganbench.model import (
    Batch,
    Count,
    DataSpec,
    Fraction,
    Model,
    NonNegative,
    NotApplicable,
    Player,
    Positive,
    register,
)
from ganbench.nn import EMA
from ganbench.ops.spectrograms import frequency_to_phase, phase_to_frequency

LEAK = 0.2


class PixelNorm(nn.Module):
    """Each place's channels to a mean square of 1."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Generator(nn.Sequential):
    """(B, Z + K) -> (B, *E) in [-1, 1], doubling from an eighth of the sides."""

    def __init__(self, n_in: int, shape: tuple[int, ...], width: int) -> None:
        channels, h, w = shape
        layers: list[nn.Module] = [PixelNorm(), nn.Linear(n_in, 4 * width * h * w // 64), nn.LeakyReLU(LEAK)]
        layers += [nn.Unflatten(1, (4 * width, h // 8, w // 8)), PixelNorm()]
        for n, m in ((4, 4), (4, 2), (2, 1)):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(n * width, m * width, 3, padding=1)]
            layers += [nn.LeakyReLU(LEAK), PixelNorm()]
        super().__init__(*layers, nn.Conv2d(width, channels, 1), nn.Tanh())


class Critic(nn.Module):
    """A score and pitch logits: (B, *E) -> (B,), (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, width: int) -> None:
        super().__init__()
        channels, h, w = shape
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 1), nn.LeakyReLU(LEAK)]
        for n, m in ((1, 2), (2, 4), (4, 4)):
            layers += [nn.Conv2d(n * width, m * width, 3, padding=1), nn.LeakyReLU(LEAK), nn.AvgPool2d(2)]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.heads = nn.Linear(4 * width * h * w // 64, 1 + n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        out = self.heads(self.features(x))
        return out[:, 0], out[:, 1:]


@register(
    "gansynth", family="audio", paper="arXiv:1902.08710", needs=("y",), gives=("sample",), events=("image",), version=2
)
class GANSynth(Model):
    class Config(Model.Config):
        batch_size: Count = 16
        latent_dim: Count = 16
        width: Count = 16  # channels next to the image
        lr: Positive = 8e-4
        betas: tuple[Fraction, Fraction] = (0.0, 0.99)
        n_critic: Count = 1
        gp_weight: NonNegative = 10.0
        ema_decay: Fraction = 0.99  # of the averaged weights that are sampled from
        drift: NonNegative = 0.001  # of squared scores of real notes
        pitch_weight: NonNegative = 10.0  # of the auxiliary classifier, for both players
        representation: Literal["frequency", "phase"] = "frequency"  # what the second channel is to the networks

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, shape, c = spec, spec.event_shape, self.config
        if shape[0] != 2 or any(side % 8 for side in shape[1:]) or spec.n_classes is None:
            raise NotApplicable(
                f"gansynth takes labelled images of magnitude and frequency (2, F, T), sides of eights; got {shape}"
            )
        self.n_classes = spec.n_classes
        self.generator = Generator(c.latent_dim + spec.n_classes, shape, c.width)
        self.critic = Critic(shape, spec.n_classes, c.width)
        self.average = EMA(self.generator, c.ema_decay)

    def players(self) -> list[Player]:
        adam = partial(torch.optim.Adam, lr=self.config.lr, betas=self.config.betas)
        return [
            Player("critic", self.critic, self.critic_loss, adam, updates=self.config.n_critic),
            Player("generator", self.generator, self.generator_loss, adam, after=self.average.update),
        ]

    def generate(self, generator: nn.Module, y: Tensor, rng: torch.Generator) -> Tensor:
        """Notes of these pitches by a generator or its average: (B,) -> (B, *E), as the networks see them."""
        z = torch.randn(len(y), self.config.latent_dim, generator=rng, device=rng.device)
        pitch = self.n_classes**0.5 * F.one_hot(y, self.n_classes)  # as loud, in all, as K latent numbers
        made: Tensor = generator(torch.cat([z, pitch], 1))
        return made

    def critic_loss(self, batch: Batch) -> Tensor:
        c, y = self.config, batch.y
        assert y is not None
        real = self.seen(batch.x)
        with torch.no_grad():
            fake = self.generate(self.generator, y, batch.rng)
        on_real, logits = self.critic(real)
        on_fake, _ = self.critic(fake)
        loss: Tensor = on_fake.mean() - on_real.mean() + c.drift * on_real.square().mean()
        loss = loss + c.gp_weight * gradient_penalty(lambda x: self.critic(x)[0], real, fake, batch.rng)
        return loss + c.pitch_weight * F.cross_entropy(logits, y)

    def generator_loss(self, batch: Batch) -> Tensor:
        assert batch.y is not None
        scores, logits = self.critic(self.generate(self.generator, batch.y, batch.rng))
        loss: Tensor = -scores.mean() + self.config.pitch_weight * F.cross_entropy(logits, batch.y)
        return loss

    def seen(self, x: Tensor) -> Tensor:
        """Events as the networks see them: the second channel may be phases."""
        if self.config.representation == "frequency":
            return x
        return torch.stack([x[:, 0], frequency_to_phase(x[:, 1])], 1)

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        if y is None:
            y = torch.randint(self.n_classes, (n,), generator=rng, device=rng.device)
        made = self.generate(self.average, y, rng)
        if self.config.representation == "frequency":
            return made
        return torch.stack([made[:, 0], phase_to_frequency(made[:, 1])], 1)
