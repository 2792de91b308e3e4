"""Virtual adversarial training: its loss by hand, its schedule, its statistics, and digits from 100 labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from baselines.semi_supervised.vat import VAT
from ganbench.losses.categorical import categorical_kl
from ganbench.losses.virtual_adversarial import virtual_adversarial_perturbation
from ganbench.model import NotApplicable


def test_loss_is_cross_entropy_and_the_divergence_at_the_adversarial_neighbour(workbench, image8_spec):
    model = workbench.build(VAT, image8_spec, hidden=(30,), weight=0.7, epsilon=0.9).train()
    b = workbench.batch(image8_spec)
    loss = model.loss(replace(b, x_labelled=b.x[:10], y_labelled=b.y[:10]))
    rng, unit = torch.Generator().manual_seed(3), (b.x + 1) / 2
    b = workbench.batch(image8_spec)  # the draws again
    r = virtual_adversarial_perturbation(
        model.classifier, unit, model.classifier(unit), b.rng, epsilon=0.9, xi=model.config.xi
    )
    smooth = categorical_kl(model.classifier(unit), model.classifier(unit + r)).mean()
    assert_close(loss, F.cross_entropy(model.classifier(unit[:10]), b.y[:10]) + 0.7 * smooth)
    assert model.smoothness(unit, rng) > 0


def test_the_prediction_at_x_is_a_target_without_gradient(workbench, image8_spec):
    model = workbench.build(VAT, image8_spec, hidden=(30,), epsilon=3.0).eval()
    b, weight = workbench.batch(image8_spec), model.classifier.head[0].weight
    (gradient,) = torch.autograd.grad(model.smoothness(b.x, b.rng), weight)
    b, target = workbench.batch(image8_spec), model.classifier(b.x).detach()
    r = virtual_adversarial_perturbation(model.classifier, b.x, target, b.rng, epsilon=3.0, xi=model.config.xi)
    (wanted,) = torch.autograd.grad(categorical_kl(target, model.classifier(b.x + r)).mean(), weight)
    assert_close(gradient, wanted)


def test_learning_rate_falls_after_each_of_a_hundred_epochs():
    assert [VAT(VAT.Config(decays=100)).schedule(s) for s in (0.0, 0.0099, 0.0101, 0.999)] == pytest.approx(
        [1, 1, 0.9, 0.9**99]
    )


def test_statistics_of_batch_norm_are_those_of_clean_training_events(digits):
    model = digits.trained(VAT, 3, hidden=(20,), batch_size=1297)
    first, norm = model.classifier.body[0], model.classifier.body[1]
    h = first((digits.few.x.flatten(1) + 1) / 2)
    assert_close(norm.running_mean, h.mean(0), rtol=1e-4, atol=1e-5)
    assert_close(norm.running_var, h.var(0), rtol=1e-4, atol=1e-5)


def test_it_learns_digits_from_100_labels(digits):
    assert digits.error(digits.trained(VAT, 150, hidden=(100, 100))) < 0.25


def test_without_classes_it_does_not_apply(vector_spec):
    with pytest.raises(NotApplicable, match="has none"):
        VAT().build(vector_spec)
