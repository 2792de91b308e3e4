"""Golden values: every metric on stored samples must give the stored number, exactly as far as arithmetic allows.

The samples are fixed and slightly wrong (real events blurred and mixed), computed upon in float64. A changed value is
a regression unless the metric's version or signature changed with it: those are what boards compare by.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput, GanbenchError, MissingResource, NotApplicable
from ganbench.gates.platform import platform_tag
from ganbench.gates.verdict import Outcome, Verdict
from ganbench.registry import METRICS, Entry
from ganbench.scoring import Inputs, Workplace, call

FOLDER = Path(__file__).resolve().parents[1] / "golden"
VALUES = "metrics.json"
SAMPLES = "samples.safetensors"
SIZES = {"ring8": 400, "digits": 300}
RTOL = 1e-6  # float64 on any processor
RTOL_NETWORK = 1e-3  # through a float32 network on another kind of processor, or on another device


def measure() -> dict[str, Any]:
    """Every score of every metric on the stored samples: {"data set/score": {value, metric, version, signature}}."""
    samples = load_samples()
    rows: dict[str, Any] = {}
    for name, x in samples.items():
        inputs = _inputs(name, x)
        for entry in METRICS:
            rows |= _scores(name, entry, inputs)
    digest = hashlib.sha256(b"".join(x.numpy().tobytes() for x in samples.values())).hexdigest()
    return {"platform": platform_tag(), "samples_sha256": digest, "scores": rows}


def compare(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Verdict]:
    """A verdict per score of either side."""
    if stored["samples_sha256"] != now["samples_sha256"]:
        reason = "the stored samples differ from the baseline's: make both anew with --update, in a change of its own"
        return [Verdict("golden", "samples", "environment", reason)]
    same_platform = stored["platform"] == now["platform"]
    names = [*stored["scores"], *(n for n in now["scores"] if n not in stored["scores"])]
    return [_verdict(n, stored["scores"].get(n), now["scores"].get(n), same_platform) for n in names]


def _verdict(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, same_platform: bool) -> Verdict:
    if old is None:
        return Verdict("golden", name, "note", "no stored value yet; --update makes one")
    if new is None:
        return Verdict("golden", name, "note", f"the metric {old['metric']} is gone")
    if (old["version"], old.get("signature")) != (new["version"], new.get("signature", old.get("signature"))):
        return Verdict("golden", name, "note", "a new version or signature: values are not comparable")
    if "missing" in old or "missing" in new:
        if "missing" in old:
            return Verdict(
                "golden", name, "ok" if "missing" in new else "note", "" if "missing" in new else "now given"
            )
        outcome: Outcome = "environment" if new.get("environment") else "regression"
        return Verdict("golden", name, outcome, f"gives no value any more: {new['missing']}")
    a, b = float(old["value"]), float(new["value"])
    off = abs(a - b) / max(abs(a), abs(b), 1e-300)
    rtol = RTOL if same_platform or not old["network"] else RTOL_NETWORK
    numbers = {"stored": a, "got": b, "off": off, "rtol": rtol}
    if off <= rtol or abs(a - b) <= 1e-12:
        return Verdict("golden", name, "ok", numbers=numbers)
    reason = (
        f"gives {b:.9g} on samples that gave {a:.9g} (off by {off:.1e}, allowed {rtol:.0e}); if meant, bump the version"
    )
    return Verdict("golden", name, "regression", reason, numbers)


def load_samples() -> dict[str, Tensor]:
    """The stored samples by data set. Raises `MissingResource` when they are not installed."""
    from safetensors.torch import load_file

    path = FOLDER / SAMPLES
    if not path.is_file():
        raise MissingResource(f"{SAMPLES} is not installed beside ganbench; reinstall it, or run from a checkout")
    return dict(sorted(load_file(path).items()))


def make_samples() -> dict[str, Tensor]:
    """Samples with known faults: real holdout events, each mixed with a neighbour in the list and blurred."""
    from ganbench.datasets.load import load

    made = {}
    for name, n in SIZES.items():
        rng = seeding.stream("metrics", "golden", name)
        data = load(name)
        real = data.holdout.events()[:n]
        share = 0.02 if data.spec.domain is None else 0.2
        x = (1 - share) * real + share * real.roll(1, 0) + 0.01 * torch.randn(real.shape, generator=rng)
        made[name] = x if data.spec.domain is None else x.clamp(*data.spec.domain)
    return made


def write(now: Mapping[str, Any]) -> None:
    """Keep these values as the golden ones, one line a score."""
    from ganbench.files import write_atomic

    rows = ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in sorted(now["scores"].items()))
    head = json.dumps({k: v for k, v in now.items() if k != "scores"}, indent=1)[:-2]
    write_atomic(FOLDER / VALUES, f'{head},\n "scores": {{\n  {rows}\n }}\n}}\n')


def parse(text: str) -> dict[str, Any]:
    """Stored values from their JSON. Raises `BadInput`."""
    try:
        raw = json.loads(text)
        if {"platform", "samples_sha256", "scores"} <= set(raw):
            return dict(raw)
        raise ValueError("keys are missing")
    except (ValueError, TypeError) as error:
        raise BadInput(f"the golden values cannot be read: {error}; make them anew with --update") from None


def _inputs(name: str, x: Tensor) -> Inputs:
    """The arguments of metrics, in float64, on a small part of the real data."""
    place = Workplace()
    data = place.dataset(name)
    n = SIZES[name]

    def double(split: Split, most: int) -> Split:
        return Split(split.events(slice(0, most)).double(), None if split.y is None else split.y[:most])

    small: Dataset = replace(
        data, train=double(data.train, 1000), holdout=double(data.holdout, n), test=double(data.test, n)
    )
    return Inputs(place, name, small, n, "golden", samples=x.double())


def _scores(name: str, entry: Entry, inputs: Inputs) -> dict[str, Any]:
    version = entry.meta.get("version", 1)
    needs = entry.meta.get("needs", ())
    base = {"metric": entry.name, "version": version}
    if "model" in needs:
        return {}
    network = inputs.dataset.mixture is None and any("features" in n or "probs" in n for n in needs)
    try:
        scores = call(entry, inputs)
    except MissingResource as error:
        return {f"{name}/{entry.name}": {**base, "missing": str(error), "environment": True}}
    except (NotApplicable, BadInput):
        return {f"{name}/{entry.name}": {**base, "missing": "does not apply"}}
    except GanbenchError as error:
        return {f"{name}/{entry.name}": {**base, "missing": str(error)}}
    except Exception as error:  # a metric that raises is what this gate is there to tell
        return {f"{name}/{entry.name}": {**base, "missing": f"{type(error).__name__}: {error}"}}
    out = {}
    for s in scores:
        row: dict[str, Any] = {**base, "signature": s.signature, "network": network}
        finite = math.isfinite(s.value)
        out[f"{name}/{s.name}"] = row | (
            {"value": float(s.value)} if finite else {"missing": f"the value is {s.value}"}
        )
    return out
