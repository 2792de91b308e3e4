"""Growth: depths, fading in, and the layers of ProGAN, by their own laws."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from baselines.adversarial.progan import ProGAN
from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.growing import Equalised, GrowingCritic, GrowingGenerator, MinibatchDeviation, PixelNorm, growing_sides


@pytest.mark.parametrize(("side", "sides"), [(8, [4, 8]), (28, [7, 14, 28]), (32, [4, 8, 16, 32]), (12, [6, 12])])
def test_sides_halve_for_as_long_as_they_can(side, sides):
    assert growing_sides(side) == sides


@pytest.mark.parametrize("side", [9, 15, 6, 4])
def test_sides_that_do_not_halve_are_refused_before_training(workbench, side):
    with pytest.raises(NotApplicable, match="halve"):
        workbench.build(ProGAN, DataSpec("odd", (1, side, side), (-1.0, 1.0)))
    with pytest.raises(NotApplicable, match="square"):
        workbench.build(ProGAN, DataSpec("oblong", (1, 8, 16), (-1.0, 1.0)))


def test_a_depth_that_begins_to_fade_in_is_the_one_before_in_both_players(rng):
    sides, none, full = [4, 8], torch.tensor(0.0), torch.tensor(1.0)
    generator, critic = GrowingGenerator(6, 1, sides, 4), GrowingCritic(1, sides, 4)
    z = torch.randn(8, 6, generator=rng)
    small = generator(z, 0, full)
    torch.testing.assert_close(generator(z, 1, none), F.interpolate(small, scale_factor=2))
    x = torch.randn(8, 1, 8, 8, generator=rng)
    torch.testing.assert_close(critic(x, 1, none), critic(F.avg_pool2d(x, 2), 0, full))
    assert critic(F.avg_pool2d(x, 2), 0, full).shape == (8,)
    assert not torch.allclose(generator(z, 1, full), generator(z, 1, none))


def test_depths_follow_the_share_of_the_budget(workbench, image28_spec):
    """Three sides up to 0.6: stabilise to 0.15 of it, fade, stabilise, fade, each a fourth of 0.6."""
    model = workbench.build(ProGAN, image28_spec, growth=0.6)
    found = []
    for share in (0.0, 0.149, 0.225, 0.3, 0.4, 0.525, 0.6, 0.99):
        model.advance(share)
        found.append(float(model.depth))
    assert found == pytest.approx([0, 0, 0.5, 1, 1, 1.5, 2, 2], abs=1e-5)  # float32's rounding


def test_at_each_share_one_pair_plays_and_its_depth_is_the_one_that_fades(workbench, image28_spec):
    model = workbench.build(ProGAN, image28_spec)
    for share in torch.linspace(0, 0.999, 200).tolist():
        model.advance(share)
        playing = [p.name for p in model.players() if p.span[0] <= share < p.span[1]]
        assert len(playing) == 2
        level = model.sides.index(int(playing[0].split()[1]))
        assert level - 1 - 1e-5 <= float(model.depth) <= level + 1e-5
        assert {p.split()[1] for p in playing} == {str(model.sides[level])}


def test_the_twin_has_one_pair_at_full_size_from_the_start(workbench, image28_spec):
    model = workbench.build(ProGAN, image28_spec, grow=False)
    assert [(p.name, p.span) for p in model.players()] == [("critic 28", (0.0, 1.0)), ("generator 28", (0.0, 1.0))]
    model.advance(0.0)
    assert float(model.alpha(model.top)) == 1


def test_reals_are_faded_with_their_smaller_selves(workbench, image8_spec, rng):
    model = workbench.build(ProGAN, image8_spec)
    x = torch.randn(4, 1, 8, 8, generator=rng)
    model.depth.fill_(0.25)
    low = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2)
    torch.testing.assert_close(model.shown(x, 1), 0.75 * low + 0.25 * x)
    torch.testing.assert_close(model.shown(x, 0), F.avg_pool2d(x, 2))


def test_equalised_layers_keep_the_variance_and_begin_from_unit_weights(rng):
    layer = Equalised(nn.Linear(400, 300), gain=1.0)
    assert layer.layer.weight.std().item() == pytest.approx(1, abs=0.02)  # of 120,000 draws
    assert layer(torch.randn(500, 400, generator=rng)).std().item() == pytest.approx(1, abs=0.05)


def test_pixel_norm_has_unit_mean_squares(rng):
    x = 7 * torch.randn(3, 16, 4, 4, generator=rng)
    torch.testing.assert_close(PixelNorm()(x).square().mean(1), torch.ones(3, 4, 4))


def test_the_minibatch_layer_tells_copies_from_a_spread(rng):
    x = torch.randn(8, 3, 4, 4, generator=rng)
    assert MinibatchDeviation()(x[:1].repeat(8, 1, 1, 1))[:, 3].max() < 1e-3  # of root 1e-8
    shown = MinibatchDeviation()(x)[:, 3, 0, 0]
    group = x[0::2]  # 8 examples are 2 groups of 4: rows i, i + 2, i + 4, i + 6
    torch.testing.assert_close(shown[0], group.var(0, correction=0).sqrt().mean())
    assert MinibatchDeviation()(x[:6])[:, :3].equal(x[:6])  # 6 = 3 groups of 2


def test_samples_of_every_depth_are_images_of_the_full_size(workbench, image28_spec, rng):
    model = workbench.build(ProGAN, image28_spec).eval()
    with torch.no_grad():
        for depth in (0.0, 0.5, 1.0, 1.7, 2.0):
            model.depth.fill_(depth)
            x = model.sample(2, rng)
            assert x.shape == (2, 1, 28, 28)
            assert x.abs().max() <= 1
        rows = model.vary(5, rng)
    blocks = rows[:, 0, 0].unfold(1, 4, 4).unfold(2, 4, 4)  # the first column is of depth 0: 7x7 in blocks of 4
    assert (blocks.amax((-1, -2)) - blocks.amin((-1, -2))).abs().max() == 0
