"""Boards of few labels: a task for each number of labels, published values beside measured ones, full recipes apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import record

from ganbench.boards import pages
from ganbench.boards.board import Board, load_board
from ganbench.boards.build import PUBLISHED, build, readme
from ganbench.boards.own import take
from ganbench.boards.pages import published_errors
from ganbench.boards.standings import block_name, standings
from ganbench.boards.submission import parse_submission
from ganbench.errors import BadInput
from ganbench.jobs.records import Record
from ganbench.registry import recipes

ROOT = Path(__file__).parents[2]
SIGNATURE = "classification|K=10|m=500|v1"
PAPER = {
    "method": "few", "dataset": "digits", "labels": 50, "errors": 221.0, "spread": "+-136 (std)",
    "protocol": "50 labels", "source": "somebody, table 1", "sure": "verified",
}  # fmt: skip


def board(**changes: Any) -> Board:
    return Board.model_validate(
        {
            "id": "toy",
            "title": "Toy",
            "scale": "standard",
            "task": [{"dataset": "digits", "labels": n, "n": 500} for n in (20, 50)],
            "metric": [
                {"name": "errors_of_10000", "direction": "min", "primary": True},
                {"name": "errors_of_10000_last", "direction": "min"},
            ],
            **changes,
        }
    )


def seeds(model: str, values: dict[str, float], **spec: Any) -> list[Record]:
    spec = {"scale": "standard", **spec}
    return [
        record(model, "digits", s, {k: v + s / 1000 for k, v in values.items()}, signature=SIGNATURE, n=500, **spec)
        for s in range(3)
    ]


def few(labels: int, error: float, **spec: Any) -> list[Record]:
    return seeds(
        "few", {"classification_error": error, "classification_error_last": error + 0.1}, labels=labels, **spec
    )


RECORDS = [
    *few(20, 0.2),
    *few(50, 0.1),
    *seeds("gan", {"svm_error_20": 0.3, "svm_error_50": 0.25, "svm_error_500": 0.1}),
    *few(50, 0.022, scale="paper", budget={"iterations": 999}),
    *few(50, 0.9, draw=0),
    *few(50, 0.08, ensemble=10),
]


def test_a_task_for_each_number_of_labels_and_a_row_for_each_method() -> None:
    rows = {s.entry.label: s for s in standings(board(), RECORDS)}
    assert set(rows) == {"few", "gan + L2-SVM", "few, full recipe", "few[ensemble=10]"}  # members of ensembles: not
    got = {k: {t: round(e.mean, 6) for t, e in s.estimates.items()} for k, s in rows.items()}
    assert got["few"] == {
        ("digits_20y", "errors_of_10000"): 2010.0,
        ("digits_20y", "errors_of_10000_last"): 3010.0,
        ("digits_50y", "errors_of_10000"): 1010.0,
        ("digits_50y", "errors_of_10000_last"): 2010.0,
    }
    assert got["gan + L2-SVM"] == {("digits_20y", "errors_of_10000"): 3010.0, ("digits_50y", "errors_of_10000"): 2510.0}
    assert [rows[k].entry.badge for k in ("few", "few, full recipe")] == ["shortened", "full recipe"]
    assert (block_name(rows["few"]), block_name(rows["gan + L2-SVM"])) == ("ranked", "ranked")
    assert rows["few"].rank is not None
    assert rows["few"].rank.place == 1
    assert block_name(rows["few, full recipe"]) == "incomplete"


def test_a_diverged_run_counts_where_it_would_have_stood() -> None:
    lost = [record("few", "digits", s, status="diverged", scale="standard", labels=20) for s in range(3)]
    lost += [record("gan", "digits", 7, status="diverged", scale="standard", label_counts=[20, 50])]
    rows = {s.entry.label: s for s in standings(board(), [*lost, *RECORDS[3:9]])}
    assert rows["few"].estimates["digits_20y", "errors_of_10000"].diverged == 3
    assert all(rows["gan + L2-SVM"].estimates[t, "errors_of_10000"].diverged == 1 for t in ("digits_20y", "digits_50y"))


def test_published_values_stand_beside_measured_ones(tmp_path: Path) -> None:
    own = board(published=[PAPER | {"method": "few[ensemble=10]", "errors": 142.0}])
    text = "\n".join(
        [
            '[board]\nid = "toy"\ntitle = "Toy"\nscale = "standard"',
            *(f'[[task]]\ndataset = "digits"\nlabels = {n}\nn = 500' for n in (20, 50)),
            '[[metric]]\nname = "errors_of_10000"\ndirection = "min"\nprimary = true',
            "[[published]]",
            *(f"{k} = {json.dumps(v)}" for k, v in own.published[0].model_dump().items()),
        ]
    )
    (tmp_path / "board.toml").write_text(text)
    assert take(tmp_path, RECORDS) == (18, 0)
    (tmp_path / PUBLISHED).write_text(json.dumps([PAPER]))
    built = build(tmp_path)
    (table,) = [t for t in built.tables if t.id == "toy-published"]
    cells = {r.cells[0].text(): [c.text() for c in r.cells[1:5]] for r in table.rows}
    assert {k: (v[0], v[1], v[3]) for k, v in cells.items()} == {
        "few": ("50", "shortened", "221.0"),
        "few, full recipe": ("50", "full recipe", "221.0"),
        "few[ensemble=10]": ("50", "shortened", "142.0"),
    }
    assert cells["few, full recipe"][2].startswith("230 [")
    page = readme(built)
    assert "50 labels" in page
    assert "somebody, table 1" in page
    assert "100 are 1 %" in page
    assert "label-curves.png" in page
    pages.draw_label_curves(tmp_path)
    assert (tmp_path / "pictures" / "label-curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(pages.board_page(tmp_path).label_plots) == 2  # the shortened runs, and the full recipes
    assert build(tmp_path) == built
    (tmp_path / PUBLISHED).write_text('[{"method": 3}]')
    with pytest.raises(BadInput, match=r"published.json of board toy: method"):
        build(tmp_path)


def test_both_scales_of_a_seed_are_kept(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text((ROOT / "leaderboards" / "ssl-digits" / "board.toml").read_text())
    assert take(tmp_path, [*few(50, 0.1), *few(50, 0.02, scale="paper")]) == (6, 0)
    assert take(tmp_path, few(50, 0.1)) == (0, 0)


@pytest.mark.parametrize("name", ["ssl-digits", "ssl-mnist"])
def test_committed_boards_name_counts_that_can_be_drawn(name: str) -> None:
    loaded = load_board(ROOT / "leaderboards" / name)
    assert loaded.by_labels
    assert all(t.labels and t.labels % 10 == 0 for t in loaded.tasks)
    assert loaded.scale == "standard"
    for p in loaded.published:
        assert loaded.task(f"{p.dataset}_{p.labels}y")


def test_recipes_say_how_many_labels_they_speak_of() -> None:
    known = recipes.of(["ssl_gan", "gan_ns", "nobody"])
    rows = [row for found in known.values() for row in published_errors(found)]
    of_mnist = {r["labels"]: r["errors"] for r in rows if r["dataset"] == "mnist"}
    assert of_mnist == {20: 1677, 50: 221, 100: 93, 200: 90}
    assert {r["spread"].split()[0] for r in rows if r["dataset"] == "mnist"} == {"+-452", "+-136", "+-6.5", "+-4.2"}
    assert all(r["sure"] == "verified" and r["method"] == "ssl_gan" for r in rows)


def test_tasks_with_and_without_labels_do_not_mix() -> None:
    tasks = [{"dataset": "digits", "labels": 20, "n": 500}, {"dataset": "digits", "n": 500}]
    with pytest.raises(ValueError, match="either every task names a number of labels or none"):
        board(task=tasks)
    with pytest.raises(ValueError, match="each task must be listed once"):
        board(task=[tasks[0], tasks[0]])


def test_samples_cannot_enter_a_board_of_few_labels() -> None:
    from ganbench.boards.measure import check_against

    text = """[submission]
board = "toy"
protocol = "1.0"
tier = "samples"
team = "a"
name = "b"
license = "MIT"
[[samples]]
dataset = "digits"
seed = 0
path = "x.npz"
"""
    with pytest.raises(BadInput, match="neither samples nor weights show"):
        check_against(board(), parse_submission(text))
