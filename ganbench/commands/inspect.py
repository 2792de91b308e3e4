"""`ganbench list` and `ganbench describe`: what there is, read from source without importing torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from ganbench.commands._common import LOOK, Json, console, of_anything, print_json, print_table
from ganbench.errors import BadConfig, GanbenchError, UnknownName
from ganbench.registry.variants import split_config

KINDS = ("models", "datasets", "metrics", "suites", "scorers", "executors")


def attach(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("list", rich_help_panel=LOOK)(list_)
    app.command("describe", rich_help_panel=LOOK)(describe)


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def list_(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.", autocompletion=_kinds)],
    as_json: Json = False,
) -> None:
    """One line for each model, data set, metric, suite, scorer or executor."""
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    listings: tuple[Callable[[], list[dict[str, Any]]], ...]
    listings = (models, datasets, metrics, all_suites, scorers, executors)
    items = dict(zip(KINDS, listings, strict=True))[kind]()
    if as_json:
        return print_json(items)
    columns = {
        "models": ("name", "family", "paper", "summary"),
        "datasets": ("name", "event", "labelled", "builtin", "scorer", "summary"),
        "metrics": ("name", "direction", "needs", "summary"),
        "suites": ("name", "scale", "seeds", "summary"),
        "scorers": ("name", "event_shape", "needs_weights", "summary"),
        "executors": ("name", "options", "summary"),
    }[kind]
    print_table([c.replace("_", " ") for c in columns], [[_text(item[c]) for c in columns] for item in items])
    return None


def describe(
    name: Annotated[
        str, typer.Argument(help="Anything that `list` shows, or path/to/file.py:Class.", autocompletion=of_anything)
    ],
    as_json: Json = False,
) -> None:
    """Everything about one model, data set, metric, suite, scorer or executor."""
    model, config = split_config(name)
    if config is not None:
        raise BadConfig(f"{name!r} has a config, and describe takes a plain name; use `ganbench describe {model}`")
    found = details(name)
    if as_json:
        return print_json(found)
    out = console()
    for key, value in found.items():
        if key not in ("documentation", "config", "recipes") and value not in ("", [], {}, None):
            out.print(f"{key:14} {_text(value)}")
    for key in ("config", "recipes"):
        if found.get(key):
            out.print(f"\n{key}")
            columns = list(dict.fromkeys(column for row in found[key] for column in row))
            print_table(columns, [[_text(row.get(c)) for c in columns] for row in found[key]])
    if found.get("documentation"):
        out.print(f"\n{found['documentation']}")
    return None


def models() -> list[dict[str, Any]]:
    """All models with the data sets that they can take."""
    from ganbench.jobs.fitting import datasets_of
    from ganbench.registry import MODELS

    return [
        {
            "name": e.name,
            "family": e.family,
            "paper": e.paper,
            "capabilities": list(e.gives),
            "needs": list(e.needs),
            "events": list(e.events),
            "datasets": [d.name for d in datasets_of(e)],
            "version": e.version,
            "summary": _summary(e),
        }
        for e in MODELS
    ]


def datasets() -> list[dict[str, Any]]:
    """All data sets."""
    from ganbench.registry import DATASETS

    return [
        {
            "name": e.name + (":PATH" if e.prefix else ""),
            "event": e.event,
            "labelled": e.labelled,
            "builtin": e.builtin,
            "scorer": e.scorer,
            "iterations": e.iterations,
            "version": e.version,
            "summary": _first(e.doc) or _first(e.header),
        }
        for e in DATASETS
    ]


def metrics() -> list[dict[str, Any]]:
    """All metrics."""
    from ganbench.registry import METRICS

    return [
        {
            "name": e.name,
            "direction": e.direction,
            "needs": list(e.needs),
            "returns": list(e.returns) or [e.name],
            "version": e.version,
            "summary": _first(e.doc) or _first(e.header),
        }
        for e in METRICS
    ]


def all_suites() -> list[dict[str, Any]]:
    """All suites."""
    from ganbench.jobs import suites

    return [_suite(suites.load(name)) for name in suites.names()]


def scorers() -> list[dict[str, Any]]:
    """All scorers."""
    from ganbench.registry import SCORERS

    return [
        {
            "name": e.name,
            "event_shape": list(e.event_shape),
            "needs_weights": e.needs_weights,
            "summary": _first(e.doc) or _first(e.header),
        }
        for e in SCORERS
    ]


def executors() -> list[dict[str, Any]]:
    """All executors."""
    from ganbench.registry import EXECUTORS

    return [
        {"name": e.name, "options": list(e.options), "summary": _first(e.doc) or _first(e.header)} for e in EXECUTORS
    ]


def details(name: str) -> dict[str, Any]:
    """Everything about `name`, whatever kind it is of. Raises `UnknownName` over all kinds."""
    from ganbench.jobs import suites
    from ganbench.registry import DATASETS, EXECUTORS, METRICS, MODELS, SCORERS, Registry

    if name in suites.names():
        return {"kind": "suite", **_suite(suites.load(name))}
    registries: tuple[tuple[str, Registry[Any], Callable[[], list[dict[str, Any]]]], ...] = (
        ("model", MODELS, models), ("data set", DATASETS, datasets), ("metric", METRICS, metrics),
        ("scorer", SCORERS, scorers), ("executor", EXECUTORS, executors),
    )  # fmt: skip
    for kind, registry, items in registries:
        stem = name.partition(":")[0].partition("[")[0]
        known = name in registry.entries or (stem in registry.entries and registry.entries[stem].prefix)
        if not known and not (kind == "model" and ".py:" in name):
            continue
        entry = registry.get(name)
        listed = next((i for i in items() if i["name"].partition(":")[0] == entry.name), {"name": entry.name})
        found = {"kind": kind, **listed, "code_sha256": entry.code_hash}
        if kind == "model":
            found |= _of_model(name, entry)
        found["documentation"] = "\n\n".join(dict.fromkeys(t.strip() for t in (entry.header, entry.doc) if t.strip()))
        return found
    names = [e.name for _, registry, _ in registries for e in registry] + suites.names()
    raise UnknownName("name", name, names)


def _of_model(name: str, entry: Any) -> dict[str, Any]:
    """Config fields with their defaults, which take the import of the model and so of torch, and recipes."""
    import dataclasses

    from ganbench.model.make import model_class

    cls = model_class(name)
    try:
        config = cls.Config()
    except GanbenchError:
        raise
    except Exception as error:
        raise GanbenchError(f"the config of {entry.name} cannot be made: {type(error).__name__}: {error}") from None
    described = []
    for f in dataclasses.fields(config):
        row = {"field": f.name, "default": _plain(getattr(config, f.name)), "type": _type(f.type)}
        tables = {"on images": cls.defaults.image, "on small events": cls.defaults.small}
        described.append(row | {where: _plain(t[f.name]) for where, t in tables.items() if f.name in t})
    return {"cost": _cost(name, entry), "config": described, "recipes": _recipes(entry)}


def _cost(name: str, entry: Any) -> str:
    """What one training takes on one core, by the estimate that `plan` makes."""
    from ganbench.jobs import estimate, suites
    from ganbench.jobs import plan as jobs
    from ganbench.jobs.fitting import datasets_of

    taken = {d.name for d in datasets_of(entry)}
    fitting = [name for name in suites.load("standard").datasets if name in taken]
    found, known = [], []
    for dataset, scale in [(d, s) for d in dict.fromkeys((*fitting[:1], *fitting[-1:])) for s in ("quick", "standard")]:
        selection = jobs.Selection("", (name,), (dataset,), (0,), scale, (), 500)
        (job,) = jobs.plan(selection)
        made = estimate.of(job, {})
        known.append(made["estimate_from"] == "table")
        found.append(f"{made['estimated_s']:.3g} s on {dataset} at {scale}")
    if not found:
        return ""
    doubt = "" if all(known) else f" (the middle one of all models; this one within a factor of {estimate.FACTOR})"
    return f"about {', '.join(found)}{doubt}"


def _recipes(entry: Any) -> list[dict[str, Any]]:
    """A row for each number that was published for a setting of a model."""
    from ganbench.registry import recipes

    return [
        {
            "dataset": r.dataset,
            "row": r.label,
            "metric": p.metric,
            "published": "none" if p.value is None else p.value,
            "spread": p.spread,
            "budget": " ".join(f"{v:g} {k}" for k, v in r.budget.items()),
            "source": p.source,
            "sure": p.sure,
        }
        for r in recipes.load(entry)
        for p in r.published
    ]


def _suite(suite: Any) -> dict[str, Any]:
    return {
        "name": suite.name,
        "summary": suite.about,
        "models": list(suite.models),
        "datasets": list(suite.datasets),
        "metrics": list(suite.metrics),
        "scale": suite.scale,
        "seeds": suite.seeds,
        "n_samples": suite.n_samples,
    }


def _summary(entry: Any) -> str:
    return str(entry.summary)


def _first(text: str) -> str:
    return text.strip().split("\n", 1)[0].rstrip(".")


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return repr(value)


def _type(hint: Any) -> str:
    return hint if isinstance(hint, str) else getattr(hint, "__name__", str(hint))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value) if value else ""
    return "" if value is None else str(value)
