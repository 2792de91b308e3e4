"""`leaderboard verify`: records computed again from samples, weights, code or data, and compared field by field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganbench.boards import build
from ganbench.boards.board import Board, load_board
from ganbench.boards.differences import SECONDS, differences
from ganbench.boards.own import as_files, own_records
from ganbench.boards.submission import RESULTS, find_submissions, read_submission
from ganbench.boards.submit import check, check_tree
from ganbench.errors import BadInput, GanbenchError, MissingResource
from ganbench.jobs.reading import read_records, record_files
from ganbench.jobs.records import Record

if TYPE_CHECKING:
    from ganbench.scoring.inputs import Workplace

OWN = (
    *("schema", "job_id", "attempt", "status", "reason", "spec", "metrics", "iterations", "examples", "n_parameters"),
    *("data_sha256", "timing", "started_at", "ended_at", "env_ref", "git"),
)
OWN_METRIC = ("name", "value", "n", "signature", "direction", "se", "interval", "floor", "floor_n", SECONDS)


@dataclass(frozen=True)
class Finding:
    """One thing that `verify` looked at."""

    what: str
    passed: bool
    reason: str = ""


def verify(board_folder: Path, *, rescore: bool = True, retrain: bool = False, **options: Any) -> list[Finding]:
    """Check a whole board from its files: definition, records, pages, and every submission scored again.

    `retrain` also trains the board's own models again where their code is still what the records stand on.
    """
    findings: list[Finding] = []

    def look(what: str, function: Callable[[], Any]) -> Any:
        try:
            value = function()
        except GanbenchError as error:
            findings.append(Finding(what, False, str(error)))
            return None
        findings.append(Finding(what, True, value if isinstance(value, str) else ""))
        return value

    board = look("board.toml", lambda: load_board(board_folder))
    if board is None:
        return findings
    own = look("records", lambda: checked_records(board_folder))
    if own and rescore:
        again = {key: options.get(key) for key in ("place", "data_dir")}
        look("own scores", lambda: check_own(own, board, retrain=retrain, **again))
    look("tables", lambda: build.build(board_folder))
    look("generated files", lambda: _refuse_stale(board_folder))
    refused = find_submissions(board_folder, board, own or ()).left_out
    for path in sorted((board_folder / "submissions").glob("*")):
        if not path.name.startswith("."):
            why = refused.get(path.name)
            look(f"submissions/{path.name}", lambda p=path, w=why: _recheck(p, board_folder, rescore, w, options))  # type: ignore[misc]
    return findings


def _refuse_stale(board_folder: Path) -> None:
    names = build.stale(board_folder)
    if names:
        raise BadInput(f"{', '.join(names)} differ from what the records give; run `ganbench leaderboard build`")


def _recheck(path: Path, board_folder: Path, rescore: bool, left_out: str | None, options: dict[str, Any]) -> str:
    """A submission on a board: its files pass every check, and its stored records are those that they give now.

    Returns what was left out, for a reader to know.
    """
    if left_out is not None:
        raise BadInput(left_out)
    submission = read_submission(path)
    check_tree(path, submission)
    if not rescore:
        return "not scored again"
    stored = read_records(path / RESULTS) if (path / RESULTS).is_file() else []
    now = check(path, board_folder, **options).measurement.records
    if submission.tier == "code" and not now:
        return "its stored scores were not checked, for its code runs only with --run-code" if stored else ""
    if stored:
        compare_records(stored, now, RESULTS)
    return ""


def compare_records(stored: Sequence[Record], now: Sequence[Record], name: str) -> None:
    """Raises `BadInput` for the first field in which stored records are not those computed now, in their order."""
    if len(stored) != len(now):
        raise BadInput(f"{name} holds {len(stored)} records; the files give {len(now)}")
    for number, (old, new) in enumerate(zip(stored, now, strict=True), 1):
        found = next(differences(old, new), None)
        if found:
            raise BadInput(f"{name} line {number}, {new.spec.label}: {found}: the record was edited, or made otherwise")


def checked_records(board_folder: Path) -> list[Record]:
    """A board's own records, from files as `leaderboard build` writes them. Raises `BadInput`."""
    files, records = record_files(board_folder), own_records(board_folder)
    if records and {p.name: p.read_text(encoding="utf-8") for p in files} != as_files(records):
        names = " and ".join(p.name for p in files)
        raise BadInput(f"{names} must hold one record a seed, in order, as `leaderboard build --from` writes it")
    for record in records:
        where, plain = f"{record.spec.label} of the board's own", record.plain()
        odd = sorted((set(plain) ^ set(OWN)) - {"config"})  # older records do not say it
        odd += sorted(k for m in plain.get("metrics", ()) for k in set(m) ^ set(OWN_METRIC))
        if odd:
            raise BadInput(f"{where}: unknown or missing field {odd[0]!r}")
        ok = record.status == "ok"
        if ok != (record.reason is None) or (ok and not record.metrics):
            raise BadInput(f"{where}: status, reason and metrics contradict each other")
    return records


def check_own(
    records: Sequence[Record],
    board: Board,
    *,
    retrain: bool,
    place: Workplace | None = None,
    data_dir: str | None = None,
) -> str:
    """What the data alone says of a board's own records, and the rest where they are trained again.

    Data hash, sizes of networks, what is scored and the real-versus-real floors are computed again; values and errors
    need the training. Returns in words what was not computed again. Raises `BadInput` for the first difference.
    """
    from ganbench.boards.again import check_against_data, train_again
    from ganbench.scoring.inputs import Workplace

    place = place or Workplace()
    notes = []
    try:
        notes.append(check_against_data(records, board, place, data_dir))
    except MissingResource as error:
        return f"not computed again: {error}"
    notes.append(train_again(records, place, data_dir) if retrain else "values need --retrain")
    return "; ".join(n for n in notes if n)
