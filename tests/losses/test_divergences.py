"""f-divergences: conjugates against their definition, activations against the domain, known values on discrete laws."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ganbench.losses.divergences import DIVERGENCES, Divergence, generator_f, generator_f_exact, variational_bound

close = torch.testing.assert_close
P = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
Q = torch.tensor([0.4, 0.1, 0.2, 0.3], dtype=torch.float64)
ALL = pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=DIVERGENCES)


def divergence_of(divergence: Divergence, p: Tensor, q: Tensor) -> Tensor:
    return (q * divergence.f(p / q)).sum()


def test_values_are_the_ones_each_is_named_for() -> None:
    m = (P + Q) / 2
    js = 0.5 * (P * (P / m).log()).sum() + 0.5 * (Q * (Q / m).log()).sum()
    expected = {
        "kl": (P * (P / Q).log()).sum(),
        "rkl": (Q * (Q / P).log()).sum(),
        "pearson": ((P - Q) ** 2 / Q).sum(),  # over q, not p
        "hellinger": ((P.sqrt() - Q.sqrt()) ** 2).sum(),
        "js": 2 * js,
        "gan": 2 * js - math.log(4),
    }
    for name, value in expected.items():
        close(divergence_of(DIVERGENCES[name], P, Q), value)


@ALL
def test_conjugate_is_the_supremum_of_tu_minus_f(divergence: Divergence) -> None:
    u = torch.logspace(-6, 6, 400_001, dtype=torch.float64)
    v = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)
    for t in divergence.activation(v):
        supremum = (t * u - divergence.f(u)).max()
        close(divergence.conjugate(t), supremum, rtol=1e-6, atol=1e-6)


@ALL
def test_the_stable_form_is_the_conjugate_of_the_activation(divergence: Divergence) -> None:
    v = torch.linspace(-3, 3, 25, dtype=torch.float64)
    close(divergence.conjugate_of_activation(v), divergence.conjugate(divergence.activation(v)))


@ALL
def test_the_optimal_function_is_the_derivative_of_f(divergence: Divergence) -> None:
    u = torch.tensor([0.2, 0.5, 1.0, 2.0, 7.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(divergence.f(u).sum(), u)
    close(divergence.optimal(u).detach(), slope)


@ALL
def test_large_outputs_mean_real(divergence: Divergence) -> None:
    """T grows with V, and so does what the bound subtracts on fakes: the same orientation for every divergence."""
    v = torch.linspace(-1.9, 3, 50, dtype=torch.float64)
    assert (divergence.activation(v).diff() > 0).all()
    assert (divergence.conjugate_of_activation(v).diff() > 0).all()


@ALL
def test_losses_are_the_bounds_terms(divergence: Divergence) -> None:
    real, fake = torch.randn(9, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    t_real, t_fake = divergence.activation(real), divergence.activation(fake)
    close(variational_bound(divergence, real, fake), t_real.mean() - divergence.conjugate(t_fake).mean())
    close(generator_f(divergence, fake), -t_fake.mean())
    close(generator_f_exact(divergence, fake), -divergence.conjugate(t_fake).mean())
