"""The plain classifier: its loss by hand, its gradient at the logits, and that only labelled examples move it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from baselines.semi_supervised.mlp_classifier import MLPClassifier
from ganbench.model import Batch, NotApplicable


def test_loss_is_the_mean_nll_and_the_squares_of_both_weights(workbench, image8_spec):
    model = workbench.build(MLPClassifier, image8_spec, hidden=7, weight_decay=0.3)
    b = workbench.batch(image8_spec)
    batch = replace(b, x_labelled=b.x, y_labelled=b.y)
    first, last = model.classifier.body[0], model.classifier.head[0]
    h = torch.relu(b.x.flatten(1) @ first.weight.T + first.bias)
    f = (h @ last.weight.T + last.bias).softmax(1)
    assert_close(model.classify(b.x).softmax(1), f)
    nll = -f[torch.arange(16), b.y].log().mean()
    assert_close(model.loss(batch), nll + 0.3 * (first.weight.norm() ** 2 + last.weight.norm() ** 2))


def test_the_gradient_at_the_logits_is_prediction_less_truth(workbench, image8_spec):
    model = workbench.build(MLPClassifier, image8_spec, weight_decay=0.0)
    b = workbench.batch(image8_spec, n=1)
    model.loss(replace(b, x_labelled=b.x, y_labelled=b.y)).backward()
    wanted = model.classify(b.x).softmax(1) - F.one_hot(b.y, 10)
    assert_close(model.classifier.head[0].bias.grad, wanted[0])


def test_unlabelled_examples_do_not_matter(workbench, image8_spec):
    model, b = workbench.build(MLPClassifier, image8_spec), workbench.batch(image8_spec)
    loss = [model.loss(Batch(x, b.rng, None, b.x, b.y)) for x in (b.x, torch.full_like(b.x, torch.nan))]
    assert_close(*loss, rtol=0, atol=0)


def test_it_learns_digits_from_100_labels(digits):
    assert digits.error(digits.trained(MLPClassifier, 300, hidden=100)) < 0.2


def test_without_classes_it_does_not_apply(vector_spec):
    with pytest.raises(NotApplicable, match="has none"):
        MLPClassifier().build(vector_spec)
