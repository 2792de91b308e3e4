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
    seconds = "\n".join(
        f"* {r.spec.but(config={}).row}, seed {r.spec.seed}: {r.iterations:,} iterations in "
        f"{r.timing['train_s']:,.0f} s on {r.spec.device}, model version {r.spec.versions['model']}, "
        f"torch {r.spec.versions['torch']}."
        for r in records
    )
    return f"{HEAD}\n{table}\n{seconds}\n\n{PICTURE}"


def main() -> None:
    """Print the page."""
    print(page(read_records(RECORDS)), end="")


if __name__ == "__main__":
    main()
