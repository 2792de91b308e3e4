"""From boards, models and metrics to the HTML of the site's pages: pure functions of what they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ganbench.boards.build import Built, version_mark
from ganbench.boards.html import Plot, cost_plot, curve_plot
from ganbench.boards.standings import Standing
from ganbench.jobs import suites
from ganbench.provenance import environment
from ganbench.registry import MetricInfo
from ganbench.report.table import Table, templates, to_html, visible
from ganbench.site import formulas
from ganbench.site.models import ModelPage, Sample, paper_link

SHARED_LEGEND = (
    ("rank", "the place among ranked rows, with an interval: over draws of seeds and tasks"),
    ("mean [low, high]", "mean over training seeds and its 95 % Student-t interval; none under three seeds"),
    ("a, b, ab", "tie groups: rows that share a letter cannot be told apart on that task"),
    ("n=2, 1 diverged", "another number of seeds than the table's usual one; seeds that ended in NaN count as worst"),
    ("(v1, now v3)", "the row was trained by an older version of the model than today's"),
    ("bar under a value", "its interval within the range of the ranked rows; hollow: beyond that range"),
)


@dataclass(frozen=True)
class Site:
    """What all pages share."""

    boards: Sequence[Built]
    models: Sequence[ModelPage]
    metrics: Sequence[MetricInfo]
    commit: str = ""  # of the source tree that the site was built from
    repository: str = ""  # address of the public repository; empty: sources are on the site alone
    docs: bool = False  # whether the documentation lies beside the pages
    findings: frozenset[str] = frozenset()  # models with a page of findings in the documentation


@dataclass(frozen=True)
class Facts:
    """What of a metric was measured: on boards, and in the failure matrices of the documentation."""

    seconds: float | None = None  # median of one evaluation in the boards' records
    n: int | None = None  # samples it looked at there
    noticed: Sequence[tuple[str, Mapping[str, str]]] = ()  # (data set, failure -> move in standard deviations)
    boards: Sequence[tuple[str, str]] = ()  # (id, title) of boards with a column of it


def index(site: Site, kernels: Sequence[str] = ()) -> str:
    """The front page: every board, and ways to the rest."""
    return _render("index.html.j2", site, "", boards=[_row_of_index(b) for b in site.boards], kernels=kernels)


def _row_of_index(built: Built) -> dict[str, Any]:
    ranked = [s for s in built.standings if s.rank]
    first = min(ranked, key=lambda s: s.rank.place if s.rank else 0, default=None)
    return {"board": built.board, "rows": len(built.standings), "ranked": len(ranked), "first": first}


def board(
    site: Site, built: Built, samples: Sequence[Sample], plots: Sequence[str] = (), commits: Sequence[str] = ()
) -> str:
    """One board: ranked rows, unranked ones apart, quality against cost, samples, two rows side by side."""
    from markupsafe import Markup

    links = _links(built)
    parts = []
    for table in built.tables:
        halves = []
        for name, kinds in (("Ranked", {"ranked"}), ("Not ranked", {"incomplete", "control", "claimed"})):
            rows = [r for r in table.rows if r.kind in kinds]
            if rows:
                half = replace(table, id=f"{table.id}-{name.split()[-1]}", rows=rows)
                halves.append((name, Markup(to_html(half, links))))
        parts.append((table, halves))
    costs = [(t.key, p) for t in built.board.tasks if (p := cost_plot(built, t.key))]
    families = sorted({s.entry.family for s in built.standings if s.entry.family})
    return _render(
        "board.html.j2", site, "../", built=built, board=built.board, parts=parts, families=families, samples=samples,
        plots=plots, costs=[(p, front(p)) for _, p in costs], notes=built.tables[0].notes if built.tables else (),
        colours={f: i % 6 for i, f in enumerate(f for f in families if f != "control")}, commits=commits,
        datasets=list(dict.fromkeys(s.dataset for s in samples)), legend=SHARED_LEGEND,
    )  # fmt: skip


def front(plot: Plot) -> set[str]:
    """The labels of the marks that no cheaper one beats: those that are named on the plot."""
    up = "lower" not in plot.y_title  # small y is high on the page
    best: float | None = None
    found: set[str] = set()
    for m in sorted((m for m in plot.marks if m.kind != "control"), key=lambda m: m.x):
        height = m.y if up else -m.y
        if best is None or height < best:
            best = height
            found.add(m.label)
    return found


def _links(built: Built) -> dict[str, str]:
    """Names as tables show them -> addresses of models' pages."""
    found = {}
    for s in built.standings:
        if s.entry.model:
            for name in _names(built, s):
                found[visible(name)] = f"../models/{s.entry.model}.html"
    return found


def _names(built: Built, s: Standing) -> set[str]:
    marks = {version_mark(s, task) for task in (None, *(t.key for t in built.board.tasks))}
    return {f"{s.entry.label} ({m})" if m else s.entry.label for m in marks}


def models(site: Site) -> str:
    """The list of all models."""
    return _render("models.html.j2", site, "../", families=sorted({m.entry.family for m in site.models}))


def model(site: Site, page: ModelPage, source: str) -> str:
    """One model: what it is, its loss beside the paper's equation, samples, curves, ranks, departures."""
    from markupsafe import Markup

    return _render(
        "model.html.j2", site, "../", page=page, entry=page.entry, paper=paper_link(page.entry), source=source,
        tried=next((d for d in (*suites.load("all").datasets, *page.datasets) if d in page.datasets), ""),
        equations=[Markup(formulas.svg(tex)) for tex in page.equations], code=page.entry.source.read_text("utf-8"),
        curves=[(c, curve_plot(c)) for c in page.curves],
    )  # fmt: skip


def metrics(site: Site, facts: Mapping[str, Facts]) -> str:
    """The list of all metrics."""
    return _render("metrics.html.j2", site, "../", told=formulas.of_metrics(), facts=facts)


def metric(site: Site, entry: MetricInfo, facts: Facts) -> str:
    """One metric: formula, what it notices, what it costs, which boards show it."""
    from markupsafe import Markup

    told = formulas.of_metrics().get(entry.name, {})
    lines = [Markup(formulas.svg(tex)) for tex in told.get("formula", ())]
    return _render("metric.html.j2", site, "../", entry=entry, told=told, lines=lines, facts=facts)


def csv_page(site: Site, title: str, table: Table, source: str) -> str:
    """A board of kernels: one sortable table."""
    from markupsafe import Markup

    return _render("table_page.html.j2", site, "../", title=title, table=Markup(to_html(table)), source=source)


def _render(template: str, site: Site, root: str, **content: Any) -> str:
    return str(
        templates("ganbench.site", "ganbench.boards")
        .get_template(template)
        .render(site=site, root=root, version=environment.version(), **content)
    )
