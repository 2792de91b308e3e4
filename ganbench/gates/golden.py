"""Golden values: every metric on stored samples must give the stored number, exactly as far as arithmetic allows.

The samples are fixed and slightly wrong (real events blurred and mixed), computed upon in float64. A changed value is
a regression unless the metric's version or signature changed with it: those are what boards compare by.

How far two processors may be apart is measured, not chosen: stable arithmetic gives the score of numbers that are some
roundings off, so each score is stored with its `tolerance`, how far it moves when all numbers that enter it are moved
at random by `MOVE`, or by `MOVE_SINGLE` where they come out of a network in float32. That is the metric's own
conditioning on these samples: small for a mean, larger for a small difference of large sums.

The values hold on processors of both makers in `PROCESSORS`: all scores on the code paths that MKL, oneDNN, OpenBLAS
and torch take on an Intel (AVX2, AVX-512), an AMD and a baseline processor, with one thread and two, lay within a fifth
of the tolerance behind a network and a hundredth elsewhere. The paths were all run on one AMD machine.
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
from ganbench.gates.platform import platform_tag, processor
from ganbench.gates.verdict import Outcome, Verdict
from ganbench.registry import METRICS, MetricInfo
from ganbench.scoring.inputs import Inputs, Workplace
from ganbench.scoring.provider import call

FOLDER = Path(__file__).resolve().parents[1] / "golden"
VALUES = "metrics.json"
SAMPLES = "samples.safetensors"
SIZES = {"ring8": 400, "digits": 300}
MOVE_SINGLE = 2.0**-16  # 256 roundings of float32: a layer loses some roundings, and there are a few layers
MOVE = 2.0**-36  # 10^5 roundings of float64: random moves average out over rows, what a sum loses does not
DRAWS = 4  # random moves of all numbers, of which the largest effect counts
PROCESSORS = ("amd", "intel")  # one set of values holds on both: no score needs one of its own for either
RTOL_BEFORE = 1e-6  # of values that a revision stored without a tolerance


def measure() -> dict[str, Any]:
    """Every score of every metric on the stored samples: {"data set/score": {value, metric, version, signature}}."""
    samples = load_samples()
    digest = hashlib.sha256(b"".join(x.numpy().tobytes() for x in samples.values())).hexdigest()
    return {"platform": platform_tag(), "samples_sha256": digest, "scores": _rows(samples)}


def with_tolerances(now: dict[str, Any]) -> dict[str, Any]:
    """The same, each value with the `tolerance` within which another processor's must lie, in the value's own units."""
    samples = load_samples()
    moved = [_rows(samples, draw) for draw in range(1, DRAWS + 1)]
    rows = {}
    for name, row in now["scores"].items():
        if "value" in row:
            value = row["value"]
            others = [other[name]["value"] for other in moved if "value" in other.get(name, {})]
            spread = max((abs(other - value) for other in others), default=0.0)
            row = row | {"tolerance": spread + MOVE * abs(value)}
        rows[name] = row
    return now | {"scores": rows}


def compare(stored: Mapping[str, Any], now: Mapping[str, Any]) -> list[Verdict]:
    """A verdict per score of either side."""
    if stored["samples_sha256"] != now["samples_sha256"]:
        reason = "the stored samples differ from the baseline's: make both anew with --update, in a change of its own"
        return [Verdict("golden", "samples", "environment", reason)]
    known = now["platform"] == stored["platform"] or processor(now["platform"]) in PROCESSORS
    names = [*stored["scores"], *(n for n in now["scores"] if n not in stored["scores"])]
    return [_verdict(n, stored["scores"].get(n), now["scores"].get(n), known) for n in names]


def _verdict(name: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, known: bool) -> Verdict:
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
    allowed = float(old.get("tolerance", RTOL_BEFORE * abs(a)))
    numbers = {"stored": a, "got": b, "off": abs(a - b), "allowed": allowed}
    if abs(a - b) <= allowed:
        return Verdict("golden", name, "ok", numbers=numbers)
    reason = f"gives {b:.15g} on samples that gave {a:.15g} (off by {abs(a - b):.1e}, allowed {allowed:.1e})"
    if not known:
        reason += f"; values are known to hold on processors of {' and '.join(PROCESSORS)}, and this one is neither"
        return Verdict("golden", name, "environment", reason, numbers)
    return Verdict("golden", name, "regression", f"{reason}; if meant, bump the version", numbers)


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


def write(now: dict[str, Any]) -> None:
    """Keep these values as the golden ones, one line a score, each with its tolerance."""
    from ganbench.files import write_atomic

    now = with_tolerances(now)
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


def _rows(samples: Mapping[str, Tensor], moved: int = 0) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, x in samples.items():
        inputs = _Entering(name, x, moved)
        for entry in METRICS:
            rows |= _scores(name, entry, inputs)
    return rows


class _Entering(Inputs):
    """What enters the metrics, in float64, on a small part of the real data; moved at random where `moved` is not 0."""

    def __init__(self, name: str, x: Tensor, moved: int = 0) -> None:
        self.moved = moved
        place = Workplace()
        data = place.dataset(name)
        n = SIZES[name]

        def double(split: Split, most: int) -> Split:
            return Split(split.events(slice(0, most)).double(), None if split.y is None else split.y[:most])

        small: Dataset = replace(
            data, train=double(data.train, 1000), holdout=double(data.holdout, n), test=double(data.test, n)
        )
        super().__init__(place, name, small, n, "golden", samples=x.double())

    def of(self, need: str) -> Any:
        """The input as `Inputs` makes it; numbers in float64."""
        x = super().of(need)
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return x
        x = x.double()
        if self.moved:
            single = self.dataset.mixture is None and need.endswith(("probs", "features"))
            rng = seeding.stream("metrics", "moved", need, self.moved)
            signs = torch.randint(0, 2, x.shape, generator=rng).double() * 2 - 1
            x = x * (1 + (MOVE_SINGLE if single else MOVE) * signs)
        return x


def _scores(name: str, entry: MetricInfo, inputs: Inputs) -> dict[str, Any]:
    version = entry.version
    needs = entry.needs
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
