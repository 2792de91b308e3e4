"""One door to a model, and one table of defaults: what a class says of images and small events is all there is."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path

import pytest

from ganbench.data import DataSpec
from ganbench.errors import BadConfig, BadInput, UnknownName
from ganbench.model import GAN, Count, Defaults, Model, Positive
from ganbench.model.make import effective_config, make, model_class, resolve_config

VECTOR = DataSpec("vector", (200,), None, n_train=64)
POINTS = DataSpec("points", (2,), None, n_train=64)
IMAGE = DataSpec("image", (1, 28, 28), (-1.0, 1.0), n_train=64)
DIGITS = DataSpec("digits", (1, 8, 8), (-1.0, 1.0), n_train=64)


class Small(GAN):
    class Config(GAN.Config):
        batch_size: Count = 100

    defaults = Defaults(image={"lr": 1e-4, "width": 16}, small={"batch_size": 50, "width": 8})


def test_rows_hold_for_their_data_and_small_over_image() -> None:
    def seen(spec: DataSpec, **more: object) -> tuple[object, ...]:
        c = Small.configure(spec, **more)
        return c.batch_size, c.lr, c.width

    assert seen(VECTOR) == (100, 1e-3, 32)
    assert seen(POINTS) == (50, 1e-3, 8)
    assert seen(IMAGE) == (100, 1e-4, 16)
    assert seen(DIGITS) == (50, 1e-4, 8)
    assert seen(DIGITS, width=3, lr="0.5") == (50, 0.5, 3)


def test_a_config_is_a_frozen_dataclass_whether_or_not_it_is_marked() -> None:
    class Marked(GAN):
        @dataclass(frozen=True)
        class Config(GAN.Config):
            batch_size: Count = 100

    for config in (Small.Config(), Marked.Config()):
        assert (config.batch_size, config.lr) == (100, 1e-3)
        assert config == type(config)(batch_size=100)
        with pytest.raises(FrozenInstanceError):
            config.batch_size = 3  # type: ignore[misc]
        with pytest.raises(BadConfig, match="batch_size = 0"):
            type(config)(batch_size=0)


def test_a_table_replaces_that_of_the_base_whole() -> None:
    assert GAN.configure(IMAGE).latent_dim == 64
    assert Small.configure(IMAGE).latent_dim == 2  # its own table says nothing of it


def test_saying_a_default_again_changes_nothing() -> None:
    class Again(GAN):
        @dataclass(frozen=True)
        class Config(GAN.Config):
            lr: Positive = 1e-3
            latent_dim: Count = 2

    for spec in (VECTOR, POINTS, IMAGE, DIGITS):
        assert vars(Again.configure(spec)) == vars(GAN.configure(spec))


def test_a_new_default_that_an_inherited_table_would_undo_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"latent_dim = 100.*latent_dim = 64.*table of its own"):

        class Undone(GAN):
            @dataclass(frozen=True)
            class Config(GAN.Config):
                latent_dim: Count = 100


def test_a_table_that_names_no_field_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean lr"):

        class Misspelt(GAN):
            defaults = Defaults(image={"lrr": 1e-4})


def test_the_door_makes_the_model_of_a_config_and_seed() -> None:
    one, same, other = (make("gan_ns", DIGITS, {"hidden": [8]}, ("gan_ns", "digits", s)) for s in (0, 0, 1))
    states = [{k: v.tolist() for k, v in m.state_dict().items()} for m in (one, same, other)]
    assert states[0] == states[1] != states[2]
    config = effective_config(one.config)
    assert (config["hidden"], config["latent_dim"], config["lr"]) == ([8], 64, 2e-4)
    assert json.loads(json.dumps(config)) == config


def test_wrong_references_and_fields_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean gan_ns"):
        make("gan_n", DIGITS)
    for name in ("lrr", "spec", "self", "cls"):  # words that a call could take for its own
        with pytest.raises(UnknownName, match=r"config field of .*Config"):
            make("gan_ns", DIGITS, {name: 1})
    with pytest.raises(BadConfig, match="lr = -1"):
        make("gan_ns", DIGITS, {"lr": -1})
    path = tmp_path / "no_class.py"
    path.write_text('from ganbench.model import register\n\n\n@register("f", family="test")\ndef f(): ...\n')
    with pytest.raises(BadInput, match="f must be a class that derives"):
        model_class(f"{path}:f")


def test_overrides_are_kept_where_some_data_has_another_default() -> None:
    assert resolve_config("gan_ns", {"lr": 1e-3, "width": 32, "hidden": [5]}) == {"lr": 1e-3, "hidden": (5,)}


def test_every_model_is_a_model() -> None:
    from ganbench.registry import MODELS

    assert all(issubclass(model_class(e.name), Model) for e in MODELS)
