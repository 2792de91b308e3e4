"""Checkpoints: all that a training depends on in one file, so that one cut off goes on with the bits it would have had.

A file is safetensors with numbers as JSON in its header; nothing in it is ever executed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim import Optimizer

from ganbench.errors import BadInput
from ganbench.files import write_atomic

Numbers = dict[str, Any]  # what JSON holds


def write(path: Path, tensors: dict[str, Tensor], numbers: Numbers) -> None:
    """Write a whole checkpoint or none. Raises `OSError`, leaving an earlier one as it was."""
    apart = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}  # the format refuses shared memory
    write_atomic(path, save(apart, {"numbers": json.dumps(numbers)}))


def read(path: Path) -> tuple[dict[str, Tensor], Numbers]:
    """Tensors on the CPU, and numbers. Raises `BadInput` for anything but a checkpoint, `OSError` where none is."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (it is not a mapping)
            numbers = json.loads((file.metadata() or {})["numbers"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise BadInput(f"{path.name} must be a checkpoint; {type(error).__name__}: {error}") from None
    return tensors, numbers


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors below `name`, without it."""
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers, as "parameter.quantity"; rates are not among it, for schedules set them anew."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, kept in state.items() for k, v in kept.items() if v is not None}


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give a fresh optimizer this memory."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        i, _, name = key.partition(".")
        state.setdefault(int(i), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
