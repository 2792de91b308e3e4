"""Builds the static site into a folder: reads boards, sources and documentation, writes pages and pictures."""

from __future__ import annotations

import csv
import os
import re
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganbench.boards import build as building
from ganbench.boards.build import Built
from ganbench.boards.html import Curves, read_curves
from ganbench.boards.own import own_records
from ganbench.boards.pages import PICTURES, picture_name
from ganbench.errors import BadInput
from ganbench.jobs.fitting import datasets_of
from ganbench.jobs.reading import read_records
from ganbench.jobs.records import Record, RunFolder
from ganbench.provenance import environment
from ganbench.registry import METRICS, MODELS
from ganbench.registry.recipes import load as recipes_of
from ganbench.report.published import lines
from ganbench.report.table import Column, Number, Row, Table, Text, render
from ganbench.site import docs as documentation
from ganbench.site import formulas, pages
from ganbench.site.models import ModelPage, Sample, header, losses, reached, relative
from ganbench.site.pages import Facts, Site

MARK = ".ganbench-site"  # a folder with this file is a site, and may be built anew
NO_JEKYLL = ".nojekyll"  # or a host of pages would leave out Sphinx's folders, whose names begin with an underscore


@dataclass(frozen=True)
class Done:
    """What was built."""

    pages: int
    largest: int  # bytes of the largest page
    bytes: int
    seconds: float
    docs: str  # how many pages of documentation, or why there are none


def build(
    out: Path, boards: Sequence[Path], *, docs: Path | None = None, runs: Sequence[Path] = (), repository: str = ""
) -> Done:
    """Write the site; a folder that holds one already is replaced when the new one is whole.

    Raises `BadInput` for a folder that holds something else, boards that cannot be built, or a run that is none.
    """
    start = time.monotonic()
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file())):
        raise BadInput(f"{out.name!r} holds something that is no site; name a new or an empty folder")
    fresh = out.parent / f".{out.name}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        told = documentation.build(docs, fresh / "docs") if docs else "no folder of documentation was given"
        _write_pages(fresh, boards, docs if (fresh / "docs").is_dir() else None, runs, repository.rstrip("/"))
        for name in (MARK, NO_JEKYLL):
            (fresh / name).write_text("", encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)
        os.replace(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    written = [p.stat().st_size for p in out.rglob("*.html")]
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    return Done(len(written), max(written), size, time.monotonic() - start, told)


def _write_pages(out: Path, folders: Sequence[Path], docs: Path | None, runs: Sequence[Path], repository: str) -> None:
    built = {folder: building.build(folder) for folder in folders}
    records = {f: own_records(f) for f in folders}
    extra = read_records(docs / "reproductions.jsonl") if docs and (docs / "reproductions.jsonl").is_file() else []
    samples = {f: list(_pictures(f, b, out)) for f, b in built.items()}
    curves = [c for run in runs for c in _curves(run)]
    everything = [*extra, *(r for rs in records.values() for r in rs)]
    models = [
        ModelPage(
            entry,
            formulas.equations().get(entry.name, ()),
            losses(entry),
            [d.name for d in datasets_of(entry) if not d.prefix],
            (known := recipes_of(entry)),
            lines([r for r in everything if r.spec.model == entry.name], known),
            reached(entry.name, list(built.values())),
            [s for found in samples.values() for s in found if s.label.partition(" ")[0] == entry.name],
            [c for c in curves if c.label.partition(" ")[0] == entry.name],
            header(entry.header),
        )
        for entry in MODELS
        if entry.source.is_file() and relative(entry)
    ]
    findings = frozenset(p.stem for p in (docs / "models").glob("*.md")) if docs else frozenset()
    site = Site(
        list(built.values()), models, list(METRICS), str(environment.git().get("commit", "")), repository, bool(docs),
        findings,
    )  # fmt: skip
    kernels = list(_kernels(site, folders, out))
    _write(out / "index.html", pages.index(site, kernels))
    for folder, b in built.items():
        commits = sorted({str(c)[:12] for r in records[folder] if (c := r.git.get("commit"))})
        plots = list(_plots(folder, b, out))
        _write(out / "boards" / f"{b.board.id}.html", pages.board(site, b, samples[folder], plots, commits))
        _write(out / "boards" / f"{b.board.id}.csv", building.files(b)["board.csv"])
        tables = [render(t, "json") for t in b.tables]
        _write(out / "boards" / f"{b.board.id}.json", "[\n" + ",\n".join(t.rstrip() for t in tables) + "\n]\n")
    _write(out / "models" / "index.html", pages.models(site))
    for page in models:
        path = relative(page.entry)
        assert path is not None
        source = f"{repository}/blob/{site.commit or 'main'}/{path.as_posix()}" if repository else ""
        _write(out / "source" / f"{path.as_posix()}.txt", page.entry.source.read_text(encoding="utf-8"))
        _write(
            out / "models" / f"{page.entry.name}.html",
            pages.model(site, page, source or f"../source/{path.as_posix()}.txt"),
        )
    facts = _facts(built, everything, docs)
    _write(out / "metrics" / "index.html", pages.metrics(site, facts))
    for metric in site.metrics:
        _write(out / "metrics" / f"{metric.name}.html", pages.metric(site, metric, facts[metric.name]))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _pictures(folder: Path, built: Built, out: Path) -> Iterator[Sample]:
    """Copy the samples that lie beside a board."""
    for s in built.standings:
        for dataset in dict.fromkeys(t.dataset for t in built.board.tasks):
            name = picture_name(s.entry.key, dataset)
            if _copied(folder / PICTURES / name, out / "pictures" / built.board.id / name):
                yield Sample(f"pictures/{built.board.id}/{name}", dataset, s.entry.label, built.board.title)


def _plots(folder: Path, built: Built, out: Path) -> Iterator[str]:
    """Copy the other pictures of a board: curves over labels, and what classifiers get wrong."""
    known = {picture_name(s.entry.key, t.dataset) for s in built.standings for t in built.board.tasks}
    for path in sorted((folder / PICTURES).glob("*")) if (folder / PICTURES).is_dir() else []:
        target = out / "pictures" / built.board.id / path.name
        if path.name not in known and path.suffix in (".png", ".webp") and _copied(path, target):
            yield f"pictures/{built.board.id}/{path.name}"


def _copied(source: Path, target: Path) -> bool:
    if not source.is_file() or source.is_symlink():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


def _curves(run: Path) -> Iterator[Curves]:
    """Training curves of a run's jobs, the first seed of each row."""
    folder = RunFolder.open(run)
    seen = set()
    for record in folder.records():
        key = (record.spec.row, record.spec.dataset)
        found = {k: v for k, v in read_curves(folder.job_folder(record.spec) / "history.json").items() if v}
        if found and key not in seen:
            seen.add(key)
            yield Curves(record.spec.dataset, record.spec.row, "", found)


def _kernels(site: Site, folders: Sequence[Path], out: Path) -> Iterator[str]:
    """A page for each CSV of kernels' throughput beside the boards."""
    for path in sorted({f.parent for f in folders}):
        for source in sorted((path / "kernels").glob("*.csv")):
            with source.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            columns = [Column("dtype", "type"), Column("kernel", "kernel")]
            columns += [
                Column(k, k.replace("_", " ")) for k in (rows[0] if rows else ()) if k not in ("dtype", "kernel")
            ]
            body = [Row("ranked", [_cell(r[c.key]) for c in columns], r["dtype"]) for r in rows]
            table = Table(f"kernels-{source.stem}", f"Kernels on {source.stem}", columns, body)
            _write(
                out / "boards" / f"kernels-{source.stem}.html", pages.csv_page(site, table.title, table, source.name)
            )
            _copied(source, out / "boards" / source.name)
            yield source.stem


def _cell(text: str) -> Text | Number:
    try:
        return Number(float(text))
    except ValueError:
        return Text(text)


def _facts(built: Mapping[Path, Built], records: Sequence[Record], docs: Path | None) -> dict[str, Facts]:
    """Cost and boards of each metric, from records; and what it noticed, from the documentation's matrices."""
    seconds: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for r in records:
        for m in r.metrics:
            if m.seconds is not None:
                seconds[METRICS.get(m.name).name if _known(m.name) else m.name].append((m.seconds, m.n))
    matrix = dict(_matrices(docs)) if docs else {}
    found = {}
    for entry in METRICS:
        names = [entry.name, *entry.returns]
        cost = seconds.get(entry.name, [])
        largest = max((n for _, n in cost), default=None)
        times = [s for s, n in cost if n == largest]
        noticed = [
            (f"{name} on {dataset}", row)
            for dataset, rows in matrix.items()
            for name, row in rows.items()
            if name in names
        ]
        boards = [(b.board.id, b.board.title) for b in built.values() if any(m.name in names for m in b.board.metrics)]
        found[entry.name] = Facts(statistics.median(times) if times else None, largest, noticed, boards)
    return found


def _known(name: str) -> bool:
    return name in METRICS.entries or any(name in e.returns for e in METRICS)


def _matrices(docs: Path) -> Iterator[tuple[str, dict[str, dict[str, str]]]]:
    """The tables of failure-matrix-*.md: data set -> metric -> failure -> move."""
    for path in sorted(docs.glob("failure-matrix-*.md")):
        rows = [
            [re.sub(r"\*\*", "", c).strip() for c in line.strip().strip("|").split("|")]
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith("|")
        ]
        if len(rows) > 2:
            heads = rows[0][1:]
            yield (
                path.stem.removeprefix("failure-matrix-"),
                {r[0]: dict(zip(heads, r[1:], strict=False)) for r in rows[2:]},
            )
