"""Choices of settings are blind to the test split: what the script prints does not hang on it."""

import dataclasses
import sys

import choose
import pytest
import torch

from ganbench.data import Split
from ganbench.datasets.load import load
from ganbench.errors import NotApplicable
from ganbench.scoring import inputs


@pytest.mark.parametrize("name", ["digits", "ring8", "edges_digits", "attributed_digits"])
def test_the_holdout_stands_where_the_test_split_was(name):
    whole, data = load(name), choose.for_choice(load(name))
    assert torch.equal(data.test.x, whole.holdout.x)
    assert torch.equal(torch.cat([data.train.x, data.holdout.x]), whole.train.x)  # nothing of the test split
    assert (data.spec.n_train, data.spec.n_eval) == (len(data.train), len(data.test))
    assert data.spec.sha256 != whole.spec.sha256  # so that no floor or record is taken for one of the whole data


def test_what_is_chosen_by_is_blind_to_the_test_split(monkeypatch, capsys):
    argv = ["choose", "digits", "gaussian_mle", "pca", "--metrics", "mmd", "nll", "reconstruction_error", "parzen"]
    monkeypatch.setattr(sys, "argv", [*argv, "--seeds", "1", "--iterations", "1", "--samples", "200"])

    def printed(read):
        monkeypatch.setattr(inputs, "load", read)
        choose.main()
        return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]

    def spoiled(ref, root):
        data = load(ref, root)
        return dataclasses.replace(data, test=Split(torch.full_like(data.test.x, torch.nan), data.test.y))

    before = printed(load)
    assert len(before) == 9
    assert printed(spoiled) == before


def test_data_without_a_holdout_of_its_scores_is_refused():
    with pytest.raises(NotApplicable, match="has no holdout"):
        choose.for_choice(load("grammar"))
