"""The door to a model: reference, data spec, overrides and what seeds it go in, a built model comes out.

Runs, rescored weights, submissions, gates and benchmarks make their models here, so that one config means one model.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from typing import Any

from ganbench import seeding
from ganbench.data import DataSpec
from ganbench.errors import BadInput
from ganbench.model import Config, Model
from ganbench.registry import MODELS


def make(ref: str, spec: DataSpec, overrides: Mapping[str, Any] | None = None, seed: tuple[object, ...] = ()) -> Model:
    """The model with its config for this data, built; first weights come from a stream of their own.

    `ref` is a registry name or path/to/file.py:Class, `seed` what the first weights depend on, usually (model, data
    set, seed). Raises `UnknownName`, `ImportFailed`, `BadConfig`, or `NotApplicable` for data that it cannot take.
    """
    cls = model_class(ref)
    model = cls(cls.configure(spec, **(overrides or {})))
    with seeding.global_stream("init", *seed):
        model.build(spec)
    return model


def model_class(ref: str) -> type[Model]:
    """The class of a reference. Raises `BadInput` for one that is no model."""
    cls = MODELS.load(ref)
    if not (inspect.isclass(cls) and issubclass(cls, Model)):
        name = MODELS.get(ref).name
        raise BadInput(f"{name} must be a class that derives from ganbench.model.Model; got {cls!r}")
    return cls


def effective_config(config: Config) -> dict[str, Any]:
    """Every field with the value that holds, as JSON has it."""
    out: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return out


def resolve_config(ref: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides as the model's config coerces them, without those that equal a default on all data.

    Raises `UnknownName` with near matches, or `BadConfig` that names field, rule and value.
    """
    cls = model_class(ref)
    default = cls.Config()
    made = default.override(**overrides)
    varies = {*cls.defaults.image, *cls.defaults.small}
    return {k: getattr(made, k) for k in overrides if k in varies or getattr(made, k) != getattr(default, k)}


def config_fields(ref: str) -> dict[str, Any]:
    """Names and defaults of a model's config."""
    default = model_class(ref).Config()
    return {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}
