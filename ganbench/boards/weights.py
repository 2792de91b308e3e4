"""Samples drawn again from submitted weights of a registered model."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ganbench.boards.submission import Submission
from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput
from ganbench.jobs.spec import JobSpec
from ganbench.model.make import make_with_weights
from ganbench.registry import MODELS
from ganbench.scoring.draws import check_samples, draw

MAX_CONFIG = 4096  # characters of the config as JSON: a network is described by few numbers


def draw_from_weights(submission: Submission, path: Path, spec: JobSpec, dataset: Dataset) -> Tensor:
    """Samples (N, *E) of a registered model with the weights in `path`, drawn from the board's streams.

    Raises `BadInput` when the weights are not those of the model with this config.
    """
    assert submission.model is not None
    name, config = submission.model.name, submission.model.config
    entry = MODELS.entries.get(name)
    if entry is None:
        raise BadInput(f"weights need a registered model; {name!r} is none: see `ganbench list models`, or send code")
    if entry.family == "control":
        raise BadInput(f"{name} is a control; controls are on every board and are not submitted")
    if len(json.dumps(config, default=str)) > MAX_CONFIG:
        raise BadInput(f"[model.config] must be below {MAX_CONFIG} characters")
    model = make_with_weights(name, dataset.spec, config, path, (name, dataset.spec.name, spec.seed))
    x = draw(model, dataset, spec.n_samples, (spec.dataset, spec.seed), torch.device("cpu"))
    return check_samples(x, dataset.spec)
