"""What the literature leads one to expect of the rows, and what the boards' records say: the page docs/expectations.md.

    python docs/scripts/expectations.py > docs/expectations.md

Reads records of boards and nothing else; make the page anew when they change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ganbench.boards.compare import Difference, compare
from ganbench.boards.own import own_records
from ganbench.errors import BadInput
from ganbench.jobs.records import Record

RECOVER = {"unrolled": "Metz et al. 2017, section 3.1", "pacgan": "Lin et al. 2018, table 1"}  # row -> who says so
LABELS = {"mmd": "MMD", "frechet": "Frechet distance"}
BOARDS = Path(__file__).parents[2] / "leaderboards"
HEAD = """# What the literature expects, and what was found

Made by `python docs/scripts/expectations.py` from the records of the boards. A difference is the row minus the other,
taken seed by seed over the seeds that both have (Welch's where they share none), with its 95 % Student-t interval, each
by itself. "Confirmed" and "refuted": the interval leaves out zero, on the expected side or on the other.
"""
MIXTURES = """## Mode collapse on mixtures

After 10,000 iterations ([board](../leaderboards/toy2d-standard/README.md)). VEEGAN's latents have 254 dimensions, those
of the other rows 2. With as many a plain GAN loses modes; with 2 it keeps nearly all and gives them unequal weights,
which MMD sees and a count of modes does not.
"""
AUTOENCODERS = """## Wasserstein autoencoders on MNIST

After 5,000 iterations, 10,000 samples ([board](../leaderboards/mnist/README.md)).
"""


@dataclass(frozen=True)
class Expectation:
    """Row `row` has more (or less) of a metric than row `other`."""

    board: str
    dataset: str
    metric: str
    row: str
    other: str
    more: bool
    source: str


def mixtures() -> Iterable[Expectation]:
    """What is said of mode collapse on mixtures in the plane."""
    metz, lin = "Metz et al. 2017, section 3.1", "Lin et al. 2018, table 1"
    srivastava, gulrajani = "Srivastava et al. 2017, table 1", "Gulrajani et al. 2017"
    wide = "gan_ns[latent_dim=254]"  # VEEGAN's number of latents, which its row has by default; the others' is 2
    for dataset in ("ring8", "grid25"):
        for metric, row, other, more, source in (
            ("modes", "gan_ns", "control_oracle", False, metz),
            ("modes", wide, "control_oracle", False, metz),
            *((m, row, "gan_ns", m == "modes", said) for row, said in RECOVER.items() for m in ("modes", "mmd")),
            ("modes", "pacgan[latent_dim=254]", wide, True, lin),
            ("mmd", "pacgan[latent_dim=254]", wide, False, lin),
            ("modes", "unrolled[latent_dim=254]", wide, True, metz),
            ("mmd", "unrolled[latent_dim=254]", wide, False, metz),
            ("modes", "veegan", wide, True, srivastava),
            ("mmd", "veegan", wide, False, srivastava),
            ("modes", "ali", "gan_ns", True, srivastava),
            ("mmd", "ali", "gan_ns", False, srivastava),
            *(("mmd", "wgan_gp", row, False, gulrajani) for row in ("gan_ns", *RECOVER, "veegan", "ali")),
        ):
            yield Expectation("toy2d-standard", dataset, metric, row, other, more, source)


def autoencoders() -> Iterable[Expectation]:
    """What is said of Wasserstein autoencoders beside variational ones."""
    source = "Tolstikhin et al. 2018, table 1 (CelebA)"
    for row in ("wae_gan", "wae_mmd"):
        yield Expectation("mnist", "mnist", "frechet", row, "vae_gaussian", False, source)
    yield Expectation("mnist", "mnist", "frechet", "wae_gan", "wae_mmd", False, source)


def measured(e: Expectation) -> Difference | None:
    """The difference on the expectation's board; None where a row has no records there."""
    records = own_records(BOARDS / e.board)

    def of(row: str) -> list[Record]:  # under one name, for `compare` matches rows by theirs
        mine = (r for r in records if r.spec.row == row and r.spec.dataset == e.dataset)
        return [r.model_copy(update={"spec": r.spec.but(model="row", config={})}) for r in mine]

    try:
        found = compare(of(e.other), of(e.row))
    except BadInput:
        return None
    return next((d for d in found if d.metric == e.metric), None)


def verdict(e: Expectation, d: Difference) -> str:
    """What the interval says of the expectation."""
    if d.low is None or d.high is None:
        return "under three seeds"
    if d.low <= 0 <= d.high:
        return "not told apart"
    return "confirmed" if (d.low > 0) == e.more else "refuted"


def table(expectations: Iterable[Expectation]) -> str:
    """One line for each expectation that has records."""
    lines = ["| expected | data set | row | other | difference | seeds | found |", "|:--|:--|:--|:--|:--|:--|:--|"]
    for e in expectations:
        if (d := measured(e)) is None:
            continue
        amount = "more" if e.more else "fewer" if e.metric == "modes" else "less"
        said = f"{e.row} has {amount} {LABELS.get(e.metric, e.metric)} than {e.other} ({e.source})"
        interval = "" if d.low is None or d.high is None else f" [{d.low:.3g}, {d.high:.3g}]"
        cells = (said, e.dataset, f"{d.b:.4g}", f"{d.a:.4g}", f"{d.difference:.3g}{interval}", f"{d.n_b}, {d.n_a}")
        lines.append(f"| {' | '.join((*cells, verdict(e, d)))} |")
    return "\n".join(lines)


def main() -> None:
    """Print the page."""
    sections = ((MIXTURES, mixtures()), (AUTOENCODERS, autoencoders()))
    print(HEAD)
    print("\n\n".join(f"{title}\n{table(expected)}" for title, expected in sections))


if __name__ == "__main__":
    main()
