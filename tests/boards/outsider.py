"""A small board, and a stand-in for a generator trained outside ganbench with its submission.toml."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

N = 120  # samples per seed: enough for every check, little enough to be quick

BOARD = f"""\
[board]
id = "small"
title = "Small digits"
scale = "quick"
min_seeds = 2

[[task]]
dataset = "digits"
n = {N}

[[metric]]
name = "mmd"
direction = "min"
primary = true

[[metric]]
name = "inception_score"
direction = "max"
"""


def outside_generator(seed: int, n: int = N) -> np.ndarray[Any, Any]:
    """Digits by an outsider: uint8 pixels (n, 8, 8) of a mixture of Gaussians fitted with scikit-learn."""
    from sklearn.datasets import load_digits
    from sklearn.mixture import GaussianMixture

    x = load_digits().data
    model = GaussianMixture(20, covariance_type="diag", random_state=seed, max_iter=20).fit(x)
    samples = model.sample(n)[0]
    return np.clip(samples * 255 / 16, 0, 255).round().astype(np.uint8).reshape(-1, 8, 8)


def toml(files: list[str], kind: str = "samples", **changes: Any) -> str:
    """submission.toml for these files, one a seed."""
    head = {
        "board": "small",
        "protocol": "1.0",
        "tier": kind,
        "team": "Example Lab",
        "name": "my-gmm",
        "license": "CC0-1.0",
        **changes,
    }
    lines = ["[submission]", *(f"{k} = {json.dumps(v)}" for k, v in head.items() if v is not None)]
    for seed, path in enumerate(files):
        lines += [f"[[{kind}]]", 'dataset = "digits"', f"seed = {seed}", f"path = {json.dumps(path)}"]
    return "\n".join(lines) + "\n"
