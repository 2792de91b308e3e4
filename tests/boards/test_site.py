"""The static site: whole, small, without a request, readable, and the same again from the same records."""

from __future__ import annotations

import re
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ganbench.boards.bounds import bounds
from ganbench.errors import BadInput
from ganbench.registry import METRICS, MODELS
from ganbench.report.axes import Axis
from ganbench.site import formulas
from ganbench.site.build import build
from ganbench.site.models import header, losses

ROOT = Path(__file__).parents[2]
CSS = (ROOT / "ganbench/boards/templates/page.css").read_text() + (
    ROOT / "ganbench/site/templates/site.css"
).read_text()
MOST = 3_000_000  # bytes of a page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of one board, with its models and metrics, without the documentation."""
    out = tmp_path_factory.mktemp("site") / "out"
    build(out, [ROOT / "leaderboards" / "digits", ROOT / "leaderboards" / "ssl-digits"])
    return out


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.found.append((f"{tag}.{name}", value))
            if name == "id" and value:
                self.ids.add(value)


def links(path: Path) -> Links:
    found = Links()
    found.feed(path.read_text(encoding="utf-8"))
    return found


def test_every_model_and_metric_has_a_page_with_its_formula(site: Path) -> None:
    for entry in MODELS:
        text = (site / "models" / f"{entry.name}.html").read_text()
        assert entry.family == "control" or text.count('class="formula"') >= 1, entry.name
    for entry in METRICS:
        assert 'class="formula"' in (site / "metrics" / f"{entry.name}.html").read_text(), entry.name


def test_every_link_leads_somewhere_on_the_site_and_nothing_is_fetched(site: Path) -> None:
    for path in site.rglob("*.html"):
        found = links(path)
        assert path.stat().st_size <= MOST, path.name
        for kind, target in found.found:
            if kind == "a.href" and target.startswith("https://"):
                continue  # a link that a reader may follow
            assert not re.match(r"[a-z]+://|//", target), (path.name, kind, target)
            file, _, part = target.partition("#")
            if target.startswith("data:"):
                continue
            there = (path.parent / file).resolve() if file else path
            assert there.is_file(), (path.name, target)
            assert not part or part in links(there).ids, (path.name, target)
        assert "@import" not in (text := path.read_text())
        assert "default-src 'none'" in text


def test_ranked_and_unranked_rows_stand_apart_with_links(site: Path) -> None:
    text = (site / "boards" / "digits.html").read_text()
    ranked, _, rest = text.partition('<details class="unranked"')
    assert 'data-kind="ranked"' in ranked
    assert 'data-kind="control"' not in ranked
    assert 'data-kind="control"' in rest
    assert 'href="../models/gmm.html"' in ranked
    assert 'href="digits.csv"' in text
    assert (site / "boards" / "digits.csv").read_text() == (ROOT / "leaderboards/digits/board.csv").read_text()


def test_built_again_it_is_the_same(site: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", [ROOT / "leaderboards" / "digits", ROOT / "leaderboards" / "ssl-digits"])
    for path in site.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(site)).read_bytes(), path.name


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(BadInput, match="no site"):
        build(tmp_path / "mine", [ROOT / "leaderboards" / "digits"])
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"
    shutil.rmtree(tmp_path / "mine")


def test_names_and_reasons_are_text_on_a_page(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    board = tmp_path / "boards" / "digits"
    shutil.copytree(ROOT / "leaderboards" / "digits", board, ignore=shutil.ignore_patterns("pictures"))
    text = (board / "board.toml").read_text()
    title = tomllib.loads(text)["title"] if "title" in tomllib.loads(text) else tomllib.loads(text)["board"]["title"]
    (board / "board.toml").write_text(text.replace(title, evil, 1))
    build(tmp_path / "out", [board])
    for page in ("index.html", "boards/digits.html", "models/gmm.html"):
        found = (tmp_path / "out" / page).read_text()
        assert evil not in found
        assert "&lt;script&gt;alert(1)" in found


@pytest.mark.slow
def test_the_documentation_is_part_of_the_site_and_fetches_nothing(tmp_path: Path) -> None:
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name, reason="pip install 'ganbench[docs]'")
    done = build(tmp_path / "out", sorted(p.parent for p in ROOT.glob("leaderboards/*/board.toml")), docs=ROOT / "docs")
    assert int(done.docs.split()[0]) > 50
    assert done.largest <= MOST
    for path in (tmp_path / "out" / "docs").rglob("*.html"):
        for kind, target in links(path).found:
            if kind in ("link.href", "script.src", "img.src"):
                assert not re.match(r"(https?:)?//", target), (path.name, target)
            elif kind == "a.href" and not re.match(r"[a-z]+:|#", target):
                assert (path.parent / target.partition("#")[0]).exists(), (path.name, target)
    assert "ganbench leaderboard build" in (tmp_path / "out/docs/reference/cli.html").read_text()


def test_equations_are_of_models_that_there_are_and_of_all_that_learn() -> None:
    told = formulas.equations()
    assert set(told) == {e.name for e in MODELS if e.family != "control"}
    assert set(formulas.of_metrics()) == set(METRICS.entries)
    for lines in [*told.values(), *(m["formula"] for m in formulas.of_metrics().values())]:
        assert lines
        assert all(formulas.svg(tex).startswith("<svg") for tex in lines)


def test_losses_and_departures_are_read_from_the_source() -> None:
    found = dict(losses(MODELS.get("sngan")))
    assert "SNGAN.discriminator_loss" in found
    assert any(k.endswith(".discriminator_hinge") for k in found)
    assert [e.name for e in MODELS if not e.name.startswith("control") and not losses(e)] == []
    parts = header(MODELS.get("sngan").header)
    assert parts["Source"].startswith("Miyato et al. 2018")
    assert parts["Departures"].startswith("1. The shared small networks")


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)  # the definition's own end
    for ground in ("paper", "band"):
        for text in ("ink", "soft", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (scheme, text, ground)
        for mark in ("c0", "c1", "c2", "c3", "c4", "c5"):  # dots, lines and the words of legends
            assert contrast(colours[mark], colours[ground]) >= 4.5, (scheme, mark, ground)


def test_axes_are_logarithmic_where_values_span_decades() -> None:
    assert not Axis.fitting([1.0, 2.0, 3.0], 0, 100).log
    wide = Axis.fitting([0.001, 0.002, 0.01, 1.0], 0, 100)
    assert wide.log
    assert wide.place(0.01) - wide.place(0.001) == pytest.approx(wide.place(1.0) - wide.place(0.1), abs=0.2)
    signed = Axis.fitting([-0.001, 0.0, 0.0005, 0.002, 0.4, 3.0], 0, 100)
    places = [signed.place(v) for v in (-0.001, 0.0, 0.0005, 0.002, 0.4, 3.0)]
    assert places == sorted(places)
    assert len(set(places)) == 6
    assert any(t.text == "0" for t in signed.ticks())


def test_an_interval_ends_where_the_score_does() -> None:
    from ganbench.stats import estimate

    free, cut = estimate([8, 8, 6]), estimate([8, 8, 6], bounds=bounds("modes", "ring8"))
    assert free.high is not None
    assert free.high > 8
    assert cut.high == 8
    assert cut.low == free.low
    share = estimate([0.0, 0.0, 0.02], bounds=bounds("modes_hq", "ring8"))
    assert share.low == 0
    assert bounds("mmd", "ring8") == (-float("inf"), float("inf"))
