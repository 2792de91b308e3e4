"""The shared pair of networks: which of them are batch-normed, and where that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.model import Model
from ganbench.registry import MODELS

VECTOR = DataSpec("vector", (2,), None, None, 100, 100)
IMAGES = [DataSpec(f"image{side}", (1, side, side), (-1.0, 1.0), None, 100, 100) for side in (8, 28)]
PENALISED = ("wgan_gp", "wgan_1sided", "r1", "dragan")


def normed(network: nn.Module) -> bool:
    return any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules())


def built(name: str, spec: DataSpec, **settings: Any) -> Model:
    cls: type[Model] = MODELS.get(name).load()
    model = cls(cls.configure(spec, **settings))
    model.build(spec)
    return model


def judge_of(model: Model) -> nn.Module:
    judge: nn.Module = model.critic if hasattr(model, "critic") else model.discriminator
    return judge


@pytest.mark.parametrize("name", ["gan_ns", "pacgan", "infogan", "veegan", *PENALISED])
def test_adversaries_of_images_are_made_by_batch_normed_generators(name: str) -> None:
    assert all(normed(built(name, spec).generator) for spec in IMAGES)
    assert not normed(built(name, VECTOR).generator)


@pytest.mark.parametrize("name", PENALISED)
def test_no_judge_under_a_penalty_per_example_is_batch_normed(name: str) -> None:
    for spec in IMAGES:
        model = built(name, spec)
        assert not normed(judge_of(model))


def test_an_unrolled_judge_is_batch_normed_only_where_its_paper_names_the_network() -> None:
    assert not normed(built("unrolled", IMAGES[1]).discriminator)
    for name, parts in (("unrolled", {}), ("gan", {"objective": "minimax", "stabilisers": ("unroll",)})):
        assert normed(built(name, IMAGES[1], architecture="stacked_half", **parts).discriminator)


def test_an_unrolled_judge_may_be_batch_normed_and_stays_without_dense_layers() -> None:
    plain, with_norm = built("unrolled", IMAGES[1]), built("unrolled", IMAGES[1], judge_norm="batch")
    assert normed(with_norm.discriminator)
    assert dense(with_norm.discriminator) == dense(plain.discriminator) == 1


def test_the_autoencoder_that_judges_in_began_has_no_norm() -> None:
    model = built("began", IMAGES[1])
    assert normed(model.generator)
    assert not normed(model.discriminator)


def dense(network: nn.Module) -> int:
    return sum(isinstance(m, nn.Linear) for m in network.modules())


@pytest.mark.parametrize("name", [*PENALISED, "sngan", "wgan", "minibatch_disc", "unrolled"])
def test_a_constrained_or_comparing_judge_of_28_pixels_has_no_dense_hidden_layer_nor_its_generator(name: str) -> None:
    model = built(name, IMAGES[1])
    assert dense(model.generator) == dense(judge_of(model)) == 1
    coupled = built("gan_ns", IMAGES[1])
    assert dense(coupled.generator) == dense(coupled.discriminator) == 2


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gan_ns", {}),
        ("wgan", {"objective": "wasserstein", "penalty": "clip"}),
        ("wgan_gp", {"objective": "wasserstein", "penalty": "gp"}),
        ("wgan_1sided", {"objective": "wasserstein", "penalty": "one_sided"}),
        ("minibatch_disc", {"stabilisers": ("minibatch_disc",)}),
        ("unrolled", {"objective": "minimax", "stabilisers": ("unroll",)}),
    ],
)
def test_the_composed_game_has_the_networks_of_its_row(name: str, parts: dict[str, Any]) -> None:
    row, composed = built(name, IMAGES[1]), built("gan", IMAGES[1], **parts)
    for one, other in [(row.generator, composed.generator), (judge_of(row), composed.discriminator)]:
        assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]


@pytest.mark.parametrize("name", ["ali", "bigan", "hali", "veegan"])
def test_judges_of_pairs_at_28_pixels_look_at_the_event_without_a_dense_hidden_layer(name: str) -> None:
    model = built(name, IMAGES[1])
    assert dense(model.generator) == 1
    assert dense(model.discriminator.event_tower) == 0


def test_batches_of_one_are_refused_where_a_norm_needs_two() -> None:
    cls: type[Model] = MODELS.get("gan_ns").load()
    for spec in IMAGES:
        with pytest.raises(NotApplicable, match="batches of 2 or more; got 1"):
            cls(cls.configure(spec, batch_size=1)).build(spec)
    cls(cls.configure(VECTOR, batch_size=1)).build(VECTOR)
