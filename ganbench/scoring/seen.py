"""What a scorer sees in a set of pictures: features, posteriors and moments, looked at in batches, kept in a file.

A set stays in 8 bits; only a batch of it is ever a float tensor, so that 10,000 pictures of 256 pixels fit a laptop.
The statistics file is an .npz that this module writes, or one of pytorch-fid, which holds mean and covariance alone.

Shapes      N pictures, F features, K classes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganbench.datasets.samples import check_directory
from ganbench.errors import BadInput
from ganbench.files import open_plain, write_atomic
from ganbench.scorers.base import Linear, Scorer

BATCH = 500  # as of `ganbench.evaluate`: the bits of a feature depend on its batch
MAX_BYTES = 1 << 33  # what a statistics file may unpack to
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Seen:
    """A set through a scorer. Of a file of pytorch-fid only mean and covariance are known."""

    features: Tensor | None  # (N, F) float32
    probs: Tensor | None  # (N, K) float64
    mean: Tensor | None = None  # (F,) float64, where there are no features
    covariance: Tensor | None = None  # (F, F)
    scorer: str = ""  # signature
    pictures: str = ""  # hash of the files, and how they were framed

    @property
    def n(self) -> int | None:
        """How many pictures, where that is known."""
        return None if self.features is None else len(self.features)


def look(pixels: Tensor, scorer: Scorer, pictures: str = "", told: Progress | None = None) -> Seen:
    """Features and posteriors of pictures (N, C, H, W) uint8, or of floats in the scorer's domain."""
    features, probs = [], []
    done = 0
    for part in pixels.split(BATCH):
        x = part.float().div_(127.5).sub_(1) if part.dtype == torch.uint8 else part.float()
        with torch.no_grad():
            features.append(scorer.features(x))
            probs.append(scorer.posteriors(features[-1]) if isinstance(scorer, Linear) else scorer.probs(x))
        done += len(part)
        if told:
            told(done, len(pixels))
    return Seen(torch.cat(features), torch.cat(probs), scorer=scorer.signature, pictures=pictures)


def write(seen: Seen, path: Path) -> None:
    """Keep what was seen. `mu` and `sigma` are those that pytorch-fid writes, so that it reads the file too."""
    assert seen.features is not None
    assert seen.probs is not None
    rows = seen.features.double()
    arrays = {
        "mu": rows.mean(0).numpy(),
        "sigma": torch.cov(rows.T).reshape(rows.shape[1], -1).numpy(),
        "features": seen.features.numpy(),
        "probs": seen.probs.numpy(),
        "scorer": np.frombuffer(seen.scorer.encode(), np.uint8),
        "pictures": np.frombuffer(seen.pictures.encode(), np.uint8),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    write_atomic(path, file.getvalue())


def read(path: Path) -> Seen:
    """A statistics file of this module or of pytorch-fid. Raises `BadInput` for anything else."""
    arrays = _arrays(path)
    if not {"mu", "sigma"} <= set(arrays):
        raise BadInput(f"{path.name} must hold mu and sigma; it holds {', '.join(sorted(arrays)) or 'nothing'}")
    mean, covariance = (torch.from_numpy(arrays[k].astype(np.float64)) for k in ("mu", "sigma"))
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise BadInput(
            f"{path.name}: mu must be (F,) and sigma (F, F); got {tuple(mean.shape)} and {tuple(covariance.shape)}"
        )
    if not (torch.isfinite(mean).all() and torch.isfinite(covariance).all()):
        raise BadInput(f"{path.name}: mu and sigma must be finite")
    if "features" not in arrays:
        return Seen(None, None, mean, covariance)
    try:
        features, probs = (torch.from_numpy(arrays[k]) for k in ("features", "probs"))
        scorer, pictures = (arrays[k].astype(np.uint8).tobytes().decode() for k in ("scorer", "pictures"))
    except (KeyError, ValueError) as error:
        raise BadInput(f"{path.name} is not a statistics file: {type(error).__name__}; write it again") from None
    if features.ndim != 2 or features.shape[1] != len(mean) or probs.shape[:1] != features.shape[:1] or probs.ndim != 2:
        raise BadInput(
            f"{path.name}: features {tuple(features.shape)}, probs {tuple(probs.shape)} and mu {tuple(mean.shape)} do "
            "not belong together"
        )
    return Seen(features, probs, scorer=scorer, pictures=pictures)


def _arrays(path: Path) -> dict[str, Any]:
    """Numeric arrays of an .npz by name, sizes checked before anything is unpacked, nothing unpickled."""
    with open_plain(path) as file:
        check_directory(file, path.name)
        try:
            with zipfile.ZipFile(file) as archive:
                size = sum(m.file_size for m in archive.infolist())
            if size > MAX_BYTES:
                raise BadInput(f"{path.name} unpacks to {size} bytes; a statistics file takes at most {MAX_BYTES}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files if name in _NAMES}
        except BadInput:
            raise
        except Exception as error:  # zlib.error, BadZipFile, ValueError: whatever damage makes readers raise
            raise BadInput(f"{path.name} is not a readable .npz file: {type(error).__name__}; write it again") from None


_NAMES = {"mu", "sigma", "features", "probs", "scorer", "pictures"}
