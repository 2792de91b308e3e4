"""`leaderboard verify`: every field of every stored row of every kind of submission is compared."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outsider import N, toml
from test_submit import CODE, WEIGHTS_CONFIG

from ganbench.boards import again, build, verify
from ganbench.boards.differences import UNREPEATABLE
from ganbench.boards.own import take
from ganbench.boards.submit import Checked, add
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import parse_record
from ganbench.jobs.runner import run_job
from ganbench.model.make import make

Mutation = tuple[str, Any]  # where, and the record that holds something else there


def mutations(value: Any, where: str = "") -> Iterator[Mutation]:
    """Copies of a JSON value, each with one field changed, added, missing or of another type."""
    if isinstance(value, dict):
        yield f"{where}+", {**value, "added": 1}
        for key in value:
            inside = f"{where}.{key}" if where else key
            yield f"{inside}-", {k: v for k, v in value.items() if k != key}
            for path, changed in mutations(value[key], inside):
                yield path, {**value, key: changed}
    elif isinstance(value, list):
        yield f"{where}+", [*value, *(value[:1] or ["added"])]
        if value:
            yield f"{where}-", value[1:]
            yield f"{where}~", value[::-1] if value[::-1] != value else [*value, value[0]]
        for i, item in enumerate(value):
            for path, changed in mutations(item, f"{where}[{i}]"):
                yield path, [*value[:i], changed, *value[i + 1 :]]
    elif isinstance(value, bool) or value is None:
        yield where, 1
        yield where, "x"
    elif isinstance(value, int | float):
        yield where, value + 1
        yield where, value * 1.01 if value else 0.01
        yield where, -9.0
        yield where, None
        yield where, str(value)
    else:
        yield where, value + "x"
        yield where, "" if value else "x"
        yield where, 0


def lines(records: list[Any]) -> str:
    return "".join(json.dumps(r, sort_keys=True, ensure_ascii=False) + "\n" for r in records)


def shuffles(records: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Whole files: lines reordered, dropped, doubled, and a forged line before or after the honest one."""
    yield "reordered", records[::-1]
    yield "dropped", records[1:]
    yield "doubled", [*records, records[0]]
    forged = copy.deepcopy(records[0])
    forged["metrics"][0] |= {"value": -9.0, "se": 1e9}
    yield "forged", [forged, *records[1:]]
    yield (
        "a forged ok line, then the honest one marked failed",
        [forged, {**records[0], "status": "failed"}, *records[1:]],
    )
    yield "a forged line after", [*records, forged]


@pytest.fixture
def added(request: pytest.FixtureRequest, tmp_path: Path, board_folder: Path, place: Any) -> tuple[Path, Checked]:
    """A board with one submission of the tier asked for, and what its check found."""
    tier = request.param
    if tier == "code":
        folder = tmp_path / "code"
        folder.mkdir()
        (folder / "mine.py").write_text(CODE)
        (folder / "submission.toml").write_text(toml([], "code") + '[model]\nname = "mine.py:Outsider"\nseeds = 2\n')
    else:
        folder = request.getfixturevalue("submission" if tier == "samples" else "weights")
    return board_folder, add(folder, board_folder, place=place, run_code=True)


@pytest.mark.parametrize("added", ["samples", "weights", "code"], indirect=True)
def test_no_field_of_a_submission_can_be_changed(
    added: tuple[Path, Checked], place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    board_folder, checked = added
    assert all(f.passed for f in verify.verify(board_folder, place=place, run_code=True))
    monkeypatch.setattr(verify, "check", lambda *_, **__: checked)  # the same each time: it need not be scored again
    (path,) = (board_folder / "submissions").glob("*/results.jsonl")
    honest = [json.loads(line) for line in path.read_text().split("\n") if line]

    def red(text: str) -> bool:
        path.write_text(text)
        return not verify.verify(board_folder)[-1].passed

    assert not red(lines(honest))
    for what, records in shuffles(honest):
        assert red(lines(records)), what
    green = {what for what, record in mutations(honest[0]) if not red(lines([record, *honest[1:]]))}
    left_out = {w for w in green if w.split(".")[0].strip("+-") in UNREPEATABLE or w.endswith(".seconds")}
    assert green == left_out
    if checked.submission.tier != "code":  # nothing was trained: there is nothing unrepeatable to change
        assert green == set()


@pytest.fixture
def weights(tmp_path: Path, place: Any) -> Path:
    """Two sets of weights of a registered GAN."""
    from safetensors.torch import save_file

    folder = tmp_path / "weights"
    folder.mkdir()
    for seed in range(2):
        model = make("gan_ns", place.dataset("digits").spec, {"hidden": (16, 16)}, (seed,))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / f"s{seed}.safetensors")
    text = toml(["s0.safetensors", "s1.safetensors"], "weights")
    (folder / "submission.toml").write_text(text + WEIGHTS_CONFIG.format(name="gan_ns"))
    return folder


def test_a_claim_with_scores_is_red_and_not_on_the_board(submission: Path, board_folder: Path, place: Any) -> None:
    add(submission, board_folder, place=place)
    folder = board_folder / "submissions" / "example-lab__my-gmm"
    claim = '[[claimed]]\ndataset = "digits"\nmetric = "mmd"\nvalue = 0.1\n'
    (folder / "submission.toml").write_text(toml([], "claim") + claim)
    assert "a claim has no scores" in verify.verify(board_folder, place=place)[-1].reason
    assert build.build(board_folder).standings == []


@pytest.fixture
def own(board_folder: Path, place: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board with its own records of a model and a control, whose second training is that of the first time."""
    selection = Selection(
        "small", ("gaussian_mle", "control_noise"), ("digits",), (0, 1), "quick", ("mmd", "inception_score"), N
    )
    found = {job.spec.job_id: run_job(job, place) for job in plan(selection)}
    assert {r.status for r in found.values()} == {"ok"}
    monkeypatch.setattr(again.runner, "run_job", lambda job, *_, **__: found[job.spec.job_id])
    take(board_folder, [parse_record(r.to_json()) for r in found.values()])
    build.write(board_folder)
    return board_folder


def own_scores_are_red(own: Path, place: Any) -> Callable[..., bool]:
    def red(records: list[Any], **options: bool) -> bool:
        (own / "records.jsonl").write_text(lines(records))
        findings = {f.what: f.passed for f in verify.verify(own, place=place, **options)}
        return not (findings["records"] and findings.get("own scores", True) and findings["tables"])

    return red


def test_no_field_of_a_boards_own_records_can_be_changed(own: Path, place: Any) -> None:
    honest = [json.loads(line) for line in (own / "records.jsonl").read_text().split("\n") if line]
    red = own_scores_are_red(own, place)
    assert not red(honest, retrain=True)
    for what, records in shuffles(honest):
        if what not in ("forged", "dropped"):  # values need the training; a board may lack any row
            assert red(records, retrain="forged" in what), what
    at = next(i for i, r in enumerate(honest) if r["spec"]["model"] == "gaussian_mle")
    green, need_training = set(), set()
    for what, record in mutations(honest[at]):
        records = [*honest[:at], record, *honest[at + 1 :]]
        if not red(records):
            need_training.add(what)
            if not red(records, retrain=True):
                green.add(what)
    assert {w.split(".")[0].strip("+-") for w in green if not w.endswith(".seconds")} <= set(UNREPEATABLE)
    rest = {w for w in need_training - green if w.split(".")[0].strip("+-") not in UNREPEATABLE}
    assert {w.split(".")[-1].strip("+-") for w in rest} <= {"value", "se", "interval", "attempt", "seconds"}


def test_rows_on_pictures_that_are_not_here_are_said_to_be_unchecked(tmp_path: Path, monkeypatch: Any) -> None:
    folder = Path(__file__).parents[2] / "leaderboards" / "cifar10"
    monkeypatch.chdir(tmp_path)
    found = {f.what: f for f in verify.verify(folder)}
    assert all(f.passed for f in found.values())
    assert "needs cifar10, which is not here" in found["own scores"].reason
