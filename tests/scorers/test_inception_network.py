"""Inception-v3 with random weights in a file: the same numbers as torchvision's own network, and clear refusals."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models import inception_v3

from ganbench.errors import BadInput, MissingResource
from ganbench.scorers.load import load_scorer


@pytest.fixture(scope="module")
def theirs():
    """torchvision's network with auxiliary head, as published, random but with features of order one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = inception_v3(weights=None, num_classes=7, aux_logits=True, init_weights=False)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_var.fill_(0.3)
                module.running_mean.normal_(0, 0.1)
    return net.eval()


@pytest.fixture(scope="module")
def weights(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    save_file(theirs.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def scorer(weights):
    return load_scorer("inception_v3", weights)


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_probabilities_and_features_are_torchvisions(theirs, scorer):
    x, kept = pixels(1, 3, 299, 299), []
    hook = theirs.avgpool.register_forward_hook(lambda *args: kept.append(args[2].flatten(1)))
    logits = theirs(x)
    hook.remove()
    features = scorer.features(x)
    assert features.shape == (1, 2048)
    assert float(features.std()) > 1e-3
    torch.testing.assert_close(features, kept[0])
    torch.testing.assert_close(scorer.probs(x), logits.double().softmax(1), atol=1e-6, rtol=1e-4)
    assert scorer.n_classes == 7


def test_small_and_grey_pictures_are_scaled_and_repeated(weights):
    scorer = load_scorer("inception_v3", weights)
    scorer.net = torch.nn.Identity()  # show what the network is given
    grey = pixels(2, 1, 32, 32)
    large = F.interpolate(grey, (299, 299), mode="bilinear", align_corners=False).repeat(1, 3, 1, 1)
    torch.testing.assert_close(scorer.features(grey), large, atol=1e-5, rtol=0)
    dots = torch.full((1, 3, 897, 897), -1.0)
    dots[:, :, 1::3, 1::3] = 1.0  # one pixel in nine, where interpolation without antialiasing would look
    inside = scorer.features(dots)[:, :, 5:-5, 5:-5]
    torch.testing.assert_close(inside, torch.full_like(inside, -1 + 2 / 9), atol=0.01, rtol=0)


def test_pth_files_are_read_without_running_code(theirs, scorer, tmp_path):
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    same = load_scorer("inception_v3", tmp_path / "net.pth")
    for mine, other in zip(same.net.state_dict().values(), scorer.net.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    assert same.signature != scorer.signature  # of the file's bytes

    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("code in a weights file ran",))

    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Hostile(), protocol=2))
    with pytest.raises(BadInput, match=r"bad.pth must hold tensors"):
        load_scorer("inception_v3", tmp_path / "bad.pth")


def test_other_weights_are_refused(tmp_path):
    save_file({"fc.weight": torch.zeros(10, 2048), "fc.bias": torch.zeros(10)}, tmp_path / "part.safetensors")
    save_file({"head": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"1234")
    for name in ("part", "other", "torn"):
        with pytest.raises(BadInput, match=f"{name}.safetensors must hold"):
            load_scorer("inception_v3", tmp_path / f"{name}.safetensors")


def test_missing_weights_say_where_they_go(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingResource) as caught:
        load_scorer("inception_v3")
    assert caught.value.exit_code == 5
    for said in ("inception_v3_google-0cc3c7bd.pth", str(tmp_path / "hub" / "checkpoints"), "--scorer-weights"):
        assert said in str(caught.value)
    with pytest.raises(MissingResource, match=r"none.pth"):
        load_scorer("inception_v3", tmp_path / "none.pth")
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "inception_v3_google-0cc3c7bd.pth").write_bytes(b"half a download")
    with pytest.raises(BadInput, match="damaged"):
        load_scorer("inception_v3")


def test_wrong_events_are_refused(scorer):
    for x in (torch.zeros(2, 2), torch.zeros(2, 4, 32, 32), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)):
        with pytest.raises(BadInput, match="float images of shape"):
            scorer.features(x)
