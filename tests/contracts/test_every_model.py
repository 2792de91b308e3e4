"""Every registered model keeps the contract: the facts of `ganbench test`, swept over the registry."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from tiny import ENTRIES, kinds

from ganbench.errors import NotApplicable
from ganbench.gates.contract.events import Case
from ganbench.gates.contract.facts import Fact, plan


@lru_cache(maxsize=2)
def case(name: str, kind: str) -> Case:
    return Case(ENTRIES[name], kind)


def sweep() -> list[Any]:
    """Model by model and kind by kind, so that one training serves all facts of a case."""
    return [
        pytest.param(name, kind, fact, id=f"{name}-{kind}-{fact.__name__}")
        for name in ENTRIES
        for kind, fact in plan(kinds(name))
    ]


@pytest.mark.parametrize(("name", "kind", "fact"), sweep())
def test_a_fact(name: str, kind: str, fact: Fact) -> None:
    try:
        fact(case(name, kind))
    except NotApplicable as reason:
        pytest.skip(str(reason))
