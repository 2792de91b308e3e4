"""The page as text: self-contained, escaped, the same bytes again."""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fakes import record

from ganbench.boards.html import Axis, Curves, Page, Picture, curve_plot, page, picture_uri, read_curves
from ganbench.boards.pages import board_of, picture_name
from ganbench.jobs.records import Record
from ganbench.report.tables import troubles

EVIL = "<script>document.title='owned'</script>"


def records() -> list[Record]:
    """Three models on two data sets, one of them hostile, one diverging."""
    rng = np.random.default_rng(0)
    found = [
        record(m, d, s, {"mmd": float(i + 0.3 * rng.normal())})
        for i, m in enumerate(["gan_ns", "wgan_gp", EVIL])
        for d in ("ring8", "digits")
        for s in range(3)
    ]
    return [
        *found,
        *(record("control_noise", "ring8", s, {"mmd": 9.0}) for s in range(3)),
        record("lsgan", "ring8", 0, status="diverged").model_copy(update={"reason": EVIL}),
    ]


def example(picture: str = "data:image/webp;base64,AAAA") -> Page:
    """A page with everything on it."""
    curves = Curves("ring8", EVIL, "adversarial", {EVIL: [(0.0, 1.0), (10.0, 0.5)]})
    pictures = [Picture("ring8", m, "adversarial", picture) for m in ("gan_ns", EVIL)]
    built = board_of(records(), EVIL)
    return Page(built, f"scale {EVIL}", pictures, [curves], troubles(records()), {"cpu": EVIL})


class Reader(html.parser.HTMLParser):
    """Every tag with its attributes, and the text outside scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text += data


def test_the_page_fetches_nothing_and_runs_only_its_own_script() -> None:
    text = page(example())
    reader = Reader()
    reader.feed(text)
    assert [tag for tag, _ in reader.found].count("script") == 1
    for _, attributes in reader.found:
        assert not [a for a in attributes if a.startswith("on")]
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "default-src 'none'" in text
    assert not re.findall(r"https?://|url\(|@import", text.replace("http://www.w3.org/2000/svg", ""))
    assert EVIL in reader.text


def test_the_page_is_the_same_again() -> None:
    assert page(example()) == page(example())


def test_an_axis_places_ends_and_clamps_what_lies_beyond() -> None:
    axis = Axis.over([0.0, 10.0], 0, 112)
    assert axis.place(0) == pytest.approx(6, abs=0.1)
    assert axis.place(10) == pytest.approx(106, abs=0.1)
    assert axis.place(1e9) == 112
    assert [t.text for t in axis.ticks()] == ["0", "5", "10"]
    log = Axis.over([0.1, 100.0], 0, 100, log=True)
    assert log.place(10) - log.place(1) == pytest.approx(log.place(1) - log.place(0.1), abs=0.2)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0], [float("nan")], [float("inf"), 1.0]])
def test_axes_survive_what_training_leaves_behind(values: list[float]) -> None:
    for log in (False, True):
        axis = Axis.over(values, 0, 100, log=log)
        assert 0 <= axis.place(1.0) <= 100
        axis.ticks()


def test_one_spike_does_not_flatten_a_curve() -> None:
    line = [(float(i), 1e9 if i == 50 else i / 100) for i in range(100)]
    plot = curve_plot(Curves("d", "m", "f", {"loss": line}))
    heights = [float(p.split(",")[1]) for p in plot.paths[0][1][1:].split("L")]
    assert max(heights) - min(heights) > 100


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1}', '{"a": [[1], [null]]}', '{"a": [[1, 2], [3]]}'])
def test_damaged_histories_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.json").write_text(text)
    assert not any(read_curves(tmp_path / "history.json").values())


def test_histories_are_thinned(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(json.dumps({"loss": [list(range(5000)), [0.5] * 5000]}))
    assert 100 <= len(read_curves(tmp_path / "history.json")["loss"]) <= 150


def test_pictures_become_small_data_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (1000, 500), "red").save(tmp_path / "a.png")
    uri = picture_uri(tmp_path / "a.png")
    assert uri is not None
    assert uri.startswith("data:image/webp;base64,")
    assert len(uri) < 2000
    (tmp_path / "b.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "c.png").symlink_to(tmp_path / "a.png")
    assert [picture_uri(tmp_path / f"{n}.png") for n in "bcd"] == [None, None, None]


@pytest.mark.parametrize("key", ["../../x", "a/b", "a\\b", "submission:x__y", "wgan[lr=0.1]", "\x00", "."])
def test_names_of_pictures_stay_in_their_folder(key: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+\.webp", picture_name(key, "digits"))
