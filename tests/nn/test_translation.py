"""Networks from images to images: sizes, what each output sees, independence of the batch; the pool of fakes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganbench.errors import NotApplicable
from ganbench.nn.translation import (
    ImagePool,
    PatchJudge,
    SRResNet,
    UNet,
    instance_norm,
    residual_translator,
    srgan_judge,
)

SIZES = [(1, (8, 8)), (1, (28, 28)), (3, (32, 32)), (2, (7, 9)), (1, (15, 30)), (1, (18, 21)), (1, (3, 3))]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("channels", "sides"), SIZES)
@pytest.mark.parametrize("skips", [True, False])
def test_a_u_net_keeps_sides(channels: int, sides: tuple[int, int], skips: bool) -> None:
    net = UNet(channels, 2, sides, 4, skips=skips)
    assert net(torch.randn(2, channels, *sides), rng()).shape == (2, 2, *sides)


@pytest.mark.parametrize(("channels", "sides"), SIZES)
def test_a_translator_keeps_sides(channels: int, sides: tuple[int, int]) -> None:
    net = residual_translator(channels, 2, sides, 4, 1)
    assert net(torch.randn(2, channels, *sides)).shape == (2, 2, *sides)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize(("channels", "sides"), SIZES)
def test_super_resolution_multiplies_sides(channels: int, sides: tuple[int, int], factor: int) -> None:
    net = SRResNet(channels, factor, 4, 1)
    assert net(torch.randn(2, channels, *sides)).shape == (2, channels, factor * sides[0], factor * sides[1])


@pytest.mark.parametrize(("channels", "sides"), SIZES)
def test_srgans_judge_gives_one_logit_an_image(channels: int, sides: tuple[int, int]) -> None:
    assert srgan_judge(channels, sides, 4)(torch.randn(3, channels, *sides)).shape == (3, 1)


@pytest.mark.parametrize(("layers", "patch"), [(0, 1), (1, 16), (2, 34), (3, 70)])
def test_a_patch_is_exactly_as_large_as_said(layers: int, patch: int) -> None:
    """By the gradient of one logit in the middle; without norms, which would carry every pixel to every logit."""
    judge = PatchJudge(1, (160, 160), 2, layers, lambda width: nn.Identity())
    x = torch.randn(1, 1, 160, 160, requires_grad=True)
    logits = judge(x)
    side = int(logits.shape[1] ** 0.5)
    (gradient,) = torch.autograd.grad(logits[0, side // 2 * side + side // 2], x)
    seen = gradient[0, 0].ne(0)
    assert (int(seen.any(0).sum()), int(seen.any(1).sum())) == (patch, patch)


def test_every_patch_of_an_8x8_image_is_the_whole_image() -> None:
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    for logit in PatchJudge(1, (8, 8), 4, 1, lambda width: nn.Identity())(x)[0]:
        (gradient,) = torch.autograd.grad(logit, x, retain_graph=True)
        assert gradient.ne(0).all()


def test_a_judge_with_nothing_left_to_judge_is_refused() -> None:
    for layers in (1, 2, 3):
        side = 3 * 2**layers
        assert PatchJudge(1, (side, side), 2, layers)(torch.randn(1, 1, side, side)).shape[1] >= 1
        with pytest.raises(NotApplicable, match=f"takes images of {side} or more pixels"):
            PatchJudge(1, (side, side - 1), 2, layers)


@pytest.mark.parametrize("skips", [True, False])
def test_only_skips_carry_detail_past_a_closed_inner_path(skips: bool) -> None:
    net = UNet(1, 1, (16, 16), 4, dropout=0, skips=skips)
    inner = net.up[0][1]
    nn.init.zeros_(inner.weight)
    nn.init.zeros_(inner.bias)
    a, b = (net(torch.randn(1, 1, 16, 16, generator=rng(s)), rng()) for s in (1, 2))
    assert torch.equal(a, b) != skips


def test_a_u_nets_noise_is_the_rngs_alone() -> None:
    net, x = UNet(1, 1, (8, 8), 4).eval(), torch.randn(2, 1, 8, 8)
    before = torch.get_rng_state()
    assert torch.equal(net(x, rng(1)), net(x, rng(1)))
    assert not torch.equal(net(x, rng(1)), net(x, rng(2)))
    assert torch.equal(torch.get_rng_state(), before)
    still = UNet(1, 1, (8, 8), 4, dropout=0)
    assert torch.equal(still(x, rng(1)), still(x, rng(2)))


def test_dropout_keeps_the_mean_of_what_it_thins() -> None:
    """Half of the units, twice as large: with a linear last layer the mean over draws is the output without noise."""
    net = UNet(1, 1, (8, 8), 4, dropout=0.5)
    net.up[-1] = nn.Sequential(net.up[-1][1])  # no ReLU before it, no tanh after it
    x = torch.randn(1, 1, 8, 8).expand(2000, -1, -1, -1)
    with torch.no_grad():
        noisy = net(x, rng())
        net.dropout = 0.0
        plain = net(x[:1], rng())
    # Five standard errors of each pixel's mean.
    assert ((noisy.mean(0) - plain[0]).abs() <= 5 * noisy.std(0) / 2000**0.5 + 1e-6).all()


@pytest.mark.parametrize("kind", ["u-net", "translator", "larger", "patches"])
def test_an_output_does_not_depend_on_its_batch(kind: str) -> None:
    torch.manual_seed(0)
    unet = UNet(1, 1, (16, 16), 4, dropout=0)
    nets = {
        "u-net": lambda x: unet(x, rng()),
        "translator": residual_translator(1, 1, (16, 16), 4, 2),
        "larger": SRResNet(1, 2, 4, 2).eval(),  # by running averages, so in eval mode only
        "patches": PatchJudge(1, (16, 16), 4, 1, instance_norm),
    }
    x = torch.randn(5, 1, 16, 16)
    alone = torch.cat([nets[kind](x[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(nets[kind](x), alone, rtol=1e-4, atol=1e-5)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(NotApplicable, match="3 or more pixels a side"):
        UNet(1, 1, (2, 8), 4)
    with pytest.raises(NotApplicable, match="2 or more pixels a side"):
        residual_translator(1, 1, (1, 8), 4, 1)
    for factor in (0, 1, 3, 6):
        with pytest.raises(NotApplicable, match=r"2, 4, 8"):
            SRResNet(1, factor, 4, 1)


def test_pixel_shuffle_puts_every_small_pixel_where_it_belongs() -> None:
    """A small pixel that is moved moves the large image around its place and nowhere else."""
    torch.manual_seed(0)
    net, x = SRResNet(1, 2, 4, 0).eval(), torch.zeros(1, 1, 40, 40)
    moved = x.clone()
    moved[0, 0, 10, 30] = 1
    rows, columns = (net(moved) - net(x)).abs()[0, 0].gt(1e-7).nonzero().unbind(1)
    assert abs((int(rows.min()) + int(rows.max())) / 2 - 20.5) <= 1
    assert abs((int(columns.min()) + int(columns.max())) / 2 - 60.5) <= 1


def numbered(start: int, n: int) -> Tensor:
    return torch.arange(start, start + n).float().view(n, 1)


@pytest.mark.parametrize("n", [1, 3, 7, 10])
def test_a_pool_gives_back_each_image_at_most_once_late_and_never_early(n: int) -> None:
    pool, rng, seen = ImagePool(10, (1,)), torch.Generator().manual_seed(0), []
    offered = 0
    for _ in range(300):
        fakes = numbered(offered + 1, n)
        out = pool.mix(fakes, rng)
        offered += n
        late = out != fakes
        assert (out[late] <= offered - n).all(), "an image of this batch or of a later one came back as an older one"
        assert (out >= 1).all(), "a place that was never filled was seen"
        assert offered > 10 or not late.any(), "while it fills, fresh images are seen"
        seen += out.flatten().tolist()
    assert pool.count == 10
    kept = pool.images.flatten().tolist()
    # Nothing is lost, nothing doubled but the first ten, which were seen when they were kept.
    assert sorted([v for v in seen + kept if v > 10]) == [float(v) for v in range(11, offered + 1)]


def test_a_full_pool_gives_an_older_image_half_of_the_time() -> None:
    pool, rng, late, n = ImagePool(50, (1,)), torch.Generator().manual_seed(0), 0, 400
    for i in range(n):
        fakes = numbered(1 + 16 * i, 16)
        late += int((pool.mix(fakes, rng) != fakes).sum())
    trials = 16 * n - 50
    assert abs(late / trials - 0.5) < 4 * 0.5 / trials**0.5  # four standard errors


@pytest.mark.parametrize(("kept", "more"), [(8, 3), (4, 8)])
def test_a_batch_that_fills_the_pool_asks_only_for_places_filled_before(kept: int, more: int) -> None:
    """Each of them equally often; the free places are filled by the first images of the batch."""
    counts, rng = torch.zeros(101), torch.Generator().manual_seed(0)
    for _ in range(2000):
        pool = ImagePool(10, (1,))
        pool.mix(numbered(1, kept), rng)
        fakes = numbered(101, more)
        out = pool.mix(fakes, rng)
        assert torch.equal(out[: 10 - kept], fakes[: 10 - kept])
        for old in out[out != fakes]:
            counts[int(old)] += 1
    share = counts / counts.sum()
    assert share[0] + share[kept + 1 :].sum() == 0
    # Five standard errors of a share among that many.
    assert (share[1 : kept + 1] - 1 / kept).abs().max() < 5 * (1 / kept / float(counts.sum())) ** 0.5
