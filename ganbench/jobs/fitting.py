"""Which models, data sets and metrics go together, as far as their registrations say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ganbench.jobs.spec import LABELS
from ganbench.registry import DATASETS, METRICS, MODELS, DatasetInfo, MetricInfo, ModelInfo

DENSITY_WORDS = ("gradient", "conditionals", "factors", "subspaces")  # what a density may offer beside its value


def datasets_of(model: ModelInfo) -> list[DatasetInfo]:
    """The registered data sets that a model can take."""
    return [d for d in DATASETS if incompatible(model, d) is None]


def models_of(dataset: str, among: Iterable[str] = ()) -> list[str]:
    """Those of the named models, or of all that are registered, which can take a data set. Raises `UnknownName`."""
    named = among or [entry.name for entry in MODELS]
    return [name for name in named if incompatible(MODELS.get(name), DATASETS.get(dataset)) is None]


def incompatible(model: ModelInfo, dataset: DatasetInfo, metrics: Sequence[str] = ()) -> str | None:
    """Why a model cannot take a data set, as far as registrations say; None when they go together.

    A model that none of the metrics could say anything of is not trained either.
    """
    event = dataset.event
    if event not in ("", "any", *model.events) and not dataset.prefix:
        return f"{model.name} takes {' or '.join(model.events)} events; {dataset.name} holds {event} events"
    reason = density_lacks(model.name, model.needs, dataset.name, dataset.density)
    if reason:
        return reason
    wanted, cond = model.conditions, dataset.cond
    if wanted and cond not in wanted:
        has = f"{cond} conditions" if cond else "none"
        return f"{model.name} makes events from {' or '.join(wanted)}; {dataset.name} has {has}"
    if "pairs" in model.needs and not dataset.paired:
        return f"{model.name} learns from pairs; {dataset.name} is unpaired"
    needs = set(model.needs) & {"y", "labels"}
    if needs and not dataset.may_have_labels:
        return f"{model.name} learns from labels; {dataset.name} has none"
    if not metrics or not model.family:
        return None
    silent: dict[str, list[str]] = {}  # why -> metrics
    for name in metrics:
        why = _inapplicable(METRICS.get(name), model, dataset)
        if why is None:
            return None
        silent.setdefault(why, []).append(name)
    return "; ".join(f"{', '.join(names)} need{'s' * (len(names) == 1)} {why}" for why, names in silent.items())


def density_lacks(model: str, needs: Sequence[str], dataset: str, offers: Sequence[str]) -> str | None:
    """Why a model that draws from a density cannot draw from one that offers this; None where it can."""
    if "density" not in needs:
        return None
    if not offers:
        return f"{model} draws from a density; that of {dataset} is not given"
    if "subspaces" in offers and "subspaces" not in needs:
        return f"{model} moves in one space; {dataset} has mass on coordinates that are exactly 0"
    lacking = [word for word in DENSITY_WORDS if word in needs and word not in offers]
    return f"{model} needs the {lacking[0]} of a density; {dataset} has none" if lacking else None


def _inapplicable(metric: MetricInfo, model: ModelInfo, dataset: DatasetInfo) -> str | None:
    """What a metric needs that a model or a data set does not give, as far as registrations say."""
    needs, gives = set(metric.needs), set(model.gives)
    asks = set(metric.asks) or ({"sample", "translate"} if needs & {"samples", "probs", "features"} else set())
    if asks and not asks & gives:
        return f"a model that gives {' or '.join(sorted(asks))}; {model.name} does not"
    if needs & LABELS and not dataset.may_have_labels:
        return f"labels; {dataset.name} has none"
    return None
