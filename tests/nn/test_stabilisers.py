"""Layers that stabilise GANs, against loops and closed forms."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from ganbench.data import DataSpec
from ganbench.errors import BadConfig
from ganbench.nn import (
    DCGANGenerator,
    Maxout,
    MinibatchDiscrimination,
    MinibatchDiscriminator,
    ParameterHistory,
    VirtualBatchNorm,
    WithReference,
    check_pack,
    mlp_discriminator,
    mlp_generator,
    pack,
    packed_spec,
    spectrally_normalised,
)

close = torch.testing.assert_close


def test_minibatch_discrimination_is_the_printed_sum() -> None:
    torch.manual_seed(0)
    layer, x = MinibatchDiscrimination(4, n_kernels=3, kernel_dim=2), torch.randn(5, 4)
    m = torch.stack([(row @ layer.tensor).view(3, 2) for row in x])
    by_hand = torch.zeros(5, 3)
    for i in range(5):
        for j in range(5):
            if i != j:
                by_hand[i] += torch.exp(-(m[i] - m[j]).abs().sum(1))
    out = layer(x)
    close(out, torch.cat([x, by_hand], 1))
    close(layer(x[[3, 1, 4, 0, 2]]), out[[3, 1, 4, 0, 2]])  # order does not matter
    close(layer(x[:1])[:, 4:], torch.zeros(1, 3))  # alone: near nobody
    close(layer(x[:1].expand(5, 4))[:, 4:], torch.full((5, 3), 4.0))  # collapsed: near all


def test_minibatch_discriminator_sees_collapse_that_a_plain_one_cannot() -> None:
    torch.manual_seed(0)
    spec = DataSpec("v", (2,))
    judge = MinibatchDiscriminator(mlp_discriminator(spec, (8,)))
    x = torch.randn(6, 2)
    alone = torch.cat([judge(row[None].expand(6, 2))[:1] for row in x])
    assert not torch.allclose(judge(x), alone)
    close(judge.features(x)[:2], judge.features(x[:2]))  # below the layer examples are apart


@pytest.mark.parametrize("shape", [(3,), (3, 4, 4)])
def test_virtual_batch_norm_mixes_reference_and_self_but_no_batch_mates(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    r, layer = 6, VirtualBatchNorm(3, 6)
    reference, x = torch.randn(r, *shape) * 2 + 1, torch.randn(4, *shape)
    out = layer(torch.cat([reference, x]))
    for i in range(4):
        mates = torch.cat([reference, x[i : i + 1]])
        over = [0, *range(2, mates.ndim)]
        mean = mates.mean(over, keepdim=True)
        var = (mates - mean).square().mean(over, keepdim=True)
        close(out[r + i], ((x[i] - mean[0]) / (var[0] + layer.eps).sqrt()))
    close(layer(torch.cat([reference, x[:1]]))[r:], out[r : r + 1])
    # The reference itself gets ordinary batch norm.
    plain = nn.BatchNorm1d(3) if len(shape) == 1 else nn.BatchNorm2d(3)
    close(out[:r], plain(reference), rtol=1e-4, atol=1e-5)


def test_virtually_normed_generators_treat_each_latent_alone() -> None:
    torch.manual_seed(0)
    norm = partial(VirtualBatchNorm, n_reference=5)
    for network in (
        mlp_generator(DataSpec("v", (2,)), 4, (8, 8), norm=norm),
        DCGANGenerator(DataSpec("i", (1, 8, 8), (-1, 1)), 4, 4, norm),
    ):
        generator, z = WithReference(network, torch.randn(5, 4)), torch.randn(3, 4)
        close(generator(z)[1:2], generator(z[1:2]), rtol=1e-4, atol=1e-5)
        assert "reference" in generator.state_dict()


def test_packs_hold_consecutive_examples_side_by_side() -> None:
    x = torch.arange(12.0).view(6, 2)
    close(pack(x, 3), torch.arange(12.0).view(2, 6))
    images = torch.randn(4, 3, 5, 5)
    packed = pack(images, 2)
    close(packed[1], torch.cat([images[2], images[3]]))
    assert packed_spec(DataSpec("i", (3, 5, 5)), 2).event_shape == (6, 5, 5)
    close(pack(images, 1), images)
    with pytest.raises(BadConfig, match="multiple of the pack size 3; got 64, try 63"):
        check_pack(64, 3)


@pytest.mark.parametrize("past", ["mean", "previous"])
def test_parameter_history_measures_distance_from_the_past(past: str) -> None:
    layer = nn.Linear(1, 1, bias=False)
    history = ParameterHistory(layer, past)  # type: ignore[arg-type]
    path = [0.5, 2.0, -1.0, 4.0]
    layer.weight.data.fill_(path[0])
    history = ParameterHistory(layer, past)  # type: ignore[arg-type]
    close(history.penalty().item(), 0.0)
    for i, w in enumerate(path[1:], 1):
        layer.weight.data.fill_(w)
        history.update()
        before = sum(path[: i + 1]) / (i + 1) if past == "mean" else path[i - 1]
        close(history.penalty().item(), (w - before) ** 2, rtol=1e-5, atol=0)
    (slope,) = torch.autograd.grad(history.penalty(), layer.weight)
    close(slope.item(), 2 * (w - before), rtol=1e-5, atol=0)
    assert {"count", "past_0", "last_0"} <= set(history.state_dict())


def test_maxout_takes_the_largest_piece() -> None:
    torch.manual_seed(0)
    layer, x = Maxout(3, 2, 4), torch.randn(5, 3)
    pieces = [x @ layer.linear.weight[i] + layer.linear.bias[i] for i in range(8)]
    by_hand = torch.stack([torch.stack(pieces[unit::2]).amax(0) for unit in range(2)], 1)
    close(layer(x), by_hand)


def test_derivatives_of_maxout_are_those_of_the_largest_piece() -> None:
    torch.manual_seed(0)
    layer = Maxout(3, 2, 4).double()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(lambda x: layer(x).square(), x)


def test_spectral_normalisation_sets_the_largest_singular_value_to_one() -> None:
    torch.manual_seed(0)
    network = spectrally_normalised(mlp_discriminator(DataSpec("v", (2,)), (16, 16)))
    x = torch.randn(8, 2)
    for _ in range(50):
        network(x)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            close(torch.linalg.matrix_norm(layer.weight, 2), torch.tensor(1.0), rtol=1e-3, atol=0)
    # So the network is 1-Lipschitz: leaky ReLUs do not stretch.
    y = torch.randn(8, 2)
    assert ((network(x) - network(y)).abs() <= (x - y).norm(dim=1) * 1.001).all()
