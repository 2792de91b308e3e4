"""Batched Jacobians: linear maps, elementwise maps, both modes, second derivatives."""

from __future__ import annotations

import pytest
import torch

from ganbench.ops.jacobians import batched_jacobian


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 7), (7, 3)])
def test_a_linear_map_is_its_own_jacobian(rng, inputs, outputs):
    weight = torch.randn(outputs, inputs, generator=rng)
    got = batched_jacobian(lambda x: x @ weight.T, torch.randn(5, inputs, generator=rng))
    torch.testing.assert_close(got, weight.expand(5, -1, -1))


def test_an_elementwise_map_on_images_has_a_diagonal_jacobian(rng):
    x = torch.randn(4, 1, 2, 3, generator=rng, dtype=torch.float64)
    got = batched_jacobian(torch.sin, x)
    assert got.shape == (4, 1, 2, 3, 1, 2, 3)
    torch.testing.assert_close(got.reshape(4, 6, 6), torch.diag_embed(x.cos().flatten(1)))


def test_network_jacobians_match_finite_differences_and_carry_gradients(rng):
    first, second = (torch.randn(6, 4, generator=rng).double() for _ in range(2))
    first.requires_grad_()
    x = torch.randn(3, 4, generator=rng).double()

    def network(v):
        return torch.tanh(v @ first.T) @ second

    got = batched_jacobian(network, x)
    step = 1e-6 * torch.eye(4).double()
    finite = torch.stack([(network(x + e) - network(x - e)) / 2e-6 for e in step], -1)
    torch.testing.assert_close(got, finite, rtol=1e-6, atol=1e-8)
    (gradient,) = torch.autograd.grad(got.square().sum(), first)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0
