"""Metrics of classes, edits, completions, cycles and affine maps: known answers and limits."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from ganbench.datasets.load import load
from ganbench.datasets.rendering import measure
from ganbench.errors import BadInput, NotApplicable
from ganbench.metrics.affine import affine_error, draw_maps, move
from ganbench.metrics.conditional import cas, class_frechet, class_mmd
from ganbench.metrics.editing import (
    constraint_residual,
    edit_l1,
    edit_success,
    identity_kept,
    inpaint_agreement,
    inpaint_error,
)
from ganbench.metrics.frechet import frechet
from ganbench.metrics.translation import cycle_l1, translation_agreement, translation_success
from ganbench.scoring.asked import counterfactuals, turned, turns, upper_half


def one_hot(y):
    return F.one_hot(y, 10).double()


class TestClasses:
    def test_of_one_class_it_is_the_plain_distance(self, rng):
        x, y = torch.randn(2, 60, 4, generator=rng).unbind()
        zero = torch.zeros(60, dtype=torch.int64)
        ours = class_frechet(x, zero, y, zero, rng=rng)
        assert ours.value == pytest.approx(frechet(x, y, rng=rng).value)
        assert ours.se == pytest.approx(frechet(x, y, rng=rng).se)

    def test_exchanged_classes_are_seen_though_the_law_of_all_is_right(self, rng):
        """Two classes 6 apart, exchanged: each class's means differ by 6, so its distance is about 36."""
        y = torch.arange(200) % 2
        x = torch.randn(200, 3, generator=rng) + 6 * y[:, None] * torch.tensor([1.0, 0, 0])
        real = torch.randn(200, 3, generator=rng) + 6 * y[:, None] * torch.tensor([1.0, 0, 0])
        assert frechet(x, real, rng=rng).value < 1
        exchanged = class_frechet(x, 1 - y, real, y, rng=rng)
        assert abs(exchanged.value - 36) < 4 * exchanged.se
        assert class_mmd(x, 1 - y, real, y, rng=rng).value > 0.5
        right = class_mmd(x, y, real, y, rng=rng)
        assert abs(right.value) < 4 * right.se

    def test_few_rows_are_refused_for_covariances_alone(self, rng):
        x, y = torch.randn(20, 8, generator=rng), torch.arange(20) % 4
        with pytest.raises(NotApplicable, match="use class_mmd"):
            class_frechet(x, y, x, y, rng=rng)
        assert class_mmd(x, y, x, y, rng=rng).n == 20

    def test_scores_of_classifiers(self, rng):
        """Of copies both are what real data has; of one picture a class training suffers and testing does not."""
        y = torch.arange(300) % 3
        real = 0.5 * torch.randn(300, 2, generator=rng) + 2 * torch.eye(3, 2)[y]
        test = 0.5 * torch.randn(300, 2, generator=rng) + 2 * torch.eye(3, 2)[y]
        train, tested = cas(real, y, real, y, test, y)
        assert train.value == pytest.approx(train.extra["real"])
        assert tested.value == 1
        wrong, no_class = cas(real, (y + 1) % 3, real, y, test, y)
        assert wrong.value < 0.1
        assert no_class.value == 0
        with pytest.raises(BadInput, match="sample_labels"):
            cas(real, y[:5], real, y, test, y)


class TestCycles:
    def test_a_permuted_oracle_closes_every_cycle_and_agrees_with_nothing(self, rng):
        """G permutes classes and F undoes it: no cycle loss, no agreement, no success; the truth has all three."""
        y = torch.arange(100) % 10
        pictures = torch.randn(10, 1, 4, 4, generator=rng)
        forth = pictures[(y + 3) % 10]  # G takes class k for k + 3
        back = pictures[(y + 3 - 3) % 10]  # F takes it back
        assert not torch.equal(forth, pictures[y])
        assert cycle_l1(back, pictures[y]).value == 0
        assert translation_agreement(one_hot((y + 3) % 10), y).value == 0
        assert translation_success(one_hot((y + 3) % 10), y).value == 0
        assert translation_success(one_hot(y), y).value == 1

    def test_success_is_above_the_least(self):
        y = torch.arange(10)
        almost = y.clone()
        almost[:2] = 9
        assert translation_success(one_hot(almost), y).value == 0  # 0.8 is not above 0.8
        assert translation_success(one_hot(almost), y, least=0.7).value == 1


class TestEdits:
    def test_a_copy_keeps_the_identity_and_edits_nothing(self):
        values, which, y = torch.zeros(40, 4, dtype=torch.int64), torch.arange(40) % 4, torch.arange(40) % 10
        wanted = values.scatter(1, which[:, None], 1)
        assert edit_success(values, wanted, which).value == 0
        kept = identity_kept(one_hot(y), y, values, wanted, which)
        assert kept.value == 1
        assert kept.extra["others"] == 1
        done = edit_success(wanted, wanted, which)
        assert done.value == 1
        assert done.extra["attributes"] == [1, 1, 1, 1]
        assert done.interval[0] == pytest.approx(1 / (1 + 3.841 / 40), rel=1e-3)  # Wilson's, of 40 of 40

    def test_exact_counterfactuals_score_as_the_measurement_does(self):
        data = load("attributed_digits")
        bits, rows = data.test.conditions(), torch.arange(len(data.test))
        which = turns(bits, data.spec.name)
        wishes = turned(bits, which)
        assert ((wishes != bits).sum(1) == 1).all()
        truth = counterfactuals(data, rows, wishes)
        assert torch.equal(counterfactuals(data, rows, bits), data.test.events())
        from ganbench.datasets.rendered import values_of_bits

        score = edit_success(measure(truth), values_of_bits(wishes), which)
        assert score.value > 0.9  # thin and thick are told apart with some error
        assert edit_l1(truth, truth).value == 0
        assert edit_l1(data.test.events(), truth).value > 0.01
        with pytest.raises(NotApplicable, match="not"):
            counterfactuals(load("digits"), rows, wishes)

    def test_shapes_out_of_step_are_refused(self):
        good = torch.zeros(5, 4, dtype=torch.int64)
        for measured, which in ((good[:, :3], torch.zeros(5).long()), (good, torch.zeros(4).long())):
            with pytest.raises(BadInput, match="edited_measured"):
                edit_success(measured, good, which)
        with pytest.raises(BadInput, match="turned must be from 0 to 3"):
            edit_success(good, good, torch.full((5,), 4))


class TestCompletions:
    KNOWN = upper_half((1, 4, 4))

    def test_errors_are_looked_at_where_they_belong(self):
        y = torch.zeros(6, 1, 4, 4)
        x = torch.where(self.KNOWN, 0.25, -0.5).expand(6, 1, 4, 4).contiguous()
        assert inpaint_error(x, y, self.KNOWN).value == pytest.approx(0.5)
        assert constraint_residual(x, y, self.KNOWN).value == pytest.approx(0.25)
        assert inpaint_error(x[:4], y, self.KNOWN).n == 4

    def test_the_error_of_noise_is_its_deviation_within_its_interval(self, rng):
        y = torch.randn(400, 1, 4, 4, generator=rng)
        score = inpaint_error(y + 0.3 * torch.randn(400, 1, 4, 4, generator=rng), y, self.KNOWN)
        assert abs(score.value - 0.3) < 4 * score.se
        assert score.se == pytest.approx(0.3 / math.sqrt(2 * 400 * 8), rel=0.2)  # of a root of 3,200 chi squares

    def test_completions_are_the_first_events(self):
        y = torch.arange(20) % 10
        assert inpaint_agreement(one_hot(y[:7]), y).value == 1

    def test_nothing_unknown_is_refused(self):
        y = torch.zeros(6, 1, 4, 4)
        with pytest.raises(BadInput, match="something"):
            inpaint_error(y, y, torch.ones(1, 4, 4, dtype=torch.bool))
        with pytest.raises(BadInput, match="at most as many"):
            inpaint_error(torch.zeros(7, 1, 4, 4), y, self.KNOWN)
        with pytest.raises(NotApplicable, match="images"):
            upper_half((2,))


class Centre:
    """Says whether the ink is in the middle."""

    def classify(self, x):
        inner = x[:, :, 3:7, 3:7].mean((1, 2, 3))
        return torch.stack([inner, 0 * inner], 1)


class TestAffine:
    def test_the_identity_moves_nothing_and_a_shift_moves_by_its_share(self):
        x = torch.rand(3, 1, 10, 10) - 1
        same = torch.eye(2, 3).expand(3, 2, 3)
        torch.testing.assert_close(move(x, same), x)
        right = same.clone()
        right[:, 0, 2] = -2 / 10  # looks one pixel to the left
        torch.testing.assert_close(move(x, right)[..., 1:], x[..., :-1])
        assert (move(x, right)[..., 0] - x.amin()).abs().max() < 1e-6

    def test_maps_stay_within_their_bounds(self, rng):
        maps = draw_maps(20_000, rng)
        area = (maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0]).abs()
        assert area.min() > 1 / 1.2**2 - 1e-9  # shears and turns keep areas
        assert area.max() < 1 / 0.8**2 + 1e-9
        assert maps[:, :, 2].abs().max() <= 0.2

    def test_it_is_the_error_of_the_moved_images_beside_that_of_the_unmoved(self, rng):
        x = torch.full((500, 1, 10, 10), -1.0)
        x[..., 4:6, 4:6] = 1.0
        score = affine_error(Centre(), x, torch.zeros(500, dtype=torch.int64), rng=rng)
        assert score.extra["unmoved"] == 1  # a quarter of its window is bright: the mean is below 0
        assert score.direction == "min"
        with pytest.raises(NotApplicable, match="images"):
            affine_error(Centre(), torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64), rng=rng)
