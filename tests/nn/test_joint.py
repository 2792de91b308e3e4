"""Joint discriminators see every argument; encoders and decoders keep shapes and domains."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.model import GAN
from ganbench.nn import JointDiscriminator, from_unit, make_decoder, make_encoder, to_unit


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (1, 28, 28)])
def test_joint_discriminator_depends_on_the_event_and_on_every_code(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    spec = DataSpec("any", shape, (-1.0, 1.0) if len(shape) == 3 else None)
    net = JointDiscriminator(spec, GAN.Config(width=8), (3, 2))
    inputs = [torch.randn(4, *shape), torch.randn(4, 3), torch.randn(4, 2)]
    for x in inputs:
        x.requires_grad_()
    logits = net(*inputs)
    assert logits.shape == (4,)
    gradients = torch.autograd.grad(logits[0], inputs)
    for g in gradients:  # the first logit feels all of the first row, and no other row
        assert float(g[0].norm()) > 0
        assert_close(g[1:], torch.zeros_like(g[1:]))


def test_dropout_leaves_out_units_of_every_hidden_layer_and_scales_the_others() -> None:
    torch.manual_seed(0)
    spec = DataSpec("any", (1, 8, 8), (-1.0, 1.0))
    head = JointDiscriminator(spec, GAN.Config(hidden=(256,)), (3,), dropout=0.25).head
    x = torch.randn(4, 67)
    dropped, whole = head.features(x), head.eval().features(x)
    left_out = dropped == 0
    assert 0.15 < float(left_out.float().mean()) < 0.35  # of 1,024 units: a standard error is 0.014
    assert_close(dropped[~left_out], whole[~left_out] / 0.75)
    plain = JointDiscriminator(spec, GAN.Config(hidden=(256,)), (3,)).head
    assert_close(plain.features(x), plain.eval().features(x), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(2,), (1, 8, 8), (3, 32, 32)])
def test_encoder_and_decoder_shapes(shape: tuple[int, ...]) -> None:
    spec = DataSpec("any", shape, (-1.0, 1.0) if len(shape) == 3 else None)
    config = GAN.Config(latent_dim=5, width=8)
    codes = make_encoder(spec, config, 7)(torch.randn(4, *shape))
    assert codes.shape == (4, 7)
    assert make_decoder(spec, config, maps=2)(torch.randn(4, 5)).shape == (4, 2 * shape[0], *shape[1:])
    bounded = make_decoder(spec, config, bounded=True)(100 * torch.randn(4, 5))
    assert bounded.shape == (4, *shape)
    if spec.domain:
        assert float(bounded.abs().max()) <= 1


def test_units_and_domain_are_inverse_and_unbounded_data_is_refused() -> None:
    spec = DataSpec("image", (1, 2, 2), (-1.0, 1.0))
    x = torch.linspace(-1, 1, 9)
    assert_close(to_unit(x, spec), torch.linspace(0, 1, 9))
    assert_close(from_unit(to_unit(x, spec), spec), x)
    with pytest.raises(NotApplicable, match="unbounded"):
        to_unit(x, DataSpec("vector", (2,)))
