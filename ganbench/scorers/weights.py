"""Weights in files: read without running any code in them, and known by the first eight digits of their sha256."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from ganbench.errors import BadInput, MissingResource


def fingerprint(path: Path) -> str:
    """First eight hex digits of the file's sha256, as signatures carry them."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def find(given: Path | None, scorer: str, file: str, url: str, size: str) -> Path:
    """The file the user names, or `file` in torch's hub cache, whose name ends in the first digits of its sha256.

    Raises `MissingResource` where there is none, saying where it goes, and `BadInput` where the cached one is damaged.
    """
    if given is not None:
        if not given.is_file():
            raise MissingResource(f"{scorer}: no weights at {given}; pass an existing file with --scorer-weights")
        return given
    path = Path(torch.hub.get_dir()) / "checkpoints" / file
    if not path.is_file():
        raise MissingResource(
            f"{scorer}: no weights; download {url} ({size}) into torch's hub cache, {path.parent}, or name a copy with "
            "--scorer-weights"
        )
    digest = fingerprint(path)
    if digest != path.stem[-8:]:
        raise BadInput(
            f"{file} in torch's cache is damaged: its sha256 must start with {path.stem[-8:]}; got {digest}; "
            f"remove it and download {url} again"
        )
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name from .safetensors, or from .pth without running any code in it. Raises `BadInput`."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: object = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own errors for damaged or hostile files
        raise BadInput(f"{path.name} must hold tensors (.safetensors, or .pth): {type(error).__name__}") from None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadInput(f"{path.name} must map names to tensors; got {type(state).__name__}")
    return state


def check_pictures(x: Tensor, scorer: str) -> Tensor:
    """x, a batch of grey or colour pictures (N, 1 or 3, H, W). Raises `BadInput` for anything else."""
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not x.is_floating_point():
        raise BadInput(
            f"{scorer} takes float images of shape (N, 1 or 3, H, W) in [-1, 1]; got {x.dtype} {tuple(x.shape)}"
        )
    return x
