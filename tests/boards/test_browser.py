"""The page in a real headless browser, wide and narrow, light and dark: it sorts, filters and fetches nothing."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_html import EVIL, example

from ganbench.boards.html import page

pytestmark = pytest.mark.browser

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
DRIVER = shutil.which("chromedriver")
WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium that logs its console and its network."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("no chromium with chromedriver here; `make test-browser` installs them")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with a real picture."""
    from PIL import Image

    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)
    Image.fromarray(pixels).save(out, format="WEBP")
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(example("data:image/webp;base64," + base64.b64encode(out.getvalue()).decode())))
    return path.as_uri()


@pytest.fixture(params=WIDTHS)
def opened(request: pytest.FixtureRequest, browser: Any, address: str) -> Any:
    """The page at one width, freshly loaded, with empty logs."""
    set_screen(browser, WIDTHS[request.param])
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)
    return browser


def set_screen(browser: Any, width: int, scheme: str = "light") -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def column(browser: Any, index: int) -> list[str]:
    """The text of a column of the first table, visible rows only, from top to bottom."""
    script = """return [...document.querySelector("table").tBodies[0].rows].filter(r => !r.hidden)
        .map(r => r.cells[arguments[0]].textContent.trim())"""
    found: list[str] = browser.execute_script(script, index)
    return found


def click(browser: Any, selector: str) -> None:
    browser.find_element("css selector", selector).click()


def requests(browser: Any) -> list[str]:
    """Every address the page asked for."""
    entries = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in entries if e["method"] == "Network.requestWillBeSent"]


def test_the_page_is_silent_and_fetches_nothing_but_itself(opened: Any, address: str) -> None:
    click(opened, "thead th button")
    assert opened.get_log("browser") == []
    assert [u for u in requests(opened) if not u.startswith("data:")] == [address]


def test_hostile_names_stay_text(opened: Any) -> None:
    assert opened.title == EVIL  # as text, in the title, not because it ran
    assert EVIL in opened.find_element("tag name", "h1").text
    assert EVIL in column(opened, 1)
    assert len(opened.find_elements("tag name", "script")) == 1


def test_tables_sort_both_ways_with_empty_cells_last(opened: Any) -> None:
    ranks = "thead th:nth-child(1) button"
    means = "thead th:nth-child(4) button"
    click(opened, means)
    up = [t for t in column(opened, 3) if t]
    assert up == sorted(up, key=float)
    click(opened, means)
    down = column(opened, 3)
    assert [t for t in down if t] == up[::-1]
    assert down[-1] == ""
    click(opened, ranks)
    assert column(opened, 0)[0].startswith("1 [")
    assert opened.find_element("css selector", "thead th:nth-child(1)").get_attribute("aria-sort") == "ascending"


def test_filters_hide_rows_points_and_pictures(opened: Any) -> None:
    everything = column(opened, 1)
    assert "control_noise" in everything
    click(opened, 'input[name="family"][value="control"]')
    assert "control_noise" not in column(opened, 1)
    assert not opened.find_element("css selector", '.mark[data-label="control_noise"]').is_displayed()
    click(opened, 'input[name="family"][value="control"]')
    assert column(opened, 1) == everything
    opened.find_element("id", "find").send_keys("WGAN")
    assert column(opened, 1) == ["wgan_gp"]
    assert opened.find_element("id", "shown").text == f"1 of {len(everything)} rows"
    assert not [f for f in opened.find_elements("css selector", ".gallery figure") if f.is_displayed()]


def test_nothing_sticks_out_of_the_screen_and_pictures_are_there(opened: Any) -> None:
    wide, inner = opened.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= inner
    sizes = opened.execute_script(
        "return [...document.images].map(i => [i.naturalWidth, i.getBoundingClientRect().width])"
    )
    assert sizes
    assert all(natural == 64 and 60 < shown <= inner for natural, shown in sizes)
    assert all(e.size["width"] > 80 for e in opened.find_elements("css selector", "svg.interval"))


def test_text_is_readable_in_light_and_dark(browser: Any, address: str) -> None:
    """Contrast of body text and of the quietest text with the paper, by WCAG 2: at least 4.5 to 1."""
    for scheme in ("light", "dark"):
        set_screen(browser, 1280, scheme)
        browser.get(address)
        colours = browser.execute_script(
            """const style = (e, p) => getComputedStyle(document.querySelector(e))[p];
            const parts = (e, p) => style(e, p).match(/[0-9.]+/g).slice(0, 3).map(Number);
            const inks = ["body", "tr.control td", "figcaption"].map(e => parts(e, "color"));
            return [parts("body", "backgroundColor"), ...inks]"""
        )
        paper, *inks = [luminance(c) for c in colours]
        assert (paper < 0.1) == (scheme == "dark")
        for ink in inks:
            assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5


def luminance(rgb: list[float]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", WIDTHS)
def test_the_keyboard_reaches_headings_and_filters(browser: Any, address: str, name: str) -> None:
    set_screen(browser, WIDTHS[name])
    browser.get(address)
    tags = set()
    for _ in range(12):
        browser.switch_to.active_element.send_keys("\ue004")  # Tab
        tags.add(browser.switch_to.active_element.tag_name)
    assert {"input", "button"} <= tags


def test_screens_can_be_saved_to_be_looked_at(browser: Any, address: str, tmp_path: Path) -> None:
    set_screen(browser, 1280)
    browser.get(address)
    assert browser.save_screenshot(str(tmp_path / "page.png"))
    assert (tmp_path / "page.png").stat().st_size > 10_000
