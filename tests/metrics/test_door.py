"""Every metric without a model, found in the registry: scales, types, hostile torch states, options of a wrong type."""

from __future__ import annotations

import inspect
import math
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganbench.data import Mixture, Text, WordRatings
from ganbench.data.density import Answers
from ganbench.errors import BadInput, GanbenchError, NotApplicable
from ganbench.metrics.base import Score, metric
from ganbench.metrics.door import SETS, check_option
from ganbench.ops.assignment import NotOptimal
from ganbench.ops.spectrograms import Sound
from ganbench.registry import METRICS, MetricInfo

WITHOUT_MODEL = [e for e in METRICS if "model" not in e.needs]
OF_SETS = [e for e in WITHOUT_MODEL if set(e.needs) & set(SETS)]
ROWS = 60  # a threshold of `birthday` takes fifty
LIGHT = {"n_directions": 32, "patches": 4, "starts": 2, "steps": 10, "subsets": 5}  # options that cost, made cheap
EXACT = 1e-9  # a power of two changes no digit but for the lines where float32 gives way to float64
FULL = [10.0**e for e in range(-150, 151, 10)]
TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def arguments(entry: MetricInfo, seed: int = 0) -> dict[str, Any]:
    """All that a metric without a model can ask for: images (N, 1, 8, 8) for distances, posteriors of five classes."""
    rng = torch.Generator().manual_seed(seed)

    def draw(spread: float, shift: float) -> Tensor:
        return spread * torch.randn(ROWS, 1, 8, 8, generator=rng, dtype=torch.float64) + shift

    made: dict[str, Any] = {
        "space": "inception-tf2015@test",
        "mixture": Mixture(torch.randn(5, 64, generator=rng), 2.0),
    }
    for i, name in enumerate(SETS):
        made[name] = draw(1 + 0.1 * i, 0.05 * i)
    for name in ("features", "reference_features", "train_features"):
        made[name] = made[name].flatten(1)
        if "sample_labels" in entry.needs:  # a covariance for each class
            made[name] = made[name][:, :8]
    if "mixture" in entry.needs:
        made["samples"] = made["samples"].flatten(1)
    for name in ("sample_labels", "train_labels", "test_labels"):
        made[name] = torch.arange(ROWS) % 5
    for name in ("measured", "edited_measured"):
        made[name] = torch.arange(2 * ROWS).view(ROWS, 2) % 3
    for name in ("wanted", "edit_values"):
        made[name] = torch.ones(ROWS, 2, dtype=torch.int64)
    made["turned"] = torch.arange(ROWS) % 2
    for name in ("cond", "cycled"):
        made[name] = made[name][:, :, :4, :4]
    made["known"] = torch.arange(64).view(1, 8, 8) < 32
    for name in ("probs", "reference_probs", "translated_probs", "edited_probs", "inpainted_probs"):
        made[name] = torch.softmax(2 * torch.randn(ROWS, 5, generator=rng, dtype=torch.float64), 1)
    pairs, ratings = torch.randint(ROWS, (40, 2), generator=rng), torch.rand(40, generator=rng, dtype=torch.float64)
    questions = torch.arange(ROWS).view(-1, 4)
    words = tuple(map(str, range(ROWS)))
    made["text"] = Text(words, {"list": WordRatings(pairs, ratings, 40)}, {"section": questions})
    made["document_ratings"] = torch.rand(ROWS, ROWS, generator=rng, dtype=torch.float64)
    if entry.name == "order_test":  # whose reference are documents: two orders of each two words
        made["reference"] = torch.tensor([[0, 1], [1, 0], [2, 3], [3, 2]]).repeat(ROWS // 4, 1)
    for name in ("predicted", "future"):
        made[name] = torch.rand(ROWS, 5, 1, 8, 8, generator=rng, dtype=torch.float64) * 2 - 1
    if "answers" in entry.needs:  # of a law over which of three coordinates are not 0
        made["samples"] = made["samples"].flatten(1)[:, :3] * (torch.arange(3) < 2)
        subsets = torch.tensor([[bool(i >> j & 1) for j in range(3)] for i in range(8)])
        probs = torch.full((8,), 1 / 8, dtype=torch.float64)
        made["answers"] = Answers(torch.zeros(3), torch.eye(3), 0.0, subsets, probs)
    if "sound" in entry.needs:
        made["sound"] = Sound(1500, (60, 62, 64, 65, 67), 8, 8)
        made["samples"] = made["samples"].expand(-1, 2, -1, -1).tanh()
    made["rng"] = torch.Generator().manual_seed(7)
    return {name: made[name] for name in entry.needs}


def scores(entry: MetricInfo, given: dict[str, Any]) -> list[Score]:
    if "rng" in given:
        given = given | {"rng": torch.Generator().manual_seed(7)}
    function = entry.load()
    light = {k: v for k, v in LIGHT.items() if k in inspect.signature(function).parameters}
    result = function(**given, **light)
    return result if isinstance(result, list) else [result]


def scaled(entry: MetricInfo, given: dict[str, Any], factor: float) -> dict[str, Any]:
    return {k: v * factor if k in SETS and v.is_floating_point() else v for k, v in given.items()}


def of_type(given: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    return {k: v.to(dtype) if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in given.items()}


def ids(entry: MetricInfo) -> str:
    return entry.name


def check_scaled(entry: MetricInfo, dtype: torch.dtype, factors: list[float]) -> None:
    """The scaled value or `BadInput`, never nan, inf, another exception, or zero for sets that differ."""
    given = arguments(entry)
    degree = entry.degree
    for wanted in factors:
        factor = 2.0 ** round(math.log2(wanted))  # exact, so that the set keeps its digits
        sets = of_type(scaled(entry, given, factor), dtype)
        if any(not x.isfinite().all() or not x.any() for k, x in sets.items() if k in SETS):
            continue  # no numbers of this type
        lifted = scaled(entry, of_type(sets, torch.float64), 1 / factor)
        try:
            plain = scores(entry, lifted)
            got = scores(entry, sets)
        except (BadInput, NotApplicable, NotOptimal):
            continue
        for a, b in zip(got, plain, strict=True):
            assert math.isfinite(a.value), (entry.name, factor)
            assert a.se is None or math.isfinite(a.se)
            if degree is not None:
                tolerance = EXACT if dtype == torch.float64 or not 2e-9 < factor < 1e15 else 2e-6
                truth = b.value * factor**degree if degree else b.value
                assert a.value == pytest.approx(truth, rel=tolerance, abs=1e-9 * abs(truth) + (0 if degree else 1e-7))
                assert a.value != 0 or b.value == 0


@pytest.mark.parametrize("entry", OF_SETS, ids=ids)
def test_scale_gives_the_scaled_value_or_a_refusal(entry: MetricInfo) -> None:
    check_scaled(entry, torch.float64, [1e-150, 1e150])
    check_scaled(entry, torch.float32, [1e-30, 1e30])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("entry", OF_SETS, ids=ids)
def test_every_scale_and_type(entry: MetricInfo, dtype: torch.dtype) -> None:
    check_scaled(entry, dtype, FULL)


def test_metrics_that_scale_are_not_refused() -> None:
    for entry in OF_SETS:
        if entry.degree is not None and entry.name != "wasserstein":  # which may end in `NotOptimal`
            for factor in (2.0**-300, 2.0**300):
                assert scores(entry, scaled(entry, arguments(entry), factor)), entry.name


@pytest.mark.parametrize("name", ["sliced_wasserstein", "max_sliced_wasserstein"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_powers_of_distances_are_kept_or_refused(name: str, dtype: torch.dtype) -> None:
    x = torch.randn(40, 1, generator=torch.Generator().manual_seed(0)).to(dtype)
    for p in (2, 5, 60, 250):  # on a line W_p of a shift is the shift, for every p
        (score,) = scores(METRICS.get(name), {"samples": x + 0.125, "reference": x, "rng": None, "p": p})
        assert score.value == pytest.approx(0.125, rel=1e-5)
    with pytest.raises(BadInput, match="p must be smaller"):
        scores(METRICS.get(name), {"samples": x + 0.125, "reference": x, "rng": None, "p": 540})


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")


STATES = {
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": default_dtype,
    "meta": lambda: torch.device("meta"),
    "deterministic": deterministic,
    "numpy raises": lambda: np.errstate(all="raise"),
}


def state() -> tuple[Any, ...]:
    """What a metric must leave as it was."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_float32_matmul_precision(),
        str(np.geterr()),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global generator is what is looked at
        random.getstate(),
    )


def check_state(entry: MetricInfo, names: list[str]) -> None:
    given = of_type(arguments(entry), torch.float32)
    wanted = scores(entry, given)
    for name in names:
        with ExitStack() as stack:
            stack.enter_context(STATES[name]())
            hostile = {k: v.clone() if isinstance(v, Tensor) else v for k, v in given.items()}
            if name != "inference":
                hostile = {
                    k: v.requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v
                    for k, v in hostile.items()
                }
            before = state()
            got = scores(entry, hostile)
            assert state() == before, name
        assert [(s.value, s.se, s.interval, s.extra) for s in got] == [
            (s.value, s.se, s.interval, s.extra) for s in wanted
        ], name


@pytest.mark.parametrize("entry", WITHOUT_MODEL, ids=ids)
def test_the_callers_state_is_neither_read_nor_changed(entry: MetricInfo) -> None:
    check_state(entry, ["inference", "autocast", "float64"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STATES))
@pytest.mark.parametrize("entry", WITHOUT_MODEL, ids=ids)
def test_every_state(entry: MetricInfo, name: str) -> None:
    check_state(entry, [name])


@metric("draws", direction="none")
def draws(samples: Tensor) -> Score:
    """Draws from every global generator, which no metric of ours does."""
    value = float(torch.rand(())) + random.random() + np.random.rand()  # noqa: NPY002
    return Score("draws", value, len(samples), "draws", "none")


def test_global_generators_are_given_back_and_do_not_decide() -> None:
    x = torch.zeros(3, 2)
    torch.manual_seed(5)
    before = state()
    first = draws(x).value
    assert state() == before
    torch.manual_seed(6)
    assert draws(x).value == first


@metric("lost", direction="none")
def lost(samples: Tensor) -> Score:
    """Returns nan."""
    return Score("lost", math.nan, len(samples), "lost", "none")


def test_nan_is_no_score() -> None:
    with pytest.raises(BadInput, match="lost is nan"):
        lost(torch.zeros(3, 2))


@pytest.mark.parametrize("entry", WITHOUT_MODEL, ids=ids)
def test_options_of_a_wrong_type_are_refused_by_name(entry: MetricInfo) -> None:
    given = arguments(entry)
    function = entry.load()
    options = [p for p in inspect.signature(function).parameters if p not in entry.needs]
    for option in options:
        for wrong in ("many", [{}], 1j, {"a": 1}, object()):
            with pytest.raises(GanbenchError, match=option):
                function(**given, **{option: wrong})


@pytest.mark.parametrize(
    ("value", "hint", "right"),
    [
        (np.int64(3), int, 3),
        (np.float32(0.5), float, 0.5),
        (2, float, 2.0),
        (True, bool, True),
        (None, int | None, None),
        ([1, 2.5], float, None),
        (50.0, int | None, None),
        (True, int, None),
        ("1", float, None),
        (math.nan, float, None),
    ],
)
def test_options_are_what_their_annotation_says(value: Any, hint: Any, right: Any) -> None:
    if right is None and value is not None:
        with pytest.raises(BadInput, match="size must be"):
            check_option("size", value, hint)
    else:
        got = check_option("size", value, hint)
        assert got == right
        assert type(got) is type(right)


@pytest.mark.parametrize("entry", OF_SETS, ids=ids)
def test_sparse_and_foreign_tensors_are_refused_without_a_warning(entry: MetricInfo) -> None:
    given = arguments(entry)
    name = next(k for k in given if k in SETS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for wrong in (
            given[name].flatten(1).to_sparse(),
            given[name].to("meta"),
            given[name].to(torch.float8_e5m2),
            given[name].cfloat(),
            given[name][0, 0, 0] if given[name].ndim == 4 else given[name][0],
            torch.tensor(1.0),
        ):
            with pytest.raises(BadInput, match=name):
                scores(entry, given | {name: wrong})
