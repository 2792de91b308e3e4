"""Text to image: what a caption's code holds, which captions are wrong, and who plays when."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from baselines.conditional.text2image import others
from ganbench.data import Batch, Condition, DataSpec, Split
from ganbench.datasets.captions import WORDS, captions
from ganbench.datasets.load import load
from ganbench.datasets.rendering import ATTRIBUTES
from ganbench.engine.loop import train
from ganbench.errors import BadInput, NotApplicable
from ganbench.losses.adversarial import generator_non_saturating
from ganbench.losses.conditional import symmetric_classification
from ganbench.model import Budget
from ganbench.nn.tokens import TokenEncoder
from ganbench.registry import MODELS

CAPTIONS = Condition("tokens", (12,), vocabulary=len(WORDS))
SPEC = DataSpec("pictures", (3, 16, 16), (-1.0, 1.0), 10, 64, 64, cond=CAPTIONS)
COLOURS = DataSpec("large", (3, 32, 32), (-1.0, 1.0), 10, 64, 64, cond=CAPTIONS)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def built(workbench, spec=SPEC, **overrides):
    return workbench.build(MODELS.load("text2image"), spec, **overrides)


def words(n, seed=0):
    """Digits (n,), values of all attributes (n, 4) and a caption of each (n, 12)."""
    draw = rng(seed)
    digits = torch.randint(10, (n,), generator=draw)
    values = torch.stack([torch.randint(len(a.values), (n,), generator=draw) for a in ATTRIBUTES], 1)
    return digits, values, captions(digits, values, draw)


def batch(spec=SPEC, n=16):
    digits, _, cond = words(n)
    return Batch(2 * torch.rand(n, *spec.event_shape, generator=rng(1)) - 1, rng(2), digits, cond=cond)


@pytest.mark.parametrize("spec", [SPEC, COLOURS], ids=lambda s: s.name)
def test_both_players_read_the_caption(spec, workbench):
    model = built(workbench, spec).eval()
    cond = batch(spec).cond
    with torch.no_grad():
        one, other = model.translate(cond, rng()), model.translate(cond.roll(1, 0), rng())
        judged, otherwise = (model.discriminator(one, model.code(c)) for c in (cond, cond.roll(1, 0)))
    assert one.shape == (16, *spec.event_shape)
    assert (one - other).flatten(1).abs().amax(1).min() > 1e-5  # rounding reaches 1e-7
    assert (judged - otherwise).abs().min() > 1e-7


def test_padding_is_not_read_and_the_order_of_words_is():
    encoder = TokenEncoder(9, 16)
    short, padded = torch.tensor([[1, 2, 3]]), torch.tensor([[1, 2, 3, -1, -1]])
    with torch.no_grad():
        torch.testing.assert_close(encoder(padded), encoder(short))
        torch.testing.assert_close(encoder(torch.cat([padded, torch.ones_like(padded)]))[:1], encoder(short))
        assert (encoder(short) - encoder(short.flip(1))).abs().max() > 1e-3


def test_wrong_captions_are_of_another_class_and_all_those_alike():
    y = torch.tensor([0, 0, 1, 2])
    draws = torch.stack([others(y, draw)[0] for draw in [rng()] for _ in range(6000)])
    assert not (y[draws] == y).any()
    share = (draws == 2).double().mean(0)
    assert (share - torch.tensor([0.5, 0.5, 0.0, 1 / 3])).abs().max() < 5 * (0.25 / 6000) ** 0.5  # five deviations


def test_a_batch_of_one_class_has_no_wrong_captions(workbench):
    model, full, half = (built(workbench, matching_weight=w) for w in (0.5, 0.0, 0.5))
    shown = batch()
    alone = replace(shown, y=torch.zeros(16, dtype=torch.int64))
    assert not others(alone.y, rng())[1].any()
    loss = half.discriminator_loss(alone)
    code = model.code(alone.cond)
    again = batch().rng
    with torch.no_grad():
        fake = model.generate(code, again)
    d = torch.sigmoid
    real, made = d(model.discriminator(alone.x, code)).log().mean(), (1 - d(model.discriminator(fake, code))).log()
    torch.testing.assert_close(loss, -real - 0.5 * made.mean())
    grads = torch.autograd.grad(loss, list(half.discriminator.parameters()))
    assert all(bool(torch.isfinite(g).all()) for g in grads)
    assert full.config.matching_weight == 0


def test_the_interpolation_term_is_the_generators_alone_and_goes_with_its_weight(workbench):
    losses = {}
    for w in (0.0, 1.0, 2.0):
        model = built(workbench, interpolation_weight=w)
        losses[w] = (model.discriminator_loss(batch()), model.generator_loss(batch()))
    judged = torch.stack([d for d, _ in losses.values()])
    torch.testing.assert_close(judged, judged[:1].expand(3))
    plain, once, twice = (g for _, g in losses.values())
    model, shown = built(workbench), batch()
    code = model.code(shown.cond)
    fake = model.generate(code, shown.rng)
    torch.testing.assert_close(plain, generator_non_saturating(model.discriminator(fake, code)))
    between = (code + code[torch.arange(-1, 15)]) / 2
    term = generator_non_saturating(model.discriminator(model.generate(between, shown.rng), between))
    torch.testing.assert_close(once - plain, term)
    torch.testing.assert_close(twice - plain, 2 * term)


def test_the_symmetric_loss_is_both_cross_entropies_and_least_where_pairs_stand_out():
    a = torch.randn(5, 5, generator=rng(), dtype=torch.float64)
    rows, columns = a.softmax(1).diagonal().log(), a.softmax(0).diagonal().log()
    torch.testing.assert_close(symmetric_classification(a), -(rows + columns).mean() / 2)
    assert symmetric_classification(100 * torch.eye(5)) < 1e-6
    torch.testing.assert_close(symmetric_classification(torch.zeros(5, 5)), torch.tensor(5.0).log())


def test_encoders_learn_first_and_stay_as_they_are_while_the_gan_plays(workbench):
    model = built(workbench, batch_size=16, pretrain=0.5)
    digits, _, cond = words(64)
    data = Split(2 * torch.rand(64, 3, 16, 16, generator=rng()) - 1, digits, cond=cond)
    spans = {p.name: p.span for p in model.players()}
    assert spans == {"encoders": (0.0, 0.5), "discriminator": (0.5, 1.0), "generator": (0.5, 1.0)}
    shown = Batch(data.x[:16], rng(), digits[:16], cond=cond[:16])
    for player in model.players()[1:]:
        grads = torch.autograd.grad(player.loss(shown), list(model.text_encoder.parameters()), allow_unused=True)
        assert all(g is None for g in grads)
    out = train(model, data, Budget(iterations=4), rng())
    assert {name: steps for name, (steps, _) in out.history.items()} == {
        "encoders": [0, 1], "discriminator": [2, 3], "generator": [2, 3],
    }  # fmt: skip


def test_captions_that_say_the_same_come_near_each_other(workbench):
    """After a short training: two captions of the same picture, against captions of two pictures."""
    data = load("captioned_digits")
    model = built(workbench, data.spec, pretrain=0.99)
    digits, values, one = words(200, seed=5)
    other = captions(digits, values, rng(6))
    same = (one == other).all(1)

    def closer():
        """How often a caption is nearer to the other of its picture than to that of the next picture."""
        with torch.no_grad():
            a, b = model.text_encoder(one)[~same], model.text_encoder(other)[~same]
        near, far = torch.cosine_similarity(a, b), torch.cosine_similarity(a, b.roll(1, 0))
        return (near > far).float().mean(), near.mean() - far.mean()

    before = closer()
    train(model, data.train, Budget(iterations=60), rng())
    after = closer()
    assert after[0] > 0.85  # chance is 0.5, a share's deviation 0.02; codes of words not yet trained reach 0.72
    assert after[1] > before[1] + 0.1


@pytest.mark.parametrize(
    ("cond", "says"),
    [
        (torch.zeros(3, 11, dtype=torch.int64), r"captions must be \(B, 12\) int64; got \(3, 11\) int64"),
        (torch.zeros(3, 12), r"got \(3, 12\) float32"),
        (torch.full((3, 12), len(WORDS)), f"words from 0 to {len(WORDS) - 1}, or -1 for padding; got {len(WORDS)}"),
        (torch.full((3, 12), -2), "got -2 to -2"),
        (torch.full((3, 12), -1), "one word at least"),
        (torch.tensor([[1, -1, *[2] * 10]]), "-1 only after their last word"),
    ],
)
def test_captions_that_are_none_are_refused(cond, says, workbench):
    with pytest.raises(BadInput, match=says):
        built(workbench).translate(cond, rng())


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (replace(SPEC, cond=None), "images with captions of known words; pictures has none"),
        (replace(SPEC, cond=Condition("image", (3, 16, 16))), "captions of known words"),
        (replace(SPEC, cond=replace(CAPTIONS, vocabulary=None)), "captions of known words"),
        (replace(SPEC, cond=replace(CAPTIONS, paired=False)), "captions of known words"),
        (replace(SPEC, n_classes=None), "wrong captions from other classes; pictures has none"),
        (replace(SPEC, event_shape=(2,)), "learns from images"),
    ],
)
def test_data_without_captions_or_classes_is_refused(spec, says, workbench):
    with pytest.raises(NotApplicable, match=says):
        built(workbench, spec)
