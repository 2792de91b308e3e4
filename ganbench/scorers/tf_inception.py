"""The TensorFlow Inception of December 2015 behind published FIDs, KIDs and Inception Scores, in torch-fidelity's port.

torch-fidelity holds network and preprocessing: pictures are rounded to 0..255 and scaled to 299x299 as TensorFlow 1
did, bilinear without antialiasing, from the upper left corner; (pixel - 128) / 128 goes in. Features are pool3;
posteriors are the softmax of 1,008 logits without their bias, which the original code left out. Its weights are not
shipped: they are the file torch-fidelity downloads, in torch's hub cache, or one the user names. `fid` is computed
through nothing else.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.errors import BadInput, MissingResource
from ganbench.scorers.base import in_batches, scorer
from ganbench.scorers.weights import check_pictures, find, fingerprint, read_tensors

FILE = "weights-inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
BATCH = 64  # torch-fidelity's default


@scorer("inception_tf2015", needs_weights=True)
class InceptionTF2015:
    """TensorFlow's Inception-v3 of 2015, of `pip install 'ganbench[fidelity]'`; weights by cache or file."""

    n_classes = 1008
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, weights: Path | None = None) -> None:
        if importlib.util.find_spec("torch_fidelity") is None:
            raise MissingResource("inception_tf2015: no torch-fidelity; `pip install 'ganbench[fidelity]'`")
        path = find(weights, "inception_tf2015", FILE, URL, "95 MB")
        self.net = _network(read_tensors(path), path.name)
        self.signature = f"inception-tf2015@{fingerprint(path)}"

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors without bias: (N, 1 or 3, H, W) in [-1, 1] -> (N, 1008) float64."""
        return self.posteriors(self.features(x))

    def posteriors(self, features: Tensor) -> Tensor:
        """Class posteriors of pool3, without bias: (N, 2048) float32 -> (N, 1008) float64."""
        weight = self.net.fc.weight.to(features.device)
        logits = in_batches(lambda rows: rows.mm(weight.T), features, BATCH)
        return logits.double().log_softmax(1).exp()

    def features(self, x: Tensor) -> Tensor:
        """pool3: (N, 1 or 3, H, W) in [-1, 1] -> (N, 2048) float32."""
        return in_batches(self._pool3, check_pictures(x, "inception_tf2015"), BATCH)

    def _pool3(self, x: Tensor) -> Tensor:
        pixels = ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        (out,) = self.net.to(x.device)(pixels.expand(-1, 3, -1, -1))
        return out  # type: ignore[no-any-return]


def _network(state: dict[str, Tensor], name: str) -> Any:
    """torch-fidelity's extractor. Raises `BadInput` for weights of another network."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    clean = io.BytesIO()  # torch-fidelity unpickles what it is given; it is given tensors that were read without that
    torch.save(state, clean)
    clean.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=clean)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise BadInput(f"{name} must hold torch-fidelity's Inception-v3: {first[:200]}") from None
