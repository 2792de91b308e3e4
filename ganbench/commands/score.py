"""`ganbench score SAMPLES --dataset D`: scores a file or folder of samples; trains nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganbench.commands._common import WORK, DataDir, Json, print_json, print_table, say
from ganbench.errors import BadInput, MissingResource

if TYPE_CHECKING:
    from ganbench.scoring.inputs import Inputs


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("score", rich_help_panel=WORK)(score)


def score(
    samples: Annotated[str, typer.Argument(help=".npy, .npz, .safetensors, or a folder of PNG or JPEG images.")],
    dataset: Annotated[str, typer.Option("--dataset", "-d", help="What the samples imitate.")],
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

    DATASETS.get(dataset)
    names = metric_names(tuple(split_names(metrics)) or ("*",))
    found = score_file(Path(samples), dataset, names, n, seed, data_dir, scorer_weights)
    if not found["metrics"] and found["not_applicable"]:
        raise BadInput(f"no metric could be computed: {found['not_applicable'][0]['reason']}")
    if as_json:
        return print_json({"dataset": display_name(dataset), **found})
    rows = [_line(row) for row in found["metrics"]]
    print_table(["metric", "value", "± s.e.", "real vs real", "n", "signature"], rows)
    if metrics:
        for missing in found["not_applicable"]:
            say(f"{missing['name']}: {missing['reason']}")
    return None


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
    from ganbench.datasets.samples import read_samples
    from ganbench.scoring.inputs import Inputs, Workplace, score_all

    place = Workplace(scorer_weights=scorer_weights)
    data = place.dataset(dataset, data_dir)
    real = Path(os.path.realpath(path))  # a link that the user names is followed; none inside a folder is
    x = read_samples(real, data.spec)[:n]
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
    from ganbench.provenance.environment import without_paths

    try:
        _ = inputs.scorer
    except MissingResource as error:
        if without_paths(str(error)) in reasons:
            raise


def _line(row: dict[str, Any]) -> list[str]:
    from ganbench.report.tables import ARROWS, number

    error = "" if row["se"] is None else f"± {number(row['se'])}"
    floor = "" if row["floor"] is None else number(row["floor"])
    arrow = ARROWS.get(row["direction"], "")
    return [f"{row['name']} {arrow}".rstrip(), number(row["value"]), error, floor, str(row["n"]), row["signature"]]
