"""Moments of batch norms, held still or taken anew: by closed forms of what they must be."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from baselines.adversarial.gan_ns import NonSaturatingGAN
from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.model import Budget
from ganbench.nn.moments import batch_norms, some_batches, take_moments, without_trace
from ganbench.registry import MODELS


def test_moments_become_those_of_the_events_shown(rng):
    x = 3 * torch.randn(4000, 5, generator=rng) + 2
    norm = nn.BatchNorm1d(5)
    norm(torch.randn(64, 5, generator=rng) - 10)  # what fakes left
    norm.eval()
    take_moments(norm, norm, some_batches(Split(x), 100, rng, most=40))
    assert_close(norm.running_mean, x.mean(0), rtol=0, atol=1e-4)
    within = torch.stack([b.var(0) for b in x.split(100)]).mean(0)  # of all batches of 100, whatever their order
    assert_close(norm.running_var, within, rtol=0.02, atol=0)
    assert not norm.training
    assert norm.momentum == 0.1


def test_norms_that_nobody_comes_by_stay_as_they_are(rng):
    seen, unseen = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    unseen(torch.randn(8, 2, generator=rng))
    before = {k: v.clone() for k, v in unseen.state_dict().items()}
    take_moments(nn.ModuleList([seen, unseen]), seen, [torch.randn(8, 2, generator=rng)])
    assert seen.num_batches_tracked == 1
    for k, v in unseen.state_dict().items():
        assert_close(v, before[k])


def test_a_judge_that_refuses_to_be_read_keeps_its_moments(rng):
    norm = nn.BatchNorm1d(2)
    norm(torch.randn(8, 2, generator=rng))
    before = {k: v.clone() for k, v in norm.state_dict().items()}

    def look(x):
        raise NotApplicable("of packs alone")

    with pytest.raises(NotApplicable):
        take_moments(norm, look, [torch.randn(8, 2, generator=rng)])
    assert norm.momentum == 0.1
    for k, v in norm.state_dict().items():
        assert_close(v, before[k])


def test_batches_hold_different_events_and_are_of_one_size(rng):
    found = torch.cat(list(some_batches(Split(torch.arange(10.0)[:, None]), 3, rng)))
    assert len(found) == len(found.unique()) == 9
    assert list(some_batches(Split(torch.zeros(1, 2)), 4, rng)) == []  # one event has no moments


def test_looking_ahead_moves_no_moments(rng):
    norm = nn.BatchNorm1d(2).eval()
    x = torch.randn(64, 2, generator=rng) + 5
    with without_trace(norm):
        assert_close(norm(x).mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    assert_close(norm.running_mean, torch.zeros(2))
    assert not norm.training


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_a_judge_is_read_by_the_moments_of_data_whatever_the_fakes_were(rng, shift):
    """After training the moments of the first norm are those of its inputs from data."""
    spec = DataSpec("images", (1, 16, 16), (-1.0, 1.0), n_train=64)
    model = NonSaturatingGAN(NonSaturatingGAN.configure(spec, batch_size=16, width=4))
    model.build(spec)
    x = (0.3 * torch.randn(64, 1, 16, 16, generator=rng) + shift).clamp(-1, 1)
    train(model, Split(x), Budget(iterations=2), rng)
    norms = batch_norms(model.discriminator)
    assert norms
    inputs = {}
    for m in norms:
        m.register_forward_pre_hook(lambda m, args: inputs.__setitem__(m, args[0]))
    with torch.no_grad():
        model.features(x)
    first = norms[0]  # its input does not hang on other norms
    assert_close(first.running_mean, inputs[first].mean((0, 2, 3)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["batch_norm", "spectral_norm"])
def test_steps_that_are_not_taken_leave_no_trace_in_the_judge(norm, rng):
    spec = DataSpec("images", (1, 28, 28), (-1.0, 1.0), n_train=64)
    cls = MODELS.load("gan")
    model = cls(cls.configure(spec, batch_size=16, width=4, objective="minimax", stabilisers=("unroll:2", norm)))
    model.build(spec)
    _, generator = model.players()
    before = {k: v.clone() for k, v in model.discriminator.state_dict().items()}
    generator.loss(Batch(torch.rand(16, 1, 28, 28, generator=rng), rng)).backward()
    for k, v in model.discriminator.state_dict().items():
        assert_close(v, before[k], rtol=0, atol=0)
