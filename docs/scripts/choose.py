"""Settings of models beside each other, scored on the holdout: what every choice of a default is made by.

    python docs/scripts/choose.py mnist "mmd_gan[clip=0.01,0.1]" --metrics frechet --seeds 2 --iterations 500

The test split is set aside as soon as the data is read. The holdout is the reference in its place, and the last fifth
of the training events calibrates what the holdout otherwise would, so that models learn from the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections import defaultdict

from ganbench.data import Split
from ganbench.datasets.base import Dataset, fingerprint
from ganbench.errors import NotApplicable
from ganbench.jobs.plan import Selection, plan, selected_models
from ganbench.jobs.runner import run_job
from ganbench.model.make import resolve_config
from ganbench.registry.variants import single
from ganbench.scoring.inputs import Workplace


def for_choice(data: Dataset) -> Dataset:
    """The same data without its test split, which the holdout replaces.

    Raises `NotApplicable` for data whose scores hang on other things than its splits.
    """
    if data.text is not None or (data.answers is not None and data.mixture is None):
        raise NotApplicable(f"{data.spec.name} has no holdout for what it is scored by")
    cut = len(data.train) - min(len(data.train) // 5, len(data.holdout))
    train, calibrates = part(data.train, slice(cut)), part(data.train, slice(cut, None))
    sizes = {"n_train": cut, "n_eval": len(data.holdout), "sha256": fingerprint(train, calibrates, data.holdout)}
    spec = dataclasses.replace(data.spec, **sizes)
    return Dataset(spec, train, calibrates, data.holdout, data.mixture, sound=data.sound)


def part(split: Split, rows: slice) -> Split:
    """Those rows of a split, with labels and conditions."""
    y, cond = (None if t is None else t[rows] for t in (split.y, split.cond))
    return Split(split.x[rows], y, cond=cond)


class Choosing(Workplace):
    """A place of work where no test split is."""

    def dataset(self, ref: str, data_dir: str | None = None) -> Dataset:
        """The data set as `for_choice` leaves it."""
        return for_choice(super().dataset(ref, data_dir))


def main() -> None:
    """Print mean and every seed's value of each score, a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--metrics", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--scale", default="quick")
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--labels", type=int, nargs="*", default=())
    a = parser.parse_args()
    budget = {} if a.iterations is None else {"iterations": a.iterations}
    selection = Selection(
        "choice", tuple(a.models), (a.dataset,), tuple(range(a.seeds)), a.scale, tuple(a.metrics), a.samples,
        budget=budget, labels=tuple(a.labels),
    )  # fmt: skip
    configs = {
        ref: resolve_config(name, config) for ref in selected_models(selection) for name, config in [single(ref)]
    }
    place, found = Choosing(), defaultdict[str, list[float]](list)
    for job in plan(selection, configs):
        record = run_job(job, place)
        row = job.spec.row
        if record.status != "ok":
            print(f"{row:<50} seed {job.spec.seed}  {record.status}: {record.reason}", flush=True)
        for score in record.metrics:
            found[f"{row:<50} {score.name}"].append(score.value)
        print(f"# {row} seed {job.spec.seed}: {record.timing.get('train_s', 0):.0f} s", flush=True)
    for line, values in found.items():
        print(f"{line:<75} {statistics.fmean(values):.5g}  of {', '.join(f'{v:.5g}' for v in values)}")


if __name__ == "__main__":
    main()
