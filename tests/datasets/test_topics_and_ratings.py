"""Documents and ratings follow the structure they are said to have, and their bytes are pinned."""

import pytest
import torch
from torch.testing import assert_close

from ganbench.datasets.load import load
from ganbench.datasets.tables import CONCENTRATION, KNOWN, SIDE, WORDS, bars

PINNED = {  # version 1; a change here is a new version of the data set
    "topics": "f62ca35986295041556c3a1e1b9db75467080189abcd69daedb5581996e44ed9",
    "ratings": "33800630142298b9921fb6c5b5a8cb656eaefc85414653f47c30cf312c460bc4",
}


@pytest.mark.parametrize("name", PINNED)
def test_bytes_are_those_of_version_1(name):
    spec = load(name).spec
    assert (spec.version, spec.sha256) == (1, PINNED[name])


def test_topics_are_the_rows_and_columns_of_a_square():
    square = bars().view(2 * SIDE, SIDE, SIDE)
    assert_close(square.sum((1, 2)), torch.ones(2 * SIDE, dtype=torch.float64))
    for k in range(SIDE):
        assert square[k, k].eq(1 / SIDE).all()
        assert square[SIDE + k, :, k].eq(1 / SIDE).all()


def test_documents_have_the_second_moments_of_the_dirichlet_law():
    x = torch.cat([split.events() for split in (load("topics").train, load("topics").test)]).double()
    assert_close(x.sum(1), torch.full((len(x),), float(WORDS), dtype=torch.float64))
    topics, k = bars(), 2 * SIDE
    mean = topics.mean(0)
    # Two words of a document: E p_i p_j with shares of a symmetric Dirichlet law.
    total = k * CONCENTRATION
    pairs = (CONCENTRATION**2 * (k * mean).outer(k * mean) + CONCENTRATION * topics.T @ topics) / (total * (total + 1))
    found = (x.T @ x - x.sum(0).diag()) / (len(x) * WORDS * (WORDS - 1))
    # By kind of pair: the same word, two words of one topic, two of none.
    kinds = pairs.round(decimals=6).unique()
    assert len(kinds) == 3
    for kind in kinds:
        alike = (pairs - kind).abs() < 1e-6
        assert_close(found[alike].mean(), kind, rtol=0.08, atol=0)
    assert_close(x.mean(0) / WORDS, mean, rtol=0.2, atol=0)


def test_ratings_are_whole_stars_of_which_half_are_known_and_few_tastes_explain_them():
    x = load("ratings").train.events()
    known = x > 0
    assert set(x.unique().tolist()) == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert_close(float(known.double().mean()), KNOWN, rtol=0, atol=4 * 0.5 / x.numel() ** 0.5)
    # Without what is unknown, the covariance of items is that of 4 tastes whose shares sum to one: rank 3, and noise.
    centred = torch.where(known, x - x.sum(0) / known.sum(0), torch.zeros_like(x)).double()
    both = known.double().T @ known.double()
    covariance = centred.T @ centred / both
    covariance.diagonal().sub_(1 / 6)  # rounding and whims, both uniform on an interval of one
    values = torch.linalg.eigvalsh(covariance)
    assert values[-3] > 4 * values[-4]
