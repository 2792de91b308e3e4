"""Inception-v3 (arXiv:1512.00567) in torchvision's version: 1,000 ImageNet classes, and the 2,048 pool3 features.

Its weights are not shipped. They are the file torchvision downloads, in torch's hub cache, or one the user names. They
differ from the TensorFlow network of 2015 behind published Inception Scores and FIDs, so numbers are comparable only
between runs that carry the same weights hash in their signature.

Events are scaled to 299x299 with bilinear interpolation, antialiased where that shrinks them, corners not aligned; grey
events are repeated over three channels; pixels go in as they are, in [-1, 1], which is what the network was trained on.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from ganbench.errors import BadInput
from ganbench.scorers.base import in_batches, scorer
from ganbench.scorers.weights import check_pictures, find, fingerprint, read_tensors

FILE = "inception_v3_google-0cc3c7bd.pth"  # torchvision names its files by the first digits of their sha256
URL = f"https://download.pytorch.org/models/{FILE}"
SIDE = 299


@scorer("inception_v3", needs_weights=True)
class InceptionV3:
    """torchvision's Inception-v3 on natural images; weights from torch's hub cache or a file of the user."""

    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, weights: Path | None = None) -> None:
        path = find(weights, "inception_v3", FILE, URL, "104 MB")
        self.net, self.head = _network(read_tensors(path), path.name)
        self.signature = f"inception-v3@{fingerprint(path)}"
        self.n_classes = self.head.out_features

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors: (N, C, H, W) in [-1, 1] -> (N, K) float64."""
        return self.posteriors(self.features(x))

    def posteriors(self, features: Tensor) -> Tensor:
        """Class posteriors of features: (N, 2048) float32 -> (N, K) float64."""
        logits = in_batches(self.head.to(features.device), features, size=50)
        return logits.double().log_softmax(1).exp()

    def features(self, x: Tensor) -> Tensor:
        """The pooled last convolution: (N, C, H, W) in [-1, 1] -> (N, 2048) float32."""
        return in_batches(self._pool3, check_pictures(x, "inception_v3"), size=50)

    def _pool3(self, x: Tensor) -> Tensor:
        x = x.float().expand(-1, 3, -1, -1)  # (B, 3, H, W)
        if tuple(x.shape[2:]) != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
        out: Tensor = self.net.to(x.device)(x)
        return out


def _network(state: dict[str, Tensor], name: str) -> tuple[nn.Module, nn.Linear]:
    """The network up to pool3 and the linear layer after it. Raises `BadInput` for weights of another network."""
    from torchvision.models import Inception3

    head = state.get("fc.weight")
    if head is None or head.ndim != 2:
        raise BadInput(f"{name} must hold torchvision's inception_v3, with fc.weight of shape (classes, 2048)")
    net = Inception3(num_classes=len(head), aux_logits=False, transform_input=False, init_weights=False)
    try:
        net.load_state_dict({k: v for k, v in state.items() if not k.startswith("AuxLogits.")})
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise BadInput(f"{name} must hold torchvision's inception_v3: {first[:200]}") from None
    net.eval().requires_grad_(False)
    last = net.fc
    net.fc = nn.Identity()
    return net, last
