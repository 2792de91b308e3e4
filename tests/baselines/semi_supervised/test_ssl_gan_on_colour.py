"""The improved GAN's convolutional form: where it is chosen, its sizes, its schedule, its L1 feature matching."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from baselines.semi_supervised.ssl_gan import SemiSupervisedGAN
from ganbench.data import DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget, NotApplicable
from ganbench.nn import DropoutClassifier, NoisyClassifier

COLOUR = DataSpec("colour", (3, 32, 32), (-1.0, 1.0), 10, 512, 256)
SMALL = {"filters": 4, "generator_filters": 4, "batch_size": 8}


@pytest.mark.parametrize(
    ("shape", "architecture", "network"),
    [
        ((3, 32, 32), "auto", DropoutClassifier),
        ((3, 32, 32), "mlp", NoisyClassifier),
        ((1, 32, 32), "auto", NoisyClassifier),
        ((1, 32, 32), "conv", DropoutClassifier),
        ((1, 28, 28), "auto", NoisyClassifier),
    ],
)
def test_networks_follow_the_data_unless_told(workbench, shape, architecture, network):
    spec = DataSpec("images", shape, (-1.0, 1.0), 10)
    model = workbench.build(SemiSupervisedGAN, spec, architecture=architecture, filters=4, generator_filters=4)
    assert isinstance(model.discriminator, network)
    assert model.config.lr == (3e-4 if network is DropoutClassifier else 3e-3)
    assert SemiSupervisedGAN.configure(spec, architecture=architecture, lr=0.5).lr == 0.5


def test_published_sizes(workbench):
    """Counted by hand: directions, and biases; nine convolutions of 96 and 192 filters, and a head with lengths."""
    model = workbench.build(SemiSupervisedGAN, COLOUR)
    w, v = 96, 192
    directions = 9 * (3 * w + w * w + w * w + w * v + 3 * v * v) + 2 * v * v
    wanted = directions + 3 * w + 6 * v + (v * 10 + 10 + 10)
    assert sum(p.numel() for p in model.discriminator.parameters()) == wanted


def test_learning_rate_is_constant_for_two_thirds_of_the_budget_and_falls_to_0(workbench):
    schedule = workbench.build(SemiSupervisedGAN, COLOUR, **SMALL).schedule
    assert [schedule(s) for s in (0.0, 0.5, 2 / 3, 5 / 6, 1.0)] == pytest.approx([1, 1, 1, 0.5, 0])


def test_it_matches_features_by_magnitude_and_sees_images_as_they_are(workbench):
    model = workbench.build(SemiSupervisedGAN, COLOUR, **SMALL)
    model.discriminator.rates = [0.0] * 9
    x = workbench.batch(COLOUR, 8).x
    gap = model.discriminator.features(x).mean(0)
    b = workbench.batch(COLOUR, 8)
    gap = gap - model.discriminator.features(model.generate(8, b.rng)).mean(0)
    assert_close(model.generator_loss(workbench.batch(COLOUR, 8)), gap.abs().mean())


def test_it_trains_classifies_and_samples(workbench):
    model = workbench.build(SemiSupervisedGAN, COLOUR, **SMALL)
    batch = workbench.batch(COLOUR, 40)
    data = Split(batch.x, torch.arange(40) % 10).with_labels(torch.arange(20))
    train(model, data, Budget(iterations=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert model.classify(batch.x).shape == (40, 10)
        assert model.features(batch.x).shape == (40, 8)
        assert model.sample(2, batch.rng).shape == (2, 3, 32, 32)


def test_convolutions_asked_for_on_other_sizes_are_refused(workbench, image28_spec):
    with pytest.raises(NotApplicable, match="32x32"):
        SemiSupervisedGAN.configure(image28_spec, architecture="conv")
