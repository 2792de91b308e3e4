"""The digits split: pinned bytes, all 1,797 pictures once, every class in the same share."""

import pytest
import torch
from sklearn.datasets import load_digits

from ganbench.data import Split
from ganbench.datasets.base import fingerprint, split_finite, stratified_split
from ganbench.datasets.load import load
from ganbench.errors import BadInput


def test_bytes_are_those_of_version_1():
    spec = load("digits").spec
    assert (spec.version, spec.sha256) == (1, "6ea2e41cb672e9463f3bec53d24e96cc216af46b78c885a6b37a3b629367d260")


def test_every_picture_is_in_one_split():
    data = load("digits")
    assert [len(s) for s in (data.train, data.holdout, data.test)] == [797, 500, 500]
    pixels, labels = load_digits(return_X_y=True)
    x = torch.cat([s.x for s in (data.train, data.holdout, data.test)]).add(1).mul(8).flatten(1)  # back to 0..16
    y = torch.cat([s.y for s in (data.train, data.holdout, data.test)])
    mine = sorted((int(label), tuple(row)) for row, label in zip(x.int().tolist(), y, strict=True))
    theirs = sorted((int(label), tuple(row)) for row, label in zip(pixels.astype(int).tolist(), labels, strict=True))
    assert mine == theirs


def test_classes_are_spread_evenly():
    data = load("digits")
    total = sum(torch.bincount(s.y) for s in (data.train, data.holdout, data.test))
    for split in (data.train, data.holdout, data.test):
        expected = total * len(split) / 1797
        assert float((torch.bincount(split.y) - expected).abs().max()) < 2


@pytest.mark.parametrize("sizes", [(7, 3), (60, 20, 20), (97, 1, 2), (5,)])
def test_stratified_split_is_a_partition(sizes):
    y = torch.arange(sum(sizes)) % 3
    parts = stratified_split(y, sizes, torch.Generator().manual_seed(0))
    assert [len(p) for p in parts] == list(sizes)
    assert sorted(torch.cat(parts).tolist()) == list(range(sum(sizes)))


def test_split_finite_caps_what_it_holds_back():
    train, holdout, test = split_finite(torch.zeros(60_000, 1), None, parts=3)
    assert (len(train), len(holdout), len(test)) == (40_000, 10_000, 10_000)
    assert [len(s) for s in split_finite(torch.zeros(10, 1), None, parts=3)] == [6, 2, 2]
    with pytest.raises(BadInput, match="at least 10 examples"):
        split_finite(torch.zeros(9, 1), None, parts=3)


def test_fingerprint_sees_values_labels_shapes_and_types():
    x, y = torch.arange(6.0).view(3, 2), torch.tensor([0, 1, 2])
    changed = x.clone()
    changed[2, 1] += 1e-6
    hashes = {
        fingerprint(s)
        for s in (
            Split(x, y),
            Split(x),
            Split(changed, y),
            Split(x.view(3, 1, 2), y),
            Split(x.double(), y),
            Split(x, y.flip(0)),
        )
    }
    assert len(hashes) == 6
    assert fingerprint(Split(x, y)) == fingerprint(Split(x.clone(), y.clone()))
    assert fingerprint(Split(x.t().contiguous().t(), y)) == fingerprint(Split(x, y))  # of values, not of memory layout
