"""Codes of a trained generator: found by descent, added and subtracted, edited; and what is refused."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from baselines.conditional.attr_edit import AttributeEditor
from baselines.conditional.code_arith import CodeArithmetic, directions
from baselines.conditional.code_projection import CodeProjection
from ganbench.data import Condition, DataSpec, Split
from ganbench.errors import BadInput, NotApplicable
from ganbench.ops.impute import impute
from ganbench.ops.interpolate import lerp, slerp

SPEC = DataSpec("images", (1, 4, 4), (-1.0, 1.0), 3, 100, 100)
BITS = DataSpec(
    "bits", (3, 16, 16), (-1.0, 1.0), 3, 100, 100, cond=Condition("attributes", (3,), names=("a", "b", "c"))
)


class Flat(nn.Module):
    """A linear generator."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def forward(self, z):
        return (z @ self.matrix).view(-1, 1, 4, 4)


@pytest.fixture
def linear(workbench, rng):
    def build(**config):
        model = workbench.build(CodeProjection, SPEC, latent_dim=5, restarts=2, **config)
        model.generator = Flat(torch.randn(5, 16, generator=rng))
        return model

    return build


KNOWN = torch.arange(16).view(1, 4, 4) % 2 == 0


@pytest.mark.parametrize(("method", "steps", "near"), [("lbfgs", 100, 1e-5), ("adam", 600, 1e-3)])
def test_codes_of_a_linear_generator_are_the_least_squares_solution(linear, rng, monkeypatch, method, steps, near):
    """The closed form, in float64; Adam's last steps are of a hundredth of its rate, so it stops further away."""
    monkeypatch.setattr(torch, "randn", partial(torch.randn, dtype=torch.float64))
    model = linear(method=method, steps=steps).double()
    x = torch.randn(3, 1, 4, 4, generator=rng)
    codes, error = model.find_codes(x, KNOWN, rng)
    rows, matrix = KNOWN.flatten(), model.generator.matrix.detach()
    wanted = torch.linalg.lstsq(matrix[:, rows].T, x.flatten(1)[:, rows].T).solution.T
    torch.testing.assert_close(codes, wanted, rtol=0, atol=near)
    torch.testing.assert_close(error, (wanted @ matrix - x.flatten(1))[:, rows].square().mean(1), rtol=0, atol=near)


def test_nothing_of_what_is_unknown_is_looked_at(linear):
    model, x = linear(steps=20), torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    other = torch.where(KNOWN, x, 7.0)
    made = [model.find_codes(t, KNOWN, torch.Generator().manual_seed(0))[0] for t in (x, other)]
    assert torch.equal(*made)


@pytest.mark.parametrize("method", ["adam", "lbfgs"])
def test_generated_images_are_recovered(workbench, image8_spec, method):
    """The best of the restarts fits what the generator made, to a mean squared error below 1e-3."""
    model = workbench.build(CodeProjection, image8_spec, latent_dim=8, method=method).eval()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.generator.parameters():
            p.mul_(1.5)  # further from its middle than a fresh one
        x = model.sample(4, rng)
        known = torch.ones(1, 8, 8, dtype=torch.bool)
        off = (model.project(x, known, rng) - x).square().flatten(1).mean(1)
    assert x.std() > 0.05
    assert off.max() < 1e-3


def test_more_restarts_never_fit_worse(linear, rng):
    few = linear(steps=5)
    x = torch.randn(4, 1, 4, 4, generator=rng)
    errors = {}
    for restarts in (1, 8):
        model = linear(steps=5)
        model.generator = few.generator
        object.__setattr__(model.config, "restarts", restarts)
        errors[restarts] = model.find_codes(x, KNOWN, torch.Generator().manual_seed(3))[1].mean()
    assert errors[8] <= errors[1]


def test_arithmetic_is_exact_where_attributes_are_directions(rng):
    """Attributes that are signs of independent numbers: each direction is 2 E|z| of its number and nothing else."""
    z = torch.randn(200_000, 4, generator=rng)
    found = directions(z, z[:, :2] > 0)
    wanted = torch.zeros(2, 4)
    wanted[0, 0] = wanted[1, 1] = 2 * (2 / torch.pi) ** 0.5
    torch.testing.assert_close(found, wanted, rtol=0, atol=0.02)  # 4 standard errors, 2 / sqrt(200,000)


def test_an_attribute_that_all_have_has_no_direction(rng):
    z = torch.randn(50, 3, generator=rng)
    has = torch.stack([torch.ones(50), torch.zeros(50)], 1).bool()
    assert not directions(z, has).any()


def test_no_change_asked_for_is_a_reconstruction(workbench, rng):
    model = workbench.build(CodeArithmetic, BITS, latent_dim=6).eval()
    x = 2 * torch.rand(4, 3, 16, 16, generator=rng) - 1
    with torch.no_grad():
        model.directions.normal_()
        has = torch.where(model.read(x)[1] > 0, 1.0, -1.0)
        torch.testing.assert_close(model.edit(x, has, rng), model.reconstruct(x))
        assert not torch.allclose(model.edit(x, -has, rng), model.reconstruct(x))


def test_the_encoders_are_trained_after_the_gan_and_move_alone(workbench):
    model = workbench.build(AttributeEditor, BITS)
    spans = {p.name: p.span for p in model.players()}
    assert spans["generator"][1] == spans["code encoder"][0] == model.config.gan_share


def test_wrong_attributes_that_are_right_do_not_count(workbench, rng):
    """Rows of one attribute vector have no wrong one: the loss is that of real and fake pairs alone."""
    from ganbench.data import Batch

    model = workbench.build(AttributeEditor, BITS, matching_weight=0.5)
    x = 2 * torch.rand(8, 3, 16, 16, generator=rng) - 1
    same = Batch(x, torch.Generator().manual_seed(0), cond=torch.ones(8, 3))
    whole = model.discriminator_loss(same)
    model = workbench.build(AttributeEditor, BITS, matching_weight=0.0)
    alone = model.discriminator_loss(Batch(x, torch.Generator().manual_seed(0), cond=torch.ones(8, 3)))
    model = workbench.build(AttributeEditor, BITS, matching_weight=0.5)
    real = nn.functional.softplus(-model.discriminator(x, torch.ones(8, 3))).mean()
    whole, alone, real = whole.item(), alone.item(), real.item()
    assert whole - real == pytest.approx((alone - real) / 2, rel=1e-4)  # batch norm sees the same batches


@pytest.mark.parametrize("cls", [AttributeEditor, CodeArithmetic])
def test_what_is_no_attribute_is_refused(workbench, rng, cls):
    model = workbench.build(cls, BITS).eval()
    x = torch.zeros(2, 3, 16, 16)
    for bad, reason in (
        (torch.ones(2, 4), r"must be \(2, 3\) floats"),
        (torch.ones(2, 3, dtype=torch.int64), "got .*int64"),
        (torch.full((2, 3), 0.5), "-1 or 1"),
        (torch.full((2, 3), torch.nan), "-1 or 1"),
    ):
        with pytest.raises(BadInput, match=reason):
            model.edit(x, bad, rng)
    for spec in (SPEC, DataSpec("p", (1, 8, 8), (-1.0, 1.0), cond=Condition("image", (1, 8, 8)))):
        with pytest.raises(NotApplicable, match="attributes"):
            workbench.build(cls, spec)


def test_norms_halfway(rng):
    """Halfway the norm of two normal codes falls by sqrt 2 on the straight line and is kept on the sphere."""
    a, b = torch.randn(2, 500, 1000, generator=rng).unbind()
    half = torch.full((500, 1), 0.5)
    straight, round_ = (way(a, b, half).norm(dim=1).mean() / a.norm(dim=1).mean() for way in (lerp, slerp))
    assert straight == pytest.approx(0.5**0.5, abs=0.01)  # norms of 1,000 numbers vary by 2 % each, means by 0.1 %
    assert round_ == pytest.approx(1, abs=0.01)
    for t, end in ((0.0, a), (1.0, b)):
        torch.testing.assert_close(slerp(a, b, torch.full((500, 1), t)), end, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(slerp(a, a, half), a)


def test_imputation_finds_the_conditional_mean_of_a_linear_model():
    """x2 = x1 in law: redrawing x as its projection onto the diagonal ends at the known number, error halved a step."""
    known = torch.tensor([True, False])
    found = impute(torch.tensor([[3.0, 99.0]]), known, lambda x: x.mean(1, keepdim=True).expand(-1, 2))
    torch.testing.assert_close(found, torch.tensor([[3.0, 3.0]]))


def test_attributes_reach_code_arithmetic_by_its_reader_alone(workbench):
    model = workbench.build(CodeArithmetic, BITS, batch_size=8)
    data = Split(torch.rand(32, 3, 16, 16) * 2 - 1, cond=torch.ones(32, 3))
    model.finish(data, torch.Generator().manual_seed(0))
    assert model.directions.shape == (3, model.config.latent_dim)
