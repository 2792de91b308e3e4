"""Photographs that packages ship: found by path, cut into patches that are not flat; absent, the way to get them."""

from __future__ import annotations

import importlib.machinery
import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ganbench.datasets import photographs
from ganbench.datasets.load import load
from ganbench.errors import MissingResource

HAS = importlib.util.find_spec


def elsewhere(package, root):
    """find_spec that finds the package in a folder, or nowhere."""

    def find(name):
        if name != package:
            return HAS(name)
        if root is None:
            return None
        spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(root)]
        return spec

    return find


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    rng = np.random.default_rng(0)
    for name in photographs.TRAIN:
        Image.fromarray(rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)).save(tmp_path / "data" / name)
    monkeypatch.setattr(importlib.util, "find_spec", elsewhere("skimage", tmp_path))
    return tmp_path


@pytest.mark.parametrize(("name", "factor"), [("half_photographs", 2), ("fourth_photographs", 4)])
def test_small_ones_are_box_means_of_their_patches(shipped, name, factor):
    data = load(name)
    assert data.spec.event_shape == (3, 32, 32)
    assert len(data.train) + len(data.holdout) == 5 * 3 * 4  # every 16 pixels of 64x80
    low = F.avg_pool2d(data.test.events(), factor)
    assert (data.test.conditions() - low).abs().max() <= 1 / 255 + 1e-6  # half a level of rounding
    assert data.test.events().mean(1).flatten(1).std(1).min() >= photographs.LEAST / 127.5 - 1e-6


def test_flat_patches_are_left_out():
    picture = torch.zeros(3, 32, 64, dtype=torch.uint8)
    picture[:, :, 48:] = 200
    assert len(photographs.patches(picture, 32)) == 1


def test_what_is_not_installed_says_how_to_get_it(monkeypatch, tmp_path):
    for root in (None, tmp_path):
        monkeypatch.setattr(importlib.util, "find_spec", elsewhere("skimage", root))
        with pytest.raises(MissingResource, match=r'pip install "ganbench\[photographs\]"'):
            load("half_photographs")
