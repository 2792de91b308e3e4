"""Softplus against torch's own in float64."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ganbench.nn.softplus import Softplus


def test_values_and_slopes_are_those_of_log_of_one_plus_exp() -> None:
    x = torch.linspace(-40, 40, 1001, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    ours, theirs = Softplus()(x), F.softplus(exact, threshold=100)
    torch.testing.assert_close(ours.double(), theirs, rtol=2e-7, atol=1e-7)  # float32 near 1
    (slope,), (expected,) = torch.autograd.grad(ours.sum(), x), torch.autograd.grad(theirs.sum(), exact)
    torch.testing.assert_close(slope.double(), expected, rtol=1e-6, atol=1e-7)


def test_it_is_finite_however_far_out() -> None:
    x = torch.tensor([-1e30, 1e30], requires_grad=True)
    y = Softplus()(x)
    torch.testing.assert_close(y, torch.tensor([0, 1e30]))
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope, torch.tensor([0.0, 1.0]))
