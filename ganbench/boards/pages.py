"""Gathers what a page shows: from a run's folder, or from a board's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganbench.boards.board import Board, load_board
from ganbench.boards.build import LABEL_CURVES, PUBLISHED, Built, build, tables
from ganbench.boards.html import Curves, Page, Picture, picture_uri, read_curves
from ganbench.boards.own import family_of, own_records
from ganbench.boards.standings import standings
from ganbench.errors import BadInput
from ganbench.files import write_atomic
from ganbench.jobs.reading import record_files
from ganbench.jobs.records import MetricRow, Record, RunFolder
from ganbench.jobs.spec import JobSpec
from ganbench.registry.recipes import Recipe, of
from ganbench.report import label_counts
from ganbench.report.captions import CAPTIONS
from ganbench.report.columns import columns
from ganbench.report.tables import troubles

CLASSIFIER = ("confusion", "mistakes")  # pictures that a job of a classifier leaves
LARGE = 840  # pixels of their longer side on a page
PICTURES = "pictures"  # of a board: <model>-<dataset>.webp, kept by `leaderboard build --from`


def run_page(root: Path) -> Page:
    """A run's page. Raises `BadInput` for a folder that is no run, or one without any score."""

    folder = RunFolder.open(root)
    records = folder.records()
    request = folder.manifest["request"]
    built = board_of(records, str(request.get("suite", "run")))
    pictures, curves, classifiers, views = [], [], [], []
    for spec in (r.spec for r in records):
        if spec.seed != min(r.spec.seed for r in records if r.spec.row == spec.row):
            continue
        job, about = folder.job_folder(spec), (spec.dataset, spec.row, family_of(spec.model))
        if uri := picture_uri(job / "samples.png"):
            pictures.append(Picture(*about, uri))
        for kind in CLASSIFIER:
            if uri := picture_uri(job / f"{kind}.png", LARGE):
                classifiers.append(Picture(*about, uri))
        for kind in CAPTIONS:
            if uri := picture_uri(job / f"{kind}.png", LARGE):
                views.append(Picture(*about, uri, kind))
        lines = {name: line for name, line in read_curves(job / "history.json").items() if line}
        if lines:
            curves.append(Curves(*about, lines))
    status = Counter(r.status for r in records)
    subtitle = f"Suite {request.get('suite')}, scale {built.board.scale}, {len(records)} jobs: " + ", ".join(
        f"{n} {s}" for s, n in status.most_common()
    )
    plots = list(label_plots(label_counts.curves(records)))
    ran_on = facts(root / "env.json")
    return Page(built, subtitle, pictures, curves, troubles(records), ran_on, plots, classifiers, views, CAPTIONS)


def label_plots(found: Sequence[label_counts.Curve]) -> Iterator[Picture]:
    """Accuracy over the number of labels, a plot for each data set and scale."""
    from base64 import b64encode

    from ganbench.report.label_plots import accuracy_over_labels

    for dataset, scale in dict.fromkeys((c.dataset, c.scale) for c in found):
        title = f"{dataset}, scale {scale}"
        png = accuracy_over_labels([c for c in found if (c.dataset, c.scale) == (dataset, scale)], title)
        yield Picture(dataset, title, "", "data:image/png;base64," + b64encode(png).decode())


def board_page(folder: Path) -> Page:
    """A board's page, with the pictures that lie beside it."""
    built = build(folder)
    board = built.board
    pictures = []
    for s in built.standings:
        for task in board.tasks:
            uri = picture_uri(folder / PICTURES / picture_name(s.entry.key, task.dataset))
            if uri:
                pictures.append(Picture(task.dataset, s.entry.label, s.entry.family, uri))
    subtitle = f"Protocol {board.protocol}, scale {board.scale}, at least {board.min_seeds} training seeds"
    if not board.by_labels:
        return Page(built, subtitle, pictures)
    classifiers = []
    for path in sorted((folder / PICTURES).glob("*.webp")):
        if uri := picture_uri(path, LARGE):
            classifiers.append(Picture(board.tasks[0].dataset, path.stem, "", uri))
    return Page(built, subtitle, label_plots=list(label_plots(board_curves(folder))), classifiers=classifiers)


def board_curves(folder: Path) -> list[label_counts.Curve]:
    """The curves of a board's records, full recipes and shortened runs apart; members of ensembles left out."""
    return label_counts.curves(r for r in own_records(folder) if r.spec.draw is None)


def draw_label_curves(folder: Path) -> None:
    """Write a board's plot of accuracy over the number of labels beside its pages."""
    from ganbench.report.label_plots import accuracy_over_labels

    found = board_curves(folder)
    if load_board(folder).by_labels and found:
        full = [replace(c, method=f"{c.method}, full recipe") for c in found if c.scale == "paper"]
        (folder / LABEL_CURVES).parent.mkdir(exist_ok=True)
        short = [c for c in found if c.scale != "paper"]
        write_atomic(folder / LABEL_CURVES, accuracy_over_labels([*short, *full], load_board(folder).title))


def picture_name(key: str, dataset: str) -> str:
    """The file of an entry's picture: letters, digits, dash and underscore, whatever the entry is called."""
    plain = "".join(c if (c.isalnum() and c.isascii()) or c in "_-" else "-" for c in f"{key}-{dataset}")
    return f"{plain[:150]}.webp"


def board_of(records: Sequence[Record], title: str) -> Built:
    """A board made up for a run: its data sets as tasks, all its metrics, the first of them primary.

    Raises `BadInput` when there is nothing to tabulate.
    """
    records = told_apart(records)
    scored = [r for r in records if r.metrics]
    names = list(dict.fromkeys(m.name for r in scored for m in r.metrics if m.direction in ("min", "max")))
    if not names:
        raise BadInput("the run has no score yet; see `ganbench show --jobs`")
    directions = {m.name: m.direction for r in scored for m in r.metrics}
    datasets = list(dict.fromkeys(r.spec.dataset for r in scored))
    by_task = {d: _first(names, [r for r in scored if r.spec.dataset == d]) for d in datasets}
    board = Board.model_validate(
        {
            "id": "run",
            "title": title,
            "scale": scored[0].spec.scale,
            "min_seeds": 2,
            "task": [{"dataset": d, "n": n, "primary": name} for d, (name, n) in by_task.items()],
            "metric": [{"name": m, "direction": directions[m], "primary": m == names[0]} for m in names],
        }
    )
    rows = standings(board, records, family_of)
    return Built(board, rows, tables(board, rows))


def told_apart(records: Sequence[Record]) -> list[Record]:
    """The records with a column of its own for each kind of number: an exact likelihood beside a bound."""
    column = columns((r.spec.dataset, m.name, m.signature) for r in records for m in r.metrics)

    def named(r: Record, m: MetricRow) -> MetricRow:
        return m.model_copy(update={"name": column[r.spec.dataset, m.name, m.signature]})

    return [r.model_copy(update={"metrics": [named(r, m) for m in r.metrics]}) for r in records]


def _first(names: Iterable[str], records: Sequence[Record]) -> tuple[str, int]:
    """The first metric that these records hold, and its sample size."""
    for name in names:
        for r in records:
            if score := r.score(name):
                return name, max(2, score.n)
    raise BadInput("a data set of the run has no score")


def facts(path: Path) -> Mapping[str, str]:
    """What the run ran on, in words."""
    try:
        env = json.loads(path.read_text(encoding="utf-8"))
        versions = env.get("packages", {})
        found = {name: str(versions[name]) for name in ("ganbench", "torch", "numpy") if versions.get(name)}
        return {"python": str(env["python"]), **found, "processor": str(env.get("cpu", ""))}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def take_published(folder: Path) -> None:
    """Keep beside a board of few labels what its models' recipes say was published."""
    board = load_board(folder)
    if not board.by_labels or not record_files(folder):
        return
    names = sorted({r.spec.model for r in own_records(folder)})
    datasets = {t.dataset for t in board.tasks}
    rows = [row for found in of(names).values() for row in published_errors(found) if row["dataset"] in datasets]
    write_atomic(folder / PUBLISHED, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def published_errors(recipes: Iterable[Recipe]) -> Iterator[dict[str, Any]]:
    """Published test errors by number of labels, as boards of few labels list them."""
    for r in recipes:
        for p in r.published:
            if p.metric == label_counts.error_metrics("seen")[0] and r.labels is not None and p.value is not None:
                spread = re.sub(r"\+-([0-9.]+)", lambda m: f"+-{1e4 * float(m[1]):g}", p.spread)
                row = {"method": r.model, "dataset": r.dataset, "labels": r.labels, "errors": round(1e4 * p.value, 6)}
                yield row | {"spread": spread, "protocol": p.protocol, "source": p.source, "sure": p.sure}


def take_pictures(folder: Path, run: Path) -> int:
    """Keep small pictures of a run's first seed beside a board's records; returns how many."""
    from base64 import b64decode

    board = load_board(folder)
    wanted = {t.dataset for t in board.tasks}
    opened, taken = RunFolder.open(run), 0
    for record in opened.records():
        spec = record.spec
        if board.by_labels:
            taken += _take_classifier(folder, board, opened, spec)
            continue
        if spec.seed != 0 or spec.dataset not in wanted or spec.scale != board.scale:
            continue
        uri = picture_uri(opened.job_folder(spec) / "samples.png")
        if uri:
            (folder / PICTURES).mkdir(exist_ok=True)
            name = picture_name(spec.row, spec.dataset)
            write_atomic(folder / PICTURES / name, b64decode(uri.partition(",")[2]))
            taken += 1
    return taken


def _take_classifier(folder: Path, board: Board, run: Any, spec: JobSpec) -> int:
    """Keep what a classifier gets wrong with 100 labels, or the board's most; returns how many pictures that is."""
    from base64 import b64decode

    counts = [t.labels for t in board.tasks if t.labels]
    chosen = 100 if 100 in counts else max(counts)
    if spec.seed != 0 or spec.draw is not None or spec.labels != chosen:
        return 0
    if not board.admits(spec):
        return 0
    taken = 0
    for kind in CLASSIFIER:
        if uri := picture_uri(run.job_folder(spec) / f"{kind}.png", LARGE):
            (folder / PICTURES).mkdir(exist_ok=True)
            name = picture_name(f"{spec.row}-{spec.scale}-{kind}", spec.dataset)
            write_atomic(folder / PICTURES / name, b64decode(uri.partition(",")[2]))
            taken += 1
    return taken
