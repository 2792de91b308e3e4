"""Which metric notices which failure: real images spoiled in a known way, each metric's move in standard errors.

    python docs/scripts/failure_matrix.py digits > docs/failure-matrix-digits.md
    python docs/scripts/failure_matrix.py folder:CIFAR10-JPEG 400 imagenet_lite0 > docs/failure-matrix-cifar10.md
    python docs/scripts/failure_matrix.py folder:CIFAR10-JPEG 400 cifar10_cnn > docs/failure-matrix-cifar10-cnn.md

Rows are metrics, columns are failures. The baseline is held-out real data against the test split; a cell says how far
the spoiled set's score lies from the baseline's, in standard deviations of the baseline over random halves, with the
sign of "worse" by the metric's own direction (any move, where the floor is best). A metric notices a failure that
moves it by three or more to worse.
"""

from __future__ import annotations

import hashlib
import sys

import torch
from torch import Tensor

import ganbench
from ganbench.datasets.load import load
from ganbench.errors import GanbenchError
from ganbench.scorers.base import Scorer
from ganbench.scorers.load import load_scorer

METRICS = [
    "inception_score", "mode_score", "mmd", "kid", "frechet", "wasserstein", "sliced_wasserstein", "prdc",
    "nn_two_sample", "authenticity", "ct", "mifid", "prd", "realism", "vendi", "birthday",
]  # fmt: skip
REPEATS = 8


def failures(real: Tensor, labels: Tensor, train: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
    """Sets of as many events as `real`, each spoiled in one way: name -> (N, C, H, W)."""
    n = len(real)

    def resample(pool: Tensor) -> Tensor:
        return pool[torch.randint(len(pool), (n,), generator=rng)]

    kept = real[labels < labels.max() // 2 + 1]
    rare = torch.where(labels < 5, 1.0, 0.15)
    noise = 0.5 * torch.randn(real.shape, generator=rng)
    order = torch.randperm(real[0].numel(), generator=rng)
    return {
        "dropped modes": resample(kept),
        "memoriser": resample(train[: n // 10]),
        "noise": (real + noise).clamp(-1, 1),
        "blur": torch.nn.functional.avg_pool2d(real, 3, 1, 1),
        "one image": real[:1].expand(n, *real.shape[1:]) + 0.01 * torch.randn(real.shape, generator=rng),
        "permuted pixels": real.flatten(1)[:, order].view_as(real),
        "imbalance": real[torch.multinomial(rare, n, replacement=True, generator=rng)],
    }


class Once:
    """A scorer that looks at each batch once: every metric is called by itself, and large networks are slow."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer, self.signature, self.domain = scorer, scorer.signature, scorer.domain
        self.seen: dict[tuple[str, str], Tensor] = {}

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors of a batch."""
        return self._once("probs", x)

    def features(self, x: Tensor) -> Tensor:
        """Features of a batch."""
        return self._once("features", x)

    def _once(self, method: str, x: Tensor) -> Tensor:
        key = method, hashlib.sha256(x.contiguous().numpy().data).hexdigest()
        if key not in self.seen:
            self.seen[key] = getattr(self.scorer, method)(x)
        return self.seen[key]


def scores(samples: Tensor, reference: Tensor, holdout: Tensor, train: Tensor, scorer: Once, seed: int) -> dict:
    """Name -> (value, direction) of every metric that applies."""
    found = {}
    for metric in METRICS:
        try:
            given = {"holdout": holdout, "train": train, "scorer": scorer, "seed": seed, "floor": False}
            for score in ganbench.evaluate(samples, reference, [metric], **given):
                found[score.name] = (score.value, score.direction)
        except GanbenchError as reason:
            print(f"{metric}: {reason}", file=sys.stderr)
    return found


def main(name: str, size: int, look: str) -> None:
    """Print the matrix of one data set as Markdown."""
    torch.set_num_threads(1)
    data, scorer = load(name), Once(load_scorer(look))
    command, name = f"{name.partition(':')[0]}:CIFAR10-JPEG {size} {look}" if ":" in name else name, data.spec.name
    pick = torch.randperm(len(data.holdout), generator=torch.Generator().manual_seed(0))
    held, held_y = data.holdout.events(pick), data.holdout.y[pick]
    n = min(size, len(held) // 2)
    reference, train = data.test.events()[: 2 * n], data.train.events()[: 10 * n]
    base, spoiled = [], {}
    for r in range(REPEATS):
        rng = torch.Generator().manual_seed(r)
        order = torch.randperm(len(held), generator=rng)
        real, real_y, other = held[order[:n]], held_y[order[:n]], held[order[n : 2 * n]]
        base.append(scores(real, reference, other, train, scorer, r))
        for failure, samples in failures(real, real_y, train, rng).items():
            spoiled.setdefault(failure, []).append(scores(samples, reference, other, train, scorer, r))
        print(f"{name}: {r + 1} of {REPEATS}", file=sys.stderr)
    print(f"# Which metric notices which failure: {name}, through {look}\n")
    print(f"n = {n} samples against {len(reference)} test images, {REPEATS} draws. Cells: median move of the score in")
    print("standard deviations of real-against-real, positive where the metric says worse; bold above 3.")
    print(f"Made by `python docs/scripts/failure_matrix.py {command}`, through {scorer.signature}.\n")
    print("| metric | " + " | ".join(spoiled) + " |\n|" + "---|" * (len(spoiled) + 1))
    for metric, (_, direction) in base[0].items():
        if direction == "none":
            continue
        real = torch.tensor([b[metric][0] for b in base], dtype=torch.float64)
        cells = []
        for runs in spoiled.values():
            moved = torch.tensor([r[metric][0] for r in runs if metric in r], dtype=torch.float64)
            if not len(moved):
                cells.append("refused")
                continue
            shift = (moved.median() - real.mean()) * (-1 if direction == "max" else 1)
            shift = shift.abs() if direction == "floor" else shift
            if real.std() == 0:  # real data never moves this metric: any move is noticed
                cells.append("**always**" if shift > 0 else "never")
                continue
            worse = shift / real.std()
            text = f"{worse:.1f}" if abs(worse) < 1000 else f"{worse:.0e}"
            cells.append(f"**{text}**" if worse > 3 else text)
        print(f"| {metric} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    ref, n, look = [*sys.argv[1:], *["digits", "1000", ""][len(sys.argv) - 1 :]]
    main(ref, int(n), look or f"{ref}_cnn")
