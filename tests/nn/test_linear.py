"""The linear layer through oneDNN: values and derivatives of torch's own, to the rounding of float32."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.nn import linear
from ganbench.nn.linear import Linear, affine

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")


def data(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@needs_onednn
@pytest.mark.parametrize(("b", "i", "o"), [(1, 1, 1), (7, 41, 401), (64, 512, 256)])
def test_values_and_gradients_are_those_of_torch(b: int, i: int, o: int) -> None:
    inputs = [data(b, i).requires_grad_(), data(o, i, seed=1).requires_grad_(), data(o, seed=2).requires_grad_()]
    weights = data(b, o, seed=3)
    ours, theirs = affine(*inputs), F.linear(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for a, c in zip(
        torch.autograd.grad(ours, inputs, weights), torch.autograd.grad(theirs, inputs, weights), strict=True
    ):
        torch.testing.assert_close(a, c, rtol=1e-4, atol=1e-3)


@needs_onednn
def test_a_gradient_penalty_reaches_the_weights() -> None:
    def penalty(f: object) -> Tensor:
        x, w = data(16, 300).requires_grad_(), data(300, 300, seed=1).div(17).requires_grad_()
        (g,) = torch.autograd.grad(f(x, w).tanh().sum(), x, create_graph=True)  # type: ignore[operator]
        (out,) = torch.autograd.grad((g.norm(dim=1) - 1).square().mean(), w)
        return out

    torch.testing.assert_close(penalty(affine), penalty(F.linear), rtol=1e-3, atol=1e-6)


def test_what_does_not_fit_goes_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> Tensor:
        raise AssertionError("went to oneDNN")

    layer, small, x = Linear(300, 300), Linear(8, 8), data(5, 300)
    with torch.no_grad():
        expected = F.linear(x, layer.weight, layer.bias)
    monkeypatch.setattr(linear, "affine", refuse)
    with torch.no_grad():
        torch.testing.assert_close(small(data(5, 8)), F.linear(data(5, 8), small.weight, small.bias))
        torch.testing.assert_close(layer.double()(x.double()).float(), expected, rtol=1e-4, atol=1e-5)
    layer.float()
    assert torch.func.vmap(torch.func.jacrev(layer))(x[:2]).shape == (2, 300, 300)


def test_initialisation_and_state_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours = Linear(300, 300)
    torch.manual_seed(0)
    theirs = torch.nn.Linear(300, 300)
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=0, atol=0)


@needs_onednn
def test_a_turn_computes_the_gradients_of_its_own_weights_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []

    def counting(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        shapes.append((len(x), len(weight)))
        return affine(x, weight, bias)

    monkeypatch.setattr(linear, "affine", counting)  # what derivatives are made of
    z, g, d = (data(n, 256, seed=n).requires_grad_() for n in (8, 300, 300))
    g_out = affine(z, g)  # (8, 300)
    out = affine(g_out, data(256, 300, seed=1).requires_grad_())
    affine(out, d).sum().backward(inputs=[g])
    # From the end: the gradient of `out`, of `g_out`, then of g; none of the two weights above it, none of z.
    assert shapes == [(8, 256), (8, 300), (300, 256)]
    assert g.grad is not None
    assert d.grad is None
    assert z.grad is None
