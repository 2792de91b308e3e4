"""The digit classifiers: accuracy on test images, agreement with their cards, weights that cannot be swapped."""

import hashlib
import json
import shutil

import pytest
import torch

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.errors import BadInput, MissingResource
from ganbench.scorers.cnn import DigitsCNN
from ganbench.scorers.load import load_scorer
from ganbench.scorers.pinned import FOLDER
from ganbench.scorers.train import Recipe, accuracy, augment

CASES = [("digits", 0.98), ("mnist", 0.992)]


def card(name):
    return json.loads((FOLDER / f"{name}_cnn.json").read_text())


def data_of(name):
    try:
        return load(name)
    except MissingResource as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("name", "required"), CASES)
def test_accuracy_on_test_images(name, required):
    data, scorer = data_of(name), load_scorer(f"{name}_cnn")
    probs = torch.cat([scorer.probs(data.test.events(slice(i, i + 1000))) for i in range(0, len(data.test), 1000)])
    share = float((probs.argmax(1) == data.test.y).double().mean())
    assert share >= required
    # The card's figure, up to one picture on the edge between two classes on another processor.
    assert share == pytest.approx(card(name)["test_accuracy"], abs=1.5 / len(data.test))
    assert card(name)["data_sha256"] == data.spec.sha256
    assert card(name)["n_test"] == len(data.test)


@pytest.mark.parametrize(("name", "required"), CASES)
def test_card_tells_the_truth_about_the_file(name, required):
    weights = (FOLDER / f"{name}_cnn.safetensors").read_bytes()
    scorer = load_scorer(f"{name}_cnn")
    assert hashlib.sha256(weights).hexdigest() == card(name)["sha256"]
    assert len(weights) < 1_000_000
    assert scorer.signature == f"{name}-cnn@{card(name)['sha256'][:8]}"
    assert sum(p.numel() for p in scorer.net.parameters()) == card(name)["parameters"]
    assert card(name)["test_accuracy"] >= required


def test_probabilities_are_the_softmax_of_the_logits_in_float64():
    scorer, x = load_scorer("digits_cnn"), load("digits").test.x[:40]
    with torch.no_grad():
        logits = scorer.net(x).double()
    p = scorer.probs(x)
    torch.testing.assert_close(p, logits.exp() / logits.exp().sum(1, keepdim=True), rtol=1e-12, atol=0)
    assert not p.requires_grad
    assert scorer.features(x).shape == (40, 64)
    with torch.no_grad():
        torch.testing.assert_close(scorer.net.head(scorer.features(x)).double(), logits)


def test_rows_do_not_depend_on_their_batch():
    scorer, data = load_scorer("digits_cnn"), load("digits")
    x = torch.cat([data.train.x, data.test.x])  # more than one batch of 500
    for function in (scorer.probs, scorer.features):
        alone = torch.cat([function(x[i : i + 1]) for i in (0, 499, 500, 1200)])
        torch.testing.assert_close(function(x)[[0, 499, 500, 1200]], alone, rtol=1e-4, atol=1e-6)


def test_changed_weights_are_refused(tmp_path):
    for suffix in ("json", "safetensors"):
        shutil.copy(FOLDER / f"digits_cnn.{suffix}", tmp_path)
    assert DigitsCNN(tmp_path).signature == load_scorer("digits_cnn").signature
    weights = bytearray((tmp_path / "digits_cnn.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "digits_cnn.safetensors").write_bytes(weights)
    with pytest.raises(BadInput, match="must have sha256"):
        DigitsCNN(tmp_path)


@pytest.mark.parametrize(
    "x", [torch.zeros(4, 1, 28, 28), torch.zeros(4, 64), torch.zeros(4, 1, 8, 8, dtype=torch.uint8)]
)
def test_wrong_events_are_refused(x):
    for function in (load_scorer("digits_cnn").probs, load_scorer("digits_cnn").features):
        with pytest.raises(BadInput, match=r"float events of shape \(N, 1, 8, 8\)"):
            function(x)


def test_augmentation_moves_pictures_and_keeps_their_domain():
    x, rng = load("digits").train.x[:64], torch.Generator().manual_seed(0)
    still = Recipe(epochs=1, shift=0.0, rotation=0.0, scale=0.0)
    torch.testing.assert_close(augment(x, still, rng), x, atol=1e-5, rtol=0)
    moved = augment(x, Recipe(epochs=1, shift=1.0), rng)
    assert float(moved.min()) >= -1 - 1e-5
    assert float(moved.max()) <= 1 + 1e-5
    assert float((moved - x).abs().mean()) > 0.05
    turned = augment(x, Recipe(epochs=1, shift=0.0, rotation=180.0, scale=0.0), rng)
    ink = (x + 1).sum((1, 2, 3)), (turned + 1).sum((1, 2, 3))  # turning loses only what leaves the corners
    assert float((ink[1] / ink[0]).mean()) == pytest.approx(1, abs=0.1)


def test_accuracy_counts_right_answers():
    data = load("digits").test
    wrong = data.y.clone()
    wrong[:100] = (wrong[:100] + 1) % 10
    net = load_scorer("digits_cnn").net
    assert accuracy(net, Split(data.x, wrong)) == pytest.approx(accuracy(net, data) - 0.2, abs=0.005)
