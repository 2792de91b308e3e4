"""The case `usual_script`: an MLP GAN on MNIST in the engine against the script that people start from.

Networks, batch, optimizer settings and the real examples seen are the same: G 100-128-256-512-1024-784 with batch norm,
D 784-512-256-1, leaky ReLU 0.2, batch 64, Adam 2e-4 (0.5, 0.999). The script reads PIL images through a DataLoader with
Resize, ToTensor and Normalize, takes BCE on a sigmoid, leaves Adam as it comes, lets gradients reach both networks and
reads both losses back. It generates once an iteration for both players where the engine, as Algorithm 1 says,
generates twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.engine.turns import Precision, matmul_precision
from ganbench.model import Budget
from ganbench.model.make import make
from ganbench.nn.mlp import MLP

BATCH, WIDTHS, JUDGE = 64, (128, 256, 512, 1024), (512, 256)


class Engine:
    """The networks in a registered GAN, trained by the engine."""

    def __init__(self, root: Path) -> None:
        data = load("mnist", str(root))
        self.model: Any = make("gan_ns", data.spec, {"latent_dim": 100, "architecture": "mlp", "batch_size": BATCH})
        torch.manual_seed(0)
        self.model.generator = MLP(
            (100,), WIDTHS, data.spec.event_shape, activation=_leaky, norm=nn.BatchNorm1d, out_activation=nn.Tanh
        )
        self.model.discriminator = MLP(data.spec.event_shape, JUDGE, (), activation=_leaky)
        self.data, self.rng = Split(data.train.x), torch.Generator().manual_seed(0)

    def run(self, iterations: int, precision: Precision = "ieee") -> None:
        """Train on from where it stands."""
        with matmul_precision(precision):
            train(self.model, self.data, Budget(iterations=iterations), self.rng)


class Script:
    """The script: its data pipeline, its losses, its loop."""

    def __init__(self, root: Path) -> None:
        from torch.utils.data import DataLoader
        from torchvision import datasets, transforms

        steps = [transforms.Resize(28), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
        images = datasets.MNIST(str(root), transform=transforms.Compose(steps))
        self.loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True)
        self.batches = iter(self.loader)
        layers: list[nn.Module] = []
        for a, b in zip((100, *WIDTHS), WIDTHS, strict=False):
            layers += [nn.Linear(a, b), nn.BatchNorm1d(b), nn.LeakyReLU(0.2, inplace=True)]
        self.generator = nn.Sequential(*layers, nn.Linear(WIDTHS[-1], 784), nn.Tanh())
        self.discriminator = nn.Sequential(
            nn.Linear(784, JUDGE[0]), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(*JUDGE), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(JUDGE[1], 1), nn.Sigmoid(),
        )  # fmt: skip
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.loss = nn.BCELoss()

    def run(self, iterations: int) -> None:
        """Some iterations, through as many epochs as they take."""
        for _ in range(iterations):
            real = self._next().view(-1, 784)
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            self.optimizer_g.zero_grad()
            fake = self.generator(torch.randn(len(real), 100))
            g_loss = self.loss(self.discriminator(fake), ones)
            g_loss.backward()
            self.optimizer_g.step()
            self.optimizer_d.zero_grad()
            on_real = self.loss(self.discriminator(real), ones)
            d_loss = (on_real + self.loss(self.discriminator(fake.detach()), zeros)) / 2
            d_loss.backward()
            self.optimizer_d.step()
            g_loss.item(), d_loss.item()

    def _next(self) -> Tensor:
        try:
            images, _ = next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            images, _ = next(self.batches)
        found: Tensor = images
        return found


def _leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)
