"""Bare loops: five models as one would write them with torch alone, beside which `bench train` prices the contract.

Each does what the registered model does under the engine, operation by operation, so that equal weights stay equal:
noise drawn in the same order, fused Adam, gradients only for the player whose turn it is, data in memory, no loss read
back. `Linear` and `Softplus` are those of `ganbench.nn`, for the price asked for is the contract's, not a kernel's.

Shapes      B batch, Z latent, *E event shape: (D,), or (1, 28, 28) with convolutions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.bench import bare_parts as parts
from ganbench.bench.bare_parts import epochs, normal
from ganbench.data import Split
from ganbench.model import Model


class Bare(NamedTuple):
    """A loop that goes on from the weights where its last call left them."""

    networks: dict[str, nn.Module]  # by the names that the registered model has for them
    run: Callable[[int], None]  # so many iterations


def make(model: Model, data: Split, rng: torch.Generator) -> Bare | None:
    """The loop of a model of default networks, with its present weights; None where no loop is written."""
    shape, loop = model.spec.event_shape, LOOPS.get(model.name)
    if loop is None or not (shape == (1, 28, 28) or (len(shape) == 1 and model.spec.domain is None)):
        return None
    made: Bare = loop(model.config, data, rng)
    for name, network in made.networks.items():
        weights = model.get_submodule(name).state_dict().values()
        network.to(rng.device).load_state_dict(dict(zip(network.state_dict(), weights, strict=True)))
    return made


def gan_ns(c: Any, data: Split, rng: torch.Generator) -> Bare:
    """Goodfellow et al. 2014: cross-entropy for the discriminator, the generator climbs log D(G(z))."""
    x, shape = data.events(), data.x.shape[1:]
    g, d = parts.decoder(shape, c, bounded=True), parts.encoder(shape, c, 1, leak=0.2)

    def run(iterations: int) -> None:
        move_d, move_g, rows = adam(d, c.lr, c.betas), adam(g, c.lr, c.betas), epochs(len(x), c.batch_size, rng)
        for t in range(iterations):
            anneal(c, t / iterations, move_d, move_g)
            real = x[next(rows)]
            with torch.no_grad():
                fake = g(normal(c.batch_size, c.latent_dim, rng))
            step(move_d, F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean())
            next(rows)  # a turn that looks at no data passes its batch over
            step(move_g, F.softplus(-d(g(normal(c.batch_size, c.latent_dim, rng)))).mean())

    return Bare({"generator": g, "discriminator": d}, run)


def wgan_gp(c: Any, data: Split, rng: torch.Generator) -> Bare:
    """Gulrajani et al. 2017: five turns of a critic under a gradient penalty, then one of the generator."""
    x, shape = data.events(), data.x.shape[1:]
    g, critic = parts.all_conv_generator(shape, c), parts.all_conv_critic(shape, c)

    def run(iterations: int) -> None:
        move_c, move_g, rows = adam(critic, c.lr, c.betas), adam(g, c.lr, c.betas), epochs(len(x), c.batch_size, rng)
        for t in range(iterations):
            anneal(c, t / iterations, move_c, move_g)
            for _ in range(c.n_critic):
                real = x[next(rows)]
                with torch.no_grad():
                    fake = g(normal(c.batch_size, c.latent_dim, rng))
                s = torch.rand(len(real), *[1] * (real.ndim - 1), generator=rng, device=rng.device)
                between = (s * real + (1 - s) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
                penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
                step(move_c, critic(fake).mean() - critic(real).mean() + c.gp_weight * penalty)
            next(rows)
            step(move_g, -critic(g(normal(c.batch_size, c.latent_dim, rng))).mean())

    return Bare({"generator": g, "critic": critic}, run)


def vae_gaussian(c: Any, data: Split, rng: torch.Generator) -> Bare:
    """Kingma and Welling 2014: the likelihood's bound with one draw of the code, and a Gaussian decoder."""
    x, shape = data.events(), data.x.shape[1:]
    encoder, decoder = parts.encoder(shape, c, 2 * c.latent_dim), parts.decoder(shape, c, maps=2)

    def run(iterations: int) -> None:
        move, rows = adam(nn.ModuleList([encoder, decoder]), c.lr), epochs(len(x), c.batch_size, rng)
        for _ in range(iterations):
            real = x[next(rows)]
            mean, log_var = encoder(real).chunk(2, dim=1)
            code = mean + torch.exp(0.5 * log_var) * normal(len(mean), mean.shape[1], rng)
            centre, raw = decoder(code).chunk(2, dim=1)
            centre = torch.tanh(centre) if x.ndim == 4 else centre
            log_std = torch.log(c.min_std + F.softplus(raw - 2))
            log_p = -0.5 * ((real - centre) * torch.exp(-log_std)).square() - log_std - 0.5 * math.log(2 * math.pi)
            kl = 0.5 * (mean.square() + torch.expm1(log_var) - log_var)
            step(move, -(log_p.flatten(1).sum(1) - kl.sum(1)).mean())

    return Bare({"encoder": encoder, "decoder": decoder}, run)


def aae(c: Any, data: Split, rng: torch.Generator) -> Bare:
    """Makhzani et al. 2015: reconstruction, a discriminator of codes, and the encoder against it."""
    x, shape, drawn = data.events(), data.x.shape[1:], c.posterior == "gaussian"
    encoder = parts.encoder(shape, c, 2 * c.latent_dim if drawn else c.latent_dim)
    decoder, d = parts.decoder(shape, c, bounded=True), parts.mlp(c.latent_dim, *c.hidden, 1, leak=0.2)

    def infer(real: Tensor) -> Tensor:
        out: Tensor = encoder(real)
        if not drawn:
            return out
        mean, log_var = out.chunk(2, dim=1)
        return mean + torch.exp(0.5 * log_var) * normal(len(mean), mean.shape[1], rng)

    def run(iterations: int) -> None:
        move, rows = adam(nn.ModuleList([encoder, decoder]), c.lr), epochs(len(x), c.batch_size, rng)
        move_d, move_e = (adam(network, c.adversary_lr, c.betas) for network in (d, encoder))
        for _ in range(iterations):
            real = x[next(rows)]
            step(move, (real - decoder(infer(real))).square().flatten(1).sum(1).mean())
            with torch.no_grad():
                codes = infer(x[next(rows)])
            prior = c.prior_std * normal(c.batch_size, c.latent_dim, rng)
            step(move_d, F.softplus(-d(prior)).mean() + F.softplus(d(codes)).mean())
            step(move_e, F.softplus(-d(infer(x[next(rows)]))).mean())

    return Bare({"encoder": encoder, "decoder": decoder, "discriminator": d}, run)


def ssl_gan(c: Any, data: Any, rng: torch.Generator) -> Bare:
    """Salimans et al. 2016: a discriminator that classifies, under noise and weight norm, and feature matching."""
    x, image, n_classes = data.events().flatten(1), data.x.ndim == 4, int(data.y.max()) + 1
    some_x, some_y = x[data.labelled], data.y[data.labelled]
    g = parts.softplus_generator(c.latent_dim, *c.hidden, x.shape[1])
    d, average = (parts.classifier(x.shape[1], *c.classifier, n_classes) for _ in range(2))
    updates = itertools.count(1)

    def generate() -> Tensor:
        out: Tensor = g(torch.rand(c.batch_size, c.latent_dim, generator=rng, device=rng.device))
        return 2 * torch.sigmoid(out) - 1 if image else out

    def noisy(x: Tensor, std: float) -> Tensor:
        return normal(len(x), x.shape[1], rng).mul_(std).add_(x)

    def features(x: Tensor) -> Tensor:
        x = ((x + 1) / 2).clamp(0, 1) if image else x
        for i, layer in enumerate(d[:-1]):
            x = torch.relu(layer(noisy(x, c.noise if i else c.input_noise)))
        return x

    def run(iterations: int) -> None:
        move_d, move_g = (adam(network, c.lr, c.betas, c.eps) for network in (d, g))
        few = epochs(len(some_x), min(len(some_x), c.labelled_batch_size), rng)
        rows = epochs(len(x), c.batch_size, rng)
        for _ in range(iterations):
            known, real = next(few), x[next(rows)]
            with torch.no_grad():
                fake = generate()
            logits = d[-1](noisy(features(torch.cat([some_x[known], real, fake])), c.noise))
            labelled, true, made = logits.split([len(known), len(real), len(fake)])
            unsupervised = F.softplus(-true.logsumexp(1)).mean() + F.softplus(made.logsumexp(1)).mean()
            step(move_d, F.cross_entropy(labelled, some_y[known]) + unsupervised / 2)
            with torch.no_grad():
                share = (1 - c.ema) / (1 - c.ema ** next(updates))  # the average is corrected for its start
                for mine, its in zip(average.parameters(), d.parameters(), strict=True):
                    mine.lerp_(its, share)
                next(few)
                matched = features(x[next(rows)]).mean(0)
            step(move_g, (matched - features(generate()).mean(0)).square().mean())

    return Bare({"generator": g, "discriminator": d, "average.average": average}, run)


LOOPS: dict[str, Any] = {loop.__name__: loop for loop in (gan_ns, wgan_gp, vae_gaussian, aae, ssl_gan)}


def adam(network: nn.Module, lr: float, betas: Any = (0.9, 0.999), eps: float = 1e-8) -> torch.optim.Adam:
    """Fused Adam on what a network learns."""
    return torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr, betas, eps, fused=True)


def anneal(c: Any, share: float, *optimizers: torch.optim.Adam) -> None:
    """The rate at this share of the run: where it decays, constant for half of it, then down to 0."""
    for optimizer in optimizers if c.decay == "linear" else ():
        optimizer.param_groups[0]["lr"] = c.lr * min(1.0, 2 * (1 - share))


def step(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    """The end of a turn: the gradient of this player's parameters alone, and their move."""
    optimizer.zero_grad()
    loss.backward(inputs=optimizer.param_groups[0]["params"])
    optimizer.step()
