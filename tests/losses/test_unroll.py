"""Unrolled steps against the optimizer itself, and their derivatives against finite differences."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ganbench.losses.unroll import Parameters, unroll

close = torch.testing.assert_close


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def loss_on(module: nn.Module, parameters: Parameters, x: Tensor, shift: Tensor) -> Tensor:
    return (functional_call(module, parameters, (x + shift,)) - x.sum(1, keepdim=True)).square().mean()


@pytest.mark.parametrize("taken", [0, 3])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_unrolled_parameters_are_those_adam_would_reach(taken: int, k: int) -> None:
    module, x, shift = net(), torch.randn(8, 2, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02, betas=(0.5, 0.9))

    def step() -> None:
        optimizer.zero_grad()
        loss_on(module, dict(module.named_parameters()), x, shift).backward()
        optimizer.step()

    for _ in range(taken):
        step()
    before = copy.deepcopy(module.state_dict())
    moments = copy.deepcopy(optimizer.state_dict())
    after = unroll(module, optimizer, lambda p: loss_on(module, p, x, shift), k)
    close(dict(module.state_dict()), dict(before))  # nothing moved
    assert str(optimizer.state_dict()) == str(moments)
    for _ in range(k):
        step()
    close(
        {n: p.detach() for n, p in after.items()}, dict(module.state_dict()), rtol=1e-5, atol=1e-7
    )  # Adam counts steps in float32


def test_the_derivative_goes_through_every_step() -> None:
    module, x = net(), torch.randn(8, 2, dtype=torch.float64)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02, betas=(0.5, 0.9))
    loss_on(module, dict(module.named_parameters()), x, torch.zeros(())).backward()
    optimizer.step()

    def value(shift: Tensor) -> Tensor:
        after = unroll(module, optimizer, lambda p: loss_on(module, p, x, shift), 4)
        return loss_on(module, after, x, torch.zeros(()))  # the shift acts through the steps alone

    shift = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(value(shift), shift)
    h = 1e-6
    numerical = (value(shift.detach() + h) - value(shift.detach() - h)).detach() / (2 * h)
    close(slope, numerical, rtol=1e-5, atol=1e-9)
    assert slope.abs() > 1e-4


def test_parameters_without_gradient_do_not_poison_the_rest() -> None:
    """The root of Adam's second moment has no derivative at zero."""
    module = nn.Linear(2, 1).double()
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=torch.float64)  # the second weight never matters
    shift = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)

    def loss(parameters: Parameters) -> Tensor:
        return functional_call(module, parameters, (x * shift,)).square().mean()

    (slope,) = torch.autograd.grad(loss(unroll(module, optimizer, loss, 3)), shift)
    assert slope.isfinite()
