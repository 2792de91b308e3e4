"""What the views of a trained model show, on models whose answers are known."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from ganbench.data import Condition
from ganbench.model import GAN, DataSpec, Model
from ganbench.pictures.views import (
    COLUMNS,
    ROWS,
    draw_views,
    edits,
    enlargements,
    interpolations,
    reconstructions,
    tangents,
    translations,
    traversals,
)
from ganbench.report.captions import CAPTIONS

SPEC = DataSpec("images", (1, 4, 4), (-1.0, 1.0), 3, 100, 100)


class Linear(Model):
    """Codes are twice the pixels; reconstructions are exact."""

    gives = ("encode", "from_codes", "reconstruct", "tangents", "inpaint", "vary")

    def encode(self, x: Tensor) -> Tensor:
        return 2 * x.flatten(1)

    def from_codes(self, z: Tensor) -> Tensor:
        return z.view(-1, 1, 4, 4) / 2

    def reconstruct(self, x: Tensor) -> Tensor:
        return x.clone()

    def tangents(self, x: Tensor) -> Tensor:
        return torch.eye(16)[:3].mul(-0.25).expand(len(x), 3, 16).reshape(len(x), 3, 1, 4, 4)

    def vary(self, n: int, rng: torch.Generator) -> Tensor:
        return torch.linspace(-1, 1, n).view(1, n, 1, 1, 1).expand(2, n, 1, 4, 4)

    def inpaint(self, x: Tensor, known: Tensor, rng: torch.Generator) -> Tensor:
        return torch.where(known, x, torch.rand(x.shape, generator=rng))


class Obeys(Model):
    """Makes of a source its negative, of a caption or of attributes a grey that they give, and goes back again."""

    gives = ("translate", "translate_back", "edit")

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        if cond.ndim == 4:
            return -torch.nn.functional.interpolate(cond, (4, 4))
        return (cond.float().mean(1) / 10).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)

    def translate_back(self, x: Tensor, rng: torch.Generator) -> Tensor:
        return -x

    def edit(self, x: Tensor, attributes: Tensor, rng: torch.Generator) -> Tensor:
        return attributes.mean(1).view(-1, 1, 1, 1).expand(-1, 1, 4, 4)


CONDITIONS = (
    Condition("image", (1, 4, 4)),
    Condition("image", (1, 2, 2)),
    Condition("tokens", (3,), vocabulary=5, names=("a", "red", "three", "at", "left")),
    Condition("attributes", (2,), names=("blue", "large")),
)


def conditional(folder: Path, test: Tensor, rng: torch.Generator, cond: Condition) -> list[str]:
    """The views of a model of conditions that are all of one kind."""
    model = Obeys()
    model.spec = DataSpec("images", (1, 4, 4), (-1.0, 1.0), 3, 100, 100, cond=cond)
    held = {
        "image": torch.zeros(100, *cond.shape), "attributes": torch.ones(100, 2),
        "tokens": torch.tensor([[0, 1, -1]]).expand(100, 3),
    }[cond.kind]  # fmt: skip
    return draw_views(folder, model, test, rng, held)


@pytest.mark.parametrize(
    ("cond", "names"),
    list(
        zip(CONDITIONS, [["translations", "cycles"], ["enlargements", "cycles"], ["captioned"], ["edits"]], strict=True)
    ),
)
def test_a_condition_has_its_own_views(
    tmp_path: Path, test_images: Tensor, rng: torch.Generator, cond: Condition, names: list[str]
) -> None:
    assert set(conditional(tmp_path, test_images, rng, cond)) <= {*names}
    assert names[0] in conditional(tmp_path, test_images, rng, cond)


def test_rows_of_a_translation_are_source_ours_and_truth(test_images: Tensor, rng: torch.Generator) -> None:
    sheet = translations(Obeys(), test_images, test_images / 2, rng)
    assert sheet is not None
    torch.testing.assert_close(sheet, torch.stack([test_images / 2, -test_images / 2, test_images])[:, :COLUMNS])
    assert enlargements(Obeys(), test_images, test_images, rng) is None
    colour = test_images.expand(-1, 3, -1, -1)
    mixed = translations(Obeys(), colour, test_images, rng)
    assert mixed is not None
    assert mixed.shape == (3, COLUMNS, 3, 4, 4)


def test_a_row_of_edits_turns_one_attribute_after_the_other(test_images: Tensor, rng: torch.Generator) -> None:
    sheet = edits(Obeys(), test_images, torch.ones(100, 2), rng)
    assert sheet is not None
    assert sheet.shape == (ROWS, 3, 1, 4, 4)
    torch.testing.assert_close(sheet[:, 0], test_images[:ROWS])
    assert sheet[:, 1:].abs().max() == 0  # one of two is turned: their mean is 0


@pytest.fixture
def test_images(rng: torch.Generator) -> Tensor:
    return 2 * torch.rand(100, 1, 4, 4, generator=rng) - 1


def test_reconstructions_stand_below_what_they_are_of(test_images: Tensor) -> None:
    sheet = reconstructions(Linear(), test_images)
    assert sheet is not None
    assert sheet.shape == (ROWS, COLUMNS, 1, 4, 4)
    torch.testing.assert_close(sheet[0::2], sheet[1::2])
    torch.testing.assert_close(sheet[0::2].flatten(0, 1), test_images[: ROWS // 2 * COLUMNS])


def test_interpolations_run_straight_from_one_image_to_another(test_images: Tensor, rng: torch.Generator) -> None:
    sheet = interpolations(Linear(), test_images, rng)
    assert sheet is not None
    torch.testing.assert_close(sheet[:, 0], test_images[0 : 2 * ROWS : 2])
    torch.testing.assert_close(sheet[:, -1], test_images[1 : 2 * ROWS : 2])
    torch.testing.assert_close(sheet[:, 1:-1], (sheet[:, :-2] + sheet[:, 2:]) / 2)  # equal steps


def test_a_generator_without_encoder_walks_between_latent_draws(rng: torch.Generator) -> None:
    gan = GAN(GAN.Config(architecture="mlp"))
    gan.build(SPEC)
    gan.eval()
    with torch.no_grad():
        sheet = interpolations(gan, torch.zeros(100, 1, 4, 4), torch.Generator().manual_seed(3))
        ends = gan.generator(gan.draw_latent(2 * ROWS, torch.Generator().manual_seed(3)))
    assert sheet is not None
    torch.testing.assert_close(sheet[:, 0], ends[0::2])
    torch.testing.assert_close(sheet[:, -1], ends[1::2])


def test_traversals_vary_the_widest_number_of_the_code_and_no_other(test_images: Tensor) -> None:
    x = test_images * torch.linspace(0.1, 1, 16).view(1, 4, 4)  # later pixels vary more
    sheet = traversals(Linear(), x)
    assert sheet is not None
    moved = (sheet.amax(1) - sheet.amin(1)).flatten(1) > 1e-6  # (R, 16)
    order = x.flatten(1).std(0).argsort(descending=True)[:ROWS]
    assert moved.nonzero().tolist() == [[row, int(j)] for row, j in enumerate(order)]
    middle = (sheet[0, 0] + sheet[0, -1]).flatten()[order[0]] / 2  # the ends lie evenly about the mean
    torch.testing.assert_close(middle, x.flatten(1).mean(0)[order[0]])


def test_tangents_fill_the_range_of_pixels_behind_their_image(test_images: Tensor) -> None:
    sheet = tangents(Linear(), test_images)
    assert sheet is not None
    torch.testing.assert_close(sheet[:, 0], test_images[:ROWS])
    torch.testing.assert_close(sheet[:, 1].flatten(1), -torch.eye(16)[0].expand(ROWS, 16))


def test_every_view_has_a_caption_and_is_drawn_where_the_model_allows_it(
    tmp_path: Path, test_images: Tensor, rng: torch.Generator
) -> None:
    plain = draw_views(tmp_path, Linear(), test_images, rng)
    found = plain + [name for cond in CONDITIONS for name in conditional(tmp_path, test_images, rng, cond)]
    assert set(found) == set(CAPTIONS)
    for name in CAPTIONS:
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.size[0] >= 60
    assert draw_views(tmp_path, Model(), test_images, rng) == []


def test_inpainting_shows_known_halves_over_grey(tmp_path: Path, test_images: Tensor, rng: torch.Generator) -> None:
    from ganbench.pictures.views import inpainting

    sheet = inpainting(Linear(), test_images, rng)
    assert sheet is not None
    for row in sheet[1:]:
        torch.testing.assert_close(row[:, :, :2], test_images[:COLUMNS, :, :2])
    assert sheet[1, :, :, 2:].abs().max() == 0
    assert not torch.equal(sheet[2], sheet[3])
