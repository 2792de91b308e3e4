"""EfficientNet-Lite0 layer by layer against the PyPI package it was published in; what goes in; what is refused."""

import importlib.util
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ganbench.__main__ import main
from ganbench.errors import BadConfig, BadInput, MissingResource
from ganbench.scorers.efficientnet import PACKAGE, ImageNetLite0, Layer, network
from ganbench.scorers.load import load_scorer


def pictures(*shape):
    """Smooth random pictures in [-1, 1]."""
    n, c, *size = shape
    rough = torch.rand(n, c, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return F.interpolate(rough, size, mode="bicubic").clamp(-1, 1)


needs_weights = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="needs the extra [imagenet]")


@pytest.fixture(scope="module")
def scorer():
    return load_scorer("imagenet_lite0")


@pytest.fixture(scope="module")
def theirs():
    """The published implementation, random, with batch norms that do something."""
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="needs the package efficientnet-lite-pytorch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = package.EfficientNet.from_name("efficientnet-lite0")
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.uniform_(0.05, 0.2)
                module.running_mean.normal_(0, 0.1)
                module.weight.data.uniform_(0.5, 1.5)
    return net.eval()


def outputs(net, layers, x):
    """What each of `layers` gives when net sees x."""
    kept = []
    hooks = [layer.register_forward_hook(lambda _, __, out: kept.append(out)) for layer in layers]
    with torch.no_grad():
        kept.append(net(x))
    for hook in hooks:
        hook.remove()
    return kept


@torch.no_grad()
@pytest.mark.parametrize("side", [96, 224])
def test_every_layer_is_the_published_one(theirs, tmp_path, side):
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    mine = network(tmp_path / "net.pth")
    x = pictures(1, 3, side, side)
    wanted = outputs(theirs, [theirs._bn0, *theirs._blocks, theirs._bn1], x)
    found = outputs(mine, [mine.stem.norm, *mine.blocks, mine.top.norm], x)
    assert len(found) == 16 + 3  # blocks, first and last convolution, logits
    for a, b in zip(found, wanted, strict=True):
        assert float(b.std()) > 1e-3
        torch.testing.assert_close(a, b)
    mine.fold()
    for block, before, after in zip(mine.blocks, [F.relu6(wanted[0]), *wanted[1:16]], wanted[1:17], strict=True):
        # folding rounds each weight once more: some 1e-6 of the largest value after three convolutions
        torch.testing.assert_close(block(before), after, rtol=0, atol=1e-5 * float(after.abs().max()))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in mine.modules())


@pytest.mark.parametrize("kernel", [3, 5])
def test_strided_layers_pad_an_even_side_as_tensorflow_does(kernel):
    layer = Layer(1, 1, kernel, 2).eval()
    layer.conv.weight.data.zero_()
    layer.conv.weight.data[0, 0, 0, 0] = 1  # shows the upper left pixel under the filter
    with torch.no_grad():
        x = torch.arange(1.0, 37).view(1, 1, 6, 6) / 10
        y = layer(x)
    first = (
        kernel - 2
    ) // 2  # rows of padding above: total max((3 - 1) 2 + kernel - 6, 0) = kernel - 2, halved downwards
    assert y.shape == (1, 1, 3, 3)
    wanted = F.pad(x, (first, 9, first, 9))[:, :, 0:6:2, 0:6:2]
    torch.testing.assert_close(y, wanted / 1.001**0.5)


@needs_weights
def test_the_weights_are_the_published_file_and_know_a_palace(scorer):
    assert scorer.signature == "imagenet-lite0-96px@57934424"
    sklearn = pytest.importorskip("sklearn.datasets")
    palace = torch.tensor(sklearn.load_sample_image("china.jpg"))[:, 106:533].permute(2, 0, 1)[None]
    probs = scorer.probs(palace.float() / 127.5 - 1)
    assert {442, 663, 698} >= set(probs.topk(2).indices[0].tolist())  # bell cote, monastery, palace
    assert probs.dtype == torch.float64
    assert float(probs.sum()) == pytest.approx(1, abs=1e-12)


@needs_weights
def test_pictures_are_scaled_repeated_and_normalised_as_in_training():
    scorer = ImageNetLite0(side=64)
    assert scorer.signature == "imagenet-lite0-64px@57934424"
    seen = []
    scorer.net.features = lambda x: seen.append(x) or x.mean((2, 3))
    grey = pictures(2, 1, 32, 32)
    assert scorer.features(grey).shape == (2, 3)
    large = F.interpolate(grey, (64, 64), mode="bilinear", align_corners=False).expand(-1, 3, -1, -1)
    pixels = (large + 1) * 127.5
    torch.testing.assert_close(seen[0], (pixels - 127) / 128, rtol=0, atol=1e-5)
    dots = torch.full((1, 3, 192, 192), -1.0)
    dots[:, :, 1::3, 1::3] = 1.0  # one pixel in nine, where interpolation without antialiasing would look
    scorer.features(dots)
    inside = seen[1][:, :, 5:-5, 5:-5]
    torch.testing.assert_close(inside, torch.full_like(inside, (255 / 9 - 127) / 128), atol=0.01, rtol=0)


@needs_weights
def test_rows_do_not_depend_on_their_batch(scorer):
    x = pictures(66, 3, 32, 32)  # more than a batch
    features = scorer.features(x)
    assert features.shape == (66, 1280)
    torch.testing.assert_close(scorer.features(x[64:65])[0], features[64], rtol=0, atol=1e-4)


@needs_weights
@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="needs a processor with bfloat16")
def test_half_the_bits_leave_the_features_where_they_are(scorer):
    x = pictures(16, 3, 48, 48)
    half = ImageNetLite0(bfloat16=True)
    assert half.signature == "imagenet-lite0-96px-bf16@57934424"
    a, b = scorer.features(x), half.features(x)
    assert b.dtype == torch.float32
    # each of 50 layers rounds to 2^-9 of a value; on CIFAR-10 that came to 6 % of the features' length, 17 % at most
    assert float((a - b).norm() / a.norm()) < 0.12
    assert float((a - b).norm() / a.norm()) > 1e-4  # it is not float32 under another name


@needs_weights
def test_a_processor_without_bfloat16_is_named(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(MissingResource, match="bfloat16=True"):
        ImageNetLite0(bfloat16=True).features(pictures(1, 3, 32, 32))


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(MissingResource, match=r"pip install 'ganbench\[imagenet\]'") as caught:
        load_scorer("imagenet_lite0")
    assert caught.value.exit_code == 5


PICTURES = """
import torch
from ganbench.datasets.base import assemble, dataset, split_finite

@dataset("pictures", event="image", scorer="imagenet_lite0", iterations={"smoke": 1})
def pictures(source):
    x = torch.randint(256, (30, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return assemble("pictures", *split_finite(x, None, parts=3), domain=(-1.0, 1.0), n_classes=None)
"""


def test_the_command_line_returns_5_where_a_missing_scorer_leaves_nothing_to_say(tmp_path, monkeypatch, capsys):
    (tmp_path / "own.py").write_text(PICTURES)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), np.uint8))
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    command = ["score", str(tmp_path / "x.npy"), "-d", f"{tmp_path}/own.py:pictures", "--metrics"]
    assert main([*command, "frechet"]) == 5
    assert "pip install 'ganbench[imagenet]'" in capsys.readouterr().err
    assert main([*command, "frechet,mmd"]) == 0  # something is left to say
    assert main([*command, "modes"]) == 2  # and this is no matter of the scorer
    assert "ganbench[imagenet]" not in capsys.readouterr().err.splitlines()[-1]


@needs_weights
def test_the_packages_code_is_not_run(monkeypatch):
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    load_scorer("imagenet_lite0")
    assert PACKAGE not in sys.modules


def test_other_weights_and_wrong_arguments_are_refused(tmp_path):
    torch.save({"_fc.weight": torch.zeros(1000, 1280)}, tmp_path / "part.pth")
    with pytest.raises(BadInput, match=r"part.pth must hold EfficientNet-Lite0"):
        network(tmp_path / "part.pth")
    for side in (0, 100, -32):
        with pytest.raises(BadConfig, match="multiple of 32"):
            ImageNetLite0(side=side)


@needs_weights
def test_wrong_events_are_refused(scorer):
    for x in (torch.zeros(2, 2), torch.zeros(2, 4, 32, 32), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)):
        with pytest.raises(BadInput, match="float images of shape"):
            scorer.features(x)
