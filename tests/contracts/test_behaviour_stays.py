"""A change of structure moves no config, no first weight and no training: each is what the golden files hold.

Weights compare to 1e-5, which is far above the last digit in which libraries differ and far below any change of an
algorithm; trainings only on the kind of machine that wrote them, for rounding grows over iterations.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pytest
import torch
from behaviour import FOLDER, built, cases, effective_config, key, print_of, sampled, steps, trained

from ganbench.errors import NotApplicable
from ganbench.gates.platform import platform_tag


@lru_cache
def golden(stem: str) -> dict[str, Any]:
    path = FOLDER / f"{stem}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def same(now: Any, stored: Any) -> bool:
    """Whether two prints agree: words and counts exactly, numbers to 1e-5."""
    if not isinstance(stored, list) or len(now) != len(stored):
        return bool(now == stored)
    return all(
        a == (pytest.approx(b, rel=1e-5, abs=1e-7) if isinstance(b, float) else b)
        for a, b in zip(now, stored, strict=True)
    )


def trainings() -> list[Any]:
    found = []
    for name, kind, config in cases():
        case = key(name, kind, config)
        if stored := golden(f"trainings-{platform_tag()}").get(case):
            found.append(pytest.param(name, kind, config, id=case, marks=[pytest.mark.slow] * stored["slow"]))
    return found or [pytest.param("", "", {}, marks=pytest.mark.skip(f"no trainings of {platform_tag()} are stored"))]


def test_the_effective_config_of_every_model_on_every_kind_of_data() -> None:
    now = {key(n, k, c): effective_config(n, k) for n, k, c in cases() if not c}
    assert now == golden("configs")


@pytest.mark.parametrize(
    "kind",
    [
        "vector",
        "image8",
        "pairs8",
        "half8",
        "unpaired8",
        "attributes16",
        "tokens16",
        "words8",
        "subspaces",
        "clip8",
        "sound16",
        pytest.param("image28", marks=pytest.mark.slow),
    ],
)
def test_the_first_weights_of_every_model(kind: str) -> None:
    wrong = []
    for name, k, config in cases():
        if k != kind:
            continue
        try:
            now: Any = print_of(built(name, kind, config))
        except NotApplicable as reason:
            now = str(reason)
        if not same(now, golden("first_weights")[key(name, kind, config)]):
            wrong.append(key(name, kind, config))
    assert not wrong


@pytest.mark.parametrize(("name", "kind", "config"), trainings())
def test_a_training(name: str, kind: str, config: dict[str, Any]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = trained(name, kind, config, steps(kind))
        stored = golden(f"trainings-{platform_tag()}")[key(name, kind, config)]
        assert same(print_of(model), stored["state"])
        assert same(sampled(model), stored["samples"])
    finally:
        torch.set_num_threads(threads)
