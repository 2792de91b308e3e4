"""What a stored record says otherwise than the one computed now, field by field.

No tolerance comes from what is stored: a number agrees when it lies within `AGAIN` of the one computed now. Only what
no second run can repeat is left out: seconds, dates, and what names the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ganbench.jobs.records import Record

# Relative, of a value or its own standard error: what another processor's rounding moves; a rank it cannot move.
AGAIN = 1e-4
# Not repeatable, so not compared beyond being there and of the same kind: seconds, dates, machine.
UNREPEATABLE = ("timing", "started_at", "ended_at", "env_ref", "git", "determinism")
SECONDS = "seconds"  # of a metric


def differences(stored: Record, now: Record) -> Iterator[str]:
    """Every field of a record that is not what was computed now, in words."""
    old, new = stored.plain(), now.plain()
    yield from _differ(_comparable(old), _comparable(new), "")
    rows, again = old.get("metrics", []), new.get("metrics", [])
    if [m["name"] for m in rows] != [m["name"] for m in again]:
        yield f"metrics: {', '.join(m['name'] for m in rows)} stored, {', '.join(m['name'] for m in again)} computed"
        return
    for row, m in zip(rows, again, strict=True):
        yield from _differ(_comparable(row), _comparable(m), m["name"], AGAIN * abs(m.get("se") or 0.0))


def _comparable(part: Mapping[str, Any]) -> dict[str, Any]:
    """A record without its metrics, or one of them, with outlines of what cannot be repeated."""
    vague = (*UNREPEATABLE, SECONDS)
    return {k: _outline(v) if k in vague else v for k, v in part.items() if k != "metrics"}


def _differ(stored: Any, now: Any, where: str, room: float = 0.0) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(now, dict):
        for key in sorted(stored.keys() | now.keys()):
            inside = f"{where}.{key}" if where else key
            if key not in now or key not in stored:
                yield f"{inside} is {'not computed' if key not in now else 'missing'}"
            else:
                yield from _differ(stored[key], now[key], inside, room)
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        for i, (a, b) in enumerate(zip(stored, now, strict=True)):
            yield from _differ(a, b, f"{where}[{i}]", room)
    elif isinstance(now, float) and type(stored) in (int, float):
        if not abs(stored - now) <= max(room, AGAIN * abs(now)):
            yield f"{where} is {stored:.6g} stored, {now:.6g} computed"
    elif stored != now or type(stored) is not type(now):
        yield f"{where} is {json.dumps(stored)[:80]} stored, {json.dumps(now)[:80]} computed"


def _outline(value: Any) -> Any:
    """What of an unrepeatable value can be compared: names and kinds, and whether there is any."""
    if isinstance(value, dict):
        return {k: _outline(v) for k, v in value.items()}
    return "" if not value and not isinstance(value, int | float) else type(value).__name__.replace("int", "float")
