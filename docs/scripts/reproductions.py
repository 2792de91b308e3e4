"""Full-budget runs of published recipes, ours beside the papers' numbers: the page docs/reproductions.md.

    python docs/scripts/reproductions.py > docs/reproductions.md

Reads docs/reproductions.jsonl, lines of results.jsonl of runs at scale paper; add a run's lines there and make the page
anew. A record whose recipe has changed since drops out.
"""

from __future__ import annotations

from pathlib import Path

from ganbench.jobs.reading import read_records
from ganbench.jobs.records import Record
from ganbench.registry.recipes import of
from ganbench.report import published

HEAD = """# Published recipes run in full

Made by `python docs/scripts/reproductions.py` from `reproductions.jsonl`. What departs from a paper stands in the
model's header: `ganbench describe NAME`. Seconds are wall time, of some runs beside other work on the same cores.
"""
CAUSES = """## Where ours are not theirs

* Real images through the Parzen window: ours are drawn with replacement, so that about a tenth of them repeat. Of
  10,000 held-out images without repeats the window says 243.70.
* A network on the labelled images alone: the paper prints no settings of it, and ours is not tuned.
"""
PICTURE = """## InfoGAN's codes

Its ten categories (rows), found without labels; along a row one continuous code goes from -1 to 1: above slant, below
width and weight.

![Walks along the codes of InfoGAN](images/infogan-mnist.png)
"""
RECORDS = Path(__file__).parents[1] / "reproductions.jsonl"


def page(records: list[Record]) -> str:
    """The page for these records."""
    models = sorted({r.spec.model for r in records})
    lines = published.lines(records, [recipe for found in of(models).values() for recipe in found])
    table = published.markdown(lines).partition("\n\n")[2]
    runs: dict[str, list[Record]] = {}
    for r in records:
        steps = f"{r.iterations:,} iterations" if r.iterations > 1 else "one fit"
        on = f"on {r.spec.device}, model version {r.spec.versions['model']}, torch {r.spec.versions['torch']}"
        runs.setdefault(
            f"* {r.spec.but(config={}).row}, {r.spec.dataset}, seed {{}}: {steps} in {{}} s {on}.", []
        ).append(r)
    seconds = "\n".join(
        text.format(_range([r.spec.seed for r in found]), _range([r.timing["train_s"] for r in found]))
        for text, found in runs.items()
    )
    return f"{HEAD}\n{table}\n{seconds}\n\n{CAUSES}\n{PICTURE}"


def _range(values: list[float]) -> str:
    """`0`, or `12 to 2,000`."""
    low, high = f"{min(values):,.0f}", f"{max(values):,.0f}"
    return low if low == high else f"{low} to {high}"


def main() -> None:
    """Print the page."""
    print(page(read_records(RECORDS)), end="")


if __name__ == "__main__":
    main()
