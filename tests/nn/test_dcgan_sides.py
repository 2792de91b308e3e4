"""The DCGAN pair on images of any sides: shapes of all maps, and the five squares that it always had."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn.dcgan import DCGANDiscriminator, DCGANGenerator, map_sides

EVEN = st.integers(4, 128).map(lambda k: 2 * k)


def spec(*shape):
    return DataSpec("pictures", shape, (-1.0, 1.0))


@given(EVEN, EVEN)
def test_maps_double_up_to_the_image_from_a_few_pixels(h, w):
    sides = map_sides(spec(3, h, w))
    assert sides[-1] == (h, w)
    assert 2 <= min(sides[0]) <= 7
    assert all((b[0] // 2, b[1] // 2) == a for a, b in itertools.pairwise(sides))


@pytest.mark.parametrize(
    ("side", "maps"),
    [(8, (2, 4, 8)), (16, (4, 8, 16)), (28, (7, 14, 28)), (32, (4, 8, 16, 32)), (64, (4, 8, 16, 32, 64))],
)  # fmt: skip
def test_squares_have_the_maps_of_the_papers(side, maps):
    assert map_sides(spec(1, side, side)) == [(m, m) for m in maps]


@settings(max_examples=15, deadline=None)  # each example builds and runs two networks
@given(EVEN, EVEN, st.sampled_from([1, 3]))
def test_both_networks_fit_every_image(h, w, c):
    data = spec(c, h, w)
    with torch.no_grad():
        x = DCGANGenerator(data, 3, width=1)(torch.randn(2, 3))
        judge = DCGANDiscriminator(data, width=1)
        assert x.shape == (2, c, h, w)
        assert judge(x).shape == (2,)
        assert judge.features(x).shape == (2, judge.n_features)


def test_maps_get_no_more_than_eight_times_the_width():
    body = DCGANGenerator(spec(3, 256, 256), 3, width=2).body
    assert max(m.out_channels for m in body if isinstance(m, torch.nn.ConvTranspose2d)) == 16
    assert DCGANDiscriminator(spec(3, 256, 256), width=2).n_features == 16 * 4 * 4


@pytest.mark.parametrize("shape", [(3, 6, 32), (3, 32, 258), (5,)])
def test_images_that_are_too_small_or_large_and_vectors_are_refused(shape):
    with pytest.raises(NotApplicable, match="sides of 8 to 256"):
        map_sides(spec(*shape))
