"""Metrics of conditional models: known answers, limits, and agreement with other implementations."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.conditional import attribute_agreement, class_diversity, label_agreement
from ganbench.metrics.translation import consistency, psnr, ssim, translation_agreement, translation_l1


def one_hot(y):
    return F.one_hot(y, 10).double()


class TestClasses:
    def test_a_model_that_ignores_the_class_agrees_by_chance(self, rng):
        asked, drawn = (torch.randint(10, (20_000,), generator=rng) for _ in range(2))
        score = label_agreement(one_hot(drawn), asked)
        assert score.value == pytest.approx(0.1, abs=4 * score.se)
        assert score.interval[0] < 0.1 < score.interval[1]
        assert label_agreement(one_hot(asked), asked).value == 1

    def test_collapse_is_seen_by_diversity_and_not_by_agreement(self, rng):
        y = torch.arange(200) % 10
        real = torch.randn(200, 8, generator=rng) + y[:, None]
        point = y[:, None].float().expand(200, 8).contiguous()
        assert class_diversity(point, y, real, y).value == 0
        assert class_diversity(real, y, real, y).value == pytest.approx(1)
        half = point + 0.5 * (real - point)
        assert class_diversity(half, y, real, y).value == pytest.approx(0.5)

    def test_labels_out_of_step_are_refused(self, rng):
        for y in (torch.arange(4), torch.arange(5).float(), torch.arange(5) + 8):
            with pytest.raises(BadInput, match="sample_labels must be"):
                label_agreement(one_hot(torch.arange(5)), y)
        with pytest.raises(NotApplicable, match="no class has two"):
            class_diversity(torch.randn(3, 2), torch.arange(3), torch.randn(3, 2), torch.arange(3))


class TestAttributes:
    def test_only_what_was_asked_for_counts(self):
        wanted = torch.tensor([[1, -1, 0], [2, 1, -1]])
        measured = torch.tensor([[1, 5, 1], [2, 1, 7]])
        score = attribute_agreement(measured, wanted)
        assert score.value == pytest.approx((0.5 + 1) / 2)
        assert score.extra["attributes"] == [1, 1, 0]

    def test_nothing_asked_for_is_refused(self):
        with pytest.raises(BadInput, match="with something asked for"):
            attribute_agreement(torch.zeros(3, 2, dtype=torch.int64), torch.full((3, 2), -1))


class TestTranslation:
    def test_distances_of_a_constant_shift(self, rng):
        y = torch.rand(30, 1, 8, 8, generator=rng) - 0.5
        assert translation_l1(y + 0.25, y).value == pytest.approx(0.25, abs=1e-6)
        assert psnr(y + 0.25, y).value == pytest.approx(10 * math.log10(4 / 0.25**2), abs=1e-4)
        assert translation_l1(y, y).value == 0
        assert ssim(y, y).value == pytest.approx(1)

    def test_psnr_is_of_the_pooled_error(self):
        y = torch.zeros(2, 1, 4, 4)
        x = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.3)])
        assert psnr(x, y).value == pytest.approx(10 * math.log10(4 / 0.05), abs=1e-5)
        with pytest.raises(BadInput, match="infinite"):
            psnr(y, y)

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 11, 20)])
    def test_ssim_agrees_with_torchmetrics(self, rng, shape):
        y = torch.rand(6, *shape, generator=rng) * 2 - 1
        x = (y + 0.3 * torch.randn(y.shape, generator=rng)).clamp(-1, 1)
        theirs = structural_similarity_index_measure(
            (x.double() + 1) / 2, (y.double() + 1) / 2, gaussian_kernel=True, sigma=1.5, kernel_size=11, data_range=1.0
        )
        assert ssim(x, y).value == pytest.approx(float(theirs), rel=2e-2)  # theirs reflects at the border
        inner = [
            float(
                structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)[1][
                    ..., 5:-5, 5:-5
                ].mean()
            )
            for a, b in [((x.double() + 1) / 2, (y.double() + 1) / 2)]
            if min(shape[1:]) > 11
        ]
        assert all(ssim(x, y).value == pytest.approx(value, rel=1e-9) for value in inner)

    def test_a_permuted_oracle_has_no_agreement(self):
        y = torch.arange(50) % 10
        assert translation_agreement(one_hot((y + 1) % 10), y).value == 0
        assert translation_agreement(one_hot(y), y).value == 1

    def test_consistency_is_zero_for_what_shrinks_to_its_source(self, rng):
        low = torch.rand(5, 1, 4, 4, generator=rng)
        assert consistency(low.repeat_interleave(2, 2).repeat_interleave(2, 3), low).value == pytest.approx(
            0, abs=1e-12
        )
        with pytest.raises(NotApplicable, match="smaller by a whole factor"):
            consistency(low, low)

    def test_sets_out_of_step_are_refused(self):
        with pytest.raises(BadInput, match="as many, row by row"):
            translation_l1(torch.zeros(3, 2), torch.zeros(4, 2))
