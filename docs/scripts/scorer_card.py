"""What a scorer's features hold and what they are blind to: the numbers of docs/datasets-and-scorers.md.

python docs/scripts/scorer_card.py folder:CIFAR10-JPEG imagenet_lite0
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from ganbench.datasets.load import load
from ganbench.metrics.frechet import Moments, frechet_distance
from ganbench.scorers.load import load_scorer

REFERENCE, CHANGED = 5000, 2000


def rows_of_each_class(y: Tensor, n: int) -> Tensor:
    """Indices of the first n examples of each class."""
    return torch.cat([(y == c).nonzero()[:n, 0] for c in y.unique()])


def probe(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """Test accuracy of logistic regression on x, its penalty chosen by five-fold cross-validation on x."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    search = GridSearchCV(model, {"logisticregression__C": np.logspace(-5, 0, 11)}, cv=5)
    return float(search.fit(x.numpy(), y.numpy()).score(test_x.numpy(), test_y.numpy()))


def changes(x: Tensor) -> dict[str, Tensor]:
    """Pictures (N, 3, 32, 32) changed in ways a viewer would notice."""
    holed = x.clone()
    holed[:, :, 12:20, 12:20] = 0
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)) * 16 / 255  # a picture is 2 wide
    return {
        "a grey 8x8 square in the middle": holed,
        "moved by 4 pixels, around the edge": x.roll((4, 4), (2, 3)),
        "upside down": x.flip(2),
        "upper and lower half exchanged": x.roll(16, 2),
        "normal noise, standard deviation 8 of 255": (x + noise).clamp(-1, 1),
        "half the resolution": F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear"),
        "grey": x.mean(1, keepdim=True).expand(-1, 3, -1, -1),
    }


def main(ref: str, name: str) -> None:
    """Print probe accuracies and a table of Frechet distances."""
    torch.set_num_threads(1)
    data, scorer = load(ref), load_scorer(name)
    assert data.train.y is not None
    assert data.test.y is not None
    print(f"{scorer.signature} on {data.spec.name} {data.spec.sha256[:8]}")
    test = scorer.features(data.test.events())
    for n in (10, 100):
        rows = rows_of_each_class(data.train.y, n)
        seen = scorer.features(data.train.events(rows))
        print(f"{n} labels a class: {probe(seen, data.train.y[rows], test, data.test.y):.3f}", flush=True)
    pixels = [part.flatten(1) for part in (data.train.events(rows), data.test.events())]
    print(f"{n} labels a class, pixels: {probe(pixels[0], data.train.y[rows], pixels[1], data.test.y):.3f}", flush=True)
    reference = Moments.of(test[:REFERENCE])
    part = slice(REFERENCE, REFERENCE + CHANGED)
    plain, y = test[part], data.test.y[part]
    found = {
        "as they are": plain,
        "without class 3": plain[y != 3],
        f"{CHANGED // 10} images, ten times each": plain[: CHANGED // 10].repeat(10, 1),
    }
    for what, x in changes(data.test.events(part)).items():
        found[what] = scorer.features(x)
    for what, features in found.items():
        print(f"| {what} ({len(features):,}) | {frechet_distance(reference, Moments.of(features)):.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
