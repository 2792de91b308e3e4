"""The door to a model: reference, data spec, overrides and what seeds it go in, a built model comes out.

Runs, rescored weights, submissions, gates and benchmarks make their models here, so that one config means one model.
Weights from a file come in here too: nothing is allocated before the file's shapes are those of the model.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganbench import seeding
from ganbench.data import DataSpec
from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.files import TensorHeader, safetensors_header
from ganbench.model.contract import Config, Model
from ganbench.registry import MODELS

MAX_HEADER = 1 << 22  # bytes of a weights file that name its tensors


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


def make_with_weights(
    ref: str, spec: DataSpec, config: Mapping[str, Any], path: Path, seed: tuple[object, ...] = ()
) -> Model:
    """The model of `ganbench.model.make.make` with the weights of a .safetensors file, in eval mode on the CPU.

    Raises `BadInput` when they are not those of the model with this config, or not finite; `NotApplicable` for a
    model that keeps none; what `make` raises.
    """
    from safetensors.torch import load_file

    name = ref.rpartition(":")[2] if ".py:" in ref else ref
    check_shapes(safetensors_header(path, MAX_HEADER), expected_shapes(ref, spec, config), path.name, name)
    model = make(ref, spec, config, seed)
    try:
        weights = load_file(path)
    except Exception as error:
        raise BadInput(f"{path.name} is not readable as safetensors: {type(error).__name__}") from None
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(f"{path.name}: {key!r} holds NaN or infinity")
    model.load_state_dict(weights)
    return model.eval()


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


def expected_shapes(ref: str, spec: DataSpec, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's weights, from networks without memory. Raises `BadInput`, `NotApplicable`."""
    try:
        with torch.device("meta"):
            state = make(ref, spec, config).state_dict()
    except GanbenchError:
        raise
    except Exception as error:  # what torch and the model make of impossible sizes is of many kinds
        raise BadInput(f"{ref} cannot be built with this config: {str(error).splitlines()[0][:200]}") from None
    if not state:
        raise NotApplicable(f"{ref} keeps no weights; draw its samples where it is trained, or send its code")
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def check_shapes(
    header: Mapping[str, TensorHeader], wanted: Mapping[str, tuple[int, ...]], file: str, model: str
) -> None:
    """Raises `BadInput` for the first tensor that one side lacks or has in another shape."""
    for key in sorted(wanted.keys() | header.keys()):
        got, want = header[key].shape if key in header else None, wanted.get(key)
        if got != want:
            raise BadInput(
                f"{file} is not a {model} with this config: {key[:80]!r} is "
                f"{'absent' if got is None else got}, should be {'absent' if want is None else want}"
            )
