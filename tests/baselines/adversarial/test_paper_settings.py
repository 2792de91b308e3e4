"""What recipes ask for can be built and trained: the architecture grid, stacked MNIST, WGAN-GP's toys."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.model import Budget
from ganbench.nn import ROBUSTNESS
from ganbench.registry import MODELS, recipes
from ganbench.registry.recipes import Recipe

MNIST = DataSpec("mnist", (1, 28, 28), (-1.0, 1.0))
STACKED = DataSpec("stacked_mnist", (3, 28, 28), (-1.0, 1.0))
VECTOR = DataSpec("ring8", (2,))
METHODS = ("dcgan", "lsgan", "wgan", "wgan_gp")


def one_iteration(name: str, spec: DataSpec, config: dict[str, Any]) -> Any:
    """The model after a single iteration on noise."""
    cls = MODELS.load(name)
    model = cls(cls.configure(spec, **config))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.build(spec)
    rng = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(64, *spec.event_shape, generator=rng) - 1
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    assert train(model, Split(x), Budget(iterations=1), rng).iterations == 1
    moved = {n.split(".")[0] for n, p in model.named_parameters() if not torch.equal(before[n], p)}
    assert {"generator"} < moved  # and its opponent
    with torch.no_grad():
        sample = model.sample(3, rng)
    assert sample.shape == (3, *spec.event_shape)
    assert torch.isfinite(sample).all()
    return model


def settings(name: str, dataset: str) -> list[Recipe]:
    found = {r.label: r for r in recipes.load(MODELS.get(name)) if r.dataset == dataset}
    return list(found.values())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("architecture", ROBUSTNESS)
def test_every_cell_of_the_architecture_grid_trains(name: str, architecture: str) -> None:
    (recipe,) = [r for r in settings(name, "mnist") if r.config["architecture"] == architecture]
    assert [p.value for p in recipe.published] == [None]
    assert recipe.budget == {"iterations": 200_000}
    small = {"batch_size": 4, "width": 4, "latent_dim": 8} | ({"n_critic": 1} if "wgan" in name else {})
    model = one_iteration(name, MNIST, recipe.config | small)
    assert model.draw_latent(2000, torch.Generator()).abs().max() > 1  # Gaussian, in the grid for all four


@pytest.mark.parametrize("name", METHODS)
def test_the_grid_is_refused_on_vectors_with_the_reason(name: str) -> None:
    cls = MODELS.load(name)
    for architecture in ROBUSTNESS:
        with pytest.raises(NotApplicable, match="takes square images"):
            cls(cls.configure(VECTOR, architecture=architecture)).build(VECTOR)


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        pytest.param(name, recipe, id=f"{name}-{recipe.label}")
        for name in ("dcgan", "pacgan", "unrolled", "veegan", "ali")
        for recipe in settings(name, "stacked_mnist")
    ],
)
def test_every_setting_of_stacked_mnist_trains(name: str, recipe: Recipe) -> None:
    one_iteration(name, STACKED, recipe.config | {"batch_size": 4 * recipe.config.get("pack", 1)})


@pytest.mark.parametrize("dataset", ["ring8", "grid25", "swissroll"])
def test_toys_of_wgan_gp_train(dataset: str) -> None:
    (recipe,) = settings("wgan_gp", dataset)
    model = one_iteration("wgan_gp", VECTOR, recipe.config | {"batch_size": 8})
    assert [m.out_features for m in model.critic.modules() if isinstance(m, torch.nn.Linear)] == [512, 512, 512, 1]
    assert not any(isinstance(m, torch.nn.LeakyReLU) for m in model.critic.modules())


def test_the_rerun_of_ali_trains_and_its_encoder_is_noisy() -> None:
    for dataset in ("ring8", "grid25"):
        (recipe,) = settings("ali", dataset)
        model = one_iteration("ali", VECTOR, recipe.config | {"batch_size": 8})
        x = torch.randn(6, 2)
        draws = [model.infer(x, torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
        torch.testing.assert_close(draws[0], draws[1], rtol=0, atol=0)
        assert not torch.equal(draws[0], draws[2])
        assert model.reconstruct(x).shape == (6, 2)
        assert model.representation(x).shape == (6, 2)
    cls = MODELS.load("ali")
    with pytest.raises(NotApplicable, match="take vectors"):
        cls(cls.configure(MNIST, networks="paper")).build(MNIST)


@pytest.mark.parametrize("name", ["veegan", "gan_ns"])
def test_veegans_own_settings_of_mixtures_train(name: str) -> None:
    for dataset in ("ring8", "grid25"):
        (recipe,) = settings(name, dataset)
        one_iteration(name, VECTOR, recipe.config | {"batch_size": 8})


def test_playing_at_a_scale_is_playing_with_scaled_data() -> None:
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(64, 2, generator=rng)
    made = []
    for scale in (4.0, 1.0):  # a power of two: the same numbers to the last bit
        cls = MODELS.load("wgan_gp")
        model = cls(cls.configure(VECTOR, scale=scale, batch_size=16))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model.build(VECTOR)
        train(model, Split(x * 4.0 / scale), Budget(iterations=3), torch.Generator().manual_seed(1))
        made.append(model)
    inside, outside = made
    for a, b in zip(inside.parameters(), outside.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    draws = [m.sample(5, torch.Generator().manual_seed(2)) for m in made]
    torch.testing.assert_close(draws[0] * 4.0, draws[1], rtol=0, atol=0)
    torch.testing.assert_close(inside.features(x), outside.features(4 * x), rtol=0, atol=0)
    slopes = [
        m.diagnostics(Batch(x * 4.0 / s, torch.Generator().manual_seed(4)))["gradient_norm"]
        for m, s in zip(made, (4.0, 1.0), strict=True)
    ]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=0, atol=0)


def test_scales_and_toy_networks_are_not_for_images() -> None:
    cls = MODELS.load("wgan_gp")
    for config, said in (({"scale": 0.5}, "images stay"), ({"networks": "paper"}, "take vectors")):
        with pytest.raises(NotApplicable, match=said):
            cls(cls.configure(MNIST, **config)).build(MNIST)
