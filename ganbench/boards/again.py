"""A board's own records computed again: from the data alone, which is cheap, or by training their models again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ganbench.boards.board import Board
from ganbench.boards.differences import differences
from ganbench.errors import BadInput, GanbenchError, MissingResource
from ganbench.jobs import runner
from ganbench.jobs.identity import code_of
from ganbench.jobs.records import Record, parse_record
from ganbench.jobs.spec import Job
from ganbench.model.make import effective_config, make
from ganbench.registry import DATASETS, METRICS, MODELS
from ganbench.scoring.inputs import Inputs, Workplace

# Of one row: the seed moves none of them.
SAME_SEEDS = ("iterations", "examples", "n_parameters", "data_sha256", "config")
SAME_SCORES = {"name", "n", "signature", "direction", "floor_n"}
FLOOR = 1e-3  # relative, of a floor or of its metric's error: a GPU's features against a CPU's


def check_against_data(records: Sequence[Record], board: Board, place: Workplace, data_dir: str | None) -> str:
    """Data hashes, sizes of networks, floors, and what must not differ between seeds.

    Returns what could not be computed again, in words. Raises `BadInput` for the first difference,
    `MissingResource` for data or weights that are not on this machine.
    """
    _check_seeds_agree(records)
    floors: dict[tuple[str, str, int], dict[str, Any]] = {}
    older = 0
    built: set[tuple[str, str]] = set()  # networks are of one size for all seeds of a row
    for record in records:
        spec = record.spec
        own = spec.dataset.partition(":")[2]  # records know the user's own data by its last name
        if own and not Path(own).exists():
            raise MissingResource(f"{spec.dataset} needs {own}, which is not here; verify in the folder that holds it")
        dataset = place.dataset(spec.dataset, data_dir)
        if spec.versions.get("dataset") == str(DATASETS.get(spec.dataset).version):
            _agree(record, "data_sha256", record.data_sha256, dataset.spec.sha256)
        budget = spec.budget.get("iterations")
        if record.status == "ok" and budget is not None and record.iterations not in (0, budget):
            raise BadInput(f"{_where(record)}: {record.iterations} iterations of a budget of {budget}")
        model = MODELS.entries.get(spec.model)
        if model is None or spec.versions.get("model") != str(model.version):
            older += 1
        elif (row := (spec.row, spec.dataset)) not in built:
            built.add(row)
            with torch.device("meta"):  # networks without memory
                made = make(spec.model, dataset.spec, spec.config)
            _agree(record, "n_parameters", record.n_parameters, runner.count_parameters(made))
            if "config" in record.model_fields_set:  # older records do not say it
                _agree(record, "config", record.config, effective_config(made.config))
        for name in spec.metrics:
            entry = METRICS.entries.get(name)
            if entry is None or spec.versions.get(f"metric:{name}") != str(entry.version):
                continue
            key = (spec.dataset, name, spec.n_samples)
            if key not in floors:
                inputs = Inputs(place, spec.dataset, dataset, spec.n_samples, "floor")
                floors[key] = place.floor(entry, inputs)
            _check_floors(record, entry.returns or (name,), floors[key])
    return f"{older} of {len(records)} rows are of older model versions" if older else ""


def _check_seeds_agree(records: Sequence[Record]) -> None:
    first: dict[tuple[Any, ...], Record] = {}
    for record in records:
        spec = record.spec
        if record.status != "ok":
            continue
        versions = tuple(sorted(spec.versions.items()))
        before = first.setdefault((spec.row, spec.dataset, spec.scale, versions), record)
        for key in SAME_SEEDS:
            _agree(record, key, getattr(record, key), getattr(before, key))
        _agree(record, "metrics", *([m.name for m in r.metrics] for r in (record, before)))
        for m, known in zip(record.metrics, before.metrics, strict=True):
            _agree(record, m.name, *(x.model_dump(include=SAME_SCORES) for x in (m, known)))


def _check_floors(record: Record, names: Sequence[str], floors: Mapping[str, Any]) -> None:
    for m in record.metrics:
        if m.name not in names:
            continue
        value, n = floors.get(m.name, (None, None))
        _agree(record, f"{m.name}.floor_n", m.floor_n, n)
        if m.floor is None or value is None:
            _agree(record, f"{m.name}.floor", m.floor, value)
        elif not abs(m.floor - value) <= FLOOR * abs(value):
            raise BadInput(f"{_where(record)}: {m.name}.floor is {m.floor:.6g} stored, {value:.6g} computed")


def _agree(record: Record, what: str, stored: Any, now: Any) -> None:
    if stored != now:
        raise BadInput(f"{_where(record)}: {what} is {str(stored)[:120]} stored, {str(now)[:120]} expected")


def _where(record: Record) -> str:
    return f"{record.spec.row} on {record.spec.dataset}, seed {record.spec.seed}"


def train_again(records: Sequence[Record], place: Workplace, data_dir: str | None) -> str:
    """Whole records against those of a second training, where they stand on today's code and this machine's device.

    Returns how many were left out. Raises `BadInput` for the first that differs.
    """
    from ganbench.boards.own import slim

    older = 0
    for record in records:
        spec = record.spec
        try:
            metrics = [METRICS.get(m) for m in spec.metrics]
            code = code_of(MODELS.get(spec.model), (spec.dataset, DATASETS.get(spec.dataset)), metrics)
        except GanbenchError:
            code = ""
        if code != spec.code_sha256 or spec.device != "cpu":
            older += 1
            continue
        again = runner.run_job(Job(spec, spec.model, spec.dataset, data_dir), place, attempt=record.attempt)
        found = next(differences(record, slim(parse_record(again.to_json()))), None)
        if found:
            raise BadInput(f"{_where(record)}: {found}, after a second training")
    return f"{older} of {len(records)} rows not trained again: other code or device" if older else ""
