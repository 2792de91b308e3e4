"""From a selection to its jobs: names, globs, variants, recipes and seeds expanded, without importing torch."""

from __future__ import annotations

import fnmatch
import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from ganbench.errors import BadConfig, ImportFailed, UnknownName
from ganbench.jobs import identity, suites
from ganbench.jobs.fitting import incompatible
from ganbench.jobs.spec import Job, JobSpec, Precision, display_name
from ganbench.provenance.source import look_again
from ganbench.registry import DATASETS, METRICS, MODELS, DatasetInfo, E, ModelInfo, Registry
from ganbench.registry import recipes as published
from ganbench.registry.recipes import Recipe
from ganbench.registry.variants import expand, parse_value, single, split_config, with_config

MAX_SEEDS = 10_000


@dataclass(frozen=True)
class Selection:
    """What the user asked for, before it is expanded into jobs."""

    suite: str
    models: tuple[str, ...]  # names, globs, family:NAME, or path/to/file.py:Class; with a config: name[k=v1,v2]
    datasets: tuple[str, ...]
    seeds: tuple[int, ...]
    scale: str
    metrics: tuple[str, ...]
    n_samples: int
    device: str = "cpu"
    budget: dict[str, int | float] = field(default_factory=dict)
    sets: tuple[str, ...] = ()  # key=value or model.key=value
    data_dir: str | None = None
    scorer_weights: str | None = None  # the user's file for scorers that ship none
    precision: Precision = "ieee"  # of float32 matrix products in training: ieee, tf32 or bf16
    deterministic: bool = False  # only algorithms that repeat bit by bit
    labels: tuple[int, ...] = ()  # label counts for learners from a few labels; empty: the runner's default
    draws: tuple[int, ...] = ()  # draws of the labels that every seed is trained on; empty: each seed has its own
    recipes: tuple[str, ...] = ()  # labels of the published settings to run at scale `paper`; empty: all
    also: tuple[str, ...] = ()  # suites that the suite brings along, for the data sets that are not among its own

    def manifest(self) -> dict[str, Any]:
        """The request as it is kept in run.json: strict JSON without paths."""
        return {
            "suite": self.suite,
            "models": [display_name(m) for m in self.models],
            "datasets": [display_name(d) for d in self.datasets],
            "seeds": list(self.seeds),
            "scale": self.scale,
            "budget": dict(self.budget),
            "metrics": list(self.metrics),
            "n_samples": self.n_samples,
            "device": self.device,
            "set": sorted(self.sets),
            **({} if self.precision == "ieee" else {"precision": self.precision}),
            **({"deterministic": True} if self.deterministic else {}),
            **({"labels": list(self.labels)} if self.labels else {}),
            **({"draws": list(self.draws)} if self.draws else {}),
            **({"recipes": list(self.recipes)} if self.recipes else {}),
        }


def plan(selection: Selection, configs: dict[str, dict[str, Any]] | None = None) -> list[Job]:
    """Every job of a selection, one whole seed after the other, so that stopping early leaves each model one seed.

    `configs` maps a reference of `selected_models` to its checked overrides (`ganbench.model.make.resolve_config`);
    variants that these make equal are one. At scale `paper` each of a model's recipes for a data set is a job with its
    config and budget, and its number of samples where its protocol says one.
    Pairs that do not go together are kept, with `skip` saying why. Raises `UnknownName` or `BadConfig`.
    """
    models = selected_models(selection)
    overriding = {ref: (configs or {}).get(ref, single(ref)[1]) for ref in models}
    datasets = _select(selection.datasets, DATASETS)
    recipes = published.of(map(base, models)) if selection.scale == "paper" else None
    _check_recipes(selection, recipes)
    look_again()
    files = {ref: identity.files_of(ref, entry, selection.scorer_weights) for ref, entry in datasets.items()}
    skips = {(d, m): _skip(model, dataset, selection) for d, dataset in datasets.items() for m, model in models.items()}
    jobs: dict[str, Job] = {}  # by id
    for seed in selection.seeds:
        for dataset_ref, dataset in datasets.items():
            for model_ref, model in models.items():
                overrides, skip = overriding[model_ref], skips[dataset_ref, model_ref]
                variants = [Variant(overrides, {}, s) for s in _supervisions(selection, model)]
                if recipes is not None:
                    known = recipes.get(base(model_ref), ())
                    found = _published(selection, model, dataset, known, overrides)
                    if selection.recipes and not found:
                        continue
                    variants = found or variants[:1]
                    skip = skip or (None if found else _no_recipe(selection, model, dataset, known))
                for variant in variants:
                    spec = _spec(selection, model, (dataset_ref, dataset), seed, variant, files[dataset_ref])
                    jobs.setdefault(spec.job_id, Job(spec, base(model_ref), dataset_ref, selection.data_dir, skip))
    if not jobs:
        raise BadConfig("no job is selected: name at least one model, data set and seed")
    return list(jobs.values())


@dataclass(frozen=True)
class Variant:
    """One way to run a model on a data set with one seed."""

    config: dict[str, Any]
    budget: dict[str, int | float]
    supervision: dict[str, Any]  # extra fields of the spec: labels and draw, or label_counts
    recipe: str = ""  # the label of the recipe that it is, with nothing changed
    n_samples: int | None = None  # of a recipe whose protocol says it


def _supervisions(selection: Selection, model: ModelInfo) -> list[dict[str, Any]]:
    """What `--labels` and `--label-draws` mean for a model: a job each for one that learns from few labels.

    For another model one job, whose metrics on frozen features look at each of the counts.
    """
    if "labels" in model.needs:
        counts = [{"labels": n} for n in selection.labels] or [{}]
        return [c | d for c in counts for d in [{"draw": d} for d in selection.draws] or [{}]]
    looks = any("label_draws" in METRICS.get(m).needs for m in selection.metrics)
    return [{"label_counts": list(selection.labels)} if looks and selection.labels else {}]


def _published(
    selection: Selection, model: ModelInfo, dataset: DatasetInfo, recipes: Iterable[Recipe], overrides: dict[str, Any]
) -> list[Variant]:
    """A model's recipes for a data set; one that speaks of a number of labels runs with it, where it is asked for."""
    found: list[Variant] = []
    for r in recipes:
        if r.dataset != dataset.name or (selection.recipes and r.label not in selection.recipes):
            continue
        for supervision in _supervisions(selection, model):
            asked = supervision.get("labels")
            if "label_counts" not in supervision and r.labels is not None and "labels" in model.needs:
                if asked not in (None, r.labels):
                    continue
                supervision = supervision | {"labels": r.labels}
            label = "" if overrides or selection.budget else r.label
            variant = Variant(r.config | overrides, r.budget, supervision, label, r.n_samples)
            if variant not in found:
                found.append(variant)
    return found


def _check_recipes(selection: Selection, recipes: Mapping[str, Iterable[Recipe]] | None) -> None:
    """Raise `UnknownName` for a label that no recipe has, `BadConfig` where recipes are not run at all."""
    if selection.recipes and recipes is None:
        raise BadConfig(f"--recipe picks published settings: use it with --scale paper; got scale {selection.scale}")
    labels = {r.label for found in (recipes or {}).values() for r in found if r.label}
    for name in selection.recipes:
        if name not in labels:
            raise UnknownName("recipe of the selected models", name, labels)


def _no_recipe(selection: Selection, model: ModelInfo, dataset: DatasetInfo, recipes: Iterable[Recipe]) -> str:
    """Why no recipe of a model is run."""
    counts = " or ".join(map(str, selection.labels)) if any(r.dataset == dataset.name for r in recipes) else ""
    return f"{model.name} has no published recipe for {dataset.name}" + (f" with {counts} labels" if counts else "")


def _skip(model: ModelInfo, dataset: DatasetInfo, selection: Selection) -> str | None:
    """Why a pair is not run, and where it would be; None when it is."""
    reason = incompatible(model, dataset, selection.metrics)
    only_unscored = reason is not None and incompatible(model, dataset) is None
    return f"{reason}{_where_scored(model, dataset, selection)}" if only_unscored else reason


def _where_scored(model: ModelInfo, dataset: DatasetInfo, selection: Selection) -> str:
    """The suites whose metrics say something of a model on a data set, for who named neither suite nor metrics."""
    if selection.suite not in suites.names():  # the user's own file
        return ""
    chosen = suites.load(selection.suite)
    if dataset.name in chosen.datasets or selection.metrics != metric_names(chosen.metrics):
        return ""
    others = [s for s in map(suites.load, suites.names()) if dataset.name in s.datasets]
    fitting = [s.name for s in others if incompatible(model, dataset, metric_names(s.metrics)) is None]
    return f"; try --suite {' or '.join(fitting)}" if fitting else ""


def budget_for(dataset: DatasetInfo, scale: str) -> dict[str, int | float]:
    """The budget of a named scale on a data set. Raises `BadConfig`."""
    if scale == "paper":
        return {}
    table = dataset.budgets
    if scale not in table:
        raise BadConfig(f"scale {scale!r} is not defined for {dataset.name}; it has {', '.join([*table, 'paper'])}")
    return {"iterations": table[scale]}


def parse_budget(text: str) -> dict[str, int | float]:
    """`iterations=500`, `examples=1e6` or `seconds=60` -> {"iterations": 500}. Raises `BadConfig`."""
    kind, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if kind not in ("iterations", "examples", "seconds") or not 0 <= value < 1e15:
        raise BadConfig(f"a budget is iterations=N, examples=N or seconds=S with a number >= 0; got {text!r}")
    return {kind: value if kind == "seconds" else int(value)}


def parse_seeds(text: str) -> tuple[int, ...]:
    """`3` -> seeds 0, 1, 2; `4-6` -> 4, 5, 6; `1,5` -> 1, 5. Raises `BadConfig`."""
    try:
        if "," in text:
            seeds = [int(part) for part in text.split(",") if part.strip()]
        elif "-" in text[1:]:
            first, last = text.split("-")
            seeds = list(islice(range(int(first), int(last) + 1), MAX_SEEDS + 1))
        else:
            seeds = list(islice(range(int(text)), MAX_SEEDS + 1))
    except ValueError:
        seeds = []
    if not 0 < len(seeds) <= MAX_SEEDS or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise BadConfig(f"seeds are a count (3), a range (4-6) or a list (1,5) of distinct numbers >= 0; got {text!r}")
    return tuple(seeds)


def parse_labels(text: str) -> tuple[int, ...]:
    """`20,50,100` -> (20, 50, 100). Raises `BadConfig`."""
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1 or len(set(counts)) < len(counts):
        raise BadConfig(f"--labels takes label counts such as 20,50,100, distinct and at least 1; got {text!r}")
    return counts


def parse_sets(sets: Iterable[str], models: Iterable[str]) -> Iterator[tuple[str | None, str, Any]]:
    """`key=value` and `model.key=value` -> (model or None, key, value); values are JSON, or else text.

    Raises `BadConfig`, or `UnknownName` for a model that is not selected.
    """
    chosen = list(models)
    for text in sets:
        left, equals, right = text.partition("=")
        if not equals or not left:
            raise BadConfig(f"--set takes key=value or model.key=value; got {text!r}")
        model, dot, key = left.rpartition(".")
        if dot and model not in chosen:
            raise UnknownName("model in --set", model, chosen)
        yield model or None, key if dot else left, parse_value(right)


def metric_names(patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of metrics, with globs expanded; a score's name is that of its metric. Raises `UnknownName`."""
    functions = {score: entry.name for entry in METRICS for score in entry.returns}
    patterns = list(dict.fromkeys(functions.get(p, p) for p in patterns))
    names = [e.name for e in _select(patterns, METRICS).values()]
    if not names:
        raise BadConfig("no metric is selected")
    return tuple(names)


def selected_models(selection: Selection) -> dict[str, ModelInfo]:
    """The models a selection names, each variant for itself: reference -> entry. Raises `UnknownName`, `BadConfig`."""
    found: dict[str, ModelInfo] = {}
    for variant in [v for text in selection.models for v in expand(text)]:
        name, config = single(variant)
        found |= {with_config(ref, config): e for ref, e in _select([name], MODELS).items()}
    _refuse_twins({base(ref): entry for ref, entry in found.items()}, MODELS)
    return found


def base(reference: str) -> str:
    """A model's reference without its config: what the registry knows it by."""
    return split_config(reference)[0]


def _select(patterns: Sequence[str], registry: Registry[E]) -> dict[str, E]:
    """References -> entries, in the order asked for; globs expand to names, `family:NAME` to a family's models."""
    chosen: dict[str, E] = {}
    entries = registry.entries
    for pattern in patterns:
        stem, _, argument = pattern.partition(":")
        if stem == "family":
            found = [n for n, e in entries.items() if getattr(e, "family", "") == argument]
            if not found:
                raise UnknownName("family", argument, {str(getattr(e, "family", "")) for e in entries.values()})
        elif any(c in stem for c in "*?[") and ".py:" not in pattern and not (argument and "=" in stem):
            found = [n for n, e in entries.items() if fnmatch.fnmatchcase(n, pattern) and not e.prefix]
            if not found and pattern != "*":
                raise UnknownName(registry.kind, pattern, entries)
        else:
            found = [pattern]
        for ref in found:
            try:
                chosen[ref] = registry.get(ref)
            except ImportFailed:  # a user's file that is not Python: its jobs fail with that reason, and the others run
                path, _, attribute = ref.rpartition(":")
                chosen[ref] = registry.info(attribute, path, attribute, Path(path))
    _refuse_twins(chosen, registry)
    return chosen


def _refuse_twins(chosen: Mapping[str, E], registry: Registry[E]) -> None:
    """Raise `BadConfig` where two things would go by one name."""
    names = [display_name(r) if e.prefix else e.name for r, e in chosen.items()]
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise BadConfig(f"two references share the {registry.kind} name {', '.join(sorted(twice))}; rename one")


def _spec(
    selection: Selection,
    model: ModelInfo,
    data: tuple[str, DatasetInfo],
    seed: int,
    variant: Variant,
    files: dict[str, str],
) -> JobSpec:
    ref, dataset = data
    metrics = [METRICS.get(m) for m in selection.metrics]
    versions = {"model": str(model.version), "dataset": str(dataset.version), "torch": _torch_version()}
    versions |= {f"metric:{m.name}": str(m.version) for m in metrics}
    return JobSpec(
        model=model.name,
        config=variant.config,
        dataset=display_name(ref),
        scale="custom" if selection.budget else selection.scale,
        budget=selection.budget or variant.budget or budget_for(dataset, selection.scale),
        seed=seed,
        metrics=selection.metrics,
        n_samples=variant.n_samples or selection.n_samples,
        device=selection.device,
        versions=versions | files,
        code_sha256=identity.code_of(model, data, metrics),
        recipe=variant.recipe or None,
        precision=None if selection.precision == "ieee" else selection.precision,
        deterministic=selection.deterministic or None,
        **variant.supervision,
    )


@lru_cache(maxsize=1)
def _torch_version() -> str:
    return ".".join(importlib.metadata.version("torch").split(".")[:2])
