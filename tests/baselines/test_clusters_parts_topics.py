"""k-means, agglomerative clustering, NMF and LDA against problems whose answer is known."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from baselines.classical.agglomerative import Agglomerative
from baselines.classical.kmeans import KMeans
from baselines.classical.lda_topics import LDATopics
from baselines.classical.nmf import NMF, factorise_ratings
from ganbench.data import DataSpec, Mixture, Split
from ganbench.datasets.load import load
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.likelihood import perplexity
from ganbench.metrics.ratings import rating_rmse
from ganbench.model import Budget


def fitted(cls, x, rng, domain=None, **overrides):
    spec = DataSpec("data", tuple(x.shape[1:]), domain=domain)
    model = cls(cls.configure(spec, **overrides))
    model.build(spec)
    model.fit(Split(x), Budget(iterations=1), rng)
    return model


@pytest.mark.parametrize("cls", [KMeans, Agglomerative])
def test_separated_clusters_are_found(cls, rng):
    mixture = Mixture(torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), 0.5)
    x, y = mixture.sample(600, rng)
    model = fitted(cls, x, rng, n_clusters=3)
    distance, which = torch.cdist(model.centres, mixture.means).min(1)
    assert sorted(which.tolist()) == [0, 1, 2]
    assert distance.max() < 4.5 * 0.5 * (2 * 3 / 600) ** 0.5
    assert (which[model.cluster(x)] == y).float().mean() > 0.99
    assert model.encode(x).shape == (600, 3)


def test_kmeans_samples_are_the_mixture_it_stands_for(rng):
    x, _ = Mixture(torch.tensor([[0.0, 0.0], [20.0, 0.0]]), 0.5).sample(2000, rng)
    model = fitted(KMeans, x, rng, n_clusters=2)
    assert_close(model.variance.item(), 0.25, rtol=0.1, atol=0)
    sample = model.sample(10_000, rng)
    left = sample[sample[:, 0] < 10]
    assert_close(left.var(0), torch.full((2,), model.variance.item()), rtol=0.1, atol=0)
    assert_close(model.reconstruct(x), model.centres[model.cluster(x)])


@pytest.mark.parametrize("cls", [KMeans, Agglomerative])
def test_more_clusters_than_examples_are_refused(cls, rng):
    with pytest.raises(NotApplicable, match="at most the 5 examples used; got 6"):
        fitted(cls, torch.randn(5, 2, generator=rng), rng, n_clusters=6)
    with pytest.raises(NotApplicable, match="at most the 5 examples used; got 6"):
        fitted(cls, torch.randn(9, 2, generator=rng), rng, n_clusters=6, max_examples=5)


def test_nmf_reconstructs_what_it_can_represent(rng):
    x = torch.rand(100, 3, generator=rng) @ torch.rand(3, 12, generator=rng)
    model = fitted(NMF, x, rng, n_components=3, max_iterations=3000)
    assert model.parts.min() >= 0
    assert model.encode(x).min() >= 0
    assert ((model.reconstruct(x) - x).norm() / x.norm()) < 0.02


def test_nmf_maps_images_to_the_unit_interval_and_back(rng):
    x = (torch.rand(60, 2, generator=rng) @ torch.rand(2, 16, generator=rng)).view(60, 1, 4, 4)
    x = 2 * x / x.max() - 1
    model = fitted(NMF, x, rng, domain=(-1.0, 1.0), n_components=2, max_iterations=3000)
    out = model.reconstruct(x)
    assert out.shape == x.shape
    assert (out - x).abs().mean() < 0.02


def test_nmf_refuses_negative_data_before_training(rng):
    with pytest.raises(NotApplicable, match="non-negative data; the smallest value of data is -"):
        fitted(NMF, torch.randn(50, 3, generator=rng), rng)
    with pytest.raises(NotApplicable, match="at most 3"):
        fitted(NMF, torch.rand(50, 3, generator=rng), rng, n_components=4)
    model = fitted(NMF, torch.rand(50, 3, generator=rng), rng)
    with pytest.raises(BadInput, match="x must be non-negative"):
        model.encode(torch.tensor([[1.0, -2.0, 0.0]]))


@pytest.fixture
def ratings(rng):
    """Rank-3 ratings of 80 users and 60 items with noise of 0.1, of which 30 % are known to the factorisation."""
    exact = torch.rand(80, 3, generator=rng) @ (3 * torch.rand(3, 60, generator=rng))
    noisy = (exact + 0.1 * torch.randn(80, 60, generator=rng)).clamp(min=0)
    return noisy, torch.rand(80, 60, generator=rng) < 0.3


def test_held_out_ratings_are_predicted_far_better_than_by_item_means(ratings, rng):
    x, observed = ratings
    w, h = factorise_ratings(x, observed, 3, rng, iterations=1500)
    assert min(w.min(), h.min()) >= 0
    item_means = (x * observed).sum(0) / observed.sum(0)
    baseline = float((item_means - x)[~observed].square().mean().sqrt())
    rmse = float((w @ h - x)[~observed].square().mean().sqrt())
    assert rmse < 0.35 * baseline
    assert 0.1 < rmse < 0.2  # the noise alone is 0.1; estimating 420 numbers from 1440 adds to it


def test_missing_ratings_are_predicted_when_zeros_are_unknown_and_taken_for_dislike_when_not(rng):
    data = load("ratings")
    found = {}
    for missing in ("none", "zero"):
        model = fitted(NMF, data.train.events(), rng, n_components=4, missing=missing)
        score = rating_rmse(model, data.test.events(), data.train.events(), rng=torch.Generator().manual_seed(0))
        found[missing] = score.value
    assert 0.4 < found["zero"] < 0.52  # rounding and the users' whims leave about 0.41
    assert found["zero"] < 0.6 * score.extra["of_item_means"]
    assert found["none"] > 1.3


def test_codes_of_known_entries_are_those_of_the_fit(ratings):
    x, observed = ratings
    rows = torch.where(observed, x.clamp(min=1e-3), torch.zeros_like(x))
    model = fitted(NMF, rows, torch.Generator().manual_seed(0), n_components=3, missing="zero", max_iterations=1500)
    known = rows > 0
    w = model.encode(rows)
    gradient = (known * (w @ model.parts - rows)) @ model.parts.T  # zero where w is positive: least squares
    assert (gradient * w).abs().max() < 1e-3
    assert gradient.min() > -1e-2


def test_hidden_ratings_are_not_looked_at_and_no_update_raises_the_error(ratings):
    x, observed = ratings
    hidden = torch.where(observed, x, torch.full_like(x, -99.0))
    a = factorise_ratings(x, observed, 3, torch.Generator().manual_seed(1), iterations=20)
    b = factorise_ratings(hidden, observed, 3, torch.Generator().manual_seed(1), iterations=20)
    assert_close(a, b, rtol=0, atol=0)
    errors = []
    for iterations in range(0, 60, 5):
        w, h = factorise_ratings(x, observed, 3, torch.Generator().manual_seed(1), iterations=iterations)
        errors.append(float(((w @ h - x) * observed).square().sum()))
    assert all(after <= before * (1 + 1e-6) for before, after in itertools.pairwise(errors))
    with pytest.raises(BadInput, match="non-negative"):
        factorise_ratings(-x, observed, 3, torch.Generator())
    with pytest.raises(BadInput, match="rank must be"):
        factorise_ratings(x, observed, 0, torch.Generator())


@pytest.fixture
def corpus(rng):
    """500 training and 200 test documents of about 100 words from five known topics over 25 words."""
    topics = torch.full((5, 25), 0.004)
    for k in range(5):
        topics[k, 5 * k : 5 * k + 5] = 0.184
    topics = topics / topics.sum(1, keepdim=True)
    truth = LDATopics(LDATopics.Config(n_topics=5))
    truth.build(DataSpec("corpus", (25,)))
    truth.topics.copy_(topics)
    truth.length.fill_(100.0)
    return truth, truth.sample(500, rng), truth.sample(200, rng)


def test_lda_finds_the_topics_of_a_generated_corpus(corpus, rng):
    truth, train, test = corpus
    model = fitted(LDATopics, train, rng, n_topics=5)
    distance, which = torch.cdist(model.topics, truth.topics, p=1).min(1)
    assert sorted(which.tolist()) == [0, 1, 2, 3, 4]
    assert distance.max() < 0.1  # L1, of at most 2
    unigram = train.sum(0).double() / train.sum().double()
    by_words = torch.exp(-(test.double() @ unigram.log()).sum() / test.sum()).item()
    ours, best = (perplexity(m, test, rng=rng).value for m in (model, truth))
    assert best * 0.995 < ours < best * 1.02
    assert ours < 0.6 * by_words


def test_lda_bound_is_the_exact_probability_when_there_is_one_topic(rng):
    model = LDATopics(LDATopics.Config(n_topics=1))
    model.build(DataSpec("corpus", (3,)))
    model.topics.copy_(torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64))
    x = torch.tensor([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    expected = x.double() @ torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()
    assert_close(model.log_prob(x, rng), expected, rtol=1e-9, atol=1e-12)


def test_lda_bound_is_below_the_exact_probability_and_near_it(rng):
    topics = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64)
    model = LDATopics(LDATopics.Config(n_topics=2, alpha=1.0))
    model.build(DataSpec("corpus", (3,)))
    model.topics.copy_(topics)
    x = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 2.0], [0.0, 0.0, 8.0]])
    share = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000  # uniform, as Dirichlet(1, 1) is
    words = torch.stack([share, 1 - share], 1) @ topics
    exact = (words.log() @ x.double().T).exp().mean(0).log()
    gap = exact - model.log_prob(x, rng)
    assert gap.min() > 0
    assert gap.max() < 0.4


def test_lda_documents_have_the_words_of_their_topics(corpus, rng):
    truth, train, _ = corpus
    assert_close(train.sum(1).mean().item(), 100.0, rtol=0, atol=4.5 * (100 / 500) ** 0.5)
    shares = truth.encode(train)
    assert_close(shares.sum(1), torch.ones(500))
    expected = (shares.double() @ truth.topics) * train.sum(1, keepdim=True)
    assert (expected - train).abs().mean() < 2.0


def test_lda_takes_word_counts_only(rng):
    with pytest.raises(NotApplicable, match="word counts"):
        fitted(LDATopics, torch.rand(20, 4, generator=rng), rng)
    with pytest.raises(NotApplicable, match="word counts"):
        fitted(LDATopics, torch.zeros(20, 1, 4, 4), rng, domain=(-1.0, 1.0))
