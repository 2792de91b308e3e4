"""Looks at the facts of one model, each in a worker process: one that hangs or dies costs its fact, and no other.

Nothing heavy is imported at the top: the process that asks need not import torch, nor the model.
"""

from __future__ import annotations

import functools
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.jobs.executors.local import answer
from ganbench.jobs.executors.process import Crew, Worker
from ganbench.registry import MODELS

if TYPE_CHECKING:
    from ganbench.gates.contract.events import Case
    from ganbench.gates.contract.facts import Fact

START = 120.0  # seconds in which the file must have been imported


@dataclass(frozen=True)
class Verdict:
    """What became of one fact on one kind of data."""

    fact: str
    dataset: str  # a kind of tiny data: vector, image8 and so on
    status: Literal["passed", "failed", "not applicable"]
    must: str = ""  # what must hold
    got: str = ""  # what was received, or why the fact says nothing
    cure: str = ""  # what to try
    seconds: float = 0.0


def check(ref: str, kinds: Sequence[str] = (), limit: float = 120.0) -> Iterator[Verdict]:
    """A verdict for each fact about a registered model or path/to/file.py:Class, as they come.

    `kinds` of data are those that the model registered for, where none are named; a fact that takes more than `limit`
    seconds has failed. Raises `UnknownName`, or `BadInput` for code that does not import or a kind that it cannot take.
    """
    entry = MODELS.get(ref)
    ref = f"{entry.source.resolve()}:{entry.attribute}" if entry.module.endswith(".py") else ref
    with Crew(jobs=False) as crew:
        worker, plan = _start(crew, ref, kinds)
        for kind, fact in plan:
            start = time.perf_counter()
            verdict, alive = _ask(crew, worker, ref, kind, fact, limit)
            yield Verdict(**verdict, seconds=round(time.perf_counter() - start, 3))
            if not alive:
                worker.end()
                worker, _ = _start(crew, ref, kinds)


def _start(crew: Crew, ref: str, kinds: Sequence[str]) -> tuple[Worker, list[tuple[str, str]]]:
    """A worker that has imported the model, and the facts to look at on each kind of data. Raises `BadInput`."""
    worker = crew.start()
    found = answer(crew, worker, outline, ref, tuple(kinds), timeout=START)
    if "error" in found:
        raise BadInput(found["error"])
    return worker, found["plan"]


def _ask(crew: Crew, worker: Worker, ref: str, kind: str, fact: str, limit: float) -> tuple[dict[str, Any], bool]:
    """The verdict on one fact, and whether the worker lives on."""
    try:
        found: dict[str, Any] = answer(crew, worker, judge, ref, kind, fact, timeout=limit)
        return found, True
    except GanbenchError as error:
        cure = "end no process, and let every loop end"
        lost = Verdict(fact.replace("_", " "), kind, "failed", "a model must come back to its caller", str(error), cure)
        found = asdict(lost)
        del found["seconds"]
        return found, False


def outline(ref: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    """In the worker: {"plan": [[kind, fact], ...]}, or {"error": message} for a model or kinds that cannot be used."""
    from ganbench.errors import UnknownName
    from ganbench.gates.contract.events import SLOW, SPECS, takes
    from ganbench.gates.contract.facts import plan
    from ganbench.model.make import model_class

    try:
        model_class(ref)
        entry = MODELS.get(ref)
        for kind in kinds:
            if kind not in SPECS:
                raise UnknownName("kind of data", kind, SPECS)
            if not takes(entry, kind):
                events = ", ".join(entry.events)
                raise BadInput(f"{entry.name} registered for events {events}; got {kind}: leave it out")
        chosen = kinds or tuple(k for k in SPECS if takes(entry, k) and k not in SLOW)
        if not chosen:
            raise BadInput(f"{entry.name} takes none of the kinds of tiny data: {', '.join(SPECS)}")
        first = sorted(chosen, key=lambda kind: _refuses(ref, kind))  # facts looked at once are so on what it takes
        return {"plan": [[kind, fact.__name__] for kind, fact in plan(first)]}
    except GanbenchError as error:
        return {"error": str(error)}


def _refuses(ref: str, kind: str) -> bool:
    """Whether the model says that it does not take this kind of data; any other trouble is for the facts to tell."""
    try:
        _case(ref, kind).build()
    except NotApplicable:
        return True
    except Exception:
        return False
    return False


def judge(ref: str, kind: str, name: str) -> dict[str, Any]:
    """In the worker: the verdict on one fact, without its seconds."""
    from ganbench.gates.contract.facts import BY_NAME

    found = asdict(verdict(_case(ref, kind), BY_NAME[name]))
    del found["seconds"]
    return found


def verdict(case: Case, fact: Fact) -> Verdict:
    """Look at one fact here and now; whatever the model raises is what was received."""
    from ganbench.gates.contract.facts import Broken

    name, rule = fact.__name__.replace("_", " "), (fact.__doc__ or "").strip().split("\n", 1)[0]
    try:
        fact(case)
    except NotApplicable as reason:
        return Verdict(name, case.kind, "not applicable", got=str(reason))
    except Broken as broken:
        return Verdict(name, case.kind, "failed", broken.rule, broken.got, broken.cure)
    except Exception as error:
        return Verdict(name, case.kind, "failed", rule.rstrip("."), _in_words(error), _where(error, case.entry.source))
    return Verdict(name, case.kind, "passed")


@functools.lru_cache(maxsize=2)
def _case(ref: str, kind: str) -> Case:
    from ganbench.gates.contract.events import Case

    return Case(MODELS.get(ref), kind)


def _in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:400].removesuffix(": ")


def _where(error: Exception, source: Path) -> str:
    """The last line of the model's own file on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == source.resolve()]
    return f"look at line {lines[-1]} of {source.name}" if lines else f"look at what {source.name} hands over"
