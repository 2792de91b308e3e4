"""What holds for every registered data set: shapes, dtypes, domain, labels, disjoint splits and a hash that stays."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from ganbench.datasets.base import Dataset, fingerprint
from ganbench.datasets.load import load
from ganbench.errors import MissingResource
from ganbench.registry import DATASETS

NAMES = [entry.name for entry in DATASETS if not entry.prefix]


@pytest.fixture(scope="module")
def loaded():
    """Each data set once; the tests share its tensors."""
    kept: dict[str, Dataset] = {}

    def get(name: str) -> Dataset:
        if name not in kept:
            try:
                kept[name] = load(name)
            except MissingResource as error:
                if DATASETS.get(name).builtin:
                    raise
                pytest.skip(str(error))
        return kept[name]

    return get


def splits(data: Dataset):
    return {"train": data.train, "holdout": data.holdout, "test": data.test}


@pytest.mark.parametrize("name", NAMES)
def test_spec_describes_the_splits(loaded, name):
    data = loaded(name)
    assert data.spec.name == name
    assert data.spec.n_train == len(data.train)
    assert data.spec.n_eval == len(data.test)
    assert data.spec.is_image == (DATASETS.get(name).event == "image")
    for split in splits(data).values():
        assert tuple(split.x.shape[1:]) == data.spec.event_shape
        assert split.x.dtype in (torch.uint8, torch.float32, torch.int64)
        events = split.events(slice(0, 1000))
        if data.spec.kind == "tokens":
            assert_documents(split.x, data.spec.vocabulary)
            continue
        assert events.dtype == torch.float32
        assert torch.isfinite(events).all()
        if data.spec.domain is not None:
            low, high = data.spec.domain
            assert low <= float(events.min()) < 0 < float(events.max()) <= high


def assert_documents(x: torch.Tensor, vocabulary: int) -> None:
    """Rows of words below the vocabulary, padded at their end; all words stand in some row of the longest split."""
    assert x.dtype == torch.int64
    there = x >= 0
    assert int(x.max()) < vocabulary
    assert there[:, 0].all()
    assert not (there[:, 1:] & ~there[:, :-1]).any()
    assert bool((x[~there] == -1).all())


@pytest.mark.parametrize("name", [n for n in NAMES if DATASETS.get(n).event == "tokens"])
def test_every_word_of_a_vocabulary_has_a_spelling_and_stands_in_the_training_documents(loaded, name):
    data = loaded(name)
    assert len(set(data.text.words)) == len(data.text.words) == data.spec.vocabulary
    assert data.train.x[data.train.x >= 0].unique().tolist() == list(range(data.spec.vocabulary))


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_classes_from_zero(loaded, name):
    data = loaded(name)
    assert bool(DATASETS.get(name).labelled) == (data.spec.n_classes is not None)
    for split in splits(data).values():
        if data.spec.n_classes is None:
            assert split.y is None
        else:
            assert split.y is not None
            assert split.y.dtype == torch.int64
            assert len(split.y) == len(split.x)
            assert sorted(split.y.unique().tolist()) == list(range(data.spec.n_classes))


@pytest.mark.parametrize("name", NAMES)
def test_no_split_is_sorted_by_class(loaded, name):
    data = loaded(name)
    if data.spec.n_classes is None:
        pytest.skip("no labels")
    for part, split in splits(data).items():
        changes = float((split.y[1:] != split.y[:-1]).double().mean())
        share = torch.bincount(split.y).double() / len(split)
        assert abs(changes - float(1 - share.square().sum())) < 0.06, part  # as often as independent draws change


@pytest.mark.parametrize("name", NAMES)
def test_hash_is_that_of_the_tensors_and_stays(loaded, name):
    data = loaded(name)
    assert data.spec.sha256 == fingerprint(data.train, data.holdout, data.test)
    if data.spec.n_dims <= 784:
        assert load(name).spec == data.spec


def test_built_in_data_have_the_same_bits_with_any_threads_and_instructions(loaded):
    """Boards compare rows by the hash of their data, and rows come from machines of every kind."""
    names = [entry.name for entry in DATASETS if entry.builtin]
    script = (
        "import json, sys, torch; torch.set_num_threads(3)\n"
        "from ganbench.datasets.load import load\n"
        "print(json.dumps({name: load(name).spec.sha256 for name in sys.argv[1:]}))"
    )
    plain = {**os.environ, "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"}
    ran = subprocess.run([sys.executable, "-c", script, *names], env=plain, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == {name: loaded(name).spec.sha256 for name in names}


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("celeba", "who_likes_whom")])
def test_no_example_is_in_two_splits_by_construction(loaded, name):
    """No row of one split lies in another, but for the few that a published data set itself repeats.

    who_likes_whom holds all sentences there are, in every split.
    """
    data = loaded(name)
    rows = {part: {x.numpy().tobytes() for x in split.x} for part, split in splits(data).items()}
    repeated = sum(len(rows[a] & rows[b]) for a, b in [("train", "holdout"), ("train", "test"), ("holdout", "test")])
    assert repeated <= (0 if DATASETS.get(name).builtin else 0.001 * data.spec.n_train)


@pytest.mark.parametrize("entry", list(DATASETS), ids=lambda e: e.name)
def test_iterations_grow_with_the_scale(entry):
    steps = entry.budgets
    assert 0 < steps["smoke"] < steps["quick"] < steps["standard"]
    assert entry.event in ("vector", "image", "tokens", "clip", "any")


def test_missing_data_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("GANBENCH_DATA", raising=False)
    for entry in DATASETS:
        if entry.builtin or entry.prefix or entry.extra:
            continue
        for root, said in ((None, "GANBENCH_DATA"), (tmp_path, str(tmp_path))):
            with pytest.raises(MissingResource) as caught:
                load(entry.name, root)
            assert caught.value.exit_code == 5
            assert f"ganbench data get {entry.name}" in str(caught.value)
            assert said in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("entry", [e for e in DATASETS if e.extra], ids=lambda e: e.name)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(entry, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == "gensim" else find(name, *more))
    with pytest.raises(MissingResource) as caught:
        load(entry.name)
    assert caught.value.exit_code == 5
    assert f'pip install "ganbench[{entry.extra}]"' in str(caught.value)
