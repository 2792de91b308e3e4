"""The case `ssl_script`: the improved GAN's MNIST recipe in the engine against a plain eager loop of the same networks.

Networks, noise, batch and optimizer settings are the recipe's (`baselines/semi_supervised/ssl_gan.py`): D
784-1000-500-250-250-250-10 under weight norm with Gaussian noise before each layer, G 100-500-500-784 with batch norm
and softplus, 100 labelled and 100 unlabelled images, Adam 3e-3 (0.5, 0.999), averaged weights. The loop is given its
images as a tensor in memory. It takes torch's own weight norm, passes labelled, unlabelled and generated images through
the discriminator one after the other, leaves Adam as it comes, lets gradients reach both networks and reads both
losses back.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.engine.turns import Precision, matmul_precision
from ganbench.model import Budget
from ganbench.model.make import make

BATCH, LATENT = 100, 100
WIDTHS = (784, 1000, 500, 250, 250, 250, 10)
NOISES = (0.3, 0.5, 0.5, 0.5, 0.5, 0.5)
PER_CLASS = 10  # labels


class Engine:
    """The registered model with its recipe's settings, trained by the engine."""

    def __init__(self, root: Path) -> None:
        data = load("mnist", str(root))
        assert data.train.y is not None
        labelled = torch.cat([(data.train.y == k).nonzero().flatten()[:PER_CLASS] for k in range(WIDTHS[-1])])
        self.model = make("ssl_gan", data.spec)
        self.data = Split(data.train.x, data.train.y, labelled)
        self.rng = torch.Generator().manual_seed(0)

    def run(self, iterations: int, precision: Precision = "ieee") -> None:
        """Train on from where it stands."""
        with matmul_precision(precision):
            train(self.model, self.data, Budget(iterations=iterations), self.rng)


class Discriminator(nn.Module):
    """Logits of the classes, and the last hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(nn.Linear(a, b)) for a, b in itertools.pairwise(WIDTHS))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = x
        for i, (layer, noise) in enumerate(zip(self.layers, NOISES, strict=True)):
            features = x
            x = layer(x + noise * torch.randn_like(x))
            if i < len(NOISES) - 1:
                x = F.relu(x)
        return x, features


class Script:
    """The loop: its networks, its losses, its steps."""

    def __init__(self, root: Path) -> None:
        from torchvision import datasets

        images = datasets.MNIST(str(root))
        self.images, y = images.data.view(-1, WIDTHS[0]) / 255, images.targets
        index = torch.cat([(y == k).nonzero().flatten()[:PER_CLASS] for k in range(WIDTHS[-1])])
        self.labelled, self.y = self.images[index], y[index]
        self.generator = nn.Sequential(
            nn.Linear(LATENT, 500, bias=False), nn.BatchNorm1d(500), nn.Softplus(),
            nn.Linear(500, 500, bias=False), nn.BatchNorm1d(500), nn.Softplus(),
            weight_norm(nn.Linear(500, WIDTHS[0])), nn.Sigmoid(),
        )  # fmt: skip
        self.discriminator = Discriminator()
        self.average = [p.detach().clone() for p in self.discriminator.parameters()]
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=3e-3, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=3e-3, betas=(0.5, 0.999))

    def run(self, iterations: int) -> None:
        """Some iterations."""
        for _ in range(iterations):
            pick = torch.randint(len(self.labelled), (BATCH,))
            labelled, _ = self.discriminator(self.labelled[pick])
            real, _ = self.discriminator(self._real())
            fake, _ = self.discriminator(self._fake().detach())
            log_real, log_fake = real.logsumexp(1), fake.logsumexp(1)
            unsupervised = F.softplus(log_real).mean() - log_real.mean() + F.softplus(log_fake).mean()
            d_loss = F.cross_entropy(labelled, self.y[pick]) + 0.5 * unsupervised
            self.optimizer_d.zero_grad()
            d_loss.backward()
            self.optimizer_d.step()
            with torch.no_grad():
                for average, p in zip(self.average, self.discriminator.parameters(), strict=True):
                    average.mul_(0.9999).add_(p, alpha=1e-4)
            _, of_fake = self.discriminator(self._fake())
            _, of_real = self.discriminator(self._real())
            g_loss = (of_fake.mean(0) - of_real.mean(0)).square().mean()
            self.optimizer_g.zero_grad()
            g_loss.backward()
            self.optimizer_g.step()
            d_loss.item(), g_loss.item()

    def _real(self) -> Tensor:
        found: Tensor = self.images[torch.randint(len(self.images), (BATCH,))]
        return found

    def _fake(self) -> Tensor:
        out: Tensor = self.generator(torch.rand(BATCH, LATENT))
        return out
