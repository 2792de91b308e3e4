"""Autoencoders without a prior: penalties, corruption, tangents, and the density fitted to codes."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from baselines.autoencoder.ae import Autoencoder
from baselines.autoencoder.ae_decoder_gen import DecodedCodes
from baselines.autoencoder.cae import ContractiveAutoencoder, contractive_penalty
from baselines.autoencoder.conv_ae import ConvAutoencoder
from baselines.autoencoder.dae import DenoisingAutoencoder
from baselines.autoencoder.tangent_prop import TangentProp, transformation_tangents
from baselines.autoencoder.tangents import ManifoldTangents
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget, NotApplicable


@pytest.mark.parametrize("event", ["vector_spec", "image8_spec"])
@pytest.mark.parametrize("cls", [Autoencoder, DenoisingAutoencoder])
def test_reconstruction_losses_are_squared_error_on_vectors_and_cross_entropy_on_images(
    workbench: Any, cls: Any, event: str, request: Any
) -> None:
    spec = request.getfixturevalue(event)
    model, batch = workbench.build(cls, spec), workbench.batch(spec)
    seen = batch.x
    if cls is DenoisingAutoencoder:
        seen = model.corrupt(batch.x, torch.Generator().manual_seed(4))
        assert not torch.equal(seen, batch.x)
    out = model.decoder(model.encoder(seen)).double()
    if spec.is_image:
        x = (batch.x.double() + 1) / 2
        expected = -(x * out.sigmoid().log() + (1 - x) * (1 - out.sigmoid()).log()).flatten(1).sum(1).mean()
    else:
        expected = ((out - batch.x) ** 2).sum() / len(batch.x)
    assert_close(model.loss(Batch(batch.x, torch.Generator().manual_seed(4))).double(), expected, rtol=1e-5, atol=1e-5)


def test_masking_sets_the_stated_share_to_black(workbench: Any, image8_spec: DataSpec, rng: torch.Generator) -> None:
    noisy = workbench.build(DenoisingAutoencoder, image8_spec).corrupt(torch.ones(500, 1, 8, 8), rng)
    assert set(noisy.unique().tolist()) == {-1.0, 1.0}
    assert_close(float((noisy == -1).float().mean()), 0.25, atol=0.01, rtol=0)


def test_contractive_penalty_is_the_jacobian_norm_by_autograd(workbench: Any, rng: torch.Generator) -> None:
    model = workbench.build(ContractiveAutoencoder, DataSpec("v", (5,)), n_units=7).double()
    x = torch.randn(4, 5, generator=rng).double()
    jacobian = torch.stack([torch.autograd.functional.jacobian(model.encode, x[i : i + 1])[0, :, 0] for i in range(4)])
    expected = jacobian.square().sum((1, 2))
    assert_close(contractive_penalty(model.encode(x), model.layer.weight), expected)
    batch = Batch(x, rng)
    error = (x - model.reconstruct(x)).square().sum(1)
    assert_close(model.loss(batch), (error + 0.1 * expected).mean())


def test_contraction_lowers_the_jacobian_norm(workbench: Any, image8_spec: DataSpec) -> None:
    norms = []
    for weight in (0.0, 10.0):
        model = workbench.build(ContractiveAutoencoder, image8_spec, contraction_weight=weight)
        batch = workbench.batch(image8_spec, 256)
        train(model, Split(batch.x), Budget(iterations=100), torch.Generator().manual_seed(0))
        norms.append(model.diagnostics(batch)["jacobian_norm"].item())
    assert norms[1] < 0.7 * norms[0]


def test_tangents_agree_with_the_svd_of_the_closed_form_jacobian(workbench: Any, rng: torch.Generator) -> None:
    model = workbench.build(ManifoldTangents, DataSpec("v", (4,)), n_units=9, n_tangents=2)
    x = torch.randn(3, 4, generator=rng)
    h = model.encode(x)
    _, _, vh = torch.linalg.svd((h * (1 - h))[:, :, None] * model.layer.weight)
    assert_close((model.tangents(x) * vh[:, :2]).sum(2).abs(), torch.ones(3, 2), atol=1e-4, rtol=0)


def test_more_tangents_than_directions_are_refused(workbench: Any, vector_spec: DataSpec) -> None:
    with pytest.raises(NotApplicable, match="n_tangents = 3"):
        workbench.build(ManifoldTangents, vector_spec, n_tangents=3)


def test_transformation_tangents_of_a_ramp_are_exact() -> None:
    rows, columns = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    ramp = (2 * columns + 3 * rows)[None, None]
    right, down, rotation, scaling = transformation_tangents(ramp)[0, :, 0, 1:-1, 1:-1]  # the border is one-sided
    inner_rows, inner_columns = rows[1:-1, 1:-1], columns[1:-1, 1:-1]
    # Moved by s the ramp reads 2 (c - s) + 3 r; turned by a, point (c, r) shows what was at (c cos a + r sin a, ...).
    assert_close(right, torch.full((7, 7), -2.0))
    assert_close(down, torch.full((7, 7), -3.0))
    assert_close(rotation, inner_rows * 2 - inner_columns * 3)
    assert_close(scaling, -(2 * inner_columns + 3 * inner_rows))


def test_slopes_are_finite_differences_of_the_logits(workbench: Any, image8_spec: DataSpec) -> None:
    model, batch = workbench.build(TangentProp, image8_spec).double(), workbench.batch(image8_spec, 5)
    x = batch.x.double()
    tangents = transformation_tangents(x)
    slopes = model.slopes(x, tangents)
    step = 1e-6
    for j in range(4):
        expected = (model.classifier(x + step * tangents[:, j]) - model.classifier(x - step * tangents[:, j])) / (
            2 * step
        )
        assert_close(slopes[:, j], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("penalty", ["squared", "signed"])
def test_tangent_prop_loss_is_its_hand_written_form(workbench: Any, image8_spec: DataSpec, penalty: str) -> None:
    model = workbench.build(TangentProp, image8_spec, hidden=(), penalty=penalty)
    batch = workbench.batch(image8_spec)
    weight = model.classifier.head[0].weight  # (K, 64): a linear classifier's slope along v is W v
    slopes = transformation_tangents(batch.x).flatten(2) @ weight.T
    omega = (slopes**2 if penalty == "squared" else slopes).sum((1, 2)).mean()
    logits = batch.x.flatten(1) @ weight.T + model.classifier.head[0].bias
    assert_close(model.loss(batch), F.cross_entropy(logits, batch.y) + 0.1 * omega)


def test_tangent_prop_penalty_reaches_the_weights(workbench: Any, image8_spec: DataSpec) -> None:
    gradients = []
    for weight in (0.0, 1.0):
        model = workbench.build(TangentProp, image8_spec, tangent_weight=weight)
        model.loss(workbench.batch(image8_spec)).backward()
        gradients.append(model.classifier.body[0].weight.grad)
    assert float((gradients[0] - gradients[1]).norm()) > 0.01 * float(gradients[0].norm())


def test_tangent_prop_needs_images_with_labels(workbench: Any, vector_spec: DataSpec) -> None:
    with pytest.raises(NotApplicable, match="images"):
        workbench.build(TangentProp, vector_spec)
    with pytest.raises(NotApplicable, match="learns classes"):
        workbench.build(TangentProp, DataSpec("plain", (1, 8, 8), (-1.0, 1.0)))


def test_conv_ae_upsamples_by_nearest_neighbours_and_refuses_other_sides(
    workbench: Any, image28_spec: DataSpec
) -> None:
    model = workbench.build(ConvAutoencoder, image28_spec)
    assert not [m for m in model.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert {m.mode for m in model.decoder if isinstance(m, nn.Upsample)} == {"nearest"}
    assert model.encode(workbench.batch(image28_spec).x).shape == (16, 32)
    with pytest.raises(NotApplicable, match="multiples of 4"):
        workbench.build(ConvAutoencoder, DataSpec("odd", (1, 10, 10), (-1.0, 1.0)))


class Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("density", ["gaussian", "mixture"])
def test_density_of_codes_is_fitted_after_training(workbench: Any, rng: torch.Generator, density: str) -> None:
    spec = DataSpec("two blobs", (2,))
    model = workbench.build(DecodedCodes, spec, density=density, n_components=2)
    model.encoder = model.decoder = Identity()
    centres = torch.tensor([[-3.0, 0.0], [3.0, 1.0]])
    x = centres[torch.randint(2, (4000,), generator=rng)] + 0.2 * torch.randn(4000, 2, generator=rng)
    model.finish(Split(x), rng)
    samples = model.sample(4000, rng)
    assert_close(samples.mean(0), x.mean(0), atol=0.2, rtol=0)
    assert_close(torch.cov(samples.T), torch.cov(x.T), atol=0.3, rtol=0.05)
    between = ((samples[:, 0].abs() < 1.5).float().mean()).item()
    gaussian_share = math.erf(0.5 / math.sqrt(2))  # P(|N(0, 3)| < 1.5)
    assert_close(between, gaussian_share if density == "gaussian" else 0.0, atol=0.03, rtol=0)


def test_density_survives_the_state_dict(workbench: Any, vector_spec: DataSpec, rng: torch.Generator) -> None:
    model, other = (workbench.build(DecodedCodes, vector_spec) for _ in range(2))
    train(model, Split(torch.randn(300, 2, generator=rng)), Budget(iterations=20), rng)
    assert not torch.equal(model.means, other.means)
    other.load_state_dict(model.state_dict())
    draws = [m.eval().sample(5, torch.Generator().manual_seed(1)) for m in (model, other)]
    assert_close(draws[0], draws[1])


def test_fewer_examples_than_components_still_fit(workbench: Any, vector_spec: DataSpec, rng: torch.Generator) -> None:
    model = workbench.build(DecodedCodes, vector_spec)
    with torch.no_grad():
        model.finish(Split(torch.randn(4, 2, generator=rng)), rng)
    assert_close(model.weights.sum(), torch.tensor(1.0))
    assert torch.isfinite(model.sample(50, rng)).all()


@pytest.mark.slow
def test_trained_tangents_span_the_plane_the_data_lies_in(workbench: Any, rng: torch.Generator) -> None:
    basis = torch.linalg.qr(torch.randn(6, 2, generator=rng)).Q
    x = torch.randn(4000, 2, generator=rng) @ basis.T
    model = workbench.build(ManifoldTangents, DataSpec("plane", (6,)), n_tangents=2, n_units=32, lr=3e-3)
    train(model, Split(x), Budget(iterations=2000), rng)
    found = model.tangents(x[:200])
    inside = (found @ basis).square().sum(2)  # squared length of each tangent's part in the plane
    assert_close(inside, torch.ones(200, 2), atol=1e-2, rtol=0)
