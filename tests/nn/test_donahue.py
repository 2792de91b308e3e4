"""The networks of BiGAN's MNIST against their formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.data import DataSpec
from ganbench.errors import NotApplicable
from ganbench.nn import ConditionedGenerator, ConditionedMLP
from ganbench.registry import MODELS


def normed(h: Tensor) -> Tensor:
    return (h - h.mean(0)) / (h.var(0, unbiased=False) + 1e-5).sqrt()


def test_a_discriminator_of_pairs_adds_the_code_before_the_second_norm(rng: torch.Generator) -> None:
    net = ConditionedMLP(6, (), condition=3, width=8)
    x, z = torch.randn(16, 6, generator=rng), torch.randn(16, 3, generator=rng)
    w1, w2, wz, out = (p for p in net.parameters())
    h = F.leaky_relu(normed(F.leaky_relu(x @ w1.T, 0.2) @ w2.T + z @ wz.T), 0.2)
    torch.testing.assert_close(net(x, z), (h @ out.T).squeeze(1), rtol=1e-4, atol=1e-5)


def test_a_generator_reads_its_latent_twice(rng: torch.Generator) -> None:
    net = ConditionedGenerator(DataSpec("small", (1, 2, 2), (-1.0, 1.0)), 3, width=8)
    z = torch.randn(16, 3, generator=rng)
    w1, w2, wz, out = (p for p in net.parameters())
    h = F.relu(normed(F.relu(normed(z @ w1.T)) @ w2.T + z @ wz.T))
    torch.testing.assert_close(net(z), (h @ out.T).tanh().view(16, 1, 2, 2), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["bigan", "latent_regressor"])
def test_the_papers_rate_falls_to_a_hundredth_over_the_second_half(name: str, image8_spec, vector_spec) -> None:
    model = MODELS.load(name)(MODELS.load(name).configure(image8_spec, networks="paper"))
    model.build(image8_spec)
    assert model.schedule is not None
    assert [round(model.schedule(s), 4) for s in (0.0, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.1, 0.01]
    other = MODELS.load(name)(MODELS.load(name).configure(vector_spec, networks="paper"))
    with pytest.raises(NotApplicable, match="tanh"):
        other.build(vector_spec)
