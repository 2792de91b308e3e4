"""One table, five forms: the same numbers in each, and names that stay text."""

from __future__ import annotations

import csv
import html.parser
import io
import json

import pytest
from fakes import board, record

from ganbench.boards.build import Built, readme, tables
from ganbench.boards.rank import Rank
from ganbench.boards.standings import standings
from ganbench.report.table import (
    Column,
    Measured,
    Place,
    Row,
    Table,
    Text,
    decimals,
    render,
    short,
    to_csv,
    to_html,
    to_json,
    to_latex,
    to_markdown,
    visible,
)
from ganbench.stats import Estimate

HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a|b", "a\nb", "\x1b[31mred", "a\u202eb", "=1+1",
    "@SUM(A1)", "[x](javascript:alert(1))", "![x](https://evil.example/x.png)", "{{ 7*7 }}", "{% raw %}", "\\input{x}",
    "$x$", "&lt;", '" onclick="x', "https://evil.example", "`x`", "*b*",
]  # fmt: skip


def table(*names: str) -> Table:
    e = Estimate(0.0021, 3, 0.0002, 0.0017, 0.0025)
    rows = [Row("ranked", [Place(Rank(3, 2, 6, 3.5)), Text(n), Measured(e, "ab", 3)], "x") for n in names]
    return Table(
        "t", "Title", [Column("rank", "rank", "min"), Column("model", "model"), Column("mmd", "mmd", "min")], rows
    )


def test_a_cell_reads_as_in_the_documentation() -> None:
    assert Place(Rank(3, 2, 6, 3.5)).text() == "3 [2–6]"
    assert Measured(Estimate(0.0021, 3, 0.0002, 0.0017, 0.0025), "a", 3).text() == "0.00210 [0.00170, 0.00250] a"
    assert Measured(Estimate(8.0, 3, 0.0, 8.0, 8.0), "", 3).text() == "8.000 [8.000, 8.000]"
    assert Measured(Estimate(1.5, 2, 0.1), "", 3).text() == "1.500 (n=2)"
    assert Measured(Estimate(1.5, 1, None, diverged=2), "", 3).text() == "1.500 (n=1, 2 diverged)"
    assert Measured(Estimate(float("nan"), 0, diverged=3), "", 3).text() == "3 diverged"
    assert Measured(None).text() == ""
    assert Place(None).text() == "–"


@pytest.mark.parametrize(
    ("x", "text"), [(0.0, "0"), (1234.5, "1234"), (0.000123456, "0.0001235"), (1e-7, "1.000e-07"), (-2.5, "-2.500")]
)
def test_numbers_keep_four_digits(x: float, text: str) -> None:
    assert short(x) == text


def test_decimals_show_two_digits_of_the_uncertainty() -> None:
    assert [decimals(0.012, 5), decimals(1.2, 5), decimals(25, 500), decimals(0, 0), decimals(0, 8)] == [3, 1, 0, 1, 3]


def test_no_interval_ends_in_minus_zero() -> None:
    assert Measured(Estimate(12.0, 3, 5.0, -0.2, 24.2), "", 3).text() == "12 [0, 24]"


def test_csv_and_json_hold_the_same_numbers_at_full_precision() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(table("a"))))
    (same,) = json.loads(to_json(table("a")))["rows"]
    assert float(row["mmd"]) == same["mmd"] == 0.0021
    assert (row["rank"], row["rank.low"], row["rank.high"]) == ("3", "2", "6")
    assert {k for k in same if k.startswith("mmd")} == {
        "mmd",
        "mmd.low",
        "mmd.high",
        "mmd.sd",
        "mmd.n",
        "mmd.diverged",
        "mmd.group",
    }


class Reader(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_html(name: str) -> None:
    reader = Reader()
    reader.feed(to_html(table(name)))
    assert visible(name) in reader.text
    assert reader.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "button", "svg", "line", "circle"}
    assert not [a for a in reader.attributes if a.startswith("on")]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_markdown(name: str) -> None:
    lines = to_markdown(table(name)).splitlines()
    assert len(lines) == 3  # header, rule, one row
    row = lines[2]
    assert row.replace("\\|", "").count("|") == 4
    assert "<" not in row
    assert "](" not in row
    assert "://" not in row
    assert row.isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_latex_and_csv(name: str) -> None:
    text = to_latex(table(name))
    row = text.splitlines()[4]
    assert row.count("&") - row.count("\\&") == 2
    assert "\\input" not in text
    (found,) = csv.DictReader(io.StringIO(to_csv(table(name))))
    assert found["model"][0] not in "=+-@"
    assert "\n" not in found["model"]


def test_latex_is_booktabs_and_plain_ascii() -> None:
    text = to_latex(table("wgan_gp"))
    assert all(
        rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"wgan\_gp", "3 [2--6]", r"$\downarrow$")
    )
    assert text.isascii()


def test_an_empty_table_renders_in_every_form() -> None:
    for form in ("md", "csv", "json", "tex", "html"):
        assert render(table(), form)  # type: ignore[arg-type]


def test_the_page_says_what_a_reader_must_know() -> None:
    records = [
        record(m, d, s, {"mmd": 0.1 * s + i})
        for i, m in enumerate("abc")
        for d in ("ring8", "grid25")
        for s in range(3)
    ]
    records += [record("z", "ring8", s, {"mmd": 1.0 + s}) for s in range(3)]
    the_board = board("ring8", "grid25")
    rows = standings(the_board, records)
    page = readme(Built(the_board, rows, tables(the_board, rows)))
    assert "Ranking mean-rank/2" in page
    assert "2000 draws" in page
    assert "unranked (grid25: 0 of 3 seeds): z." in page
    assert "n=3 unless noted" in page
