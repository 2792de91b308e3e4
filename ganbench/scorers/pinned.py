"""Classifiers whose weights this package ships: a file `DATA_cnn.safetensors` and its card `DATA_cnn.json`, by hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from ganbench.errors import BadInput, MissingResource
from ganbench.scorers.base import in_batches

FOLDER = Path(__file__).parent


class PinnedClassifier:
    """A classifier with the weights this package ships; refuses weights that differ from the card.

    Raises `MissingResource` where the files are not there.
    """

    data: ClassVar[str]
    shape: ClassVar[tuple[int, ...]]  # E
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, folder: Path = FOLDER) -> None:
        name = f"{self.data}_cnn"
        try:
            card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            weights = (folder / f"{name}.safetensors").read_bytes()
        except FileNotFoundError as error:
            raise MissingResource(
                f"{name}: no {Path(error.filename).name} in this installation; reinstall ganbench"
            ) from None
        digest = hashlib.sha256(weights).hexdigest()
        if digest != card["sha256"]:
            raise BadInput(
                f"{name}.safetensors must have sha256 {card['sha256'][:12]}..., as its card says; "
                f"got {digest[:12]}...; reinstall ganbench or train it again with `{card['command']}`"
            )
        self.net: Any = self.network()
        self.net.load_state_dict(load_safetensors(weights))
        self.net.eval().requires_grad_(False)
        self.signature = f"{self.data}-cnn@{digest[:8]}"
        self.n_classes = int(card["architecture"]["n_classes"])

    def network(self) -> nn.Module:
        """The network without its weights: logits (N, K) of events (N, *E), and `features` (N, F) before them."""
        raise NotImplementedError

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors: (N, *E) -> (N, K) float64."""
        return in_batches(lambda b: self.net.to(b.device)(b).double().log_softmax(1).exp(), self._check(x))

    def features(self, x: Tensor) -> Tensor:
        """Penultimate features: (N, *E) -> (N, F) float32."""
        return in_batches(lambda b: self.net.to(b.device).features(b), self._check(x))

    def _check(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape or not x.is_floating_point():
            raise BadInput(
                f"{self.data}_cnn takes float events of shape (N, {', '.join(map(str, self.shape))}) in [-1, 1]; "
                f"got {x.dtype} {tuple(x.shape)}"
            )
        return x.float()
