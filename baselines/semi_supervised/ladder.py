"""Ladder network: a classifier whose every layer also learns to remove noise, given the layer above.

Source      Rasmus, Valpola, Honkala, Berglund & Raiko 2015, "Semi-Supervised Learning with Ladder Networks", Algorithm
            1 with the Gaussian combinator; costs, rates and initialisation are those of the authors' code.
Departures  1. Test-time statistics are running averages over the clean path of unlabelled batches.
            2. Layers of 500-250-250-250 units by default instead of 1000-500-250-250-250, which the recipes keep, and
               128-64 on events below 100 numbers.
Shapes      B batch, K classes, M units of a layer, F last hidden layer, *E event shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import Batch, Count, DataSpec, Defaults, Model, NonNegative, Player, Positive, register
from ganbench.nn import to_unit
from ganbench.nn.linear import linear

TINY = 1e-10  # added to variances
Moments = tuple[Tensor, Tensor]  # mean and deviation of each unit over a batch: (M,), (M,)


def moments(x: Tensor) -> Moments:
    """Mean and (biased) deviation of each unit: (B, M) -> (M,), (M,)."""
    var, mean = torch.var_mean(x, 0, correction=0)
    return mean, (var + TINY).sqrt()


def denoising_cost(clean: Tensor, estimate: Tensor, of_clean: Moments | None) -> Tensor:
    """Mean square of z - (z_hat - mean) / std, with the clean path's moments before its normalisation.

    (B, M), (B, M) -> (). The lowest layer is not normalised and has no moments.
    """
    if of_clean is not None:
        mean, std = of_clean
        estimate = (estimate - mean) / std
    return (clean - estimate).square().mean()


class Combinator(nn.Module):
    """z_hat = (z - mu(u)) v(u) + mu(u): the posterior mean of a unit that is Gaussian given u.

    mu and v are each a1 sigmoid(a2 u + a3) + a4 u + a5, with five coefficients for each of M units: (B, M) -> (B, M).
    """

    def __init__(self, n_units: int) -> None:
        super().__init__()
        start = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])[:, None].repeat(1, n_units)
        self.mean, self.share = nn.Parameter(start), nn.Parameter(start.clone())

    def forward(self, z: Tensor, u: Tensor) -> Tensor:
        mu, v = (a[0] * torch.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4] for a in (self.mean, self.share))
        return torch.lerp(mu, z, v)


class LadderNetwork(nn.Module):
    """A clean and a noisy encoder with the same weights, and a decoder that combines noisy layers from the top down."""

    def __init__(self, n_in: int, hidden: Sequence[int], n_classes: int, input_noise: float, noise: float) -> None:
        super().__init__()
        widths = [n_in, *hidden, n_classes]
        pairs = list(itertools.pairwise(widths))
        self.up = nn.ParameterList(torch.randn(b, a) * a**-0.5 for a, b in pairs)  # (M_l, M_l-1)
        self.down = nn.ParameterList(torch.randn(a, b) * b**-0.5 for a, b in pairs)
        self.shifts = nn.ParameterList(torch.zeros(b) for _, b in pairs)
        self.gain = nn.Parameter(torch.ones(n_classes))  # rectified units need none: the next layer rescales them
        self.combinators = nn.ModuleList(Combinator(m) for m in widths)
        self.noises = [input_noise] + [noise] * len(pairs)
        for i, (_, b) in enumerate(pairs):
            self.register_buffer(f"mean{i}", torch.zeros(b))
            self.register_buffer(f"std{i}", torch.ones(b))

    def kept(self, i: int) -> Moments:
        """Running moments of layer i, for test time."""
        return self.get_buffer(f"mean{i}"), self.get_buffer(f"std{i}")

    def encode(self, x: Tensor, rng: torch.Generator | None) -> tuple[list[Tensor], list[Moments], Tensor, Tensor]:
        """All z from the input up, moments of the layers above it, last hidden layer, logits: noisy if given an rng."""
        h = self.noisy(x, 0, rng)
        zs, stats, last = [h], [], h
        for i, (weight, shift) in enumerate(zip(self.up, self.shifts, strict=True)):
            z = linear(h, weight)
            stats.append(moments(z) if self.training else self.kept(i))
            mean, std = stats[-1]
            if self.training and rng is None:
                for running, now in zip(self.kept(i), stats[-1], strict=True):
                    running.lerp_(now.detach(), 0.02)
            zs.append(self.noisy((z - mean) / std, i + 1, rng))
            last, h = h, torch.relu(zs[-1] + shift)
        return zs, stats, last, self.gain * (zs[-1] + shift)

    def noisy(self, z: Tensor, layer: int, rng: torch.Generator | None) -> Tensor:
        if rng is None:
            return z
        return z + self.noises[layer] * torch.randn(z.shape, generator=rng, device=z.device)

    def decode(self, zs: list[Tensor], logits: Tensor) -> list[Tensor]:
        """Estimates of all clean z from the noisy ones, each given the estimate above it, from the input up."""
        above, found = logits.softmax(1), []
        for layer in reversed(range(len(zs))):
            if layer < len(self.down):
                above = linear(above, self.down[layer])
            mean, std = moments(above)
            above = self.combinators[layer](zs[layer], (above - mean) / std)
            found.append(above)
        return found[::-1]

    def costs(self, x: Tensor, rng: torch.Generator) -> list[Tensor]:
        """Denoising cost of every layer, from the input up: (B, D) -> L + 1 scalars."""
        clean, stats, _, _ = self.encode(x, None)
        zs, _, _, logits = self.encode(x, rng)
        estimates = self.decode(zs, logits)
        return [denoising_cost(*each) for each in zip(clean, estimates, [None, *stats], strict=True)]


@register(
    "ladder", family="semi_supervised", paper="arXiv:1507.02672", gives=("classify", "features"), needs=("labels",)
)
class Ladder(Model):
    class Config(Model.Config):
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        hidden: tuple[Count, ...] = (500, 250, 250, 250)
        denoising: tuple[NonNegative, ...] = (1000.0, 10.0, 0.1)  # from the input up, the last for all layers above
        input_noise: NonNegative = 0.3
        noise: NonNegative = 0.3  # at every layer above the input
        lr: Positive = 2e-3

    config: Config
    defaults = Defaults(small={"batch_size": 50, "hidden": (128, 64)})

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        self.network = LadderNetwork(spec.n_dims, c.hidden, k, c.input_noise, c.noise)
        n_layers = len(c.hidden) + 2
        self.weights = (*c.denoising, *[c.denoising[-1] if c.denoising else 0.0] * n_layers)[:n_layers]

    def players(self) -> list[Player]:
        adam = partial(torch.optim.Adam, lr=self.config.lr)
        return [Player("ladder", self.network, self.loss, adam, schedule=lambda share: min(1.0, 3 * (1 - share)))]

    def seen(self, x: Tensor) -> Tensor:
        """Events as the network takes them, those of a bounded domain in [0, 1]: (B, *E) -> (B, D)."""
        return (to_unit(x, self.spec) if self.spec.domain else x).flatten(1)

    def loss(self, batch: Batch) -> Tensor:
        """Cross entropy of noisy labelled events, which have their own batch statistics, and all denoising costs."""
        x, y = batch.labelled
        *_, logits = self.network.encode(self.seen(x), batch.rng)
        costs = self.network.costs(self.seen(batch.x), batch.rng)
        denoising = torch.stack([w * cost for w, cost in zip(self.weights, costs, strict=True)]).sum()
        return F.cross_entropy(logits, y) + denoising

    def classify(self, x: Tensor) -> Tensor:
        *_, logits = self.network.encode(self.seen(x), None)
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Last hidden layer of the clean encoder: (B, *E) -> (B, F)."""
        _, _, last, _ = self.network.encode(self.seen(x), None)
        return last
