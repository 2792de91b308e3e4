"""Known answers of the metrics of word and document vectors: closed forms, blind vectors, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from ganbench.data import Text, WordRatings
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.documents import document_similarity, order_test, topic_probe
from ganbench.metrics.words import analogy, word_similarity


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def rated(n: int, pairs: int = 60) -> tuple[Text, torch.Tensor]:
    vectors = torch.randn(n, 8, generator=rng())
    chosen = torch.randint(n, (pairs, 2), generator=rng())
    ratings = torch.rand(pairs, generator=rng(), dtype=torch.float64)
    return Text(tuple(f"w{i}" for i in range(n)), {"list": WordRatings(chosen, ratings, pairs + 5)}), vectors


def test_word_similarity_is_spearmans_correlation_of_cosines() -> None:
    text, vectors = rated(40)
    pairs, ratings = text.ratings["list"].pairs.numpy(), text.ratings["list"].ratings.numpy()
    v = vectors.double().numpy()
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    cosines = (v[pairs[:, 0]] * v[pairs[:, 1]]).sum(1)
    (score,) = word_similarity(vectors, text, rng=rng())
    assert score.value == pytest.approx(spearmanr(cosines, ratings)[0], abs=1e-12)
    assert score.n == 60
    assert "pairs=60/65@" in score.signature


def test_ratings_that_are_the_cosines_give_one_and_their_negatives_minus_one() -> None:
    text, vectors = rated(40)
    pairs = text.ratings["list"].pairs
    cosines = torch.cosine_similarity(vectors[pairs[:, 0]].double(), vectors[pairs[:, 1]].double())
    for sign in (1, -1):
        told = Text(text.words, {"list": WordRatings(pairs, sign * torch.exp(3 * cosines), 60)})
        (score,) = word_similarity(vectors, told, rng=rng())
        assert score.value == pytest.approx(sign, abs=1e-12)


def test_interval_of_word_similarity_covers_that_of_fishers_formula() -> None:
    text, vectors = rated(400, 300)
    (score,) = word_similarity(vectors, text, rng=rng())
    # independent pairs: Spearman's r has a standard error of about 1 / sqrt(n - 1); a bootstrap of 2000 is within 10 %
    assert score.se == pytest.approx(1 / math.sqrt(299), rel=0.1)
    assert score.interval[0] < 0 < score.interval[1]


def test_another_set_of_pairs_has_another_signature() -> None:
    text, vectors = rated(40)
    r = text.ratings["list"]
    other = Text(text.words, {"list": WordRatings(r.pairs.roll(1, 0), r.ratings, r.listed)})
    assert (
        word_similarity(vectors, text, rng=rng())[0].signature
        != word_similarity(vectors, other, rng=rng())[0].signature
    )


def test_analogies_of_added_features_are_all_solved_and_those_of_random_vectors_are_not() -> None:
    bases, forms = torch.randn(30, 50, generator=rng()), torch.randn(2, 50, generator=rng())
    vectors = (bases[:, None] + forms).flatten(0, 1)  # word 2 b + f
    b = torch.randperm(30, generator=rng())
    questions = torch.stack([2 * b, 2 * b + 1, 2 * b.roll(1), 2 * b.roll(1) + 1], 1)
    text = Text(tuple(map(str, range(60))), analogies={"forms": questions})
    assert analogy(vectors, text).value == 1
    assert analogy(torch.randn(60, 50, generator=rng()), text).value < 0.2  # chance is 1 / 57
    assert analogy(torch.ones(60, 50), text).value == 0  # a tie is no answer
    assert analogy(vectors, text).extra["sections"] == {"forms": [1.0, 30]}


def test_document_similarity_is_pearsons_correlation_over_pairs() -> None:
    v = torch.randn(20, 6, generator=rng())
    judged = torch.rand(20, 20, generator=rng(), dtype=torch.float64)
    judged = (judged + judged.T) / 2
    unit = torch.nn.functional.normalize(v.double(), dim=1)
    i, j = np.triu_indices(20, 1)
    score = document_similarity(v, judged, rng=rng())
    assert score.value == pytest.approx(pearsonr((unit @ unit.T).numpy()[i, j], judged.numpy()[i, j])[0], abs=1e-12)
    assert document_similarity(v, unit @ unit.T, rng=rng()).value == pytest.approx(1, abs=1e-12)
    assert score.interval[0] < score.value < score.interval[1]


def sentences(copies: int = 8) -> torch.Tensor:
    return torch.tensor([[0, 9, 1], [1, 9, 0], [2, 9, 3], [3, 9, 2]]).repeat(copies, 1)


def test_order_is_told_by_vectors_of_it_and_not_by_blind_ones() -> None:
    x = sentences()
    knows = order_test(x.float() + 0.01 * torch.randn(x.shape, generator=rng()), x)
    assert (knows.value, knows.n) == (1, 16)
    assert order_test(x.sort(1).values.float(), x).value == 0.5  # ties share the point: exactly one half
    assert order_test(x.float() * 0 + 1, x).extra["chance"] == 0.5


def test_order_of_random_vectors_is_at_chance() -> None:
    x = sentences(400)
    score = order_test(torch.randn(len(x), 5, generator=rng()), x)
    assert score.interval[0] < 0.5 < score.interval[1]


def test_probe_finds_separate_classes_and_no_others() -> None:
    y = torch.arange(200) % 4
    v = torch.eye(4)[y] + 0.1 * torch.randn(200, 4, generator=rng())
    assert topic_probe(v, y, rng=rng()).value == 1
    noise = topic_probe(torch.randn(200, 4, generator=rng()), y, rng=rng())
    assert 0.15 < noise.value < 0.35  # 0.25 within three standard errors of 0.03
    assert noise.extra["majority"] == 0.25


def test_bad_input_is_refused_by_name() -> None:
    text, vectors = rated(40)
    with pytest.raises(BadInput, match="word_vectors must hold 40 rows"):
        word_similarity(vectors[:30], text, rng=rng())
    with pytest.raises(BadInput, match="word_vectors must be finite; row 3"):
        word_similarity(vectors.index_fill(0, torch.tensor([3]), math.nan), text, rng=rng())
    with pytest.raises(NotApplicable, match="ratings"):
        word_similarity(vectors, Text(text.words), rng=rng())
    with pytest.raises(NotApplicable, match="analogies"):
        analogy(vectors, text)
    with pytest.raises(BadInput, match=r"document_ratings must be \(5, 5\)"):
        document_similarity(vectors[:5], torch.ones(4, 4), rng=rng())
    with pytest.raises(NotApplicable, match="two orders"):
        order_test(vectors, torch.arange(40)[:, None])
    with pytest.raises(BadInput, match="reference must be 40 rows"):
        order_test(vectors, torch.zeros(3, 2, dtype=torch.int64))
    with pytest.raises(NotApplicable, match="two classes"):
        topic_probe(vectors, torch.zeros(40, dtype=torch.int64), rng=rng())
    with pytest.raises(BadInput, match="test_labels"):
        topic_probe(vectors, torch.zeros(3, dtype=torch.int64), rng=rng())
