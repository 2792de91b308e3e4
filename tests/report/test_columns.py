"""Numbers of two kinds never share a column: a likelihood beside a bound, a density beside a probability."""

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
    def record(model: str, value: float, signature: str) -> dict:
        score = {"name": "nll", "value": value, "n": 500, "signature": signature, "direction": "min"}
        spec = {"model": model, "dataset": "digits", "scale": "quick", "seed": 0, "config": {}, "metrics": ["nll"]}
        return {"status": "ok", "job_id": model, "spec": spec, "metrics": [score], "timing": {"train_s": 1.0}}

    built = board_of([record("pixelcnn", 84.0, EXACT), record("vae_bernoulli", 24.0, BOUND)], "two kinds")
    assert [m.name for m in built.board.metrics] == ["nll_exact_mass_of_17_levels", "nll_elbo_density"]
