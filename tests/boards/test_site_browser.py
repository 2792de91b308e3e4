"""The site in a real headless browser: it sorts, filters, compares, logs no error and fetches nothing but its files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_browser import browser as browser
from test_browser import set_screen

from ganbench.site.build import build

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SIZES = [(1400, "light"), (1400, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "out"
    build(out, [ROOT / "leaderboards" / "digits", ROOT / "leaderboards" / "toy2d-standard"])
    return out


@pytest.fixture
def quiet(browser: Any) -> Iterator[Any]:
    """The browser with empty logs; afterwards nothing was complained of, and no address but the site's was asked."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    assert urls
    assert [u for u in urls if not u.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_kind_of_page_fits_its_screen(quiet: Any, site: Path, width: int, scheme: str) -> None:
    set_screen(quiet, width, scheme)
    for page in (
        "index.html",
        "boards/toy2d-standard.html",
        "models/index.html",
        "models/wgan_gp.html",
        "metrics/mmd.html",
    ):
        quiet.get((site / page).as_uri())
        assert quiet.execute_script("return document.documentElement.scrollWidth") <= width, page
        ground = quiet.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        broken = "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert quiet.execute_script(broken) == []


def test_a_visitor_clicks_through_the_site(quiet: Any, site: Path) -> None:
    set_screen(quiet, 1400)
    quiet.get((site / "index.html").as_uri())
    quiet.find_element("link text", "Mixtures in the plane, 10,000 iterations").click()
    first = """return [...document.querySelector("table.board").tBodies[0].rows].filter(r => !r.hidden)
        .map(r => r.cells[1].textContent.trim())"""
    before = quiet.execute_script(first)
    quiet.find_elements("css selector", "table.board th button")[1].click()  # by name
    assert quiet.execute_script(first) == sorted(before, key=str.lower)
    find = quiet.find_element("id", "find")
    find.send_keys("wgan")
    found = quiet.execute_script(first)
    assert found
    assert all("wgan" in name for name in found)
    find.clear()
    find.send_keys(" ")
    for side, name in zip(quiet.find_elements("css selector", ".compare select"), ("gmmn", "gan_ns"), strict=True):
        quiet.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", side, name
        )
    rows = quiet.find_elements("css selector", ".compare tbody tr")
    assert len(rows) > 4
    assert "intervals that do not overlap" in quiet.find_element("id", "apart").text
    quiet.execute_script("document.querySelector('table.board a').click()")
    assert "/models/" in quiet.current_url
    assert quiet.find_elements("css selector", "svg.formula")


def test_on_a_phone_the_model_stays_in_view(quiet: Any, site: Path) -> None:
    set_screen(quiet, 390)
    quiet.get((site / "boards" / "toy2d-standard.html").as_uri())
    left = """const box = document.querySelector('.scroll'); box.scrollLeft = 400;
        const cell = box.querySelector('tbody td:nth-child(2)');
        return [cell.getBoundingClientRect().left - box.getBoundingClientRect().left, box.scrollLeft]"""
    offset, scrolled = quiet.execute_script(left)
    assert scrolled > 100
    assert abs(offset) <= 2
