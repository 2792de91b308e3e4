"""Numbers of two kinds never share a column: a likelihood beside a bound, a density beside a probability."""

from fakes import record

from ganbench.boards.pages import board_of
from ganbench.report.columns import columns

EXACT, BOUND = "nll|nats|exact|mass of 17 levels|m=500|v1", "nll|nats|elbo|density|m=500|v1"


def test_a_metric_of_one_kind_keeps_its_name() -> None:
    assert columns([("digits", "nll", EXACT)] * 2) == {("digits", "nll", EXACT): "nll"}
    # Two data sets never share a column anyway.
    assert set(columns([("digits", "nll", EXACT), ("mnist", "nll", BOUND)]).values()) == {"nll"}


def test_two_kinds_are_named_by_what_sets_them_apart() -> None:
    found = columns([("digits", "nll", EXACT), ("digits", "nll", BOUND)])
    assert found["digits", "nll", EXACT] == "nll_exact_mass_of_17_levels"
    assert found["digits", "nll", BOUND] == "nll_elbo_density"


def test_a_page_of_a_run_with_two_kinds_has_two_columns() -> None:
    scored = (("pixelcnn", 84.0, EXACT), ("vae_bernoulli", 24.0, BOUND))
    built = board_of([record(m, "digits", 0, {"nll": v}, signature=kind) for m, v, kind in scored], "two kinds")
    assert [m.name for m in built.board.metrics] == ["nll_exact_mass_of_17_levels", "nll_elbo_density"]
