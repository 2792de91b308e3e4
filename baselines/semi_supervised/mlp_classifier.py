"""One hidden layer trained on the labelled examples alone: the floor that learning from unlabelled ones must beat.

Source      Rumelhart et al. 1986, "Learning Representations by Back-propagating Errors"; the loss is the negative log
            likelihood with weight decay, -1/L sum_i log f_y(x_i) + lambda (|W^h|^2 + |W^o|^2), by gradient descent.
Departures  1. Constants are ours: a textbook's classifier comes without any.
Shapes      L labelled, B batch, K classes, F hidden, *E event shape.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.model import Batch, Count, DataSpec, Model, NonNegative, Player, Positive, register
from ganbench.nn import MLP

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


@register("mlp_classifier", family="semi_supervised", gives=("classify", "features"), needs=("labels",))
class MLPClassifier(Model):
    class Config(Model.Config):
        batch_size: Count = 1  # unlabelled examples, which it does not look at
        labelled_batch_size: Count = 100
        hidden: Count = 500
        activation: Literal["relu", "tanh", "sigmoid"] = "relu"  # g
        lr: Positive = 0.1
        weight_decay: NonNegative = 1e-4  # lambda

    config: Config

    def build(self, spec: DataSpec) -> None:
        self.spec, c, k = spec, self.config, spec.classes_for(self.name)
        # f(x) = softmax(W^o g(W^h x + b^h) + b^o): (B, *E) -> (B, K) logits
        self.classifier = MLP(spec.event_shape, (c.hidden,), (k,), activation=ACTIVATIONS[c.activation])

    def players(self) -> list[Player]:
        return [Player("classifier", self.classifier, self.loss, partial(torch.optim.SGD, lr=self.config.lr))]

    def loss(self, batch: Batch) -> Tensor:
        """Negative log likelihood of the labels, and the squares of all weights but not of the biases."""
        x, y = batch.labelled
        decay = torch.stack([p.square().sum() for p in self.classifier.parameters() if p.ndim == 2]).sum()
        return F.cross_entropy(self.classifier(x), y) + self.config.weight_decay * decay

    def features(self, x: Tensor) -> Tensor:
        return self.classifier.features(x)

    def classify(self, x: Tensor) -> Tensor:
        return self.classifier(x)
