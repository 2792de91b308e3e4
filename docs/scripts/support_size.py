"""How many distinct events trained generators have, by the birthday test, as a page on stdout.

    ganbench run -m 'dcgan[discriminator_width=4,8,16,32]' -m acgan -m cgan -d mnist --seeds 2 --scale quick \
        --save-weights --out RUN
    python docs/scripts/support_size.py RUN mnist

The test runs on the pixels and on the features of the data set's classifier. Of a row that takes labels, it also runs
within each class: the least of the classes stands in a column of its own.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganbench.api import load_trained
from ganbench.datasets.load import load
from ganbench.jobs.reading import read_records
from ganbench.jobs.records import RunFolder
from ganbench.jobs.rescore import WEIGHTS
from ganbench.metrics.birthday import birthday
from ganbench.registry import DATASETS
from ganbench.report.table import Column, Row, Table, Text, to_markdown
from ganbench.scorers.load import load_scorer

SAMPLES, PER_CLASS = 5000, 1000
Size = tuple[float, bool]  # C(S, 2) / E, and whether E was none
HEAD = """# How many distinct events a generator has

Made by `python docs/scripts/support_size.py`, whose first lines hold the commands. Cells are the effective support size
C(S, 2) / E of [the birthday test](metrics.md), the lower median over training seeds, with their range; "above" where a
sample held no pair at all, and the size is above what S can resolve. Real events are read the same way.

After 500 iterations a generator against a narrow discriminator may already make few distinct events, by seed; in a row
that takes labels each class may be some two pictures, which the sample of all classes does not show.

Arora and Zhang 2017 ([arXiv:1706.08224](https://arxiv.org/abs/1706.08224)) let a person look for duplicates among the
closest pairs: a batch of about 400 faces of a DCGAN held one in half the draws, so that its support is at most about
.16 million; of ALI about 1,000, a million. They found the size to grow with the discriminator's width and then to level
off. Our eye is a threshold that real events almost never pass, which sees exact repetitions and misses loose ones;
their numbers and ours are not the same quantity.
"""


def main(arguments: list[str]) -> None:
    """Print the page for pairs of a run's folder and the data set it was trained on."""
    torch.set_num_threads(1)
    print(HEAD)
    for folder, dataset in zip(arguments[::2], arguments[1::2], strict=True):
        print(section(Path(folder), dataset))


def section(run: Path, ref: str) -> str:
    """One data set's table."""
    data = load(ref)
    name, unseen = data.spec.name, data.holdout.events()
    scorer = load_scorer(DATASETS.get(ref).scorer)
    spaces = (lambda x: x, scorer.features)
    found: dict[str, list[list[Size]]] = {}
    for record in read_records(run / "results.jsonl"):
        label, job = record.spec.row, RunFolder(run).job_folder(record.spec)
        if not (job / WEIGHTS).is_file():
            continue
        model, rng = load_trained(job, dataset=ref).model, torch.Generator().manual_seed(0)
        samples = model.sample(SAMPLES, rng)
        sizes = [size(look(samples), look(unseen)) for look in spaces]
        if "y" in model.needs:
            classes = [(y, torch.full((PER_CLASS,), y)) for y in range(data.spec.n_classes or 0)]
            drawn = [(y, scorer.features(model.sample(PER_CLASS, rng, asked))) for y, asked in classes]
            sizes.append(min(size(x, scorer.features(data.holdout.events(data.holdout.y == y))) for y, x in drawn))
        found.setdefault(label, []).append(sizes)
        print(f"{label}, seed {record.spec.seed}: {sizes}", file=sys.stderr)
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    real = data.test.events(order[:SAMPLES])
    lines = list(found.items())
    lines.append(("real events", [[size(look(real), look(unseen)) for look in spaces]]))
    rows = []
    for label, seeds in lines:
        cells = [cell([sizes[k] for sizes in seeds if k < len(sizes)]) for k in range(3)]
        rows.append(Row("ranked", [Text(t) for t in (label, str(len(seeds)), *cells)]))
    columns = [Column(t, t) for t in ("row", "seeds", "pixels", "features", "features, its smallest class")]
    note = f"{SAMPLES:,} samples, {PER_CLASS:,} of a class; features of {scorer.signature}."
    return f"## {name}\n\n{note}\n\n{to_markdown(Table(name, '', columns, rows))}"


def size(x: Tensor, held_out: Tensor) -> Size:
    """The effective support size of samples (S, *E) and whether no pair was found, beside unseen real events."""
    score = birthday(x, held_out, rng=torch.Generator().manual_seed(0), n=len(x))
    return score.value, bool(score.extra["censored"])


def cell(sizes: Sequence[Size]) -> str:
    """Median and range."""
    if not sizes:
        return ""
    middle = statistics.median_low(sizes)
    low, high = min(sizes), max(sizes)
    text = [f"{'above ' * censored}{value:,.0f}" for value, censored in (middle, low, high)]
    return f"{text[0]} [{text[1]}, {text[2]}]" if len(sizes) > 1 else text[0]


if __name__ == "__main__":
    main(sys.argv[1:])
