"""Sliced distances as metrics: translations, Gaussians, one dimension, symmetry, errors over directions, pyramids."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import wasserstein_distance

from ganbench.errors import BadConfig, BadInput
from ganbench.metrics.pyramid import descriptors, laplacian_pyramid, lp_swd, patch_positions, reconstruct
from ganbench.metrics.sliced import error_directions, max_sliced_wasserstein, sliced_wasserstein
from ganbench.ops.sliced import line_potentials, potentials, random_directions, transport_on_lines


def test_a_translation_is_measured_exactly_by_full_orthogonal_blocks(rng):
    x, t = torch.randn(80, 6, generator=rng).double(), torch.randn(6, generator=rng).double()
    moved = (x + t)[torch.randperm(80, generator=rng)]
    score = sliced_wasserstein(moved, x, rng=rng, n_directions=60)
    assert score.value**2 == pytest.approx(float(t.square().sum()) / 6, rel=1e-10)
    assert score.extra["se_over_directions"] == pytest.approx(0, abs=1e-10)  # each block of 6 is exact
    assert max_sliced_wasserstein(moved, x, rng=rng).value == pytest.approx(float(t.norm()), rel=1e-4)


def test_isotropic_gaussians_have_their_closed_form(rng):
    # SW2^2 = |m|^2/d + (s1 - s2)^2
    n, d, shift = 20_000, 5, 0.4
    x, y = torch.randn(n, d, generator=rng) * 1.5 + shift, torch.randn(n, d, generator=rng)
    assert sliced_wasserstein(x, y, rng=rng).value ** 2 == pytest.approx(shift**2 + 0.25, rel=0.03)


def test_one_dimension_is_the_exact_distance(rng):
    x, y = torch.randn(50, 1, generator=rng).double(), torch.randn(70, 1, generator=rng).double() * 2
    score = sliced_wasserstein(x, y, rng=rng, p=1, n_directions=4)
    assert score.value == pytest.approx(wasserstein_distance(x[:, 0].numpy(), y[:, 0].numpy()), rel=1e-10)


def test_symmetry_seeds_given_directions_and_order(rng):
    x, y = torch.randn(60, 4, generator=rng).double(), torch.randn(40, 4, generator=rng).double() + 0.5
    score = sliced_wasserstein(x, y, rng=torch.Generator().manual_seed(5), n_directions=30)
    swapped = sliced_wasserstein(y, x, rng=torch.Generator().manual_seed(5), n_directions=30)
    theta = random_directions(30, 4, torch.Generator().manual_seed(5), dtype=torch.float64)
    given = sliced_wasserstein(x.flip(0), y, rng=rng, directions=theta * 7)
    assert swapped.value == pytest.approx(score.value, rel=1e-12)
    assert given.value == pytest.approx(score.value, rel=1e-12)
    assert given.signature != score.signature


@pytest.mark.parametrize(("kind", "d"), [("orthogonal", 4), ("gaussian", 30), ("orthogonal", 30)])
def test_the_error_over_directions_is_that_of_repeated_directions(rng, kind, d):
    x, y = torch.randn(60, d, generator=rng), torch.randn(60, d, generator=rng)
    y[:, 0] *= 4
    scores = [sliced_wasserstein(x, y, rng=rng, n_directions=48, kind=kind) for _ in range(150)]
    spread = float(torch.tensor([s.value for s in scores]).std())
    claimed = float(torch.tensor([s.extra["se_over_directions"] for s in scores]).mean())
    # independent or block-wise errors are right; the errors of few orthogonal blocks may only overstate
    assert spread / claimed < 1.25
    if not (kind == "orthogonal" and d == 30):
        assert spread / claimed > 0.8


@pytest.mark.parametrize(("n", "m", "d", "directions", "p"), [(150, 100, 4, 60, 2), (80, 80, 30, 300, 1)])
def test_the_error_is_that_of_repeated_draws(rng, n, m, d, directions, p):
    def score():
        x, y = torch.randn(n, d, generator=rng) * 1.3 + 0.2, torch.randn(m, d, generator=rng)
        return sliced_wasserstein(x, y, rng=rng, n_directions=directions, p=p)

    scores = [score() for _ in range(120)]
    spread = float(torch.tensor([s.value for s in scores]).std())
    claimed = float(torch.tensor([s.se for s in scores]).mean())
    assert 0.8 < spread / claimed < 1.2  # 120 draws tell a deviation to 6.5 %
    assert max(s.extra["se_over_directions"] for s in scores) < claimed


@pytest.mark.parametrize(("n", "m", "p"), [(40, 40, 1.0), (40, 25, 2.0), (7, 30, 3.0)])
def test_potentials_on_a_line_certify_the_cost(rng, n, m, p):
    a, b = torch.randn(3, n, generator=rng).double(), torch.randn(3, m, generator=rng).double() + 0.5
    a, b = a.sort(1).values, b.sort(1).values
    u, v = line_potentials(a, b, p)
    v += (a[:, :1] - b[:, :1]).abs() ** p  # the first pair of the staircase is on the plan
    assert bool((u[:, :, None] + v[:, None] <= (a[:, :, None] - b[:, None]).abs() ** p + 1e-12).all())  # feasible
    torch.testing.assert_close(u.mean(1) + v.mean(1), transport_on_lines(a, b, p))  # so both are optimal


def test_directions_of_the_error_are_at_most_100_and_far_apart():
    assert [len(error_directions(n)) for n in (1, 60, 100, 101, 500, 512)] == [1, 60, 100, 51, 100, 86]


def test_some_directions_tell_the_error_of_all(rng):
    x, y = torch.randn(200, 20, generator=rng), torch.randn(150, 20, generator=rng) + 0.2
    theta = random_directions(1000, 20, rng)
    whole = potentials(x, y, theta).variance(1000)
    some = [potentials(x, y, part).variance(1000) for part in (theta[k::10] for k in range(10))]
    assert sum(some) / 10 == pytest.approx(whole, rel=0.1)  # right on average
    assert max(abs(v / whole - 1) for v in some) < 0.5  # an error of the error of a quarter at worst
    halves = potentials(x, y, theta[:500]) + potentials(x, y, theta[500:])
    assert halves.variance(1000) == pytest.approx(whole, rel=1e-9)


def test_the_pyramids_error_is_of_the_draw_and_errs_to_the_safe_side(rng):
    # images of one brightness each, so patches of an image move together
    def images(n):
        return torch.rand(n, 1, 8, 8, generator=rng) * torch.rand(n, 1, 1, 1, generator=rng)

    scores = [lp_swd(images(60).sqrt(), images(60), rng=rng, patches=4, n_directions=64) for _ in range(60)]
    spread = float(torch.tensor([s.value for s in scores]).std())
    claimed = float(torch.tensor([s.se for s in scores]).mean())
    assert 0.5 < spread / claimed < 1.2


def test_bad_options_are_refused(rng):
    x = torch.randn(20, 3, generator=rng)
    with pytest.raises(BadConfig, match="p must be at least 1"):
        sliced_wasserstein(x, x, rng=rng, p=0.5)
    with pytest.raises(BadInput, match=r"\(L, 3\)"):
        sliced_wasserstein(x, x, rng=rng, directions=torch.ones(4, 2))
    with pytest.raises(BadInput, match="not zero"):
        sliced_wasserstein(x, x, rng=rng, directions=torch.zeros(4, 3))


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 33, 47), (1, 28, 28), (2, 8, 8)])
def test_a_pyramid_adds_up_to_its_images_and_separates_scales(rng, shape):
    x = torch.randn(4, *shape, generator=rng).double()
    levels = laplacian_pyramid(x)
    torch.testing.assert_close(reconstruct(levels), x)
    assert len(levels) == {64: 3, 33: 2, 28: 1, 8: 1}[shape[1]]
    flat = laplacian_pyramid(torch.ones(1, 1, 64, 64))
    assert all(float(level.abs().max()) < 1e-6 for level in flat[:-1])  # a constant image has no detail


def test_pyramid_swd_of_equal_sets_is_zero_and_constant_images_are_finite(rng):
    x = torch.rand(12, 1, 32, 32, generator=rng)
    assert lp_swd(x, x, rng=rng, patches=8, n_directions=32).value == 0
    constant = lp_swd(torch.zeros(12, 1, 32, 32), x, rng=rng, patches=8, n_directions=32)
    assert constant.value > 100
    assert set(constant.extra["levels"]) == {"32x32", "16x16"}
    x, fresh = torch.rand(2, 60, 1, 32, 32, generator=rng)
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    noticed = lp_swd(blurred, x, rng=rng, patches=32, n_directions=64)
    assert noticed.value > 3 * lp_swd(fresh, x, rng=rng, patches=32, n_directions=64).value


def test_descriptors_are_the_patches_at_their_corners_normalised(rng):
    x = torch.randn(5, 2, 9, 11, generator=rng)
    corners = patch_positions(5, 3, 9, 11, rng)
    patches = torch.stack([x[i, :, r : r + 7, c : c + 7] for i in range(5) for r, c in corners[i].tolist()])
    patches = patches - patches.mean((0, 2, 3), keepdim=True)
    patches = patches / patches.square().mean((0, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(descriptors(x, corners), patches.flatten(1), rtol=1e-4, atol=1e-5)


def test_pyramids_need_images(rng):
    with pytest.raises(BadInput, match="at least 7x7"):
        lp_swd(torch.rand(5, 1, 6, 6), torch.rand(5, 1, 6, 6), rng=rng)
    with pytest.raises(BadInput, match="images"):
        lp_swd(torch.rand(5, 64), torch.rand(5, 64), rng=rng)
