"""Build a board's pages from its files: board.toml + records*.jsonl + submissions/ -> README.md and board.csv.

The tables are pure functions of the standings, and the files pure functions of the folder: a rebuild is byte-identical.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganbench.boards.board import Board, Published, Task, load_board
from ganbench.boards.own import family_of, own_records
from ganbench.boards.rank import FORMULA
from ganbench.boards.standings import GIVEN, Standing, block_name, standings
from ganbench.boards.submission import find_submissions
from ganbench.errors import BadInput, first_problem
from ganbench.files import write_atomic
from ganbench.jobs.reading import record_files
from ganbench.registry import MODELS
from ganbench.report.table import (
    Cell,
    Column,
    Measured,
    Number,
    Place,
    Row,
    Table,
    Text,
    escape_markdown,
    to_csv,
    to_markdown,
    visible,
)

GENERATED = ("README.md", "board.csv")
PARTS = (
    *("board.toml", "published.json", "pictures", "submissions"),
    *(*GENERATED, "board.html", "board.json", "board.tex"),
)
PUBLISHED = "published.json"  # what the recipes of the board's models say, kept by `leaderboard build --from`
LABEL_CURVES = "pictures/label-curves.png"


@dataclass(frozen=True)
class Built:
    """A board with its rows and tables."""

    board: Board
    standings: Sequence[Standing]
    tables: Sequence[Table]  # overall first, then one a task
    warnings: Sequence[str] = ()  # submissions that were left out, files that belong to nothing

    @property
    def seeds(self) -> int | None:
        """The number of seeds most cells rest on."""
        return usual_n(self.standings)


def build(folder: Path) -> Built:
    """Read a board's folder and compute its tables; writes nothing. Raises `BadInput` with what is wrong."""
    board = load_board(folder)
    records = own_records(folder)
    found = find_submissions(folder, board, records)
    rows = standings(board, records, family_of, found.submitted)
    known = published(folder, board)
    left_out = [f"left out submissions/{visible(name)}: {why}" for name, why in sorted(found.left_out.items())]
    return Built(board, rows, tables(board, rows, known), [*left_out, *strays(folder)])


def strays(folder: Path) -> Iterator[str]:
    """A line for each file of a board's folder that is no part of a board, such as a submission in a wrong place."""
    known = {*PARTS, *(path.name for path in record_files(folder))}
    for path in sorted(folder.iterdir()):
        if path.name not in known and not path.name.startswith("."):
            where = "; a submission is a folder in submissions/" if path.name == "submission.toml" else ""
            yield f"{visible(path.name)} is no part of a board and was ignored{where}"


def published(folder: Path, board: Board) -> list[Published]:
    """Published values of a board of few labels: those its definition states and those of its models' recipes.

    Raises `BadInput` for a damaged file.
    """
    path = folder / PUBLISHED
    if not path.is_file():
        return list(board.published)
    try:
        found = [Published.model_validate(row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise BadInput(f"{PUBLISHED} of board {board.id}: {first_problem(error)}") from None
    return [*board.published, *found]


def files(built: Built) -> dict[str, str]:
    """The generated files: name -> contents."""
    return {"README.md": readme(built), "board.csv": to_csv(long_table(built))}


def write(folder: Path) -> Built:
    """Build a board and write its generated files, each atomically."""
    built = build(folder)
    for name, text in files(built).items():
        write_atomic(folder / name, text)
    return built


def stale(folder: Path) -> list[str]:
    """Generated files that are missing or differ from what the folder's records give."""
    return [
        name
        for name, text in files(build(folder)).items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


@dataclass(frozen=True)
class Stale:
    """A row on one task that a version of its model which is not today's has reached."""

    row: str
    task: str
    was: str
    now: str


def stale_rows(rows: Iterable[Standing]) -> list[Stale]:
    """Every row and task that was trained by another version of its model than the registered one."""
    found = []
    for s in rows:
        now = today(s.entry.model)
        found += [Stale(s.entry.label, t, was, now) for t, was in sorted(s.versions.items()) if now and was != now]
    return found


def today(model: str) -> str:
    """The version under which a model is registered now; empty for one that is not installed."""
    entry = MODELS.entries.get(model)
    return str(entry.version) if entry else ""


def version_mark(s: Standing, task: str | None = None) -> str:
    """`v2, now v3` for a row that older versions of its model reached, on one task or any; else empty."""
    found = [r for r in stale_rows([s]) if task in (None, r.task)]
    return ", ".join([*sorted({f"v{r.was}" for r in found}), f"now v{found[0].now}"]) if found else ""


def _name(s: Standing, task: str | None = None) -> Text:
    mark = version_mark(s, task)
    return Text(f"{s.entry.label} ({mark})" if mark else s.entry.label)


def usual_n(rows: Sequence[Standing]) -> int | None:
    """The commonest number of seeds behind a cell."""
    counts = Counter(e.n for s in rows for e in s.estimates.values() if e.n)
    return min(counts, key=lambda n: (-counts[n], n)) if counts else None


def tables(board: Board, rows: Sequence[Standing], known: Sequence[Published] = ()) -> list[Table]:
    """The overall table, on boards of few labels the published values, then one table per task with every metric."""
    beside = [published_table(board, rows, known)] if known else []
    one = len(board.tasks) == 1
    return [*([] if one else [overall_table(board, rows)]), *beside, *(task_table(board, t, rows) for t in board.tasks)]


def published_table(board: Board, rows: Sequence[Standing], known: Sequence[Published]) -> Table:
    """What was measured beside what was published, one line for each row and number of labels that have both."""
    columns = [Column("model", "model"), Column("labels", "labels"), Column("run", "run")]
    columns += [Column("measured", "errors of 10,000", "min"), Column("published", "published errors", "min")]
    columns += [Column(k, k) for k in ("spread", "protocol", "source", "sure")]
    body, n = [], usual_n(rows)
    for s in rows:
        for task in board.tasks:
            e = s.estimates.get((task.key, board.primary(task).name))
            for p in known if e is not None else ():
                if (p.method, p.dataset, p.labels) == (s.entry.method, task.dataset, task.labels):
                    cells: list[Cell] = [
                        _name(s, task.key),
                        Text(str(p.labels)),
                        Text(s.entry.badge),
                        Measured(e, "", n),
                    ]
                    cells += [Number(p.errors), *map(Text, (p.spread, p.protocol, p.source, p.sure))]
                    body.append(Row(block_name(s), cells, s.entry.family))
    return Table(f"{board.id}-published", "Beside the published values", columns, body, notes(board, rows))


def overall_table(board: Board, rows: Sequence[Standing]) -> Table:
    """Places with intervals over all tasks, and the primary metric of each task."""
    columns = [Column("rank", "rank", "min"), Column("model", "model"), Column("badge", "badge")]
    columns += [Column("mean_rank", "mean rank", "min")]
    columns += [_primary_column(board, t, f"{t.title}: {board.primary(t).name}") for t in board.tasks]
    n = usual_n(rows)
    body = []
    for s in rows:
        cells: list[Cell] = [Place(s.rank), _name(s), Text(_badge(s))]
        cells.append(Number(s.rank.mean_rank if s.rank else None))
        cells += [_primary_cell(board, t, s, n) for t in board.tasks]
        body.append(Row(block_name(s), cells, s.entry.family))
    return Table(f"{board.id}-overall", f"{board.title}: overall", columns, body, notes(board, rows))


def task_table(board: Board, task: Task, rows: Sequence[Standing]) -> Table:
    """Every metric on one task, in the order of the primary one; claimed values stand in columns of their own."""
    seen = {m for s in rows for d, m in [*s.estimates, *s.entry.claimed] if d == task.key}
    metrics = sorted((m for m in board.metrics if m.name in seen), key=lambda m: m != board.primary(task))
    waiting = [s for s in rows if len(board.tasks) == 1 and s.entry.badge == "claimed" and not s.entry.claimed]
    here = [s for s in rows if s in waiting or any(d == task.key for d, _ in [*s.estimates, *s.entry.claimed])]
    claims = [m for m in metrics if any((task.key, m.name) in s.entry.claimed for s in here)]
    columns = [Column("rank", "rank", "min"), Column("model", "model"), Column("badge", "badge")]
    columns += [Column(m.name, m.name, m.direction) for m in metrics]
    columns += [Column(f"claimed.{m.name}", f"claimed {m.name}", m.direction) for m in claims]
    columns += [Column("train_s", "training s", "min")]
    devices = [Column("device", "on")] if _several_devices(rows) else []
    columns += devices
    n = usual_n(rows)
    body = []
    for s in sorted(here, key=lambda s: _task_order(board, task, s)):
        cells: list[Cell] = [Place(s.places.get(task.key)), _name(s, task.key), Text(_badge(s))]
        for m in metrics:
            letters = s.letters.get(task.key, "") if m == board.primary(task) else ""
            cells.append(Measured(s.estimates.get((task.key, m.name)), letters, n))
        cells += [Number(s.entry.claimed.get((task.key, m.name))) for m in claims]
        cost = s.cost.get(task.key)
        cells.append(Number(cost.mean if cost else None))
        cells += [Text(s.devices.get(task.key, "")) for _ in devices]
        body.append(Row(block_name(s), cells, s.entry.family))
    return Table(f"{board.id}-{task.key}", task.title, columns, body, notes(board, rows))


def _several_devices(rows: Sequence[Standing]) -> bool:
    """Whether training seconds need a word on where they were measured."""
    return len({device for s in rows for device in s.devices.values()}) > 1


def long_table(built: Built) -> Table:
    """One line per entry, task and metric: what board.csv holds."""
    board = built.board
    columns = [Column(k, k) for k in ("rank", "mean_rank", "model", "family", "badge", "dataset", "metric")]
    columns += [Column("value", "value"), Column("claimed", "claimed"), Column("train_s", "training s")]
    devices = [Column("device", "on")] if _several_devices(built.standings) else []
    columns += devices
    marks = [Column("version", "version")] if stale_rows(built.standings) else []
    columns += marks
    body = []
    for s in built.standings:
        for task in board.tasks:
            for m in board.metrics:
                key = (task.key, m.name)
                if key not in s.estimates and key not in s.entry.claimed:
                    continue
                letters = s.letters.get(task.key, "") if m == board.primary(task) else ""
                cost = s.cost.get(task.key)
                cells: list[Cell] = [Place(s.rank), Number(s.rank.mean_rank if s.rank else None), Text(s.entry.label)]
                cells += [Text(s.entry.family), Text(s.entry.badge), Text(task.key), Text(m.name)]
                cells += [Measured(s.estimates.get(key), letters), Number(s.entry.claimed.get(key))]
                cells += [Number(cost.mean if cost else None)]
                cells += [Text(s.devices.get(task.key, "")) for _ in devices]
                cells += [Text(version_mark(s, task.key)) for _ in marks]
                body.append(Row(block_name(s), cells, s.entry.family))
    return Table(board.id, board.title, columns, body)


def _task_order(board: Board, task: Task, s: Standing) -> tuple[bool, float, str]:
    e = s.estimates.get((task.key, board.primary(task).name))
    sign = -1 if board.primary(task).direction == "max" else 1
    mean = s.ranked_by.get(task.key, e.mean if e and e.n else None)
    return (mean is None, 0.0 if mean is None else sign * mean, s.entry.key)


def _primary_column(board: Board, task: Task, title: str) -> Column:
    return Column(f"{task.key}.{board.primary(task).name}", title, board.primary(task).direction)


def _primary_cell(board: Board, task: Task, s: Standing, n: int | None) -> Measured:
    return Measured(s.estimates.get((task.key, board.primary(task).name)), s.letters.get(task.key, ""), n)


def _badge(s: Standing) -> str:
    return "control" if s.entry.family == "control" else s.entry.badge


def notes(board: Board, rows: Sequence[Standing]) -> list[str]:
    """What stands under a table: n, the formula with its version, incomplete entries with coverage, flags."""
    n = usual_n(rows)
    rule = board.ranking
    level = 1 - rule.alpha
    formula = FORMULA[rule.method].format(level=level, draws=rule.draws, alpha=rule.alpha)
    lines = [
        f"Protocol {board.protocol}, scale {board.scale}. Cells are mean [{level:.0%} Student-t interval] over "
        f"training seeds{f' (n={n} unless noted)' if n else ''}, at the final checkpoint.",
        f"Ranking {rule.method}: {formula}",
    ]
    if board.by_labels:
        lines.append(
            "Errors are counted of 10,000 test examples: 100 are 1 %. Each seed is one draw of the labels, as many of "
            "every class, and one training; SVMs on frozen features are fitted to the same draws. Rows named `full "
            "recipe` ran a published setting for all of its budget; all others are shortened and reproduce nothing."
        )
    lines += [f"Incomplete, unranked ({missing}): {', '.join(who)}." for missing, who in _incomplete(rows).items()]
    if any(s.entry.family == "control" for s in rows):
        lines.append(
            "Rows with the badge `control` show what the metrics say of known cases; they are not ranked. On finite "
            "data every seed of control_oracle is the same held-out set, so its interval is not one of sampling."
        )
    if any(s.entry.badge == GIVEN for s in rows):
        lines.append(
            f"Rows with the badge `{GIVEN}` know the law and learn from no data; they are not ranked among learners. "
            "Chains that all start from one point, with steps that fit one mode, do not reach the others: they find a "
            "mode or two of a ring or grid and weigh them wrongly."
        )
    if stale_rows(rows):
        lines.append("`v2, now v3` beside a name: that version of the model was trained; today's has not been yet.")
    lines += [f"{s.entry.label}: {flag}" for s in rows for flag in s.entry.flags]
    return [visible(line) for line in lines]


def _incomplete(rows: Sequence[Standing]) -> dict[str, list[str]]:
    """What rows without a rank lack, and which rows lack just that."""
    found: dict[str, list[str]] = {}
    for s in rows:
        if block_name(s) == "incomplete":
            found.setdefault("; ".join(s.missing), []).append(s.entry.label)
    return found


def readme(built: Built) -> str:
    """The board's page."""
    board = built.board
    parts = [f"# {escape_markdown(board.title)}"]
    if board.description:
        parts.append(escape_markdown(board.description.strip()))
    if board.by_labels and built.standings:
        parts.append(f"![Accuracy over the number of labels]({LABEL_CURVES})")
    for table in built.tables:
        parts.append(f"## {escape_markdown(table.title)}")
        parts.append(to_markdown(table).rstrip())
    parts.append("\n".join(f"- {escape_markdown(line)}" for line in notes(board, built.standings)))
    parts.append(
        f"Generated by `ganbench leaderboard build {board.id}` from `records*.jsonl` and `submissions/`; do not edit. "
        "How to submit: [docs/submit.md](../../docs/submit.md)."
    )
    return "\n\n".join(parts) + "\n"
