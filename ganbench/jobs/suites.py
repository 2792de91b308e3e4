"""Suites: named lists of models, data sets, metrics, scale and seeds, one TOML file each in ganbench/suites/."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganbench.errors import BadConfig, UnknownName

_FIELDS: dict[str, type] = {
    "about": str,
    "models": list,
    "datasets": list,
    "metrics": list,
    "scale": str,
    "seeds": int,
    "n_samples": int,
    "labels": list,
    "also": list,
}
_OPTIONAL = {"labels", "also"}
FOLDER = Path(__file__).parents[1] / "suites"


@dataclass(frozen=True)
class Suite:
    """What `--suite NAME` runs when nothing else is said."""

    name: str
    about: str
    models: tuple[str, ...]  # names, globs, family:NAME
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    scale: str
    seeds: int
    n_samples: int
    labels: tuple[int, ...] = ()  # label counts for models that learn from a few
    also: tuple[str, ...] = ()  # suites whose data sets are run with their own models and metrics beside this one's


def names() -> list[str]:
    """All suites that come with ganbench."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def load(name: str) -> Suite:
    """Read a suite by name, or from a `.toml` file the user names. Raises `UnknownName` or `BadConfig`."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if name.endswith(".toml") and not path.is_file():
        raise BadConfig(f"no suite file {path.name!r}; check the path, or see `ganbench list suites`")
    if not name.endswith(".toml") and name not in names():
        raise UnknownName("suite", name, names())
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path.name} is not TOML: {error}") from None
    for key in raw:
        if key not in _FIELDS:
            raise UnknownName(f"key of suite {path.stem}", key, _FIELDS)
    for key, kind in _FIELDS.items():
        if not isinstance(raw.get(key), kind) and not (key in _OPTIONAL and key not in raw):
            raise BadConfig(f"suite {path.stem}: {key} must be a {kind.__name__}; got {raw.get(key)!r}")
    if raw["seeds"] < 1 or raw["n_samples"] < 2:
        raise BadConfig(f"suite {path.stem}: seeds must be >= 1 and n_samples >= 2")
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return Suite(path.stem, **fields)
