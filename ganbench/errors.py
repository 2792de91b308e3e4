"""The tree of errors users meet; each says what must hold, what was received and what to try.

GanbenchError                exit code 2 unless a subclass says otherwise
├── UnknownName              no such model, data set, metric, suite, scorer or config key
├── DuplicateName            two registrations under one name
├── BadConfig                a config field or command-line value out of its range
├── BadInput                 samples, records or files that cannot be used (also a ValueError)
├── NotApplicable            a model, data set and metric that do not go together: becomes a `skipped` row
├── ImportFailed             user code that does not import
├── Diverged                 non-finite loss or parameters: becomes a `diverged` row
└── MissingResource (5)      data, weights or a device that must be fetched or provided first
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any


class GanbenchError(Exception):
    """Base of every error ganbench raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2
    document: dict[str, Any] | None = None  # what --json prints in place of the message, where a verb found results


class UnknownName(GanbenchError):
    """A name that is not in a registry; the message offers near matches."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = (
            f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names)}" if names else "none are known"
        )
        super().__init__(f"unknown {kind} {name!r}; {hint}")
        self.kind, self.name, self.near = kind, name, near


class DuplicateName(GanbenchError):
    """Two registrations under one name."""


class BadConfig(GanbenchError):
    """A config field or a command-line value out of its range."""


class BadInput(GanbenchError, ValueError):
    """Samples, records or files that cannot be used; names the argument and the cure."""


class NotApplicable(GanbenchError):
    """A combination that makes no sense, such as class labels from data that has none; a `skipped` row, not a crash."""


class ImportFailed(GanbenchError):
    """User code that does not import; carries the last line of its traceback."""


class Diverged(GanbenchError):
    """Training met a non-finite loss or parameter."""

    def __init__(self, player: str, iteration: int, what: str) -> None:
        super().__init__(f"{player}: {what} at iteration {iteration}; lower the learning rate or check the loss")
        self.player, self.iteration = player, iteration


class MissingResource(GanbenchError):
    """Data, weights or a device that is not here; says how to get it."""

    exit_code = 5


def first_problem(error: Exception) -> str:
    """The first complaint of pydantic's validation in one line: field, rule, value; of another error its text."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "table"
    given = "" if isinstance(first["input"], dict) else f"; got {first['input']!r:.80}"
    return f"{where}: {first['msg']}{given}"


def without_paths(text: str) -> str:
    """Text with absolute paths cut down to their last part: records must not tell whose machine it was. URLs stay."""
    return re.sub(r"(?<![\w.:])(?<!:/)(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\":,()]+[/\\])+([^\s/\\'\":,()]*)", r"\1", text)


def in_one_line(error: BaseException, limit: int = 400) -> str:
    """An error as one line that any file and any screen takes, its own kinds without their class; never raises."""
    try:
        text = str(error)
    except BaseException:  # its own message is broken
        text = "with a message that cannot be read"
    name = "" if isinstance(error, GanbenchError) else f"{type(error).__name__}: "
    line = without_paths((name + " ".join(text.split()))[:limit].rstrip(": "))
    return "".join(c if c.isprintable() else "\ufffd" for c in line)
