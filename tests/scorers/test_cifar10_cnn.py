"""The CIFAR-10 classifier and its training: augmentation, whitening, going on after a stop, calibration, the card."""

import hashlib
import json

import pytest
import torch
from torch.nn import functional as F

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.errors import BadInput, MissingResource
from ganbench.scorers import train_cifar10
from ganbench.scorers.pinned import FOLDER
from ganbench.scorers.small_conv import Cifar10CNN, SmallConvNet, whitening
from ganbench.scorers.train_cifar10 import Recipe, augment, calibrate, descent, fit, pull

SHORT = Recipe(epochs=3, batch_size=30, whitening_epochs=2)


def stripes(n, seed=0):
    """Pictures whose class is the period of their stripes, with noise."""
    rng = torch.Generator().manual_seed(seed)
    y = torch.randint(10, (n,), generator=rng)
    phase = torch.rand(n, 1, 1, 1, generator=rng) * 6
    x = torch.sin(torch.arange(32.0) * (y.view(-1, 1, 1, 1) + 1) * 0.15 + phase).expand(-1, 3, 32, -1)
    x = x + torch.randn(n, 3, 32, 32, generator=rng) * 0.2
    return Split(((x + 1.5) * 80).clamp(0, 255).to(torch.uint8), y)


def test_augmentation_moves_mirrors_and_invents_nothing():
    ramp = (torch.arange(32.0).view(1, 1, 32, 1) * 32 + torch.arange(32.0)).expand(200, 1, -1, -1)  # pixels by number
    mirror = torch.arange(200) % 3 == 0
    out = augment(ramp, mirror, 2, torch.Generator().manual_seed(0))
    rows, columns = out[:, 0, :, 16] // 32, out[:, 0, 16] % 32
    steps = columns[:, 17] - columns[:, 16]
    assert set(steps.tolist()) == {1, -1}
    assert torch.equal(steps < 0, mirror)
    assert set((rows[:, 16] - 16).tolist()) == {-2, -1, 0, 1, 2}
    centre = torch.where(mirror, 31 - columns[:, 16], columns[:, 16])
    assert set((centre - 16).tolist()) <= {-2, -1, 0, 1, 2, -3, 3}
    still = augment(ramp, mirror, 0, torch.Generator().manual_seed(0))
    assert torch.equal(still.flatten(1).sort().values, ramp.flatten(1))


def test_learning_rates_go_up_and_down_in_straight_lines_and_biases_learn_faster():
    recipe = Recipe()
    optimizer, schedule = descent(SmallConvNet(), recipe, 100)
    weights, biases = optimizer.param_groups
    assert biases["lr"] == pytest.approx(recipe.bias_lr * weights["lr"])
    assert biases["lr"] * biases["weight_decay"] == pytest.approx(weights["lr"] * weights["weight_decay"])
    seen = []
    for _ in range(100):
        seen.append(weights["lr"] / recipe.lr)
        optimizer.step()
        schedule.step()
    seen.append(weights["lr"] / recipe.lr)
    assert (seen[0], max(seen), seen[100]) == pytest.approx((0.2, 1, 0.07))
    assert seen.index(max(seen)) == 23
    assert max(abs(a - 2 * b + c) for a, b, c in zip(seen[:22], seen[1:23], seen[2:24], strict=False)) < 1e-12


def test_the_slow_average_is_what_remains_and_moves_by_its_decay():
    net = torch.nn.Linear(1, 1, bias=False)
    slow = {"weight": torch.tensor([[1.0]])}
    net.weight.data.fill_(3.0)
    pull(net, slow, 0.75)
    assert float(slow["weight"].detach()) == float(net.weight.detach()) == 1.5
    net.weight.data.fill_(9.0)
    pull(net, slow, 1.0)  # the last pull leaves the average alone
    assert float(slow["weight"].detach()) == float(net.weight.detach()) == 1.5


def test_convolutions_start_as_the_identity_and_evaluation_is_blind_to_mirrors():
    net = SmallConvNet()
    x = torch.rand(2, 64, 8, 8)
    assert torch.equal(net.stages[0].keep(x), x)
    assert torch.equal(net.stages[1].widen(x)[:, :64], x)
    pictures = torch.rand(4, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(net.eval()(pictures), net(pictures.flip(3)))  # sums of two floats in either order
    assert sum(p.numel() for p in net.parameters()) <= 1_000_000


def test_whitened_patches_are_uncorrelated_with_unit_variance_where_there_is_signal():
    x = torch.randn(50, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    x = F.avg_pool2d(x, 3, 1, 1) + x[:, :1] * 2
    patches = F.unfold(x, 2).transpose(1, 2).flatten(0, 1)
    variances = torch.linalg.eigvalsh(torch.cov(patches.double().T)).float()
    out = F.conv2d(x, whitening(x)).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.cov(out), torch.diag(variances / (variances + 1e-3)), rtol=0, atol=1e-4)
    assert float(variances[0]) < 0.02  # one direction is nearly empty, and not blown up
    assert float(variances[-1]) > 1


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    data, watched = stripes(90), stripes(40, 1)
    whole, _ = fit(data, watched, SHORT, tmp_path / "whole.pt")
    calls = []

    def stop_after_two(net, split):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return 0.0

    with monkeypatch.context() as patch:
        patch.setattr(train_cifar10, "accuracy", stop_after_two)
        with pytest.raises(KeyboardInterrupt):
            fit(data, watched, SHORT, tmp_path / "parts.pt")
    assert torch.load(tmp_path / "parts.pt", weights_only=True)["epoch"] == 2
    parts, _ = fit(data, watched, SHORT, tmp_path / "parts.pt")
    for name, tensor in parts.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name
    with pytest.raises(SystemExit, match="another recipe"):
        fit(data, watched, Recipe(epochs=4, batch_size=30), tmp_path / "parts.pt")


def test_calibration_finds_the_scale_that_fits_the_labels():
    class Noisy(SmallConvNet):
        """Logits written in the picture, times the scale."""

        def forward(self, x):
            return x[:, 0, 0, :10] * self.scale

    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 10, generator=rng) * 2
    y = torch.multinomial(logits.softmax(1), 1, generator=rng)[:, 0]  # so 1 is the right scale
    x = torch.zeros(4000, 1, 1, 32)
    x[:, 0, 0, :10] = logits
    net = Noisy()
    calibrate(net, Split(x, y))
    assert float(net.scale) == pytest.approx(1, abs=0.06)  # 4,000 labels tell it to 2 %


def test_missing_weights_and_wrong_events_are_refused(tmp_path):
    with pytest.raises(MissingResource, match=r"cifar10_cnn: no cifar10_cnn.json"):
        Cifar10CNN(tmp_path)


shipped = pytest.mark.skipif(
    not (FOLDER / "cifar10_cnn.safetensors").is_file(), reason="cifar10_cnn.safetensors is not in this installation"
)


@shipped
def test_card_tells_the_truth_about_the_file():
    card = json.loads((FOLDER / "cifar10_cnn.json").read_text())
    weights = (FOLDER / "cifar10_cnn.safetensors").read_bytes()
    scorer = Cifar10CNN()
    assert hashlib.sha256(weights).hexdigest() == card["sha256"]
    assert len(weights) <= 2_000_000
    assert scorer.signature == f"cifar10-cnn@{card['sha256'][:8]}"
    assert sum(p.numel() for p in scorer.net.parameters()) == card["parameters"]
    assert card["test_accuracy"] >= 0.91
    assert "JPEG" in card["data"]
    with pytest.raises(BadInput, match=r"\(N, 3, 32, 32\)"):
        scorer.features(torch.zeros(1, 3, 28, 28))


@shipped
def test_accuracy_on_the_original_test_images():
    try:
        test = load("cifar10").test
    except MissingResource as error:
        pytest.skip(str(error))
    scorer = Cifar10CNN()
    rows = slice(0, 2000)
    share = float((scorer.probs(test.events(rows)).argmax(1) == test.y[rows]).double().mean())
    assert share > 0.88  # learned from JPEG files; 2,000 images leave a standard error of 0.7 %
