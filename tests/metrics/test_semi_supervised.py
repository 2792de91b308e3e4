"""Accuracy from few labels: limits, invariances, balance of the draws, coverage, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.semi_supervised import (
    _moments,
    _standardise,
    accuracy_of_features,
    balanced_draw,
    classification_error,
    fit_svm,
    semi_supervised_accuracy,
    svm_error,
)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(n, noise, seed=0, k=5):
    y = torch.arange(n) % k
    return (torch.eye(k)[y] + noise * torch.randn(n, k, generator=rng(seed))).double().numpy(), y


class Encoder:
    name, gives = "encoder", ("encode",)

    def encode(self, x):
        return 3 * x.flatten(1) + 1


class Judge:
    name, gives = "judge", ("sample", "features", "classify")

    def features(self, x):
        return x.flatten(1)

    def classify(self, x):
        return x.flatten(1)


@pytest.mark.parametrize("classifier", ["logistic", "svm", "nearest"])
def test_separable_features_reach_100_percent_and_pure_noise_chance(classifier):
    x, y = blobs(500, 0.01)
    test, truth = blobs(500, 0.01, seed=1)
    settings = {"rng": rng(), "labels": 25, "draws": 3, "classifier": classifier}
    assert accuracy_of_features(x, y, test, truth, **settings).value == 1
    noise, other = blobs(500, 100.0), blobs(500, 100.0, seed=1)
    assert 0.1 < accuracy_of_features(*noise, *other, **settings).value < 0.3


def test_class_names_do_not_matter():
    x, y = blobs(400, 0.5)
    test, truth = blobs(300, 0.5, seed=1)
    names = torch.tensor([17, 4, 99, 0, 3])
    plain = accuracy_of_features(x, y, test, truth, rng=rng(), labels=50, draws=3, classifier="nearest")
    renamed = accuracy_of_features(x, names[y], test, names[truth], rng=rng(), labels=50, draws=3, classifier="nearest")
    assert abs(plain.value - renamed.value) < 0.05  # the draws go by class number


def test_draws_are_balanced_fresh_and_seeded():
    y = torch.randint(7, (900,), generator=rng())
    a, b = balanced_draw(y, 70, rng(1)), balanced_draw(y, 70, rng(1))
    assert torch.equal(a, b)
    assert torch.bincount(y[a]).tolist() == [10] * 7
    assert len(set(a.tolist())) == 70
    assert not torch.equal(a, balanced_draw(y, 70, rng(2)))


def test_scale_and_shift_of_the_features_do_not_matter():
    x, y = blobs(400, 0.5)
    train, test = torch.from_numpy(x[:300]).float(), torch.from_numpy(x[300:]).float()
    score = semi_supervised_accuracy(Encoder(), train, y[:300], test, y[300:], rng=rng(), labels=25, draws=4)
    settings = {"rng": rng(), "labels": 25, "draws": 4}
    plain = semi_supervised_accuracy(Judge(), train, y[:300], test, y[300:], **settings)
    assert abs(score.value - plain.value) < 0.03
    assert score.signature.endswith("encode|v2")
    assert_close(score.extra["errors_per_10000"], 1e4 * (1 - score.value), rtol=1e-9, atol=0)


@pytest.mark.slow
def test_interval_over_draws_covers_the_mean_over_all_draws():
    x, y = blobs(600, 0.7)
    test, truth = blobs(300, 0.7, seed=1)
    settings = {"labels": 25, "classifier": "nearest"}
    scores = [accuracy_of_features(x, y, test, truth, rng=rng(s), draws=10, **settings) for s in range(300)]
    expected = float(np.mean([s.value for s in scores]))
    assert 0.90 <= np.mean([s.interval[0] <= expected <= s.interval[1] for s in scores]) <= 0.98


def test_digits_with_100_labels_by_pixels():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = torch.from_numpy(x).float() / 8 - 1, torch.from_numpy(y)
    score = semi_supervised_accuracy(Encoder(), x[:1200], y[:1200], x[1200:], y[1200:], rng=rng())
    assert 0.75 < score.value < 0.92
    assert len(score.extra["accuracies"]) == 10
    assert len(set(score.extra["accuracies"])) > 5  # each draw is another
    assert score.interval[0] < score.value < score.interval[1]


def test_classifier_head_counts_wrong_answers():
    x = torch.eye(4).repeat(25, 1)
    y = torch.arange(100) % 4
    y[:10] = (y[:10] + 1) % 4
    (score,) = classification_error(Judge(), x, y)
    assert_close(score.value, 0.1, rtol=1e-12, atol=0)
    assert_close(score.se, math.sqrt(0.09 / 100), rtol=1e-12, atol=0)
    assert score.extra["errors_per_10000"] == pytest.approx(1000)
    assert sum(map(sum, score.extra["confusion"])) == 100
    assert score.interval[0] < 0.1 < score.interval[1]


def test_averaged_and_last_weights_are_reported_apart():
    class Averaging(Judge):
        def classify_last(self, x):
            return -super().classify(x)

    x = torch.eye(4).repeat(25, 1)
    averaged, last = classification_error(Averaging(), x, torch.arange(100) % 4)
    assert (averaged.name, averaged.value) == ("classification_error", 0)
    assert (last.name, last.value) == ("classification_error_last", 1)


def test_models_without_features_or_head_do_not_apply():
    class Bare:
        name, gives = "bare", ("sample",)

    x, y = torch.zeros(10, 2), torch.zeros(10, dtype=torch.long)
    with pytest.raises(NotApplicable, match="neither encodes"):
        semi_supervised_accuracy(Bare(), x, y, x, y, rng=rng())
    with pytest.raises(NotApplicable, match="no classifier"):
        classification_error(Bare(), x, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": 26}, "multiple of the 5 classes"),
        ({"labels": 5}, "at least 10"),
        ({"labels": 1000}, "the rarest has 100"),
        ({"draws": 1}, "draws must be at least 2"),
        ({"classifier": "forest"}, "'logistic', 'svm' or 'nearest'"),
    ],
)
def test_bad_settings_are_refused_by_name(change, message):
    x, y = blobs(500, 0.1)
    with pytest.raises(BadInput, match=message):
        accuracy_of_features(x, y, x, y, rng=rng(), **{"labels": 25, "draws": 2, **change})


def test_labels_out_of_step_and_nan_features_are_refused():
    x, y = blobs(500, 0.1)
    with pytest.raises(BadInput, match="train_labels must be 500"):
        accuracy_of_features(x, y[:10], x, y, rng=rng(), labels=25)
    with pytest.raises(BadInput, match="test_labels must be 500"):
        accuracy_of_features(x, y, x, y.double(), rng=rng(), labels=25)
    broken = torch.full((500, 5), math.nan)
    with pytest.raises(BadInput, match="features must be finite"):
        semi_supervised_accuracy(Encoder(), broken, y, broken, y, rng=rng())


class Frozen(Encoder):
    needs = ()

    def representation(self, x):
        return self.encode(x)


def test_an_svm_on_frozen_features_scores_each_number_of_labels():
    x, y = blobs(500, 0.05)
    test, truth = blobs(300, 0.05, seed=1)
    x, test = torch.from_numpy(x).float(), torch.from_numpy(test).float()
    draws = {n: balanced_draw(y, n, rng(n)) for n in (50, 10)}
    scores = svm_error(Frozen(), x, y, test, truth, draws)
    assert [(s.name, s.value) for s in scores] == [("svm_error_10", 0.0), ("svm_error_50", 0.0)]
    (head,) = classification_error(Judge(), test, truth)
    assert {s.signature for s in scores} == {head.signature}  # one quantity, whoever predicts
    noise, _ = blobs(500, 100.0)
    hopeless = svm_error(Frozen(), torch.from_numpy(noise).float(), y, test, truth, {50: draws[50]})[0]
    assert 0.5 < hopeless.value <= 1
    assert hopeless.extra["errors_per_10000"] == pytest.approx(1e4 * hopeless.value)
    assert sum(map(sum, hopeless.extra["confusion"])) == 300


def test_an_svm_agrees_with_scikit_learn_at_the_same_strength():
    from sklearn.svm import LinearSVC

    x, y = blobs(500, 1.0)
    test, truth = blobs(300, 1.0, seed=1)
    rows = balanced_draw(y, 50, rng())
    known = (Frozen(), torch.from_numpy(x).float(), y, torch.from_numpy(test).float(), truth)
    (score,) = svm_error(*known, {50: rows})
    mean, std = x.mean(0), x.std(0)
    fit = LinearSVC(C=score.extra["C"], tol=1e-6, max_iter=100_000).fit((x[rows] - mean) / std, y[rows])
    wrong = float((fit.predict((test - mean) / std) != truth.numpy()).mean())
    assert_close(score.value, wrong, rtol=0, atol=0.01)  # the representation is 3 x + 1: standardising removes that


def test_frozen_svm_refuses_what_it_cannot_fit():
    x, y = torch.randn(100, 5, generator=rng()), torch.arange(100) % 5
    with pytest.raises(BadInput, match="two of every class; got 5 labels"):
        svm_error(Frozen(), x, y, x, y, {5: torch.arange(5)})

    class Supervised(Frozen):
        needs = ("y",)

    class Bare(Frozen):
        gives = ("sample",)

    with pytest.raises(NotApplicable, match="trained with all labels"):
        svm_error(Supervised(), x, y, x, y, {10: torch.arange(10)})
    with pytest.raises(NotApplicable, match="neither encodes"):
        svm_error(Bare(), x, y, x, y, {10: torch.arange(10)})


def test_test_labels_beyond_the_classifier_are_refused():
    with pytest.raises(BadInput, match="below the 4 classes of the classifier; got 5"):
        classification_error(Judge(), torch.eye(4), torch.tensor([0, 1, 2, 5]))


def test_an_svm_in_the_span_of_its_examples_is_the_same_svm():
    from sklearn.svm import LinearSVC

    g = np.random.default_rng(0)
    y = np.arange(40) % 4
    x, test = (g.normal(size=(n, 300)) + np.eye(4)[np.arange(n) % 4] @ g.normal(size=(4, 300)) * 0.3 for n in (40, 500))
    predicted, strength = fit_svm(x, y, test)
    plain = LinearSVC(C=strength, tol=1e-8, max_iter=100_000).fit(x, y)
    assert (predicted == plain.predict(test)).mean() > 0.98  # but for the last digits of the optimum


def test_features_of_any_unit_are_standardised_alike():
    x = np.random.default_rng(0).normal(loc=(0, 1, 2), size=(50, 3))
    x[:, 2] = 0.1  # constant, to rounding
    wanted = _standardise(x)[0]
    for unit in (2.0**-100, 2.0**100):
        np.testing.assert_array_equal(_standardise(unit * x)[0], wanted)
        mean, std = _moments(lambda t, u=unit: u * t, torch.from_numpy(x))
        np.testing.assert_allclose((unit * x - mean) / std, wanted, rtol=1e-6, atol=1e-9)


def test_the_choice_of_c_does_not_hang_on_the_optimiser(monkeypatch):
    from sklearn.linear_model import LogisticRegression

    x, y = blobs(400, 3.0)
    settings = {"labels": 25, "draws": 3}
    score = accuracy_of_features(x[:300], y[:300], x[300:], y[300:], rng=rng(), **settings)
    monkeypatch.setattr(
        "ganbench.metrics.semi_supervised._linear",
        lambda _, strength: LogisticRegression(C=strength, tol=1e-9, max_iter=20_000),
    )
    better = accuracy_of_features(x[:300], y[:300], x[300:], y[300:], rng=rng(), **settings)
    assert score.extra["C"] == better.extra["C"]
    assert score.value == better.value
