"""What a model is shown of a data set: the split, labels, conditions or density that it registered a need for."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from ganbench.data import Split
from ganbench.data.density import Density
from ganbench.datasets.base import Dataset
from ganbench.datasets.labels import check_range, draw_labels
from ganbench.errors import NotApplicable
from ganbench.jobs.fitting import density_lacks
from ganbench.jobs.spec import LABELS, JobSpec
from ganbench.model import Model
from ganbench.registry import METRICS

LABELLED_PER_CLASS = 10  # labels that a few-label model sees, where the data set does not say which


def training_data(model: Model, dataset: Dataset, spec: JobSpec) -> Split:
    """The training split with just the labels that the model registered a need for; the oracle row gets holdout."""
    if "density" in model.needs:
        return Split(dataset.train.x[:0], density=_density(model, dataset))
    if "simulator" in model.needs:
        return Split(dataset.train.x[:0], simulator=dataset.simulator)
    split = dataset.holdout if "holdout" in model.needs else dataset.train
    cond = _conditions(model, dataset, split) if "cond" in model.needs else None
    if "y" in model.needs or "labels" in model.needs:
        if split.y is None:
            raise NotApplicable(f"{spec.model} learns from labels; {spec.dataset} has none")
        if "labels" in model.needs:
            k = dataset.spec.n_classes or int(split.y.max()) + 1
            usual = LABELLED_PER_CLASS * k if split.labelled is None else len(split.labelled)
            draw = spec.seed if spec.draw is None else spec.draw
            return dataclasses.replace(split, cond=cond).with_labels(
                draw_labels(split, dataset.spec, spec.labels or usual, draw)
            )
        check_range(split.y, dataset.spec.n_classes, "training")
        return dataclasses.replace(split, cond=cond)
    return Split(split.x, cond=cond)


def _density(model: Model, dataset: Dataset) -> Density:
    """The law of a data set for a model that draws from it. Raises `NotApplicable` where it is not given, or not so."""
    density = dataset.train.density
    offers = () if density is None else density.offers
    if reason := density_lacks(model.name, model.needs, dataset.spec.name, offers):
        raise NotApplicable(reason)
    assert density is not None
    return density


def _conditions(model: Model, dataset: Dataset, split: Split) -> Tensor:
    """The conditions of a split for a model that needs them. Raises `NotApplicable` where they are not of its kind."""
    cond = dataset.spec.cond
    if cond is None or split.cond is None or (model.conditions and cond.kind not in model.conditions):
        has = "has none" if cond is None else f"has {cond.kind} conditions"
        raise NotApplicable(
            f"{model.name} makes events from {' or '.join(model.conditions)}; {dataset.spec.name} {has}"
        )
    if "pairs" in model.needs and not cond.paired:
        raise NotApplicable(f"{model.name} learns from pairs; {dataset.spec.name} is unpaired")
    return split.cond


def check_labels(spec: JobSpec, dataset: Dataset) -> None:
    """Refuse, before anything is trained, labels that the job's metrics could not use.

    Raises `BadInput` for labels out of range or counts that cannot be drawn, `NotApplicable` where no metric is left.
    """
    asked = [set(METRICS.get(name).needs) & LABELS for name in spec.metrics]
    if not any(asked):
        return
    if dataset.train.y is None or dataset.test.y is None:
        if all(asked):
            raise NotApplicable(f"{', '.join(spec.metrics)} need labels; {spec.dataset} has none")
        return
    check_range(dataset.train.y, dataset.spec.n_classes, "training")
    check_range(dataset.test.y, dataset.spec.n_classes, "test")
    for count in spec.label_counts or ():
        draw_labels(dataset.train, dataset.spec, count, spec.seed)
