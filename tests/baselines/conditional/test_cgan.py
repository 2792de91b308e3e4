"""Conditional GANs on classes: what the label does, what a wrong label is, and where the matching game ends."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganbench import seeding
from ganbench.data import Batch, DataSpec, Split
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.errors import BadInput, NotApplicable
from ganbench.losses.conditional import discriminator_matching
from ganbench.model import Budget
from ganbench.registry import MODELS
from ganbench.scorers.load import load_scorer

K = 5
POINTS = DataSpec("points", (2,), None, K, 256, 256)
DIGITS = DataSpec("digits", (1, 8, 8), (-1.0, 1.0), K, 256, 256)
LARGE = DataSpec("large", (1, 28, 28), (-1.0, 1.0), K, 256, 256)
NAMES = ("cgan", "cgan_matching")
NEVER = torch.tensor([-math.inf], dtype=torch.float64)  # a logit whose false pair costs nothing


def built(name, spec, workbench, **overrides):
    return workbench.build(MODELS.load(name), spec, **overrides)


@pytest.mark.parametrize("spec", [POINTS, DIGITS, LARGE], ids=lambda s: s.name)
def test_both_players_read_the_class(spec, workbench):
    model = built("cgan", spec, workbench).eval()
    y = torch.zeros(6, dtype=torch.int64)
    one, other = (model.generate_classes(c, torch.Generator().manual_seed(3)) for c in (y, y + 1))
    assert (one - other).flatten(1).abs().amax(1).min() > 1e-5  # rounding reaches 1e-7
    assert (model.judge(one, y) - model.judge(one, y + 1)).abs().min() > 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_features_are_of_the_event_alone(name, workbench):
    model = built(name, LARGE, workbench).eval()
    assert model.features(torch.zeros(3, 1, 28, 28)).shape == (3, 64 * 7 * 7)


class Table(nn.Module):
    """Logits t(x) + w(x, y) of the discriminator of a world with two events, 0 and 1."""

    def __init__(self, t):
        super().__init__()
        self.t, self.w = nn.Parameter(t.clone()), nn.Parameter(torch.zeros(2, K))

    def forward(self, x, y):
        return self.t[x[:, 0].long()] + (self.w[x[:, 0].long()] * y).sum(1)


def gradient_of_the_class(p, q, workbench):
    """That of w at the best discriminator that ignores y, over events of shares p, q (2, K) in eighths per class."""
    model = built("cgan", POINTS, workbench)
    counts_p, counts_q = ((8 * s).round().long() for s in (p, q))
    real, y = rows(counts_p)
    fake, fake_y = rows(counts_q)
    assert torch.equal(y, fake_y)  # fakes take the labels of the batch
    model.discriminator = Table((p.mean(1) / q.mean(1)).log())
    object.__setattr__(model, "generate_classes", lambda labels, rng: fake)
    loss = model.discriminator_loss(Batch(real, torch.Generator(), y))
    return torch.autograd.grad(loss, model.discriminator.w)[0]


def rows(counts):
    """Events (N, 1) and classes (N,) with these counts (2, K), ordered by class."""
    cells = [(float(x), k) for k in range(K) for x in (0, 1) for _ in range(int(counts[x, k]))]
    return torch.tensor([[x] for x, _ in cells]), torch.tensor([k for _, k in cells])


def test_where_events_do_not_depend_on_the_class_the_best_discriminator_has_no_use_for_it(workbench):
    p, q = torch.tensor([[0.75], [0.25]]).expand(2, K), torch.tensor([[0.25], [0.75]]).expand(2, K)
    assert gradient_of_the_class(p, q, workbench).abs().max() < 1e-6
    dependent = p.clone()
    dependent[:, 0], dependent[:, 1] = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5])  # of the same mean
    assert gradient_of_the_class(dependent, q, workbench).abs().max() > 1e-3


def test_wrong_classes_are_never_right_and_all_others_alike(workbench):
    model = built("cgan_matching", POINTS, workbench)
    y = torch.arange(K).repeat_interleave(4000)
    wrong = model.wrong_classes(y, torch.Generator().manual_seed(0))
    counts = torch.bincount(K * y + wrong, minlength=K * K).view(K, K)
    assert counts.diagonal().sum() == 0
    others = counts[~torch.eye(K, dtype=torch.bool)].double()
    assert (others - 1000).abs().max() < 5 * math.sqrt(1000 * 0.75)  # five deviations of a count


def test_losses_are_the_written_forms_on_any_logits():
    real, wrong, fake = torch.randn(3, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(3)
    d = torch.sigmoid
    for w in (0.0, 0.25, 0.5):
        written = -d(real).log().mean() - w * (1 - d(wrong)).log().mean() - (1 - w) * (1 - d(fake)).log().mean()
        torch.testing.assert_close(discriminator_matching(real, wrong, fake, w), written)


@pytest.mark.parametrize("spec", [POINTS, DIGITS], ids=lambda s: s.name)
def test_matching_of_weight_zero_is_the_conditional_gan(spec, workbench):
    plain, matched = built("cgan", spec, workbench), built("cgan_matching", spec, workbench, matching_weight=0.0)
    matched.load_state_dict(plain.state_dict())
    batches = [workbench.batch(spec) for _ in range(2)]
    losses = [m.discriminator_loss(b) for m, b in zip((plain, matched), batches, strict=True)]
    torch.testing.assert_close(*losses)


def test_the_models_loss_weighs_wrong_classes_as_it_says(workbench):
    model = built("cgan_matching", POINTS, workbench, matching_weight=0.25)
    batch, again = workbench.batch(POINTS), workbench.batch(POINTS)
    fake = model.generate_classes(again.y, again.rng)
    wrong = model.wrong_classes(again.y, again.rng)
    right, other, made = model.judge(batch.x, batch.y), model.judge(batch.x, wrong), model.judge(fake, batch.y)
    d = torch.sigmoid
    written = -(d(right).log() + 0.25 * (1 - d(other)).log() + 0.75 * (1 - d(made)).log()).mean()
    torch.testing.assert_close(model.discriminator_loss(batch), written)


def normal(x, mean, std):
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


GRID = torch.linspace(-6, 6, 241, dtype=torch.float64)


def against(g, s, p, q, w):
    """The loss of logits s on a grid where p, q and the generator hold these masses, in the code's own form."""
    true, false = -NEVER, NEVER
    real = torch.vmap(lambda x: discriminator_matching(x, false, false, w))(s[:, None])
    wrong = torch.vmap(lambda x: discriminator_matching(true, x, false, w))(s[:, None])
    fake = torch.vmap(lambda x: discriminator_matching(true, false, x, w))(s[:, None])
    return (p * real + q * wrong + g * fake).sum()


@pytest.mark.parametrize(
    ("p", "q", "w"),
    [((0, 1), (0.3, 0.6), 0.5), ((0, 1), (0.3, 0.6), 0.25), ((1, 1), (-1, 1), 0.5), ((1, 1), (-1, 1), 0.0)],
    ids=["nowhere negative", "smaller weight", "negative on one side", "no matching"],
)
def test_the_matching_game_ends_at_the_data_less_the_mismatched(p, q, w):
    """The best discriminator's loss is largest against masses (p - w q) / (1 - w).

    Where that is negative the generator has none, and elsewhere (c p - w q) / (1 - w) with the c <= 1 for which they
    sum to 1. The least loss is concave in the masses, so that no first step towards others must raise it.
    """
    p, q = (m / m.sum() for m in (normal(GRID, *p), normal(GRID, *q)))
    low, high = 0.0, 1.0
    for _ in range(60):
        c = (low + high) / 2
        low, high = (c, high) if (c * p - w * q).clamp_min(0).sum() < 1 - w else (low, c)
    g = ((high * p - w * q).clamp_min(0) / (1 - w)).requires_grad_()
    if float((p - w * q).min()) >= 0:
        torch.testing.assert_close(g.detach(), (p - w * q) / (1 - w), rtol=0, atol=1e-12)
    s = (p / (w * q + (1 - w) * g.detach())).log().requires_grad_()
    by_masses, by_logits = torch.autograd.grad(against(g, s, p, q, w), (g, s))
    assert by_logits.abs().max() < 1e-12  # no discriminator does better
    held = g > 1e-12
    level = by_masses[held].mean()
    assert (by_masses[held] - level).abs().max() < 1e-9  # nothing is won by moving mass,
    assert bool((by_masses[~held] <= level).all())  # nor by putting some where there is none
    if w:
        data = p.clone().requires_grad_()
        (by_masses,) = torch.autograd.grad(against(data, (p / (w * q + (1 - w) * p)).log(), p, q, w), data)
        assert by_masses.std() > 1e-2  # while the data's own law is no end of it


@pytest.mark.parametrize("name", NAMES)
def test_classes_left_open_are_drawn_as_the_data_has_them(name, workbench):
    model = built(name, POINTS, workbench)
    y = torch.tensor([0] * 70 + [3] * 30)
    model.start(Split(torch.zeros(100, 2), y), torch.Generator())
    drawn = model.draw_classes(10_000, torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=K) / 10_000
    assert (share - torch.tensor([0.7, 0, 0, 0.3, 0])).abs().max() < 5 * math.sqrt(0.21 / 10_000)  # five deviations


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (torch.tensor([0, 1, K]), "classes from 0 to 4; got 0 to 5"),
        (torch.tensor([-1, 0, 1]), "got -1 to 1"),
        (torch.tensor([0, 1]), r"y must be \(3,\) int64"),
        (torch.tensor([0.0, 1.0, 2.0]), r"got \(3,\) float32"),
    ],
)
def test_classes_that_are_none_are_refused(y, says, workbench):
    with pytest.raises(BadInput, match=says):
        built("cgan", POINTS, workbench).sample(3, torch.Generator(), y)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [None, 1])
def test_data_without_several_classes_is_refused(name, classes, workbench):
    with pytest.raises(NotApplicable, match=f"{name} draws one of several classes; plain has"):
        built(name, DataSpec("plain", (2,), None, classes), workbench)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "iterations"), [("cgan", 1500), ("cgan_matching", 1000)])
def test_digits_asked_for_are_digits_drawn(name, iterations):
    data, cls = load("digits"), MODELS.load(name)
    model = cls(cls.configure(data.spec))
    with seeding.global_stream("init", name):
        model.build(data.spec)
    train(model, data.train, Budget(iterations=iterations), torch.Generator().manual_seed(0))
    y = torch.arange(500) % 10
    with torch.no_grad():
        judged = load_scorer("digits_cnn").probs(model.sample(500, torch.Generator().manual_seed(1), y)).argmax(1)
    assert (judged == y).float().mean() > 0.6  # chance is 0.1, with a deviation of 0.013
    assert F.one_hot(judged, 10).sum(0).min() > 10
