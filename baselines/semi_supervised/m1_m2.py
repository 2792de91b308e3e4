"""Semi-supervised variational autoencoders: codes (M1), a class as a latent variable (M2), and M2 on M1's codes.

Source      Kingma, Rezende, Mohamed & Welling 2014, "Semi-supervised Learning with Deep Generative Models", equations 5
            to 9; sizes, rates and the Gaussian prior on weights are those of the authors' code.
Departures  1. M1 takes the first share `pretrain` of the budget; all its codes are kept, also those that hardly vary.
            2. M1 alone is followed by a softmax classifier on sampled codes, not by a transductive SVM.
            3. Grey values are probabilities; labelled images are among the unlabelled; a rate of 1e-3, not 3e-4.
Shapes      B batch, K classes, C classes considered per example (1 or K), D numbers, Z latent, *E event shape.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.losses.likelihoods import bernoulli_log_prob, gaussian_kl, gaussian_log_prob
from ganbench.model import (
    Batch,
    Config,
    Count,
    DataSpec,
    Defaults,
    Fraction,
    Model,
    NonNegative,
    Player,
    Positive,
    register,
)
from ganbench.nn import MLP, Softplus, from_unit, to_unit
from ganbench.nn.linear import Linear


def labelled_bound(log_likelihood: Tensor, kl: Tensor, n_classes: int) -> Tensor:
    """-L(x, y) <= log p(x, y): E log p(x | y, z) + log p(y) - KL(q(z | x, y) || p(z)), y uniform. Equation 6."""
    return log_likelihood - math.log(n_classes) - kl


def unlabelled_bound(bounds: Tensor, logits: Tensor) -> Tensor:
    """-U(x) <= log p(x): sum_y q(y | x) (-L(x, y)) + H(q(y | x)). Equation 7: (B, K), (B, K) -> (B,)."""
    log_q = F.log_softmax(logits, 1)
    return (log_q.exp() * (bounds - log_q)).sum(1)


def draw(mean: Tensor, log_var: Tensor, rng: torch.Generator) -> Tensor:
    """A reparametrised draw of N(mean, exp(log_var)): (B, Z), or (B, C, Z) where all C share the noise.

    Bounds of one event under different classes then differ by the classes, not by luck.
    """
    noise = torch.randn(len(mean), mean.shape[-1], generator=rng, device=mean.device)
    return mean + torch.exp(0.5 * log_var) * noise.view(len(mean), *[1] * (mean.ndim - 2), -1)


class Bernoulli:
    """p(x | .) with a probability per number, from a network's outputs as logits: (B, D)."""

    maps = 1

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        return bernoulli_log_prob(x, out)

    def mean(self, out: Tensor) -> Tensor:
        return torch.sigmoid(out)

    def sample(self, out: Tensor, rng: torch.Generator) -> Tensor:  # shown as grey values, not as binary draws
        return self.mean(out)


class Gaussian:
    """p(x | .) with a mean and a deviation per number, from a network's outputs: (B, 2 D)."""

    maps = 2
    min_std = 0.01  # a floor, for densities have none

    def split(self, out: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = out.chunk(2, 1)
        return mean, self.min_std + F.softplus(raw)

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        mean, std = self.split(out)
        return gaussian_log_prob(x, mean, std.log())

    def mean(self, out: Tensor) -> Tensor:
        return self.split(out)[0]

    def sample(self, out: Tensor, rng: torch.Generator) -> Tensor:
        mean, std = self.split(out)
        return mean + std * torch.randn(mean.shape, generator=rng, device=mean.device)


class Conditioned(nn.Module):
    """A softplus network of numbers and a class: (B, 1 or C, D), (1 or B, C, K) -> (B, C, O)."""

    def __init__(self, n_in: int, n_classes: int, hidden: Sequence[int], n_out: int) -> None:
        super().__init__()
        widths = [*hidden, n_out]
        self.first = Linear(n_in, widths[0])
        self.label = nn.Linear(n_classes, widths[0], bias=False)
        self.rest = nn.Sequential(
            *[m for a, b in itertools.pairwise(widths) for m in (Softplus(), Linear(a, b))]
        )  # fmt: skip

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        first = self.first(x.flatten(0, 1)).view(*x.shape[:2], -1)  # once for all classes
        h = first + self.label(y)
        out: Tensor = self.rest(h.flatten(0, 1))
        return out.view(*h.shape[:2], -1)


class M1(nn.Module):
    """The variational autoencoder whose codes M2 may model: x (B, D), codes (B, Z)."""

    def __init__(self, n_dims: int, code_dim: int, hidden: tuple[int, ...], seen: Bernoulli | Gaussian) -> None:
        super().__init__()
        self.seen = seen
        self.encoder = MLP((n_dims,), hidden, (2 * code_dim,), activation=Softplus)
        self.decoder = MLP((code_dim,), hidden[::-1], (seen.maps * n_dims,), activation=Softplus)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x): (B, D) -> (B, Z), (B, Z)."""
        mean, log_var = self.encoder(x).chunk(2, 1)
        return mean, log_var

    def bound(self, x: Tensor, rng: torch.Generator) -> Tensor:  # equation 5: (B, D) -> (B,)
        mean, log_var = self.posterior(x)
        return self.seen.log_prob(x, self.decoder(draw(mean, log_var, rng))) - gaussian_kl(mean, log_var)


class M2(nn.Module):
    """p(y) p(z) p(x | y, z) with q(y | x) and q(z | x, y): x (B, D), z (B, C, Z)."""

    every: Tensor

    def __init__(
        self, n_dims: int, n_classes: int, latent_dim: int, hidden: tuple[int, ...], seen: Bernoulli | Gaussian
    ) -> None:
        super().__init__()
        self.seen, self.n_classes, self.latent_dim = seen, n_classes, latent_dim
        self.classifier = MLP((n_dims,), hidden, (n_classes,), activation=Softplus)  # (B, D) -> (B, K)
        self.encoder = Conditioned(n_dims, n_classes, hidden, 2 * latent_dim)
        self.decoder = Conditioned(latent_dim, n_classes, hidden[::-1], seen.maps * n_dims)
        self.register_buffer("every", torch.eye(n_classes)[None], persistent=False)  # (1, K, K): all classes

    def posterior(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x, y): (B, D), (1 or B, C, K) -> (B, C, Z), (B, C, Z)."""
        mean, log_var = self.encoder(x[:, None], y).chunk(2, 2)
        return mean, log_var

    def bounds(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """-L(x, y) from one draw of z each: (B, D), (1 or B, C, K) -> (B, C)."""
        mean, log_var = self.posterior(x, y)
        out = self.decoder(draw(mean, log_var, rng), y)
        rows = out.shape[:2]
        x = x[:, None].expand(*rows, -1).flatten(0, 1)
        log_likelihood = self.seen.log_prob(x, out.flatten(0, 1)).view(rows)
        kl = gaussian_kl(mean.flatten(0, 1), log_var.flatten(0, 1)).view(rows)
        return labelled_bound(log_likelihood, kl, self.n_classes)

    def labelled(self, x: Tensor, y: Tensor, rng: torch.Generator) -> Tensor:
        """-L(x, y): (B, D), (B,) -> (B,)."""
        return self.bounds(x, self.one_hot(y), rng)[:, 0]

    def unlabelled(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """-U(x), the class summed over: (B, D) -> (B,)."""
        return unlabelled_bound(self.bounds(x, self.every, rng), self.classifier(x))

    def one_hot(self, y: Tensor) -> Tensor:  # (B,) -> (B, 1, K)
        return self.every[0, y][:, None]

    def decode(self, z: Tensor, y: Tensor) -> Tensor:
        """Outputs that parametrise p(x | y, z): (B, Z), (B,) -> (B, maps * D)."""
        out: Tensor = self.decoder(z[:, None], self.one_hot(y))
        return out[:, 0]


@register(
    "m1_m2",
    family="semi_supervised",
    paper="arXiv:1406.5298",
    gives=("sample", "encode", "reconstruct", "classify"),
    needs=("labels",),
)
class M1M2(Model):
    class Config(Model.Config):
        stack: Literal["m1", "m2", "m1+m2"] = "m1+m2"
        batch_size: Count = 100
        labelled_batch_size: Count = 100
        code_dim: Count = 50  # of M1
        latent_dim: Count = 50  # of M2
        code_hidden: tuple[Count, ...] = (500, 500)  # of M1
        hidden: tuple[Count, ...] = (300,)  # of M2 and of the classifier
        alpha: NonNegative = 0.1  # weight of classification, per example
        pretrain: Fraction = 0.4  # share of the budget for M1
        lr: Positive = 1e-3
        weight_prior: bool = True  # N(0, 1) on every weight of M2

    config: Config
    defaults = Defaults(
        small={
            "batch_size": 50,
            "latent_dim": 10,
            "lr": 3e-3,
            "code_dim": 10,
            "code_hidden": (128, 128),
            "hidden": (100,),
        }
    )

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        seen = Gaussian() if spec.domain is None else Bernoulli()
        if c.stack != "m2":
            self.m1 = M1(spec.n_dims, c.code_dim, c.code_hidden, seen)
        if c.stack == "m1":
            self.classifier = MLP((c.code_dim,), c.hidden, (k,), activation=Softplus)
        elif c.stack == "m2":
            self.m2 = M2(spec.n_dims, k, c.latent_dim, c.hidden, seen)
        else:
            self.m2 = M2(c.code_dim, k, c.latent_dim, c.hidden, Gaussian())
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
        self.labelled_share: Tensor
        self.register_buffer("labelled_share", torch.zeros(()))

    def players(self) -> list[Player]:
        c = self.config
        # Adam's decay adds w / N to the gradient of the mean over N examples: minus the gradient of log N(w; 0, 1).
        decay = 1 / self.spec.n_train if c.weight_prior and self.spec.n_train else 0.0
        adam, with_prior = (partial(torch.optim.Adam, lr=c.lr, weight_decay=d) for d in (0.0, decay))
        then = (c.pretrain, 1.0)
        if c.stack == "m2":
            return [Player("m2", self.m2, self.m2_loss, with_prior)]
        codes = Player("m1", self.m1, self.m1_loss, adam, span=(0.0, c.pretrain))
        if c.stack == "m1":
            return [codes, Player("classifier", self.classifier, self.classifier_loss, adam, span=then)]
        return [codes, Player("m2", self.m2, self.m2_loss, with_prior, span=then)]

    def start(self, data: Any, rng: torch.Generator) -> None:
        if data.labelled is not None:
            self.labelled_share.fill_(len(data.labelled) / len(data))

    def flat(self, x: Tensor) -> Tensor:
        """Events as M1 sees them, those of a bounded domain in [0, 1]: (B, *E) -> (B, D)."""
        return (to_unit(x, self.spec) if self.spec.domain else x).flatten(1)

    def event(self, x: Tensor) -> Tensor:
        """Back to the domain: (B, D) -> (B, *E)."""
        x = x.view(-1, *self.spec.event_shape)
        return from_unit(x, self.spec) if self.spec.domain else x

    def infer(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """What M2 models, x itself or a code of it, drawn where a generator is given, else the mean: -> (B, D)."""
        if self.config.stack == "m2":
            return self.flat(x)
        with torch.no_grad():  # M1 is not trained by what comes after it
            mean, log_var = self.m1.posterior(self.flat(x))
            return mean if rng is None else draw(mean, log_var, rng)

    def m1_loss(self, batch: Batch) -> Tensor:
        return -self.m1.bound(self.flat(batch.x), batch.rng).mean()

    def classifier_loss(self, batch: Batch) -> Tensor:
        x, y = batch.labelled
        return F.cross_entropy(self.classifier(self.infer(x, batch.rng)), y)

    def m2_loss(self, batch: Batch) -> Tensor:
        """Equation 9 divided by the number of examples N, whose weight on classification is alpha N."""
        x, y = batch.labelled
        x = self.infer(x, batch.rng)
        with_label = self.m2.labelled(x, y, batch.rng).mean()
        without = self.m2.unlabelled(self.infer(batch.x, batch.rng), batch.rng).mean()
        bound = without.lerp(with_label, self.labelled_share)
        return self.config.alpha * F.cross_entropy(self.m2.classifier(x), y) - bound

    def classify(self, x: Tensor) -> Tensor:
        net = self.classifier if self.config.stack == "m1" else self.m2.classifier
        return net(self.infer(x))

    def sample(self, n: int, rng: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw events of the classes y (n,), uniform ones by default; M1 alone knows no classes and ignores y."""
        c, spec = self.config, self.spec
        assert spec.n_classes is not None
        if c.stack == "m1":
            code = torch.randn(n, c.code_dim, generator=rng, device=rng.device)
        else:
            y = torch.randint(spec.n_classes, (n,), generator=rng, device=rng.device) if y is None else y
            z = torch.randn(n, c.latent_dim, generator=rng, device=rng.device)
            code = self.m2.seen.sample(self.m2.decode(z, y), rng)
        return self.event(code if c.stack == "m2" else self.m1.seen.sample(self.m1.decoder(code), rng))

    def encode(self, x: Tensor) -> Tensor:
        """M1's mean code, or for M2 alone q(y | x) beside the mean of q(z | x, y) at the likeliest y: -> (B, F)."""
        code = self.infer(x)
        return (
            torch.cat([self.m2.classifier(code).softmax(1), self.style(code)], 1) if self.config.stack == "m2" else code
        )

    def style(self, x: Tensor) -> Tensor:
        """Mean of q(z | x, y) at the likeliest y: (B, D) -> (B, Z)."""
        return self.m2.posterior(x, self.m2.one_hot(self.m2.classifier(x).argmax(1)))[0][:, 0]

    def reconstruct(self, x: Tensor) -> Tensor:
        """Means all the way up to the highest code and down again, at the likeliest class."""
        code = self.infer(x)
        if self.config.stack != "m1":
            code = self.m2.seen.mean(self.m2.decode(self.style(code), self.m2.classifier(code).argmax(1)))
        return self.event(code if self.config.stack == "m2" else self.m1.seen.mean(self.m1.decoder(code)))
