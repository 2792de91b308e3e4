"""Data whose events are made from conditions: the maps, the renderer and the captions are what they say, exactly."""

from __future__ import annotations

import pytest
import torch

from ganbench.datasets import captions as words
from ganbench.datasets.derived import INKS, coloured, edges, inked, slant
from ganbench.datasets.load import load
from ganbench.datasets.rendered import BITS, glyphs, unseen, values_of_bits
from ganbench.datasets.rendering import ATTRIBUTES, glyph, measure, render
from ganbench.registry import DATASETS

BUILT_IN = [e.name for e in DATASETS if e.cond and e.builtin]
IMAGES = [e.name for e in DATASETS if e.cond == "image" and e.builtin]
TRUTH = {"rotated_digits": lambda c: c.rot90(-1, (2, 3)), "inverted_digits": lambda c: -c}


@pytest.mark.parametrize("name", BUILT_IN)
def test_registration_and_spec_agree(name):
    entry, data = DATASETS.get(name), load(name)
    assert data.spec.cond is not None
    assert data.spec.cond.kind == entry.cond
    assert data.spec.cond.paired == entry.paired
    assert tuple(data.test.cond.shape[1:]) == data.spec.cond.shape


@pytest.mark.parametrize("name", [n for n in IMAGES if not DATASETS.get(n).paired])
def test_an_unpaired_train_split_holds_no_pair(name):
    """Sources are of other examples than targets: turned back into targets, none is among them."""
    data = load(name)
    back = TRUTH.get(name, lambda c: c)(data.train.conditions())
    targets = data.train.events().amax(1, keepdim=True)
    assert len(back) + len(targets) <= len(load("digits").train)
    seen = {t.numpy().tobytes() for t in targets}
    assert sum(b.contiguous().numpy().tobytes() in seen for b in back) == 0


@pytest.mark.parametrize("name", sorted(TRUTH))
def test_the_hidden_map_is_the_truth_of_the_test_split(name):
    data = load(name)
    off = (TRUTH[name](data.test.conditions()) - data.test.events()).abs().max()
    assert off < 2.1 / 255  # a grey half-way between two levels goes to the even one, and so does its inverse


def test_an_ink_of_full_strength_leaves_the_grey_digit_readable():
    x = load("digits").test.events(slice(0, 50))
    assert torch.equal(inked(x, INKS[torch.arange(50) % 10]).amax(1, keepdim=True), x)
    assert INKS.unique(dim=0).shape == (10, 3)
    assert torch.equal(coloured(x, torch.full((50,), 9))[:, 0], x[:, 0])  # white


def test_edges_of_a_square_are_its_rim():
    x = torch.full((1, 1, 8, 8), -1.0)
    x[..., 2:6, 2:6] = 1
    rim = edges(x, torch.zeros(1))[0, 0] > 0
    assert rim.sum() == 6 * 6 - 2 * 2
    assert not rim[3:5, 3:5].any()


def test_slant_is_the_shear_of_a_stroke():
    x = torch.full((2, 1, 20, 20), -1.0)
    for row in range(20):
        x[0, 0, row, 10] = 1  # upright
        x[1, 0, row, 14 - row // 2] = 1  # half a column to the right for every row up
    assert slant(x)[0].abs() < 1e-6
    assert slant(x)[1] == pytest.approx(0.5, abs=0.02)


def test_a_picture_shows_the_attributes_it_was_rendered_with(rng):
    shapes = glyphs(load("digits").train)
    values = torch.stack([torch.randint(len(a.values), (len(shapes),), generator=rng) for a in ATTRIBUTES], 1)
    right = (measure(render(shapes, values).float() / 127.5 - 1) == values).float().mean(0)
    assert right[:3].tolist() == [1, 1, 1]
    assert right[3] > 0.97  # a thin stroke that fills its box is read as a thick one


def test_a_small_glyph_is_cut_out_as_it_was():
    shapes = glyphs(load("digits").train)[:100]
    for colour, place in ((0, 0), (5, 1)):
        values = torch.tensor([[colour, 0, place, 0]]).expand(100, 4)
        assert torch.allclose(glyph(render(shapes, values).float() / 127.5 - 1, 8), shapes, atol=0.5 / 255 + 1e-6)


def test_a_counterfactual_changes_what_was_changed_and_nothing_else():
    data = load("attributed_digits")
    assert torch.equal(render(data.rendered.glyphs, data.rendered.values), data.test.x)
    bits = data.test.cond.clone()
    bits[:, 0] *= -1  # red to blue and back
    other = render(data.rendered.glyphs, values_of_bits(bits))
    assert torch.equal(other.amax(1), data.test.x.amax(1))
    assert torch.equal(other[:, [2, 1, 0]], data.test.x)
    assert len(BITS) == data.test.cond.shape[1]


def test_captions_say_what_they_were_made_from(rng):
    digits = torch.randint(10, (500,), generator=rng)
    values = torch.stack([torch.randint(len(a.values), (500,), generator=rng) for a in ATTRIBUTES], 1)
    tokens = words.captions(digits, values, rng)
    said_digit, said = words.read(tokens)
    assert torch.equal(said_digit, digits)
    assert torch.equal(said[:, 0], values[:, 0])  # the colour is always named
    assert torch.equal(torch.where(said < 0, values, said), values)
    share = (said >= 0).float().mean(0)
    assert share[1:].sub(words.NAMED).abs().max() < 4 * (0.16 / 500) ** 0.5
    assert len({tuple(row) for row in tokens.tolist()}) > 300  # synonyms and orders vary
    assert (tokens[:, -1] == -1).any()
    assert tokens.max() < len(words.WORDS)


def test_pairs_kept_from_training_are_kept():
    data = load("captioned_digits")
    for split in (data.train, data.holdout):
        digit, said = words.read(split.cond)
        assert not unseen(digit, said[:, 0]).any()
    digit, said = words.read(data.test.cond)
    assert unseen(digit, said[:, 0]).float().mean() == pytest.approx(1 / 6, abs=0.05)
    assert torch.equal(digit, data.test.y)
