"""Golden values and fingerprints: exact here, red when something moves, quiet when the author says so."""

from __future__ import annotations

import copy
import json
from typing import Any, ClassVar

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganbench.errors import BadInput
from ganbench.gates import fingerprints, golden
from ganbench.gates.fingerprints import Fingerprint
from ganbench.gates.platform import platform_tag
from ganbench.gates.verdict import Verdict, exit_code


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return golden.measure()


@pytest.fixture
def stored() -> dict[str, Any]:
    return golden.parse((golden.FOLDER / golden.VALUES).read_text(encoding="utf-8"))


def bad(verdicts: list[Verdict]) -> list[str]:
    return [f"{v.name}: {v.reason}" for v in verdicts if v.outcome not in ("ok", "note")]


def test_golden_values_hold(now: dict[str, Any], stored: dict[str, Any]) -> None:
    assert bad(golden.compare(stored, now)) == []
    assert sum("value" in row for row in stored["scores"].values()) >= 20


def test_a_value_that_moves_is_a_regression_unless_the_version_moves(
    now: dict[str, Any], stored: dict[str, Any]
) -> None:
    name = "ring8/sliced_wasserstein"
    moved = copy.deepcopy(now)
    moved["scores"][name]["value"] *= 1 + 3e-6
    assert [v.name for v in golden.compare(stored, moved) if v.outcome == "regression"] == [name]
    moved["scores"][name]["version"] = 99
    assert bad(golden.compare(stored, moved)) == []


def test_a_value_that_is_no_longer_given(now: dict[str, Any], stored: dict[str, Any]) -> None:
    lost = copy.deepcopy(now)
    row = lost["scores"]["ring8/wasserstein"]
    del row["value"], row["signature"]
    row["missing"] = "RuntimeError: broken"
    (verdict,) = [v for v in golden.compare(stored, lost) if v.outcome == "regression"]
    assert "RuntimeError: broken" in verdict.reason


def test_both_makers_share_values_and_a_third_kind_is_told_apart(now: dict[str, Any], stored: dict[str, Any]) -> None:
    moved = copy.deepcopy(now)
    moved["scores"]["ring8/mmd"]["value"] *= 1 + 1e-6
    for maker, outcome in (("amd", "regression"), ("intel", "regression"), ("apple", "environment")):
        moved["platform"] = f"linux-x86_64-{maker}-avx2-torch9.9"
        (verdict,) = [v for v in golden.compare(stored, moved) if v.outcome not in ("ok", "note")]
        assert (verdict.name, verdict.outcome) == ("ring8/mmd", outcome)
        assert exit_code([verdict]) == {"regression": 1, "environment": 5}[outcome]


def test_tolerances_are_those_of_the_arithmetic(stored: dict[str, Any]) -> None:
    for name, row in stored["scores"].items():
        if "value" in row:  # float64 keeps nine digits of every score here, a float32 network nearly five, or one row
            most = max(2e-5 * abs(row["value"]), 1.01 / 300) if row["network"] else 1e-9 * abs(row["value"])
            assert 0 < row["tolerance"] <= most, name


@pytest.mark.parametrize("data", ["ring8", pytest.param("digits", marks=pytest.mark.slow)])
def test_values_hold_where_every_operation_rounds_differently(
    data: str, stored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = golden.load_samples()
    with monkeypatch.context() as patch, RoundsDifferently():
        patch.setattr(golden, "load_samples", lambda: {data: samples[data]})
        now = golden.measure()
    here = {name: row for name, row in stored["scores"].items() if name.startswith(data)}
    assert bad(golden.compare({**stored, "samples_sha256": now["samples_sha256"], "scores": here}, now)) == []
    assert now["scores"][f"{data}/mmd"]["value"] != stored["scores"][f"{data}/mmd"]["value"]


class RoundsDifferently(TorchDispatchMode):
    """Another processor: sums, products and functions come out a rounding off, up or down; the same where all is same.

    The direction hangs on the bits of the result, for a processor gives one answer to one question, and ties stay ties.
    """

    NAMES: ClassVar = {"mm", "addmm", "bmm", "dot", "mv", "vdot", "sum", "mean", "exp", "exp_", "log", "pow", "pow_"}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in self.NAMES and isinstance(out, torch.Tensor):
            whole = {torch.float64: torch.int64, torch.float32: torch.int32}.get(out.dtype)
            if whole is not None:
                bits = out.contiguous().view(whole)
                signs = ((bits ^ (bits >> 3) ^ (bits >> 7)) & 1).to(out.dtype) * 2 - 1
                signs[out == out.round()] = 0  # whole numbers are exact on every processor
                out.mul_(1 + torch.finfo(out.dtype).eps * signs)
        return out


def test_other_samples_cannot_be_compared(now: dict[str, Any], stored: dict[str, Any]) -> None:
    (verdict,) = golden.compare({**stored, "samples_sha256": "0"}, now)
    assert verdict.outcome == "environment"


def test_the_golden_folder_is_small() -> None:
    assert sum(p.stat().st_size for p in golden.FOLDER.rglob("*") if p.is_file()) < 2_000_000


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"platform": 1}', "nonsense"])
def test_unreadable_golden_files_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        golden.parse(text)
    with pytest.raises(BadInput):
        fingerprints.parse(text.replace("{}", '{"a": {"b": 1}}') or "x")


def test_fingerprints_repeat_and_match_what_is_stored_for_this_platform() -> None:
    names = ["gan_ns", "gmm", "vae_gaussian"]
    first, again = fingerprints.measure(names), fingerprints.measure(names)
    assert first == again
    assert all(len(first[n].series[k]) == 50 for n, k in (("gan_ns", "generator"), ("vae_gaussian", "vae")))
    known = fingerprints.stored_at_home(platform_tag())
    if known is None:
        pytest.skip(f"no curves are stored for {platform_tag()}")
    assert bad(fingerprints.compare({n: known[n] for n in names}, first)) == []


def test_fingerprint_verdicts() -> None:
    curve = [1.0, 0.5, 0.25]
    old = {"m": Fingerprint(1, "ring8", {"generator": curve})}

    def says(new: Fingerprint) -> Verdict:
        (verdict,) = fingerprints.compare(old, {"m": new})
        return verdict

    assert says(Fingerprint(1, "ring8", {"generator": [1.0, 0.5, 0.25 * (1 + 5e-5)]})).outcome == "ok"
    moved = says(Fingerprint(1, "ring8", {"generator": [1.0, -0.5, 0.25]}))
    assert moved.outcome == "regression"
    assert "iteration 1" in moved.reason
    assert says(Fingerprint(2, "ring8", {"generator": [9.0]})).outcome == "note"
    assert says(Fingerprint(1, "ring8", {"critic": curve})).outcome == "regression"
    assert says(Fingerprint(1, "ring8", {"generator": curve, "diagnostic": curve})).outcome == "ok"
    assert says(Fingerprint(1, "ring8", {}, "RuntimeError: no")).outcome == "regression"
    assert fingerprints.compare({}, old)[0].outcome == "note"


def test_files_survive_a_round_trip() -> None:
    prints = {"m": Fingerprint(1, "ring8", {"generator": [1.0, 0.1234567]}), "n": Fingerprint(2, "digits", {}, "no")}
    assert fingerprints.parse(fingerprints.to_json(prints)) == prints
    assert json.loads(fingerprints.to_json(prints))["m"]["version"] == 1


def test_golden_samples_are_those_that_the_code_makes() -> None:
    stored, made = golden.load_samples(), golden.make_samples()
    assert stored.keys() == made.keys()
    for name, x in stored.items():
        assert torch.allclose(x, made[name], atol=1e-5), name  # one blend and one clamp away from float32 data
