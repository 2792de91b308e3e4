"""What a submission says of itself: the schema of submission.toml, and the accepted submissions of a board.

A submission is one folder, `submissions/<team>__<name>/`, so that two pull requests never touch the same file. Names
are plain letters, digits and ` ._+-`: they become folder names and table cells, and nothing else is let through.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ganbench.boards.board import Board, Name, Slug
from ganbench.boards.standings import Entry, Submitted, sort_out
from ganbench.errors import BadInput, first_problem
from ganbench.jobs.reading import read_records
from ganbench.jobs.records import Record
from ganbench.report.table import visible

Tier = Literal["samples", "weights", "code", "claim"]
BADGES: dict[str, str] = {"samples": "re-scored", "weights": "re-sampled", "code": "retrained", "claim": "claimed"}
MAX_TOML = 1 << 18  # bytes
MAX_SEEDS = 50  # of each data set
RESULTS = "results.jsonl"


def _inside(path: str) -> str:
    """A path that stays in the submission's folder whatever system reads it."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or path != str(pure):
        raise ValueError("must be a plain relative path inside the submission's folder, with / between its parts")
    return path


Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}$")]
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\p{C}\p{Zl}\p{Zp}<>]*$")]
RelativePath = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._/ +-]+$"), AfterValidator(_inside)
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Seed = Annotated[int, Field(ge=0, lt=1 << 31)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileOf(_Strict):
    """The samples or weights of one training seed on one data set."""

    dataset: Name
    seed: Seed
    path: RelativePath  # .npz, .npy, .safetensors, or a folder of PNG
    sha256: Sha256 | None = None  # `submit pack` fills it in


class Claim(_Strict):
    """A value the submitter reports: the mean over their seeds."""

    dataset: Name
    metric: Name
    value: float


class ModelOf(_Strict):
    """The model behind weights (a registered name) or code (an entry point's name, or file.py:Class)."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./-]{1,120}(:[A-Za-z_][A-Za-z0-9_]{0,60})?$")]
    config: dict[Name, Any] = {}
    seeds: Annotated[int, Field(ge=1, le=MAX_SEEDS)] | None = None  # tier code; None: the board's minimum


class Submission(_Strict):
    """A parsed submission.toml."""

    board: Slug
    protocol: Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+$")]
    tier: Tier
    team: Label
    name: Label
    license: Line
    paper: Line = ""
    url: Annotated[str, StringConstraints(max_length=200, pattern=r"^(https://[A-Za-z0-9._~/%#?=&+-]+)?$")] = ""
    samples: Annotated[tuple[FileOf, ...], Field(max_length=1000)] = ()
    weights: Annotated[tuple[FileOf, ...], Field(max_length=1000)] = ()
    model: ModelOf | None = None
    claimed: Annotated[tuple[Claim, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Submission:
        wanted = {
            "samples": ({"samples"}, {"weights", "model"}),
            "weights": ({"weights", "model"}, {"samples"}),
            "code": ({"model"}, {"samples", "weights"}),
            "claim": ({"claimed"}, {"samples", "weights", "model"}),
        }
        must, never = wanted[self.tier]
        for key in sorted(must):
            if not getattr(self, key):
                raise ValueError(f"tier {self.tier!r} needs {key}")
        for key in sorted(never):
            if getattr(self, key):
                raise ValueError(f"tier {self.tier!r} takes no {key}")
        for what, keys in (
            ("file for data set and seed", [(f.dataset, f.seed) for f in self.files]),
            ("path", [f.path for f in self.files]),
            ("claim", [(c.dataset, c.metric) for c in self.claimed]),
        ):
            if len(set(keys)) < len(keys):
                raise ValueError(f"each {what} must appear once")
        if self.files and max(Counter(f.dataset for f in self.files).values()) > MAX_SEEDS:
            raise ValueError(f"at most {MAX_SEEDS} seeds for each data set")
        return self

    @property
    def files(self) -> tuple[FileOf, ...]:
        """Samples or weights, whichever the tier has."""
        return self.samples or self.weights

    @property
    def id(self) -> str:
        """The folder's name: team__name in lower case."""
        return f"{slug(self.team)}__{slug(self.name)}"

    @property
    def label(self) -> str:
        """What the board prints."""
        return f"{self.name} ({self.team})"

    def entry(self, *, scored: bool, flags: Iterable[str] = ()) -> Entry:
        """The board's row: claimed until it has been scored."""
        claims = {(c.dataset, c.metric): c.value for c in self.claimed}
        badge = BADGES[self.tier] if scored else "claimed"
        return Entry(f"submission:{self.id}", self.label, "submission", badge, tuple(flags), claims)


def slug(text: str) -> str:
    """Lower-case letters and digits with single dashes; never empty for a valid label."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def parse_submission(text: str) -> Submission:
    """A submission from the text of its file. Raises `BadInput` naming the field, the rule and the value."""
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise BadInput(f"submission.toml is not TOML: {error}") from None
    head = values.pop("submission", {})
    try:
        return Submission.model_validate({**head, **values} if isinstance(head, dict) else values)
    except (ValidationError, TypeError) as error:
        raise BadInput(f"submission.toml: {first_problem(error)}") from None


def read_submission(folder: Path) -> Submission:
    """The submission in `folder`. Raises `BadInput`."""
    path = folder / "submission.toml"
    if folder.is_symlink() or path.is_symlink() or not path.is_file():
        raise BadInput(f"a submission is a folder with a plain file submission.toml; {folder.name!r} has none")
    if path.stat().st_size > MAX_TOML:
        raise BadInput(f"submission.toml must be below {MAX_TOML} bytes; got {path.stat().st_size}")
    try:
        return parse_submission(path.read_bytes().decode("utf-8-sig"))  # some editors put a mark first
    except UnicodeDecodeError as error:
        raise BadInput(f"submission.toml must be UTF-8: {error.reason} at byte {error.start}") from None


@dataclass(frozen=True)
class Found:
    """What lies in a board's submissions/: rows with their records, and folders that were left out with the reason."""

    submitted: list[Submitted]
    left_out: dict[str, str]


def find_submissions(folder: Path, board: Board, records: Sequence[Record] = ()) -> Found:
    """Every submission of a board's folder that can stand beside the board's own `records`.

    One that has not been scored is a claim. A bad one is left out: nobody's submission can stop a board.
    """
    submitted: list[Submitted] = []
    left_out: dict[str, str] = {}
    for path in sorted((folder / "submissions").glob("*")):
        if path.name.startswith("."):
            continue
        try:
            submitted.append(_submitted(path, board))
        except (BadInput, OSError) as error:
            left_out[path.name] = visible(str(error) if isinstance(error, BadInput) else "it cannot be read")
    kept, refused = sort_out(board, records, submitted)
    return Found(kept, left_out | {key.partition(":")[2]: visible(reason) for key, reason in refused.items()})


def _submitted(path: Path, board: Board) -> Submitted:
    submission = read_submission(path)
    if (submission.board, submission.protocol) != (board.id, board.protocol):
        raise BadInput(
            f"it is for board {submission.board}, protocol {submission.protocol}; this is {board.id}, "
            f"protocol {board.protocol}"
        )
    if path.name != submission.id:
        raise BadInput(f"the folder must be named {submission.id}, after its team and name")
    results = path / RESULTS
    records = read_records(results) if results.exists() or results.is_symlink() else []
    if records and submission.tier == "claim":
        raise BadInput(f"a claim has no scores; remove {RESULTS}")
    foreign = {r.spec.model for r in records} - {submission.id}
    if foreign:
        raise BadInput(f"{RESULTS} holds records of {', '.join(sorted(foreign))}")
    flags = sorted({f for r in records for f in r.flags or ()})
    return submission.entry(scored=bool(records), flags=flags), records
