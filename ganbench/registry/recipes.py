"""Published settings and what they reached, read from `<model>.toml` beside a model's file; nothing is imported for it.

[[recipe]]
label = "paper m=2"                 # names its rows in place of the config
dataset = "ring8"
budget = { iterations = 400_000 }   # or examples, or seconds
config = { pack = 2, lr = 1e-4 }
protocol = "2,500 samples"          # protocol, source and sure hold for each number that says none of its own
source = "arXiv:1712.04086, table 1"
sure = "verified"
published = [{ metric = "modes", value = 7.9, spread = "+-0.1 (SE of 10 runs)" }]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ganbench.errors import BadConfig, ImportFailed, UnknownName, first_problem
from ganbench.registry import MODELS, Entry

SAID_ONCE = ("protocol", "source", "sure")  # of a recipe, for those of its numbers that do not say their own
BUDGETS = {"iterations", "examples", "seconds"}


class Published(BaseModel):
    """A number that a paper printed for a setting, and how sure we are of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    value: float | None = None  # None: the paper shows pictures or curves; no number was printed
    spread: str = ""  # as printed, e.g. "+-0.8 (SE of 10 runs)"
    protocol: str
    source: str  # paper and table
    sure: Literal["verified", "secondary", "recalled"]


class Recipe(BaseModel):
    """A published setting; only a run of its full budget may be called a reproduction."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    dataset: str
    budget: dict[str, int | float]
    config: dict[str, Any] = {}
    published: tuple[Published, ...]
    labels: int | None = None  # how many labels the protocol allows, where it speaks of few
    n_samples: int | None = None  # that the score must be of, where the number moves it
    label: str = ""  # other settings of the model on the data set, other label

    @model_validator(mode="before")
    @classmethod
    def _say_once(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or not isinstance(raw.get("published"), list | tuple):
            return raw
        shared = {k: raw[k] for k in SAID_ONCE if k in raw}
        own = {k: v for k, v in raw.items() if k not in SAID_ONCE}
        return own | {"published": [shared | p if isinstance(p, dict) else p for p in raw["published"]]}

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if len(self.budget) != 1 or not set(self.budget) <= BUDGETS or min(self.budget.values()) <= 0:
            raise ValueError(f"budget must be exactly one of iterations, examples, seconds; got {self.budget}")
        if not self.published:
            raise ValueError("published must hold at least one metric; one without a printed number has no value")
        return self


def load(entry: Entry) -> tuple[Recipe, ...]:
    """The recipes of a model; none where no file lies beside its own. Raises `BadConfig` that names file and field."""
    path = entry.source.parent / f"{entry.name}.toml"
    if not path.is_file():
        return ()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path.name} is not TOML: {error}") from None
    if set(raw) - {"recipe"} or not isinstance(raw.get("recipe", []), list):
        raise BadConfig(f"{path.name} must hold [[recipe]] tables and nothing else; got {', '.join(sorted(raw))}")
    found = []
    for i, table in enumerate(raw.get("recipe", []), 1):
        try:
            found.append(Recipe.model_validate({**table, "model": entry.name}))
        except ValidationError as error:
            raise BadConfig(f"{path.name}, recipe {i}: {first_problem(error)}") from None
    return tuple(found)


def of(references: Iterable[str]) -> dict[str, tuple[Recipe, ...]]:
    """The recipes of each model that has some; a reference that names no model, or none that can be read, has none."""
    found: dict[str, tuple[Recipe, ...]] = {}
    for reference in references:
        try:
            found[reference] = load(MODELS.get(reference))
        except (UnknownName, ImportFailed):  # its jobs say so, and the others run
            continue
    return {reference: recipes for reference, recipes in found.items() if recipes}
