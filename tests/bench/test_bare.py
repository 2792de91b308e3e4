"""Bare loops do what the engine does: as many products, and weights that stay the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ganbench.bench import bare, tables
from ganbench.bench.bare import Bare
from ganbench.bench.train import Row, flops_of, iteration_flops, run, start, without
from ganbench.data import DataSpec, Split
from ganbench.engine.loop import train
from ganbench.model import Budget, Model
from ganbench.model.make import make

ITERATIONS = {"vector": 4, "image28": 2}  # the rate of those that decay has begun to fall in the last


def both(name: str, spec: DataSpec) -> tuple[Model, Bare, Split]:
    """The registered model and its bare loop at equal weights, each about to draw from a generator with seed 1."""
    rng = torch.Generator().manual_seed(0)
    n, shape = spec.n_train, spec.event_shape
    pixels = torch.randint(256, (n, *shape), generator=rng, dtype=torch.uint8)
    x = pixels if spec.is_image else torch.randn(n, *shape, generator=rng)
    data = Split(x, torch.arange(n) % 10, torch.arange(80))
    model = make(name, replace(spec, n_classes=10))
    start(model, data, rng)
    loop = bare.make(model, data, torch.Generator().manual_seed(1))
    assert loop is not None
    return model, loop, data


@pytest.fixture(params=["vector_spec", "image28_spec"])
def spec(request: pytest.FixtureRequest) -> DataSpec:
    found: DataSpec = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("name", bare.LOOPS)
def test_weights_stay_the_same_bits(name: str, spec: DataSpec) -> None:
    model, loop, data = both(name, spec)
    first = [p.clone() for p in model.parameters()]
    with without(model, "start", "finish"):
        train(model, data, Budget(iterations=ITERATIONS[spec.name]), torch.Generator().manual_seed(1))
    loop.run(ITERATIONS[spec.name])
    for part, network in loop.networks.items():
        theirs = model.get_submodule(part).state_dict()
        for key, mine in zip(theirs, network.state_dict().values(), strict=True):
            # The same operations in the same order on one machine leave nothing to tolerate.
            torch.testing.assert_close(mine, theirs[key], rtol=0, atol=0, msg=lambda m, k=f"{part}.{key}": f"{k}: {m}")
    moved = [not torch.equal(a, b) for a, b in zip(first, model.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)  # all but lengths that are held
    parts = sum(len([*network.parameters()]) for network in loop.networks.values())
    assert parts >= len(moved)  # every weight of the model was compared


@pytest.mark.parametrize("name", bare.LOOPS)
def test_products_of_an_iteration_are_as_many(name: str, spec: DataSpec) -> None:
    model, loop, data = both(name, spec)
    assert iteration_flops(model, data) == flops_of(lambda: loop.run(1)) > 0


def test_where_no_loop_is_written_there_is_none(vector_spec: DataSpec, image8_spec: DataSpec) -> None:
    data, rng = Split(torch.randn(512, 2)), torch.Generator()
    assert bare.make(make("wgan", vector_spec), data, rng) is None
    assert bare.make(make("gan_ns", image8_spec), Split(torch.rand(512, 1, 8, 8)), rng) is None


def test_the_table_shows_the_ratio_or_nothing() -> None:
    there = Row("a", "ring8", 1.0, 64.0, 1.0, 0.5, 2.0, 1.9, 2.1, "", 1.034, 1.01, 1.06)
    absent = Row("b", "ring8", 1.0, 64.0, 1.0, 0.5, 2.0, 1.9, 2.1)
    header, lines = tables.train_rows([there, absent, Row("c", "ring8", *[float("nan")] * 4, None, None, None, "why")])
    at = header.index("bare")
    assert [line[at : at + 2] for line in lines] == [["1.034", "1.010-1.060"], ["", ""], ["", ""]]
    assert {len(line) for line in lines} == {len(header)}


def test_rows_have_a_ratio_where_a_loop_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganbench.bench.train.SIZES", {"ring8": 2})
    with_loop, without_one = run(["gan_ns", "wgan"], ["ring8"], 1e11, clock="cpu", rounds=3)
    assert with_loop.bare_ratio is not None
    assert with_loop.bare_lowest is not None
    assert 0 < with_loop.bare_lowest <= with_loop.bare_ratio
    assert without_one.bare_ratio is None
    assert without_one.plain_ratio is not None
