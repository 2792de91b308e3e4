"""Models on tiny random data, for the sweeps over the registry; the data are those of `ganbench test`."""

from __future__ import annotations

from typing import Any

import pytest

from ganbench.errors import NotApplicable
from ganbench.gates.contract import events
from ganbench.gates.contract.events import SLOW, SPECS, Case, K, data, samples
from ganbench.model import Model
from ganbench.registry import MODELS, ModelInfo

__all__ = ["ENTRIES", "SPECS", "K", "build", "cases", "data", "kinds", "samples", "takes"]

LARGER = ("srgan",)  # they make images larger than their conditions
IN_COLOUR = ("gan_ns", "dcgan", "wgan_gp", "vae_gaussian", "gmmn")  # slow for all of them
ENTRIES = {e.name: e for e in MODELS}


def takes(entry: ModelInfo, kind: str) -> bool:
    """Whether a model is made for this kind of data: those of LARGER for one kind, which the others refuse."""
    fits = SPECS[kind].cond is None or (kind == "half8") == (entry.name in LARGER)
    return fits and events.takes(entry, kind)


def kinds(name: str) -> list[str]:
    """The kinds of data that a model is swept over."""
    return [kind for kind in SPECS if takes(ENTRIES[name], kind) and (kind not in SLOW or name in IN_COLOUR)]


def cases() -> list[Any]:
    return [pytest.param((name, kind), id=f"{name}-{kind}") for name in ENTRIES for kind in kinds(name)]


def build(name: str, kind: str) -> Model:
    """The model as the runner makes it, with small batches."""
    try:
        return Case(ENTRIES[name], kind).build()
    except NotApplicable as reason:
        pytest.skip(str(reason))
