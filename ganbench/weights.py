"""A model with weights from a file: nothing is allocated before the file's shapes are those of the model.

Kept weights of runs, bare files and submissions all come through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ganbench.data import DataSpec
from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.make import make
from ganbench.model import Model
from ganbench.samples_io import TensorHeader, safetensors_header

MAX_HEADER = 1 << 22  # bytes


def make_with_weights(
    ref: str, spec: DataSpec, config: Mapping[str, Any], path: Path, seed: tuple[object, ...] = ()
) -> Model:
    """The model of `ganbench.make.make` with the weights of a .safetensors file, in eval mode on the CPU.

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
