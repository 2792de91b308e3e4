"""Golden values and fingerprints: exact here, red when something moves, quiet when the author says so."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from ganbench.errors import BadInput
from ganbench.gates import fingerprints, golden
from ganbench.gates.fingerprints import Fingerprint
from ganbench.gates.platform import platform_tag
from ganbench.gates.verdict import Verdict


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


def test_another_processor_is_given_room_through_networks_only(now: dict[str, Any], stored: dict[str, Any]) -> None:
    elsewhere = copy.deepcopy(now)
    elsewhere["platform"] = "another"
    for name in ("digits/inception_score", "ring8/inception_score"):
        elsewhere["scores"][name]["value"] *= 1 + 1e-4
    assert [v.name for v in golden.compare(stored, elsewhere) if v.outcome == "regression"] == ["ring8/inception_score"]


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
