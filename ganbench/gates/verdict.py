"""What a gate says of one thing it looked at, and the exit code of all of it together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["ok", "note", "regression", "inconclusive", "noisy", "environment"]

CODES: dict[Outcome, int] = {"ok": 0, "note": 0, "regression": 1, "inconclusive": 4, "noisy": 4, "environment": 5}


@dataclass(frozen=True)
class Verdict:
    """One row of the gate's table; `reason` is empty for `ok`."""

    gate: Literal["golden", "fingerprint", "training", "speed"]
    name: str
    outcome: Outcome
    reason: str = ""
    numbers: dict[str, float] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON; numbers that are not finite become None."""
        from ganbench.files import finite

        data: dict[str, Any] = finite(asdict(self))
        return data


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 for a regression; else 5 where the gate could not look; else 4 where it cannot tell; else 0."""
    codes = {CODES[v.outcome] for v in verdicts}
    return next((code for code in (1, 5, 4) if code in codes), 0)
