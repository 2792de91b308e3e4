"""Adversarial classifiers: every game by hand, classes that are drawn when asked for, digits from 100 labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from baselines.semi_supervised.acgan import ACGAN
from baselines.semi_supervised.ali_semisup import SemiSupervisedALI
from baselines.semi_supervised.catgan import CatGAN
from baselines.semi_supervised.ssl_gan import SemiSupervisedGAN
from ganbench.model import NotApplicable

SMALL = {
    CatGAN: {"classifier": (100, 100), "hidden": (100,)},
    SemiSupervisedGAN: {"classifier": (100, 100), "hidden": (100,)},
    SemiSupervisedALI: {"hidden": (64, 64), "latent_dim": 16},
    ACGAN: {"latent_dim": 10},
}
QUIET = {"input_noise": 0.0}


def both(b):
    """The batch with its first ten examples labelled."""
    return replace(b, x_labelled=b.x[:10], y_labelled=b.y[:10])


def entropy(p):
    return -(p * p.log()).sum(-1)


def with_fake_class(logits):
    """Probabilities of the K classes and of "fake", whose logit is 0: (B, K) -> (B, K + 1)."""
    return torch.cat([logits, torch.zeros(len(logits), 1)], 1).softmax(1)


def of_k_plus_1_classes(labelled, y, real, fake):
    """Classes told apart among the labelled; half of the game of real against fake."""
    supervised = -labelled.softmax(1)[torch.arange(10), y].log().mean()
    p_real, p_fake = with_fake_class(real)[:, :-1].sum(1), with_fake_class(fake)[:, -1]
    return supervised - (p_real.log().mean() + p_fake.log().mean()) / 2


def test_catgan_is_its_three_entropies_and_the_labels(workbench, image8_spec):
    model = workbench.build(CatGAN, image8_spec, label_weight=0.7, noise=0.0, **QUIET).eval()
    b = workbench.batch(image8_spec)
    loss = model.discriminator_loss(both(b))
    b = workbench.batch(image8_spec)  # the draws again
    fake = model.generate(16, b.rng)
    real, made = model.classify(b.x).softmax(1), model.classify(fake).softmax(1)
    labels = F.cross_entropy(model.classify(b.x[:10]), b.y[:10])
    assert_close(loss, -entropy(real.mean(0)) + entropy(real).mean() - entropy(made).mean() + 0.7 * labels)
    b = workbench.batch(image8_spec)
    assert_close(model.generator_loss(b), -entropy(made.mean(0)) + entropy(made).mean())


def test_ssl_gan_is_a_softmax_over_one_class_more_whose_logit_is_0(workbench, image8_spec):
    model = workbench.build(SemiSupervisedGAN, image8_spec, noise=0.0, **QUIET).eval()
    b = workbench.batch(image8_spec)
    loss = model.discriminator_loss(both(b))
    b = workbench.batch(image8_spec)
    real, fake = model.classify_last(b.x), model.classify_last(model.generate(16, b.rng))
    assert_close(loss, of_k_plus_1_classes(real[:10], b.y[:10], real, fake))
    b = workbench.batch(image8_spec)
    gap = model.features(b.x).mean(0) - model.features(model.generate(16, b.rng)).mean(0)
    assert_close(model.generator_loss(workbench.batch(image8_spec)), (gap**2).mean())


def test_ali_judges_pairs_by_k_plus_1_classes_and_its_coders_swap_real_and_fake(workbench, image8_spec):
    model = workbench.build(SemiSupervisedALI, image8_spec, **QUIET)
    with torch.no_grad():  # an encoder without spread: q(z | x) is its mean
        last = model.encoder.head[0]
        last.weight[64:] = 0
        last.bias[64:] = -60
    b = workbench.batch(image8_spec)
    loss = model.discriminator_loss(both(b))
    z = model.draw_latent(16, workbench.batch(image8_spec).rng)
    real, fake = model.classify(b.x), model.discriminator(model.generator(z), z)
    assert_close(loss, of_k_plus_1_classes(real[:10], b.y[:10], real, fake))
    p_real, p_fake = with_fake_class(real)[:, -1], with_fake_class(fake)[:, :-1].sum(1)
    assert_close(model.coders_loss(workbench.batch(image8_spec)), -(p_real.log().mean() + p_fake.log().mean()))


def test_acgan_tells_source_and_class_of_real_and_fake(workbench, image8_spec):
    model = workbench.build(ACGAN, image8_spec, class_weight=0.7)
    b = workbench.batch(image8_spec)
    losses = model.discriminator_loss(b), model.generator_loss(replace(b, rng=workbench.batch(image8_spec).rng))
    rng = workbench.batch(image8_spec).rng  # the draws again
    y = model.draw_classes(16, rng)
    fake = model.generate_classes(y, rng)
    real_source, fake_source = torch.sigmoid(model.discriminator(b.x)), torch.sigmoid(model.discriminator(fake))
    of_real = -model.classify(b.x).softmax(1)[torch.arange(16), b.y].log().mean()
    of_fake = -model.classify(fake).softmax(1)[torch.arange(16), y].log().mean()
    source = -(real_source.log() + (1 - fake_source).log()).mean()
    assert_close(losses[0], source + 0.7 * (of_real + of_fake))
    assert_close(losses[1], -fake_source.log().mean() + 0.7 * of_fake)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_acgans_class_head_moves_with_the_discriminator(workbench, image8_spec, player):
    moved = workbench.moved(workbench.build(ACGAN, image8_spec), player)
    assert moved == ({"discriminator", "class_head"} if player == "discriminator" else {"generator"})


def test_acgan_draws_the_classes_it_is_asked_for(digits):
    model = digits.trained(ACGAN, 300, **SMALL[ACGAN])
    y = torch.arange(200) % 10
    with torch.no_grad():
        x = model.sample(200, torch.Generator().manual_seed(0), y)
        assert (model.classify(x).argmax(1) == y).float().mean() > 0.8
        free = model.sample(200, torch.Generator().manual_seed(0))
    assert len(model.classify(free).argmax(1).unique()) == 10
    assert digits.error(model) < 0.3


@pytest.mark.parametrize(("cls", "iterations"), [(CatGAN, 150), (SemiSupervisedGAN, 150), (SemiSupervisedALI, 200)])
def test_they_learn_digits_from_100_labels(digits, cls, iterations):
    assert digits.error(digits.trained(cls, iterations, **SMALL[cls])) < 0.35


@pytest.mark.parametrize("cls", SMALL)
def test_without_classes_they_do_not_apply(vector_spec, cls):
    with pytest.raises(NotApplicable, match="has none"):
        cls().build(vector_spec)
