"""Scores one set of pictures against another through a scorer: all of both sides, with the digits of `evaluate`.

The real side may be a file of statistics (`ganbench.scoring.seen`): many fakes are then scored while it is looked at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench.data import check_domain, check_pixels
from ganbench.datasets.array import read_arrays
from ganbench.datasets.pictures import Framing, read_folder
from ganbench.errors import BadInput, GanbenchError
from ganbench.files import contents_sha256
from ganbench.metrics.door import fresh_torch
from ganbench.metrics.frechet import OF_MOMENTS, frechet_to_moments, usual_name
from ganbench.metrics.score import Score
from ganbench.registry import METRICS
from ganbench.scorers.base import Scorer
from ganbench.scorers.load import load_scorer
from ganbench.scoring import seen
from ganbench.scoring.evaluation import Given, scores_of, to_events
from ganbench.scoring.seen import Seen

USUAL = ("kid", "inception_score", "prdc")  # beside `fid`, or `frechet` where the scorer is no Inception
PIXELS = {"samples", "reference", "holdout"}


@dataclass
class Pictures:
    """A folder of pictures, or a file with an array of them; read when first needed."""

    path: Path
    framing: Framing | None
    say: Callable[[int, int, str], None]  # how many of how many, and what was done with them
    _pixels: Tensor | None = None

    @property
    def name(self) -> str:
        return self.path.name

    def pixels(self) -> Tensor:
        """(N, C, H, W) uint8, or floats of an array. Raises `BadInput`."""
        if self._pixels is None:
            if self.path.is_dir():
                told = lambda done, of: self.say(done, of, f"pictures of {self.name} read")  # noqa: E731
                self._pixels = torch.from_numpy(read_folder(self.path, self.framing, told))
            elif not self.path.is_file():
                raise BadInput(f"no folder or file {self.name!r}; check the path")
            elif self.framing:
                raise BadInput(f"--resize and --crop are for folders of pictures; {self.name} is a file")
            else:
                self._pixels = torch.as_tensor(read_arrays(self.path)["x"])
        return self._pixels

    @property
    def framed(self) -> str:
        """How pictures are framed, in words; "" for as they are."""
        return f"resize={self.framing.resize} crop={self.framing.crop}" if self.framing else ""

    def identity(self) -> str:
        """A hash of the files, and how they are framed."""
        return f"{contents_sha256(self.path)[:16]} {self.framed}"

    def look(self, scorer: Scorer, n: int | None = None, keep: bool = False) -> Seen:
        """What the scorer sees in the first n; the pixels are dropped unless they are to be kept."""
        x = self.pixels()[:n]
        if x.dtype == torch.uint8:
            check_pixels(int(x.max()), self.name)
        elif scorer.domain is not None:
            check_domain(float(x.min()), float(x.max()), scorer.domain, self.name)
        told = lambda done, of: self.say(done, of, f"pictures of {self.name} seen by {scorer.signature}")  # noqa: E731
        found = seen.look(x, scorer, self.identity(), told)
        if not keep:
            self._pixels = None
        return found


@dataclass(frozen=True)
class Scored:
    """The scores, and metrics that do not apply with the reason."""

    n: int
    m: int | None  # pictures of the real side; unknown where only moments are
    scores: list[Score]
    missing: list[dict[str, str]]


def score_sets(
    fake: Pictures,
    real: Pictures | None,
    scorer: str | Scorer,
    names: Sequence[str] = (),
    *,
    stats: Path | None = None,
    holdout: Pictures | None = None,
    seed: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    announced: Callable[[Iterable[str]], Iterable[str]] = iter,
    scorer_weights: str | None = None,
) -> Scored:
    """Scores of all pictures of `fake` against all of `real`; `names` are metrics, the usual ones for none.

    `options` are as in `ganbench.evaluate`.
    `stats` is read where it is there, and must be of the same pictures and scorer; else it is written. `holdout` is
    more real pictures: with at least as many as in `fake` each score has a floor, at the same n. Raises `BadInput`.
    """
    with fresh_torch():
        look = load_scorer(scorer, scorer_weights) if isinstance(scorer, str) else scorer
        return _scored(fake, real, look, names, stats, holdout, seed, options, announced)


def _scored(
    fake: Pictures,
    real: Pictures | None,
    scorer: Scorer,
    names: Sequence[str],
    stats: Path | None,
    holdout: Pictures | None,
    seed: int,
    options: Mapping[str, Mapping[str, Any]] | None,
    announced: Callable[[Iterable[str]], Iterable[str]],
) -> Scored:
    names = names or (usual_name(scorer.signature), *USUAL)
    needs = {name: set(METRICS.get(name).needs) for name in names}
    keep = any(n & PIXELS for n in needs.values())
    known = _of_file(stats, real, scorer, fake.framed)
    for side in (None if known else real, holdout):
        _same_shape(side, fake)
    n = len(fake.pixels())
    theirs = fake.look(scorer, keep=keep)
    own = known or _of_real(real, scorer, stats, keep)
    given: dict[str, Any] = {
        "features": theirs.features, "probs": theirs.probs,
        "reference_features": own.features, "reference_probs": own.probs,
    }  # fmt: skip
    if keep:
        sets = {"samples": fake, "reference": real, "holdout": holdout}
        given |= {key: side and to_events(side.pixels(), key, None) for key, side in sets.items()}
    held = _held_out(given, scorer, seed, holdout, n)
    scores: list[Score] = []
    missing: list[dict[str, str]] = []
    for name in announced(names):
        try:
            if own.mean is not None and own.covariance is not None and name in OF_MOMENTS:
                assert theirs.features is not None
                scores.append(frechet_to_moments(name, theirs.features, own.mean, own.covariance, scorer.signature))
            else:
                chosen = {name: options[name]} if options and name in options else None
                scores += scores_of([name], Given(given, scorer, seed, held), chosen)
        except GanbenchError as error:
            missing.append({"name": name, "reason": str(error)})
    return Scored(n, own.n, scores, missing)


def _of_file(stats: Path | None, real: Pictures | None, scorer: Scorer, framed: str) -> Seen | None:
    """The real side as the statistics file has it, None where there is none. Raises `BadInput`."""
    if stats is None or not stats.exists():
        if stats is not None and not stats.absolute().parent.is_dir():
            raise BadInput(f"--stats {stats.name} needs a folder that exists; make {stats.parent.name!r} first")
        return None
    found = seen.read(stats)
    if found.scorer and found.scorer != scorer.signature:
        raise BadInput(f"{stats.name} holds what {found.scorer} saw; this scorer is {scorer.signature}")
    how = found.pictures.partition(" ")[2]
    if found.pictures and how != framed:
        raise BadInput(f"{stats.name} was framed otherwise: {how or 'not at all'} there, {framed or 'not at all'} here")
    if found.pictures and real is not None and found.pictures != real.identity():
        raise BadInput(f"{stats.name} was made of other pictures than {real.name}; remove it, or name theirs")
    return found


def _of_real(real: Pictures | None, scorer: Scorer, stats: Path | None, keep: bool) -> Seen:
    """The real side looked at, and kept in the statistics file that was asked for. Raises `BadInput`."""
    if real is None:
        found_none = f"no statistics in {stats.name}; n" if stats else "n"
        raise BadInput(f"{found_none}ame the real pictures with --reference")
    found = real.look(scorer, keep=keep)
    if stats is not None:
        seen.write(found, stats)
    return found


def _held_out(given: dict[str, Any], scorer: Scorer, seed: int, holdout: Pictures | None, n: int) -> Given | None:
    """Inputs with held-out pictures in place of the fake ones; None where there are not as many."""
    if holdout is None or len(holdout.pixels()) < n:
        return None
    found = holdout.look(scorer, n, keep="samples" in given)
    samples = given["holdout"][:n] if "samples" in given else None
    return Given(given | {"features": found.features, "probs": found.probs, "samples": samples}, scorer, seed)


def _same_shape(side: Pictures | None, fake: Pictures) -> None:
    shapes = [tuple(s.pixels().shape[1:]) for s in (fake, side) if s is not None]
    if side is not None and shapes[0] != shapes[1]:
        raise BadInput(
            f"both sides must hold pictures of one size; got {shapes[0]} in {fake.name} and {shapes[1]} in {side.name};"
            " --resize N brings both to N x N"
        )
