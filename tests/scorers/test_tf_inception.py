"""TensorFlow's Inception with random weights in a file: torch-fidelity's features and metrics, and clear refusals."""

import sys

import pytest
import torch
from safetensors.torch import save_file

from ganbench.errors import BadInput, MissingResource
from ganbench.scorers.load import load_scorer
from ganbench.scoring.evaluation import evaluate

pytest.importorskip("torch_fidelity", reason="needs the extra [fidelity]")
from torch_fidelity import calculate_metrics, feature_extractor_inceptionv3
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """torch-fidelity's network with random weights, normalised on a few pictures so that features differ."""
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        net = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        net.train()(pictures(6))
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def scorer(weights):
    return load_scorer("inception_tf2015", weights)


def pictures(n, seed=0, size=32):
    """Smooth random pictures, (N, 3, size, size) uint8."""
    rough = torch.rand(n, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8)


def events(pixels):
    return pixels.float() / 127.5 - 1


@torch.no_grad()
def test_features_and_logits_are_torch_fidelitys_bit_by_bit(weights, scorer):
    pixels = pictures(2, size=40)
    layers = ["2048", "logits_unbiased"]
    theirs = FeatureExtractorInceptionV3("inception-v3-compat", layers, feature_extractor_weights_path=weights)
    features, logits = theirs(pixels)
    assert float(features.std()) > 1e-3
    assert torch.equal(scorer.features(events(pixels)), features)
    torch.testing.assert_close(scorer.probs(events(pixels)), logits.double().softmax(1), rtol=1e-12, atol=0)
    assert scorer.n_classes == logits.shape[1]
    grey = pixels[:1, :1]
    assert torch.equal(scorer.features(events(grey)), theirs(grey.repeat(1, 3, 1, 1))[0])


@pytest.mark.slow
def test_fid_kid_inception_score_and_precision_are_torch_fidelitys(weights, scorer):
    n = 24
    x, y = pictures(n, seed=1), pictures(n, seed=2)
    y[::2] = y[::2] // 2 + 60  # half of the real set has less contrast
    theirs = calculate_metrics(
        input1=Rows(x), input2=Rows(y), cuda=False, isc=True, fid=True, kid=True, prc=True, verbose=False, cache=False,
        isc_splits=4, kid_subsets=1, kid_subset_size=n, samples_shuffle=False,
        save_cpu_ram=True, batch_size=16,
        feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(weights),
    )  # fmt: skip
    options = {"inception_score": {"splits": 4, "shuffle": False}, "kid": {"subsets": 2, "subset_size": n}}
    scores = evaluate(
        events(x), events(y), ["fid", "kid", "inception_score", "prdc"], scorer=scorer, options=options, floor=False
    )
    ours = {s.name: s.value for s in scores}
    assert all(s.signature.find("inception-tf2015@") > 0 for s in scores)
    found = {
        "fid": theirs["frechet_inception_distance"],
        "kid": theirs["kernel_inception_distance_mean"],
        "inception_score": theirs["inception_score_mean"],
        "precision": theirs["precision"],
        "recall": theirs["recall"],
    }
    for name, value in found.items():
        assert ours[name] == pytest.approx(value, rel=1e-6), name
    assert 0 < found["precision"] < 1  # or the order of the sets could not show
    assert found["precision"] != found["recall"]


class Rows(torch.utils.data.Dataset):
    """uint8 pictures as torch-fidelity takes them."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i]


def test_other_weights_are_refused(tmp_path):
    save_file({"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}, tmp_path / "part.safetensors")
    (tmp_path / "torn.pth").write_bytes(b"1234")
    for name in ("part.safetensors", "torn.pth"):
        with pytest.raises(BadInput, match=f"{name} must hold"):
            load_scorer("inception_tf2015", tmp_path / name)


def test_what_is_missing_is_named_with_where_it_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingResource) as caught:
        load_scorer("inception_tf2015")
    assert caught.value.exit_code == 5
    for said in ("inception-2015-12-05-6726825d.pth", str(tmp_path / "hub" / "checkpoints"), "--scorer-weights"):
        assert said in str(caught.value)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(MissingResource, match=r"pip install 'ganbench\[fidelity\]'"):
        load_scorer("inception_tf2015")


def test_wrong_events_are_refused(scorer):
    for x in (torch.zeros(2, 2), torch.zeros(2, 4, 32, 32), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)):
        with pytest.raises(BadInput, match="float images of shape"):
            scorer.features(x)
