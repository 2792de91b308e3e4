"""Weight norm: what its initialisation makes of a batch, that directions alone matter, and dropout on request."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from ganbench.nn import DoublingGenerator, DropoutClassifier, NoisyClassifier, WeightNormLinear
from ganbench.nn.weight_norm_conv import WeightNormConv2d, WeightNormDoubling, dropout

LAYERS = {
    "linear": (lambda: WeightNormLinear(6, 4), (50, 6)),
    "convolution": (lambda: WeightNormConv2d(6, 4, 3, stride=2, padding=1), (20, 6, 8, 8)),
    "transposed": (lambda: WeightNormDoubling(6, 4), (20, 6, 4, 4)),
}


@pytest.fixture(params=LAYERS)
def layer_and_batch(request, rng):
    make, shape = LAYERS[request.param]
    return make(), 3 + 2 * torch.randn(shape, generator=rng)


def test_initialised_units_have_mean_0_and_the_deviation_asked_for(layer_and_batch):
    layer, x = layer_and_batch
    for std in (1.0, 0.1):
        out = layer.initialise(x, std)
        assert_close(layer(x), out, rtol=1e-4, atol=1e-5)
        units = out.transpose(0, 1).flatten(1)
        assert_close(units.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
        assert_close(units.std(1, correction=0), torch.full((4,), std), atol=0, rtol=1e-4)


def test_the_length_of_a_direction_does_not_matter(layer_and_batch):
    layer, x = layer_and_batch
    layer.initialise(x)
    before = layer(x)
    with torch.no_grad():
        layer.v.mul_(7)
    assert_close(layer(x), before, rtol=1e-4, atol=1e-5)


def test_weights_are_directions_of_length_g(rng):
    conv, up = WeightNormConv2d(3, 4, 3), WeightNormDoubling(3, 4)
    x = torch.randn(2, 3, 5, 5, generator=rng)
    with torch.no_grad():
        conv.g.copy_(torch.rand(4, generator=rng))
        up.g.copy_(torch.rand(4, generator=rng))
        up.bias.copy_(torch.rand(4, generator=rng))
    w = conv.v * (conv.g / conv.v.flatten(1).norm(dim=1)).view(4, 1, 1, 1)
    assert_close(conv(x), F.conv2d(x, w), rtol=1e-4, atol=1e-5)
    w = up.v * (up.g / up.v.transpose(0, 1).flatten(1).norm(dim=1)).view(1, 4, 1, 1)
    wanted = F.conv_transpose2d(x, w, up.bias, 2, 2, output_padding=1)
    assert_close(up(x), wanted, rtol=1e-4, atol=1e-5)


def test_classifiers_start_with_normalised_logits_on_the_batch(rng):
    flat, images = NoisyClassifier(12, (20, 20), 5), DropoutClassifier(3, 8, 5)
    for classifier, x, std in (
        (flat, torch.rand(400, 12, generator=rng), 1.0),
        (images, torch.randn(40, 3, 32, 32, generator=rng), 0.1),
    ):
        classifier.initialise(x, torch.Generator().manual_seed(1))
        logits = classifier(x, torch.Generator().manual_seed(1))  # the same noise
        assert_close(logits.mean(0), torch.zeros(5), atol=1e-3, rtol=0)
        assert_close(logits.std(0, correction=0), torch.full((5,), std), atol=0, rtol=1e-2)


def test_dropout_keeps_the_mean_and_acts_only_where_a_generator_is_passed(rng):
    x = torch.full((1000, 100), 2.0)
    assert dropout(x, 0.5, None) is x
    out = dropout(x, 0.2, rng)
    assert set(out.unique().tolist()) == {0.0, 2.5}
    assert_close((out == 0).float().mean(), torch.tensor(0.2), atol=0.01, rtol=0)
    images = torch.randn(2, 3, 32, 32, generator=rng)
    classifier = DropoutClassifier(3, 4, 5)
    assert torch.equal(classifier(images), classifier(images))
    assert not torch.equal(classifier(images, rng), classifier(images, rng))


def test_generated_images_start_grey_and_small(rng):
    generator = DoublingGenerator(3, 10, width=4).train()
    z = torch.rand(200, 10, generator=rng)
    with torch.no_grad():
        generator.initialise(z)
        before = torch.atanh(generator(z)).transpose(0, 1).flatten(1)
    assert_close(before.mean(1), torch.zeros(3), atol=1e-3, rtol=0)
    assert_close(before.std(1), torch.full((3,), 0.1), atol=0, rtol=1e-2)
