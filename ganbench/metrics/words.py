"""What vectors of words know: how alike words are to people, and which word completes an analogy.

Shapes      V words, F numbers in a vector, P pairs, Q questions.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from ganbench.data import Text, WordRatings
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.stats import wilson

DRAWS = 2000  # of a bootstrap
BATCH = 1000  # questions answered at once


@metric(
    "word_similarity",
    direction="max",
    degree=0,
    asks=("embed_words",),
    returns=("word_similarity", "word_similarity_2"),
    bounds=(-1, 1),
)
def word_similarity(word_vectors: Tensor, text: Text, *, rng: torch.Generator) -> list[Score]:
    """Spearman's correlation of cosines of `word_vectors` (V, F) with the ratings of word pairs that `text` holds.

    One score for each list of ratings, the main one first; on the Wikipedia excerpt WordSim-353, which rates how
    related words are, and SimLex-999, which rates how alike. Only pairs of known words are rated; the signature says
    how many of how many, and which by a hash. The interval is of a bootstrap over pairs. Vectors of nothing have 0.
    Raises `NotApplicable` without ratings of three pairs, `BadInput` for vectors that do not fit.
    """
    vectors = unit_rows(word_vectors, len(text.words), "word_vectors")
    lists = [(name, r) for name, r in text.ratings.items() if len(r.pairs) > 2]
    if not lists:
        raise NotApplicable("needs ratings of three pairs of known words; this data set has none")
    names = ("word_similarity", "word_similarity_2")
    return [_similarity(score, name, r, vectors, text, rng) for score, (name, r) in zip(names, lists, strict=False)]


def _similarity(score: str, name: str, r: WordRatings, vectors: Tensor, text: Text, rng: torch.Generator) -> Score:
    cosines = (vectors[r.pairs[:, 0]] * vectors[r.pairs[:, 1]]).sum(1)
    n = len(cosines)
    rows = torch.randint(n, (DRAWS, n), generator=rng)
    a, b = (rankdata(x.numpy()[np.vstack([np.arange(n), rows.numpy()])], axis=1) for x in (cosines, r.ratings))
    value, *drawn = _correlation(a, b).tolist()
    spread = [v for v in drawn if math.isfinite(v)]
    which = hashlib.sha256(" ".join(text.words[i] for i in r.pairs.flatten().tolist()).encode()).hexdigest()[:6]
    parts = ("spearman", "cosine", name, f"pairs={n}/{r.listed}@{which}", f"bootstrap={DRAWS}")
    return Score(score, value, n, signature("word_similarity", *parts), "max", *_spread(spread))


def _spread(drawn: list[float]) -> tuple[float | None, tuple[float, float] | None]:
    """Standard error and 95 % interval of a bootstrap."""
    if len(drawn) < DRAWS // 2:
        return None, None
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return float(np.std(drawn)), (low, high)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each row of (R, P) with that of the other; 0 where one of them is constant."""
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    found: np.ndarray = np.divide((a * b).sum(1), scale, out=np.zeros(len(a)), where=scale > 0)
    return found


@metric("analogy", direction="max", degree=0, asks=("embed_words",), bounds=(0, 1))
def analogy(word_vectors: Tensor, text: Text) -> Score:
    """Share of questions "a is to b as c is to ...?" whose answer is nearest to b - a + c among all other words.

    Vectors (V, F) are brought to length 1 (3CosAdd, Mikolov, Yih & Zweig 2013); a, b and c are no answers, and a tie is
    no right answer. `extra` has the share and number of each section. Vectors of nothing have 1 / V. The interval takes
    questions as independent; those of one word are not. Raises `NotApplicable` without questions.
    """
    vectors = unit_rows(word_vectors, len(text.words), "word_vectors")
    if not text.analogies:
        raise NotApplicable("needs analogies of known words; this data set has none")
    right = {name: torch.cat([_solved(vectors, q) for q in rows.split(BATCH)]) for name, rows in text.analogies.items()}
    every = torch.cat(list(right.values()))
    n, k = len(every), int(every.sum())
    shares = {name: [round(float(r.double().mean()), 6), len(r)] for name, r in right.items()}
    parts = (
        "3cosadd",
        f"V={len(vectors)}",
        f"n={n}",
        "sections=" + hashlib.sha256(str(shares.keys()).encode()).hexdigest()[:6],
    )
    se = math.sqrt(k / n * (1 - k / n) / n)
    return Score("analogy", k / n, n, signature("analogy", *parts), "max", se, wilson(k, n), extra={"sections": shares})


def _solved(vectors: Tensor, questions: Tensor) -> Tensor:
    """Which questions (Q, 4) are answered: -> (Q,) bool."""
    a, b, c, answer = questions.T
    near = (vectors[b] - vectors[a] + vectors[c]) @ vectors.T  # (Q, V)
    near.scatter_(1, questions[:, :3], -math.inf)
    truth = near.gather(1, answer[:, None])
    return (near >= truth).sum(1) == 1


def unit_rows(x: Tensor, n: int | None, name: str) -> Tensor:
    """Vectors (n, F) brought to length 1, in float64; zeros stay. Raises `BadInput`."""
    rows = check_events(x, name)
    if n is not None and len(rows) != n:
        raise BadInput(f"{name} must hold {n} rows, one for each; got {len(rows)}")
    rows = rows.double()
    unit: Tensor = rows / rows.norm(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
    return unit
