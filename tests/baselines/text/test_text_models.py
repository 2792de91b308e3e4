"""Word and document vectors: where they must end in closed form, what they must know, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ganbench.data import DataSpec, Split
from ganbench.datasets.corpora import encode, vocabulary
from ganbench.datasets.grammar import meetings
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.documents import document_similarity, order_test
from ganbench.metrics.words import analogy, word_similarity
from ganbench.model import Budget, Model
from ganbench.model.make import make
from ganbench.nn.words import WordTable, neighbours, offsets, sum_before, windows

LEARN = ("word2vec_skipgram", "word2vec_cbow", "doc2vec", "avg_w2v")
EMBED = ("bow_tfidf", "avg_w2v", "doc2vec", "random_vectors", "ppmi_svd")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fitted(name: str, x: torch.Tensor, v: int, iterations: int, **config: object) -> Model:
    spec = DataSpec("documents", tuple(x.shape[1:]), n_train=len(x), n_eval=len(x), vocabulary=v)
    model = make(name, spec, config, seed=(name, 0))
    train(model, Split(x), Budget(iterations=iterations), rng())
    return model


def met(x: torch.Tensor, v: int, window: int) -> torch.Tensor:
    """Expected meetings (V, V) in documents without padding, counted pair by pair."""
    out = torch.zeros(v, v, dtype=torch.float64)
    for d in range(1, window + 1):
        a, b = x[:, :-d].flatten(), x[:, d:].flatten()
        weight = torch.full((len(a),), 1 - (d - 1) / window, dtype=torch.float64)
        out.index_put_((a, b), weight, accumulate=True)
        out.index_put_((b, a), weight, accumulate=True)
    return out


def thirty_words() -> torch.Tensor:
    """Documents of 30 words, each followed by one of its neighbours on a circle more often than by others."""
    u = torch.rand(600, 40, generator=rng(), dtype=torch.float64)
    step = torch.where(u < 0.5, (4 * u * 3).long() - 3, (60 * (u - 0.5)).long())  # -3 to 2, or anything
    return step.cumsum(1) % 30


@pytest.mark.parametrize("power", [1.0, 0.75])
def test_skip_gram_ends_at_pmi_less_log_k(power: float) -> None:
    """Levy and Goldberg 2014, equation 12: u . v = log p(w, c) / (p(w) q(c)) - log k where the dimension allows."""
    x, k = thirty_words(), 3
    model = fitted(
        "word2vec_skipgram", x, 30, 1500, dim=32, window=2, negatives=k, sample=0.0, noise_power=power, noise_words=40,
        batch_size=100, lr=0.03,
    )  # fmt: skip
    pairs = met(x, 30, 2)
    noise = torch.bincount(x.flatten()).double().pow(power)
    truth = (pairs / pairs.sum(1, keepdim=True) / (noise / noise.sum())).log() - torch.log(torch.tensor(k))
    found = (model.words.inputs @ model.words.outputs.T).detach().double()
    error = (found - truth)[pairs > 0]
    # A cell of some 600 meetings has a sampling error of .04; the gradient's noise at the end leaves about as much.
    assert float(error.square().mean().sqrt()) < 0.1
    assert float(truth.std()) > 0.4  # what there is to be learnt


@pytest.mark.parametrize("name", ["word2vec_skipgram", "word2vec_cbow"])
def test_grammar_analogies_are_solved(name: str) -> None:
    data = load("grammar")
    model = fitted(name, data.train.x, data.spec.vocabulary, 470)
    assert analogy(model.embed_words(), data.text).value >= 0.9


def test_meetings_of_the_grammar_are_those_of_its_documents() -> None:
    """Counts of pairs against the closed form: their chi-square is that of Poisson cells, or less."""
    data = load("grammar")
    x = data.train.x
    expected = len(x) * meetings(5)
    seen = met(x, data.spec.vocabulary, 5)
    large = expected > 50
    ratio = ((seen - expected)[large].square() / expected[large]).mean()
    assert 0.5 < float(ratio) < 2  # symmetric counts come in twos, weights below 1 pull the other way
    assert float((seen.sum() - expected.sum()).abs()) < 1e-6 * float(seen.sum())
    assert not bool(seen[expected == 0].any())


@pytest.mark.parametrize("name", ["bow_tfidf", "avg_w2v", "random_vectors", "ppmi_svd"])
def test_means_and_counts_do_not_see_the_order_of_words(name: str) -> None:
    data = load("who_likes_whom")
    model = fitted(name, data.train.x, data.spec.vocabulary, 5)
    x = data.test.x
    assert torch.equal(model.embed(x, rng()), model.embed(x.flip(1), rng()))  # to the last bit
    assert order_test(model.embed(x, rng()), x).value == 0.5


def test_doc2vec_sees_the_order_by_the_words_before_and_not_without_them() -> None:
    data = load("who_likes_whom")
    scores = {}
    for mode in ("dm", "dbow"):
        model = fitted("doc2vec", data.train.x, data.spec.vocabulary, 600, mode=mode)
        scores[mode] = order_test(model.embed(data.test.x, rng()), data.test.x)
    assert scores["dm"].value == 1.0
    low, high = scores["dbow"].interval
    assert low < 0.5 < high


def test_tf_idf_is_scikit_learns() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    data = load("themes")
    vectors = fitted("bow_tfidf", data.train.x, data.spec.vocabulary, 1, sublinear=True).embed(data.test.x, rng())
    texts = [[" ".join(str(w) for w in row if w >= 0) for row in x.tolist()] for x in (data.train.x, data.test.x)]
    words = {str(i): i for i in range(data.spec.vocabulary)}
    theirs = TfidfVectorizer(vocabulary=words, sublinear_tf=True, token_pattern=r"\S+").fit(texts[0])
    assert torch.allclose(vectors.double(), torch.from_numpy(theirs.transform(texts[1]).toarray()), atol=1e-6)


@pytest.mark.parametrize("window", [1, 2, 5, 40])
def test_words_before_are_those_of_a_banded_matrix(window: int) -> None:
    lengths = torch.tensor([0, 1, 3, 9, 30])
    place = torch.arange(30)
    there = place < lengths[:, None]
    v = torch.randn(5, 30, 4, generator=rng())
    back = place[:, None] - place
    near = ((back > 0) & (back <= window) & there[:, :, None] & there[:, None, :]).float()  # (B, L, L)
    total, n = sum_before(v, there, window)
    assert torch.allclose(total, near @ v, atol=1e-5)
    assert torch.equal(n, near.sum(2))


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_places_around_are_the_band_of_all_places(radius: int) -> None:
    x = torch.where(torch.arange(12) < torch.tensor([12, 7, 1, 0])[:, None], 3, -1)
    v, u = (torch.randn(4, 12, 5, generator=rng(seed)) for seed in (1, 2))
    near, dense = offsets(x, radius, rng()), windows(x, radius, rng())
    scores = neighbours(v, u, near)
    banded = torch.zeros(4, 12, 12)
    for k, away in enumerate([*range(-radius, 0), *range(1, radius + 1)]):
        for i in range(max(0, -away), min(12, 12 - away)):
            banded[:, i, i + away] = near[:, i, k]
            assert torch.allclose(scores[:, i, k], (v[:, i] * u[:, i + away]).sum(1), atol=1e-6)
    assert torch.equal(banded, dense)
    assert near.sum() == dense.sum()


def test_windows_shrink_evenly_and_stay_inside_documents() -> None:
    x = torch.zeros(4000, 9, dtype=torch.int64)
    x[:, 7:] = -1
    near = windows(x, 3, rng())
    shares = [float(near[:, 3, 3 + d].mean()) for d in (1, 2, 3)]
    assert shares == pytest.approx([1, 2 / 3, 1 / 3], abs=0.03)  # four standard errors of .0075
    assert not near[:, :, 7:].any()
    assert not near[:, 7:].any()
    assert not near.diagonal(dim1=1, dim2=2).any()


def test_frequent_words_are_thinned_as_word2vec_does_and_the_rest_close_up() -> None:
    x = torch.tensor([[0] * 8 + [1] * 2]).repeat(500, 1)
    table = WordTable(2, 3)
    table.learn_counts(x, 0.75, 0.05)
    share = torch.tensor([0.8, 0.2])
    assert torch.allclose(table.keep, (0.05 / share).sqrt() + 0.05 / share)
    assert torch.allclose(table.noise, share.pow(0.75) / share.pow(0.75).sum())
    thin = table.thin(x, rng())
    kept = (thin == 0).sum() / (8 * 500)
    assert float(kept) == pytest.approx(float(table.keep[0]), abs=0.03)  # four standard errors of .0073
    there = thin >= 0
    assert not (there[:, 1:] & ~there[:, :-1]).any()  # padding stands last


@pytest.mark.parametrize("name", LEARN)
def test_documents_shorter_than_the_window_are_refused_before_training(name: str) -> None:
    short = torch.randint(4, (50, 3), generator=rng())
    with pytest.raises(NotApplicable, match=r"hold 3 words at most, the window 4: lower window"):
        fitted(name, short, 4, 1, window=4)
    mixed = torch.randint(4, (50, 6), generator=rng())
    mixed[7, 2:] = -1
    with pytest.raises(BadInput, match=r"every document must hold 4 words, the window; row 7 holds 2"):
        fitted(name, mixed, 4, 1, window=4)


@pytest.mark.parametrize("name", [*LEARN, "bow_tfidf", "ppmi_svd"])
def test_words_without_documents_and_unknown_words_are_refused_before_training(name: str) -> None:
    x = torch.randint(4, (50, 8), generator=rng())
    with pytest.raises(BadInput, match="every word of the vocabulary must stand in the documents; 3 of 7 do not"):
        fitted(name, x, 7, 1)
    with pytest.raises(BadInput, match="must hold words from 0 to 2"):
        fitted(name, x, 3, 1)
    with pytest.raises(BadInput, match="one word at least"):
        fitted(name, torch.cat([x, torch.full((1, 8), -1)]), 4, 1)


@pytest.mark.parametrize("name", EMBED)
def test_vectors_of_unknown_words_or_of_none_are_refused(name: str) -> None:
    x = torch.randint(4, (50, 8), generator=rng())
    model = fitted(name, x, 4, 1)
    for bad in (torch.full((1, 8), 9), torch.full((1, 8), -1), x.float()):
        with pytest.raises(BadInput, match="documents"):
            model.embed(bad, rng())


@pytest.mark.parametrize("name", [*LEARN, *EMBED])
def test_pictures_and_empty_vocabularies_are_refused(name: str) -> None:
    spec = DataSpec("documents", (8,), n_train=5, n_eval=5, vocabulary=0)
    with pytest.raises(NotApplicable, match="vocabulary of documents must hold 2 words"):
        make(name, spec)
    with pytest.raises(NotApplicable, match="needs documents of words"):
        make(name, replace(spec, event_shape=(1, 8, 8), vocabulary=None))


def test_an_empty_vocabulary_is_refused_where_text_is_read() -> None:
    with pytest.raises(BadInput, match="the vocabulary is empty: no word stands 2 times"):
        vocabulary([["once", "only"]], 2)
    words = vocabulary([["b", "a", "b"], ["a", "b"]], 2)
    assert words == ("b", "a")
    assert encode([["a", "z", "b"], ["z"]], {"b": 0, "a": 1}, 4, 1).tolist() == [[1, 0, -1, -1]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iterations"), [("word2vec_skipgram", 1290), ("word2vec_cbow", 1290)])
def test_likeness_on_wikipedia_is_gensims_within_the_interval(name: str, iterations: int) -> None:
    """Ten epochs each, the same settings: ours is not below the bootstrap interval of gensim's correlation."""
    pytest.importorskip("gensim")
    from ganbench.bench.words import peer

    data = load("wikipedia")
    assert data.text is not None
    ours = fitted(name, data.train.x, data.spec.vocabulary, iterations)
    rows = [[data.text.words[i] for i in row if i >= 0] for row in data.train.x.tolist()]
    theirs = peer(name, ours.config, rows)
    theirs.train(rows, total_examples=len(rows), epochs=10)
    vectors = torch.stack([torch.from_numpy(theirs.wv[word].copy()) for word in data.text.words])
    score = word_similarity(ours.embed_words(), data.text, rng=rng())[0]
    other = word_similarity(vectors, data.text, rng=rng())[0]
    assert score.signature == other.signature
    assert score.value >= other.interval[0]
    assert other.value >= score.interval[0] or score.value > other.value


@pytest.mark.slow
def test_news_are_compared_as_people_do_by_tf_idf_best_and_by_doc2vec_better_than_by_chance() -> None:
    pytest.importorskip("gensim")
    data = load("lee")
    assert data.text is not None
    values = {}
    for name, iterations, config in (
        ("bow_tfidf", 1, {"sublinear": True}),
        ("doc2vec", 400, {"mode": "dbow"}),
        ("random_vectors", 1, {}),
    ):
        model = fitted(name, data.train.x, data.spec.vocabulary, iterations, **config)
        vectors = model.embed(data.test.x, rng())
        values[name] = document_similarity(vectors, data.text.document_ratings, rng=rng()).value
    assert values["bow_tfidf"] > 0.45
    assert values["random_vectors"] < min(values["doc2vec"], values["bow_tfidf"])
