"""The speed gate: two revisions on one machine, interleaved, and a verdict only where the machine held still.

Each round times A B C C B A, C being A's tree again in a process of its own: what B and C lose or gain against A is the
paired log ratio of the round, in which drift cancels. A case fails when the one-sided 95 % t bound of its mean lies
above +3 % in an invocation and in two more with fresh processes: where a process's memory happens to lie can cost it
more than that, and stays with it for life. Rounds are added from 7 to 15 until the bound is narrower than 3 %;
a control (A against A, or work that stands in neither tree) that moves by more than 3 % makes the verdict `noisy`,
unless the effect is far beyond what the control moved. What is noisy is looked at again, with fresh processes too.
Processor time decides on a CPU, for other programs cannot add to it; wall time beside it sees what waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ganbench.bench.ab import Pair, Round, clocks, kernel_name
from ganbench.gates import revisions
from ganbench.gates.statistics import Bound, t_bound
from ganbench.gates.verdict import Verdict

LIMIT = math.log(1.03)
FEWEST, MOST = 7, 15  # rounds
LOOKS = 3  # invocations that must agree
MOST_LOOKS = 5  # with those that could not tell
BEYOND = 2.0  # an effect so many times what the control moved is no noise

Call = Literal["ok", "slower", "noisy"]


@dataclass(frozen=True)
class Trial:
    """Log ratios of one case over the rounds of one invocation, on one clock."""

    change: tuple[float, ...]  # log(B / A)
    control: tuple[float, ...]  # log(C / A): the truth is 0

    def settled(self) -> bool:
        """Enough rounds: the bound is narrow, or the effect is beyond any doubt."""
        bound = t_bound(self.change)
        return bound.n >= FEWEST and (bound.half < LIMIT or bound.low > 2 * LIMIT)


def judge(trial: Trial, machine: Sequence[float] = ()) -> Call:
    """What one invocation says; `machine` holds the log ratios of the work that stands in neither tree."""
    bound = t_bound(trial.change)
    moved = max(abs(t_bound(v).mean) for v in (trial.control, machine) if len(v))
    if bound.low > LIMIT:
        return "slower" if moved <= LIMIT or bound.low > BEYOND * moved else "noisy"
    return "ok" if bound.half < LIMIT and moved <= LIMIT else "noisy"


def collect(play: Callable[[], Round | None], clock: str) -> list[Round]:
    """Rounds of one case until its trial is settled on this clock, at most `MOST`; stops where a round is None."""
    rounds: list[Round] = []
    while len(rounds) < MOST and not (len(rounds) >= FEWEST and _trial(rounds, clock).settled()):
        played = play()
        if played is None:
            break
        rounds.append(played)
    return rounds


def compare(
    commit_a: str,
    commit_b: str | None,
    names: Sequence[str] = (),
    *,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> list[Verdict]:
    """A verdict per case for commit B against commit A; None for B is the source tree as it stands."""  # fmt: skip
    wanted = [commit_a] if commit_b is None else [commit_a, commit_b]
    with revisions.trees(*wanted) as paths:
        a, b = paths[0], paths[1] if commit_b is not None else revisions.ROOT
        last = _invocation(Pair(a, b, device), names, say)
        calls: dict[str, list[Call]] = {n: [call] for n, (call, _, _) in last.items()}
        while suspects := [n for n, said in calls.items() if undecided(said)]:
            for n, found in _invocation(Pair(a, b, device), suspects, say).items():
                if n in suspects:
                    calls[n].append(found[0])
                    last[n] = found
    return [_verdict(n, *last[n][1:], calls[n]) for n in last]


def undecided(said: Sequence[Call]) -> bool:
    """Whether a case needs another invocation: it was slower fewer than `LOOKS` times, or the last could not tell."""
    return said[-1] != "ok" and said.count("slower") < LOOKS and len(said) < MOST_LOOKS


def outcome(said: Sequence[Call]) -> Call:
    """What the invocations of a case say together."""
    if said[-1] == "ok":
        return "ok"
    return "slower" if said.count("slower") >= LOOKS else "noisy"


def check(baseline: str, *, device: str = "cpu", say: Callable[[str], None] = print) -> list[Verdict]:
    """The source tree as it stands against a baseline revision."""
    return compare(revisions.resolve(baseline), None, device=device, say=say)


def _invocation(
    pair: Pair, names: Sequence[str], say: Callable[[str], None]
) -> dict[str, tuple[Call, Mapping[str, Trial], str]]:
    """Per case: what it says, its trials by clock, and why it could not be run where it could not."""
    with pair:
        shared = pair.start(names)
        say(f"timing {len(shared)} cases, {FEWEST} to {MOST} rounds each")
        found: dict[str, tuple[Call, Mapping[str, Trial], str]] = {}
        machine: dict[str, tuple[float, ...]] = {}
        for name in sorted(shared, key=lambda n: n != kernel_name()):
            decides, *others = clocks(pair.device)
            rounds = collect(lambda name=name: pair.round(name), decides)  # type: ignore[misc]
            if pair.errors.get(name):
                found[name] = ("ok", {}, pair.errors[name])
                continue
            trials = {c: _trial(rounds, c) for c in (decides, *others)}
            if name == kernel_name():
                machine = {c: t.change for c, t in trials.items()}
            call = judge(trials[decides], machine.get(decides, ()))
            if call != "slower" and any(judge(trials[c], machine.get(c, ())) == "slower" for c in others):
                call = "slower"
            found[name] = (call, trials, "")
    return found


def _trial(rounds: Sequence[Round], clock: str) -> Trial:
    return Trial(tuple(r.change[clock] for r in rounds), tuple(r.control[clock] for r in rounds))


def _verdict(name: str, trials: Mapping[str, Trial], error: str, calls: Sequence[Call]) -> Verdict:
    if error:
        return Verdict("speed", name, "note", error)
    bounds = {clock: t_bound(t.change) for clock, t in trials.items()}
    decides = next(iter(bounds))
    numbers = {"worse_by": math.expm1(bounds[decides].mean), "detectable": math.expm1(LIMIT + 2 * bounds[decides].half)}
    for clock, bound in bounds.items():
        numbers |= {f"{clock}_change": math.expm1(bound.mean), f"{clock}_at_least": math.expm1(bound.low)}
        numbers |= {f"{clock}_control": math.expm1(t_bound(trials[clock].control).mean), "rounds": float(bound.n)}
    if name == kernel_name():
        moved = abs(bounds[decides].mean) > LIMIT
        reason = f"work that stands in neither tree moved by {math.expm1(bounds[decides].mean):+.1%}" if moved else ""
        return Verdict("speed", name, "noisy" if moved else "ok", reason, numbers)
    said, seen = outcome(calls), calls.count("slower")
    if said == "slower":
        worst = max(bounds, key=lambda c: bounds[c].low)
        return Verdict("speed", name, "regression", f"{_text(bounds[worst], worst)}, in {seen} invocations", numbers)
    if seen:
        reason = f"slower in {seen} of {len(calls)} invocations, {calls[-1]} in the last"
        return Verdict("speed", name, said, reason, numbers)
    if said == "noisy":
        control = math.expm1(t_bound(trials[decides].control).mean)
        half = math.expm1(bounds[decides].half)
        reason = (
            f"known to +-{half:.1%} after {bounds[decides].n} rounds, A against itself {control:+.1%}, "
            f"in the last of {len(calls)} invocations: machine in use?"
        )
        return Verdict("speed", name, "noisy", reason, numbers)
    return Verdict("speed", name, "ok", numbers=numbers)


def _text(bound: Bound, clock: str) -> str:
    what = {"cpu": "processor time", "wall": "wall time"}[clock]
    return f"{what} {math.expm1(bound.mean):+.1%}, at least {math.expm1(bound.low):+.1%}"
