"""The named pairs of networks have the papers' shapes and depths, and couple examples only where they may."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.model import GAN
from ganbench.nn import (
    ROBUSTNESS,
    STACKED,
    JointDiscriminator,
    make_discriminator,
    make_encoder,
    make_generator,
    make_judge,
)
from ganbench.registry import MODELS

GREY = DataSpec("mnist", (1, 28, 28), (-1.0, 1.0))
COLOUR = DataSpec("stacked_mnist", (3, 28, 28), (-1.0, 1.0))


def config(architecture: str, width: int = 4) -> GAN.Config:
    return GAN.Config(architecture=architecture, width=width, latent_dim=5)


def seeded(make, *args, **options) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: nn.Module = make(*args, **options)
    return made


@pytest.mark.parametrize("name", ROBUSTNESS)
@pytest.mark.parametrize("side", [28, 32, 64])
def test_robustness_pairs_fit_images_of_three_sizes(name: str, side: int) -> None:
    spec = DataSpec("square", (3, side, side), (-1.0, 1.0))
    generator = seeded(make_generator, spec, config(name, 2))
    discriminator = seeded(make_judge, spec, config(name, 2), "example")
    x = generator(torch.randn(3, 5))
    assert x.shape == (3, 3, side, side)
    assert x.abs().max() <= 1
    assert discriminator(x).shape == (3,)
    assert discriminator.features(x).shape == (3, discriminator.n_features)


@pytest.mark.parametrize("name", [*ROBUSTNESS, *STACKED, "conv"])
@pytest.mark.parametrize("coupled", [False, True])
def test_examples_meet_only_in_the_batch_norms_of_discriminators_that_may_couple(name: str, coupled: bool) -> None:
    judge = seeded(make_judge, COLOUR, config(name), "batch" if coupled else "example")
    x = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(1), requires_grad=True)
    (of_others,) = torch.autograd.grad(judge(x)[0], x)
    meets = bool((of_others[1:] != 0).any())
    assert meets == (coupled and name != "no_norm")
    assert any(isinstance(m, nn.BatchNorm2d) for m in judge.modules()) == meets


@pytest.mark.parametrize("name", ["wgan_gp", "wgan_1sided", "dragan", "r1", "sngan"])
def test_discriminators_under_a_penalty_per_example_have_no_batch_norm(name: str) -> None:
    model = MODELS.load(name)(MODELS.load(name).configure(COLOUR))
    model.build(COLOUR)
    judge = model.critic if hasattr(model, "critic") else model.discriminator
    assert not any(isinstance(m, nn.BatchNorm2d) for m in judge.modules())


@pytest.mark.parametrize("name", [*ROBUSTNESS, *STACKED])
def test_gradients_reach_every_parameter(name: str) -> None:
    generator = seeded(make_generator, COLOUR, config(name, 8))
    judge = seeded(make_judge, COLOUR, config(name, 8), "example")
    judge(generator(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))).square().sum().backward()
    for p in [*generator.parameters(), *judge.parameters()]:
        assert p.grad is not None
        assert torch.isfinite(p.grad).all()
    moved = [bool((p.grad != 0).any()) for p in [*generator.parameters(), *judge.parameters()]]
    # Biases before a batch norm have no effect on anything; all weights have.
    weights = [m for p, m in zip([*generator.parameters(), *judge.parameters()], moved, strict=True) if p.ndim > 1]
    assert all(weights)


@pytest.mark.parametrize(("side", "layers"), [(28, 80), (32, 80), (64, 101)])
def test_residual_networks_have_the_depth_that_is_stated(side: int, layers: int) -> None:
    spec = DataSpec("square", (3, side, side), (-1.0, 1.0))
    for make in (make_generator, make_judge):
        network = seeded(make, spec, config("resnet", 2))
        kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
        deep = [n for n, m in network.named_modules() if isinstance(m, kinds) and "shortcut" not in n]
        assert len(deep) == layers


def test_stacked_pairs_have_the_maps_of_the_authors_code() -> None:
    def maps(network: nn.Module, x: torch.Tensor) -> list[tuple[int, ...]]:
        found = []
        for layer in network.body:
            x = layer(x)
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                found.append(tuple(x.shape[1:]))
        return found

    z, x = torch.randn(2, 5), torch.randn(2, 3, 28, 28)
    large = [(256, 4, 4), (128, 7, 7), (64, 14, 14), (3, 28, 28)]
    assert maps(seeded(make_generator, COLOUR, config("stacked")), z) == large
    small = [(32, 7, 7), (16, 14, 14), (8, 28, 28), (3, 28, 28)]
    assert maps(seeded(make_generator, COLOUR, config("stacked_half")), z) == small
    for name, widths in (
        ("stacked", (64, 128, 256, 512)),
        ("stacked_half", (4, 8, 16)),
        ("stacked_quarter", (2, 4, 8)),
    ):
        shapes = list(zip(widths, (14, 7, 4, 2), (14, 7, 4, 2), strict=False))
        assert maps(seeded(make_judge, COLOUR, config(name)), x) == shapes


@pytest.mark.parametrize("name", [*ROBUSTNESS, *STACKED])
def test_events_they_cannot_make_are_refused_with_the_reason(name: str) -> None:
    for spec in (DataSpec("ring8", (2,)), DataSpec("digits", (1, 8, 8), (-1.0, 1.0))):
        for make in (make_generator, make_judge):
            with pytest.raises(NotApplicable, match=f"architecture='{name}' takes square images.*{spec.name}"):
                make(spec, config(name))


def test_parts_that_they_do_not_have_are_refused() -> None:
    c = config("tanh")
    for make in (
        lambda: make_encoder(GREY, c, 5),
        lambda: JointDiscriminator(GREY, c, (5,)),
        lambda: make_generator(GREY, c, nn.BatchNorm2d),
        lambda: make_discriminator(GREY, c, nn.BatchNorm2d),
    ):
        with pytest.raises(NotApplicable, match="use auto, mlp or conv"):
            make()


def test_the_residual_pair_of_cifar10_has_the_papers_size() -> None:
    spec = DataSpec("cifar10", (3, 32, 32), (-1.0, 1.0))
    settings = GAN.Config(architecture="resnet32", latent_dim=128)
    generator, critic = make_generator(spec, settings), make_judge(spec, settings, "example")
    # By hand: blocks of two 3x3 convolutions 128 -> 128 (147,584 each) and 1x1 shortcuts (16,512) where sides change.
    block, short, norm = 2 * 147_584, 16_512, 256
    made = 129 * 2048 + 3 * (block + short + 2 * norm) + norm + 27 * 128 + 3
    judge = (27 + 1) * 128 + 147_584 + (3 + 1) * 128 + (block + short) + 2 * block + 129
    assert sum(p.numel() for p in generator.parameters()) == made
    assert sum(p.numel() for p in critic.parameters()) == judge
    x = generator(torch.randn(4, 128))
    assert x.shape == (4, 3, 32, 32)
    alone = torch.cat([critic(row[None]) for row in x])
    torch.testing.assert_close(critic(x), alone)  # no norm couples the examples of a batch
    assert critic.features(x).shape == (4, 128)
    first = critic.body[0]
    flat = torch.full((1, 3, 32, 32), 0.5)
    inside = first(flat)[..., 2:-2, 2:-2]  # away from borders a flat image gives flat maps
    torch.testing.assert_close(inside, inside[..., :1, :1].expand_as(inside))
