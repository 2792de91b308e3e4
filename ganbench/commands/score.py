"""`ganbench score SAMPLES --dataset D` or `--reference REAL`: scores a file or folder of samples; trains nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganbench.commands._common import WORK, DataDir, Json, of_datasets, print_json, print_table, say
from ganbench.errors import BadConfig, BadInput, MissingResource

if TYPE_CHECKING:
    from ganbench.scoring.inputs import Inputs


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("score", rich_help_panel=WORK)(score)


def score(
    samples: Annotated[str, typer.Argument(help=".npy, .npz, .safetensors, or a folder of PNG or JPEG images.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="The data set to compare with.", autocompletion=of_datasets)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Folder or file of real pictures. All pictures of both sides are used."),
    ] = None,
    scorer: Annotated[
        str | None, typer.Option("--scorer", help="The network whose features metrics use; see `list scorers`.")
    ] = None,
    stats: Annotated[
        str | None,
        typer.Option(
            help="Statistics of the real side, .npz (pytorch-fid's too): read if the file exists, else written."
        ),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option("--holdout", help="More real pictures, as many as samples, for the column real vs real."),
    ] = None,
    resize: Annotated[int | None, typer.Option(help="Scale every picture of a folder to N x N pixels.", min=2)] = None,
    crop: Annotated[str | None, typer.Option(help="none, or centre: cut pictures to their central square.")] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", help="Names or globs; repeat for more [default: all that apply].")
    ] = None,
    n: Annotated[int | None, typer.Option("--samples", help="Use the first N samples [default: all].", min=2)] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the metrics' own draws.", min=0)] = 0,
    scorer_weights: Annotated[str | None, typer.Option(help="Weights of a scorer that ships none.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Score samples that were made elsewhere; each value stands beside that of real data."""
    from ganbench.commands._common import split_names
    from ganbench.jobs.plan import metric_names
    from ganbench.jobs.spec import display_name
    from ganbench.registry import DATASETS
    from ganbench.registry.variants import folder_with

    asked = tuple(split_names(metrics))
    if dataset is None:
        chosen = metric_names(asked) if asked else ()
        found = score_pictures(samples, reference, scorer, chosen, stats, holdout, (resize, crop), seed, scorer_weights)
        name = Path(reference or stats or "").name
    else:
        if reference or stats or holdout:
            raise BadConfig("--reference, --stats and --holdout are for two sets of files; leave out --dataset")
        if not (dataset in DATASETS.entries or ":" in dataset) and Path(dataset).exists():
            kind, what = ("folder", "folder") if Path(dataset).is_dir() else ("array", "file")
            raise BadInput(f"{dataset!r} is a {what}: write --dataset {kind}:{dataset}")
        (dataset,) = folder_with([dataset], resize=resize, crop=crop, scorer=scorer)
        DATASETS.get(dataset)
        names = metric_names(asked or ("*",))
        found = score_file(Path(samples), dataset, names, n, seed, data_dir, scorer_weights)
        name = display_name(dataset)
    if not found["metrics"] and found["not_applicable"]:
        raise BadInput(f"no metric could be computed: {found['not_applicable'][0]['reason']}")
    if as_json:
        return print_json({"dataset": name, **found})
    rows = [_line(row) for row in found["metrics"]]
    print_table(["metric", "value", "± s.e.", "real vs real", "n", "signature"], rows)
    if metrics or dataset is None:
        for missing in found["not_applicable"]:
            say(f"{missing['name']}: {missing['reason']}")
    return None


def score_pictures(
    fake: str,
    real: str | None,
    scorer: str | None,
    names: tuple[str, ...],
    stats: str | None,
    holdout: str | None,
    frame: tuple[int | None, str | None],
    seed: int,
    scorer_weights: str | None,
) -> dict[str, Any]:
    """{"n", "m", "metrics", "not_applicable"} of two sets of files, all of both. Raises `BadInput`, `BadConfig`."""
    if real is None and stats is None:
        raise BadConfig("nothing to compare with: give --dataset D, or --reference REAL for your own pictures")
    if scorer is None:
        raise BadConfig("--reference needs --scorer NAME, whose features are compared; see `ganbench list scorers`")
    from dataclasses import asdict

    from ganbench.datasets.pictures import Framing
    from ganbench.files import finite
    from ganbench.scoring.two_sets import Pictures, score_sets

    framing = Framing.of({k: v for k, v in zip(("resize", "crop"), frame, strict=True) if v is not None})
    tell = told()

    def side(path: str | None) -> Pictures | None:
        return None if path is None else Pictures(Path(os.path.realpath(path)), framing, tell)

    samples = side(fake)
    assert samples is not None
    found = score_sets(
        samples, side(real), scorer, names, stats=None if stats is None else Path(stats), holdout=side(holdout),
        seed=seed, announced=announced, scorer_weights=scorer_weights,
    )  # fmt: skip
    rows = [{k: v for k, v in finite(asdict(s)).items() if k != "peak_bytes"} for s in found.scores]
    framed = {"resize": framing.resize, "crop": framing.crop} if framing else {}
    return {"n": found.n, "m": found.m, **framed, "metrics": rows, "not_applicable": found.missing}


def told(every: float = 5.0) -> Callable[[int, int, str], None]:
    """What says on stderr, every so many seconds, how far a long reading is."""
    last = time.monotonic()

    def tell(done: int, of: int, what: str) -> None:
        nonlocal last
        if time.monotonic() - last > every:
            last = time.monotonic()
            say(f"{done:,} of {of:,} {what}")

    return tell


def score_file(
    path: Path,
    dataset: str,
    names: tuple[str, ...],
    n: int | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    scorer_weights: str | None = None,
) -> dict[str, Any]:
    """{"n", "metrics", "not_applicable"} of a file or folder of samples. Raises `BadInput` or `MissingResource`."""
    from ganbench.datasets.pictures import Framing
    from ganbench.datasets.samples import read_samples
    from ganbench.registry.variants import single
    from ganbench.scoring.inputs import Inputs, Workplace, score_all

    place = Workplace(scorer_weights=scorer_weights)
    data = place.dataset(dataset, data_dir)
    real = Path(os.path.realpath(path))  # a link that the user names is followed; none inside a folder is
    framing = Framing.of(single(dataset.partition(":")[0])[1]) if dataset.startswith("folder") else None
    x = read_samples(real, data.spec, framing=framing)[:n]
    inputs = Inputs(place, dataset, data, len(x), seed, samples=x)
    rows, missing = score_all(announced(names), inputs)
    if not rows:
        _raise_if_scorer_missing(inputs, {m["reason"] for m in missing})
    return {"n": len(x), "metrics": rows, "not_applicable": missing}


def announced(names: Iterable[str], after: float = 2.0) -> Iterator[str]:
    """The names of metrics, one after another; of one that takes over `after` seconds stderr says so, twice."""
    for name in names:
        start = time.perf_counter()
        timer = threading.Timer(after, say, [f"{name} ..."])
        timer.daemon = True
        timer.start()
        try:
            yield name
        finally:
            timer.cancel()
            if (taken := time.perf_counter() - start) > after:
                say(f"{name}: {taken:.0f} s")


def _raise_if_scorer_missing(inputs: Inputs, reasons: set[str]) -> None:
    """Raise the `MissingResource` of the data set's scorer where that is why nothing could be computed."""
    from ganbench.errors import without_paths

    try:
        _ = inputs.scorer
    except MissingResource as error:
        if without_paths(str(error)) in reasons:
            raise


def _line(row: dict[str, Any]) -> list[str]:
    from ganbench.report.table import Column, whole

    error = "" if row["se"] is None else f"± {whole(row['se'])}"
    floor = "" if row["floor"] is None else whole(row["floor"])
    return [
        Column("", row["name"], row["direction"]).heading,
        whole(row["value"]),
        error,
        floor,
        str(row["n"]),
        row["signature"],
    ]
