"""Samples drawn again from submitted weights; nothing is allocated before the file's shapes are those of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import runner
from ganbench.boards.submission import Submission
from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.jobs import JobSpec
from ganbench.make import make
from ganbench.registry import MODELS
from ganbench.samples_io import TensorHeader, safetensors_header

MAX_HEADER = 1 << 22  # bytes
MAX_CONFIG = 4096  # characters of the config as JSON: a network is described by few numbers


def draw_from_weights(submission: Submission, path: Path, spec: JobSpec, dataset: Dataset) -> Tensor:
    """Samples (N, *E) of a registered model with the weights in `path`, drawn from the board's streams.

    Raises `BadInput` when the weights are not those of the model with this config.
    """
    from safetensors.torch import load_file

    assert submission.model is not None
    name, config = submission.model.name, submission.model.config
    entry = MODELS.entries.get(name)
    if entry is None:
        raise BadInput(f"weights need a registered model; {name!r} is none: see `ganbench list models`, or send code")
    if entry.meta.get("family") == "control":
        raise BadInput(f"{name} is a control; controls are on every board and are not submitted")
    if len(json.dumps(config, default=str)) > MAX_CONFIG:
        raise BadInput(f"[model.config] must be below {MAX_CONFIG} characters")
    seed = (name, dataset.spec.name, spec.seed)
    check_shapes(safetensors_header(path, MAX_HEADER), expected_shapes(name, config, dataset), path.name, name)
    model = make(name, dataset.spec, config, seed)
    try:
        weights = load_file(path)
    except Exception as error:
        raise BadInput(f"{path.name} is not readable as safetensors: {type(error).__name__}") from None
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(f"{path.name}: {key!r} holds NaN or infinity")
    model.load_state_dict(weights)
    model.eval()
    x = runner.draw(model, dataset, spec.n_samples, spec, torch.device("cpu"))
    return runner.check_samples(x, dataset.spec)


def expected_shapes(model: str, config: Mapping[str, Any], dataset: Dataset) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's weights, from networks without memory. Raises `BadInput`, `NotApplicable`."""
    try:
        with torch.device("meta"):
            state = make(model, dataset.spec, config).state_dict()
    except GanbenchError:
        raise
    except Exception as error:  # what torch and the model make of impossible sizes is of many kinds
        raise BadInput(f"{model} cannot be built with this config: {str(error).splitlines()[0][:200]}") from None
    if not state:
        raise NotApplicable(f"{model} keeps no weights; send samples or code")
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
