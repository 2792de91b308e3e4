"""Clustering error and NMI against scikit-learn, brute force over matchings, and limit cases."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score
from torch.testing import assert_close

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.clustering import clustering_error, nmi


def assigns(clusters):
    """A model whose cluster of an event is written in the event."""
    return SimpleNamespace(gives=("cluster",), name="given", cluster=lambda x: x[:, 0].long()), clusters[
        :, None
    ].float()


def test_agrees_with_brute_force_and_scikit_learn(rng):
    clusters, labels = torch.randint(4, (300,), generator=rng), torch.randint(4, (300,), generator=rng)
    labels = torch.where(torch.rand(300, generator=rng) < 0.6, (clusters + 1) % 4, labels)
    model, x = assigns(clusters)
    best = max((torch.tensor(p)[clusters] == labels).float().mean() for p in itertools.permutations(range(4)))
    error = clustering_error(model, x, labels)
    assert_close(error.value, 1 - float(best), rtol=1e-6, atol=1e-6)
    assert error.interval[0] < error.value < error.interval[1]
    expected = normalized_mutual_info_score(labels.numpy(), clusters.numpy())
    assert_close(nmi(model, x, labels).value, float(expected), rtol=1e-9, atol=0)


def test_a_renamed_partition_is_perfect_and_one_cluster_tells_nothing(rng):
    labels = torch.arange(60) % 5
    model, x = assigns(torch.tensor([3, 0, 4, 1, 2])[labels])
    assert clustering_error(model, x, labels).value == 0
    assert_close(nmi(model, x, labels).value, 1.0)
    model, x = assigns(torch.zeros(60))
    assert_close(clustering_error(model, x, labels).value, 0.8)
    assert_close(nmi(model, x, labels).value, 0.0)


def test_surplus_clusters_count_as_errors():
    labels = torch.tensor([0] * 10 + [1] * 10)
    model, x = assigns(torch.tensor([0] * 10 + [1] * 7 + [2] * 3))
    assert_close(clustering_error(model, x, labels).value, 0.15)


def test_refusals():
    model, x = assigns(torch.zeros(4))
    with pytest.raises(BadInput, match="one label per row"):
        clustering_error(model, x, torch.zeros(3, dtype=torch.long))
    with pytest.raises(NotApplicable, match="gan does not cluster"):
        nmi(SimpleNamespace(gives=("sample",), name="gan"), x, torch.zeros(4, dtype=torch.long))
