"""Jacobians against closed forms; tangents of a circle and a sphere."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.testing import assert_close

from ganbench.ops.jacobian import batched_jacobian, leading_tangents


def test_jacobian_of_a_sigmoid_layer_is_its_closed_form(rng: torch.Generator) -> None:
    weight, x = torch.randn(5, 3, generator=rng).double(), torch.randn(4, 3, generator=rng).double()
    h = torch.sigmoid(x @ weight.T)
    assert_close(batched_jacobian(lambda v: torch.sigmoid(v @ weight.T), x), (h * (1 - h))[:, :, None] * weight)


def test_jacobian_keeps_the_shape_of_events(rng: torch.Generator) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    jacobian = batched_jacobian(net, torch.randn(2, 3, 2, 2, generator=rng))
    assert_close(jacobian.flatten(2), net[1].weight.expand(2, 5, 12))


def project_and_bend(x: Tensor) -> Tensor:
    """A code that sees only the direction of x: its Jacobian has the radius in its kernel."""
    unit = x / x.norm(dim=1, keepdim=True)
    return torch.cat([unit, torch.tanh(unit)], 1)


def test_tangents_of_a_circle(rng: torch.Generator) -> None:
    angle = 2 * math.pi * torch.rand(20, generator=rng)
    x, tangent = torch.stack([angle.cos(), angle.sin()], 1), torch.stack([-angle.sin(), angle.cos()], 1)
    found = leading_tangents(batched_jacobian(project_and_bend, x), 1)[:, 0]
    assert_close((found * tangent).sum(1).abs(), torch.ones(20), atol=1e-4, rtol=0)  # the sign is free


def test_tangents_of_a_sphere_span_the_tangent_plane(rng: torch.Generator) -> None:
    x = nn.functional.normalize(torch.randn(20, 3, generator=rng), dim=1)
    found = leading_tangents(batched_jacobian(project_and_bend, x), 2)
    projection = torch.einsum("btd,bte->bde", found, found)
    assert_close(projection, torch.eye(3) - x[:, :, None] * x[:, None], atol=1e-4, rtol=0)


def test_tangents_come_strongest_first_and_orthonormal(rng: torch.Generator) -> None:
    scales = torch.tensor([0.1, 3.0, 1.0])
    found = leading_tangents(batched_jacobian(lambda v: v * scales, torch.randn(4, 3, generator=rng)), 3)
    assert_close(found.abs(), torch.eye(3)[[1, 2, 0]].expand(4, 3, 3))
