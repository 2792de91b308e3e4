"""Penalties and clipping on critics whose slopes are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganbench.losses import penalties

close = torch.testing.assert_close


def linear(*weights: float) -> nn.Module:
    """The critic w.x on vectors."""
    layer = nn.Linear(len(weights), 1, bias=False)
    layer.weight.data = torch.tensor([weights])
    return nn.Sequential(layer, nn.Flatten(0))


@pytest.mark.parametrize(("w", "norm"), [((0.6, 0.8), 1.0), ((3.0, 4.0), 5.0), ((0.3, 0.4), 0.5)])
def test_penalties_of_a_linear_critic_depend_on_its_slope_alone(
    w: tuple[float, ...], norm: float, rng: torch.Generator
) -> None:
    critic, real, fake = linear(*w), torch.randn(7, 2), torch.randn(7, 2) * 3
    close(penalties.gradient_penalty(critic, real, fake, rng), torch.tensor((norm - 1) ** 2))
    excess = max(0.0, norm - 1)
    close(penalties.one_sided_penalty(critic, real, fake, rng), torch.tensor(excess**2))
    close(penalties.one_sided_penalty(critic, real, fake, rng, square=False), torch.tensor(excess))
    close(penalties.dragan_penalty(critic, real, rng), torch.tensor((norm - 1) ** 2))
    close(penalties.r1_penalty(critic, real), torch.tensor(norm**2 / 2))


def test_penalties_reach_the_critic_and_not_the_data(rng: torch.Generator) -> None:
    critic, real = linear(3.0, 4.0), torch.randn(5, 2)
    fake = torch.randn(5, 2, requires_grad=True)
    penalty = penalties.gradient_penalty(critic, real, fake, rng)
    slope, to_fake = torch.autograd.grad(penalty, [critic[0].weight, fake], allow_unused=True)
    close(slope, torch.tensor([[2 * 4 * 0.6, 2 * 4 * 0.8]]))  # d (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    assert to_fake is None


def test_gradients_are_each_examples_own() -> None:
    def squares(x: Tensor) -> Tensor:
        return x.square().sum((1, 2, 3)) / 2

    x = torch.randn(4, 1, 3, 3)
    close(penalties.gradient_norms(squares, x), x.flatten(1).norm(dim=1))


def test_segments_join_each_fake_to_its_real(rng: torch.Generator) -> None:
    real, fake = torch.randn(2000, 3), torch.randn(2000, 3)
    x = penalties.on_segments(real, fake, rng)
    t = ((x - fake) / (real - fake)).double()
    # One t for all coordinates of an example. Where coordinates nearly agree the ratio loses digits.
    wide = ((real - fake).abs() > 0.3).all(1)
    close(t[wide, 0], t[wide, 1], atol=1e-4, rtol=0)
    uniform = t[wide, 2].sort().values
    assert (uniform - torch.linspace(0, 1, len(uniform), dtype=torch.float64)).abs().max() < 0.06  # KS at about 1e-5


def test_dragan_looks_near_the_data_only(rng: torch.Generator) -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.sum(1)

    real = torch.randn(500, 2) * 3
    penalties.dragan_penalty(critic, real, rng)
    noise = (seen[0] - real) / real.std()
    assert noise.abs().max() <= 0.5 + 1e-6
    close(noise.std(), torch.tensor(12**-0.5), atol=0.02, rtol=0)


def test_clipping_bounds_weights_and_leaves_small_ones() -> None:
    critic = linear(3.0, -4.0, 0.005)
    penalties.clip_weights_(critic, 0.01)
    close(critic[0].weight.data, torch.tensor([[0.01, -0.01, 0.005]]))


def test_clipping_the_gradient_bounds_the_step_but_not_the_weights() -> None:
    weight = nn.Parameter(torch.tensor([0.0, 0.0]))
    optimizer = penalties.gradient_clamped(torch.optim.SGD, 0.01)([weight], lr=1.0)
    for _ in range(1000):
        optimizer.zero_grad()
        (-weight * torch.tensor([100.0, 0.001])).sum().backward()
        optimizer.step()
    close(weight.data, torch.tensor([10.0, 1.0]), rtol=1e-4, atol=0)


def test_clipping_the_gradients_norm_keeps_its_direction_and_short_gradients() -> None:
    for gradient, step in (([30.0, -40.0], [0.6, -0.8]), ([0.3, -0.4], [0.3, -0.4])):
        weight = nn.Parameter(torch.zeros(2))
        optimizer = penalties.gradient_clipped(torch.optim.SGD, 1.0)([weight], lr=1.0)
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        close(weight.data, -torch.tensor(step), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("clips", "moved"), [(True, 0.5), (False, 0.02)])
def test_one_huge_gradient_does_not_stop_adam_where_it_is_clipped(clips: bool, moved: float) -> None:
    weight = nn.Parameter(torch.zeros(1))
    adam = penalties.gradient_clipped(torch.optim.Adam, 1.0) if clips else torch.optim.Adam
    optimizer = adam([weight], lr=1e-3)
    for t in range(1000):
        weight.grad = torch.tensor([1e5 if t == 0 else -1.0])
        optimizer.step()
    assert (weight.item() > moved) is clips
