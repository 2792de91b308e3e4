"""ganbench from Python: `load` a trained model, read `results`, `run` what the command line runs.

>>> frame = ganbench.run("gan_ns[lr=1e-3,1e-4]", "ring8", seeds=3, budget="iterations=500", out="mine")
>>> frame.groupby(["model", "metric"]).value.agg(["mean", "std"])
>>> model = ganbench.load("mine", model="gan_ns[lr=0.0001]", seed=0)
>>> x = model.sample(1000, torch.Generator().manual_seed(0))  # (1000, 2)
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganbench.errors import BadConfig, BadInput, UnknownName
from ganbench.jobs.records import Record, RunFolder, parse_record
from ganbench.jobs.spec import display_name
from ganbench.registry import MODELS
from ganbench.registry.variants import single

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from ganbench.datasets.base import Dataset
    from ganbench.model import Model

COLUMNS = (
    "model", "dataset", "scale", "seed", "status", "metric", "value", "se", "n", "floor", "direction", "signature",
    "train_s", "wall_s", "iterations", "examples", "n_parameters", "config", "reason", "job_id",
)  # fmt: skip
SHOWN = 8  # jobs that an error lists


@dataclass(frozen=True)
class Trained:
    """A model with what it was trained on; `record` of its job, where there is one."""

    model: Model
    dataset: Dataset
    record: Record | None = None


def load(
    path: str | Path,
    *,
    model: str | None = None,
    dataset: str | None = None,
    seed: int | None = None,
    config: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    data_dir: str | None = None,
) -> Model:
    """A trained model in eval mode: `sample(n, rng)` and whatever else it gives, with `rng` on `device`.

    `path` is a job's folder of a run made with `--save-weights`; the run's folder, where `model` (a name, or a row
    such as "gmm[n_components=4]"), `dataset` and `seed` pick the job; or a bare .safetensors file, where `model` and
    `dataset` say what it is and `config` what differs from the defaults. A model or data set of one's own is named as
    on the command line, "path/to/file.py:Class" and "folder:PATH".

    Shapes are checked before anything is allocated. Raises `BadInput` for a job that is not there or kept no weights,
    and for a file that is not what was trained; `UnknownName`, `BadConfig`, `MissingResource`.
    """
    return load_trained(
        path, model=model, dataset=dataset, seed=seed, config=config, device=device, data_dir=data_dir
    ).model


def load_trained(
    path: str | Path,
    *,
    model: str | None = None,
    dataset: str | None = None,
    seed: int | None = None,
    config: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
    data_dir: str | None = None,
) -> Trained:
    """What `load` gives, with the data set and the record of the job."""
    from ganbench.datasets.load import load as load_data
    from ganbench.jobs.rescore import WEIGHTS, trained_model
    from ganbench.model.make import make_with_weights

    given = Path(path)
    if given.suffix == ".safetensors" and not given.is_file():
        raise BadInput(f"no file {given.name!r}; check the path")
    if given.is_file() and given.name == WEIGHTS and model is None and (given.parent / "result.json").is_file():
        given = given.parent
    where = _device(device)
    if given.is_file():
        if model is None or dataset is None:
            raise BadInput(
                f"{given.name} does not say which model it is: name model and dataset, and the config if it had one"
            )
        name, inside = single(model)
        data = load_data(dataset, data_dir)
        return Trained(make_with_weights(name, data.spec, {**inside, **(config or {})}, given).to(where), data)
    if config is not None:
        raise BadConfig("config is for a bare weights file; a run's records hold the config of each job")
    folder, record = _job(given, model, dataset, seed)
    own = dataset or record.spec.dataset
    if ":" in own and dataset is None:
        raise BadInput(f"records hold no paths of your own data: give dataset='{own}' with its path")
    ref = single(model)[0] if model is not None and ".py:" in model else record.spec.model
    if ref not in MODELS.entries and ".py:" not in ref:
        raise BadInput(f"{ref} is not a registered model: name its file, model='path/to/file.py:Class'")
    data = load_data(own, data_dir)
    return Trained(trained_model(record, folder / WEIGHTS, data, ref).to(where), data, record)


def results(path: str | Path) -> pd.DataFrame:
    """One row per job and metric, of a run's or a board's folder, or of a .jsonl file of records: the last attempts.

    Columns are `COLUMNS`: `model` is the row that the job stands in, `value`, `se` and `floor` are in the metric's
    units, `train_s` and `wall_s` in seconds, `config` is what differed from the defaults. A job without scores, such
    as a failed one, is a row without a metric. Raises `BadInput`.
    """
    import pandas as pd

    return pd.DataFrame([row for r in _records(Path(path)) for row in _rows(r)], columns=list(COLUMNS))


def run(
    models: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    *,
    suite: str = "smoke",
    metrics: str | Sequence[str] | None = None,
    seeds: int | str | Iterable[int] | None = None,
    scale: str | None = None,
    budget: str | Mapping[str, float] | None = None,
    samples: int | None = None,
    config: Mapping[str, Any] | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    workers: int | None = None,
    threads: int = 1,
    time_limit: float | None = None,
    job_timeout: float | None = None,
    save_weights: bool = True,
    data_dir: str | None = None,
    scorer_weights: str | None = None,
    executor: str = "local",
    address: str | None = None,
    gpus_per_job: float | None = None,
    jobs_per_gpu: int | None = None,
    track: str | Sequence[str] = (),
    precision: str = "ieee",
    deterministic: bool = False,
    labels: str | None = None,
    label_draws: str | None = None,
    recipes: str | Sequence[str] | None = None,
) -> pd.DataFrame:
    """What `ganbench run` does with these options, without printing; -> `results` of its folder.

    Models may carry configs, "gmm[n_components=4,8]"; `config` is `--set`, by key or "model.key". `seeds` is a count,
    or the seeds themselves. `budget` replaces the scale: "iterations=500" or {"iterations": 500}. Limits are in
    seconds. Weights are kept, for `load`. `out` again goes on where it stopped; without it a folder under runs/ is
    made. The folder is in `frame.attrs["run_dir"]`, the number of jobs that a time limit left in
    `frame.attrs["pending"]`. A job that fails is a row with its status and reason. `executor` is "local", "ray" (at
    `address`) or one of your own, "path/to/file.py:function"; `track` names "tensorboard" or "mlflow". `precision`,
    `deterministic`, `labels`, `label_draws` and `recipes` are the options of those names.

    Raises what the command line reports: `UnknownName`, `BadConfig`, `BadInput`, `MissingResource`. Ctrl-C raises
    `KeyboardInterrupt` when the records are written.
    """
    from ganbench.api import launch
    from ganbench.jobs.executors.driver import Unheard

    for name, number in (("samples", samples), ("workers", workers), ("threads", threads)):
        least = 2 if name == "samples" else 1
        if number is not None and number < least:
            raise BadConfig(f"{name} must be at least {least}; got {number}")
    if isinstance(seeds, Iterable) and not isinstance(seeds, str):
        seeds = ",".join(map(str, seeds)) + ","
    selection = launch.select(
        suite,
        _names(models),
        _names(datasets),
        _names(metrics),
        None if seeds is None else str(seeds),
        scale,
        _budget(budget),
        samples,
        [f"{k}={json.dumps(v)}" for k, v in (config or {}).items()],
        device,
        data_dir,
        precision,
        labels,
        label_draws,
        _names(recipes),
        scorer_weights,
        deterministic,
    )
    done = launch.carry_out(
        selection,
        launch.make_jobs(selection),
        out,
        lambda root, workers: contextlib.nullcontext(Unheard()),
        workers=workers,
        threads=threads,
        time_limit=time_limit,
        job_timeout=job_timeout,
        save_weights=save_weights,
        executor=executor,
        options={"address": address, "gpus_per_job": gpus_per_job, "jobs_per_gpu": jobs_per_gpu},
        track=_names(track) or (),
    )
    if done.outcome.interrupted:
        raise KeyboardInterrupt(f"stopped; the same call with out={done.root.as_posix()!r} goes on from here")
    frame = results(done.root)
    frame.attrs |= {"run_dir": done.root.as_posix(), "pending": done.outcome.pending}
    return frame


def _job(path: Path, model: str | None, dataset: str | None, seed: int | None) -> tuple[Path, Record]:
    """The folder and record of the one job with weights that the selectors leave. Raises `BadInput`."""
    from ganbench.jobs.rescore import WEIGHTS

    if (path / "result.json").is_file():
        found = [(path, parse_record((path / "result.json").read_text(encoding="utf-8")))]
    else:
        run = RunFolder.open(path)
        found = [(run.job_folder(r.spec), r) for r in run.records()]
    kept = [(f, r) for f, r in found if r.status == "ok" and (f / WEIGHTS).is_file()]
    if not kept:
        raise BadInput(f"no job of {path.name!r} kept its weights; run with --save-weights")
    chosen = [(f, r) for f, r in kept if _fits(r, model, dataset, seed)]
    exact = [(f, r) for f, r in chosen if r.spec.row == model]  # where rows with configs stand beside the plain one
    chosen = exact or chosen
    if len(chosen) != 1:
        labels = [r.spec.label for _, r in chosen or kept]
        more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
        what = f"{len(chosen)} jobs fit" if chosen else "no job with weights fits"
        raise BadInput(
            f"{what} in {path.name!r}: name model, dataset and seed of one of {', '.join(labels[:SHOWN])}{more}"
        )
    return chosen[0]


def _fits(record: Record, model: str | None, dataset: str | None, seed: int | None) -> bool:
    """Whether a job is the one that is asked for; a model without a config fits with any."""
    spec = record.spec
    names = {spec.model, spec.row}
    if model is not None and model not in names:
        name, config = single(model)
        name = MODELS.get(name).name if ".py:" in name else name
        if name != spec.model or any(spec.config.get(k) != v for k, v in config.items()):
            return False
    return (dataset is None or display_name(dataset) == spec.dataset) and (seed is None or seed == spec.seed)


def _records(path: Path) -> Iterator[Record]:
    """The last attempt of every job. Raises `BadInput`."""
    from ganbench.jobs.reading import read_records, record_files

    if (path / "board.toml").is_file():
        for file in record_files(path):
            yield from read_records(file)
        return
    if path.is_dir():
        yield from RunFolder.open(path).records()
        return
    if not path.is_file():
        raise BadInput(f"no run folder or results file {path.name!r}; check the path")
    yield from {r.job_id: r for r in read_records(path)}.values()


def _rows(record: Record) -> Iterator[dict[str, Any]]:
    spec, timing = record.spec, record.timing
    job = {
        "model": spec.row,
        **{k: getattr(spec, k) for k in ("dataset", "scale", "seed", "config")},
        **{k: getattr(record, k) for k in ("status", "reason", "iterations", "examples", "job_id")},
        **{k: timing.get(k) for k in ("train_s", "wall_s")},
        "n_parameters": record.n_parameters.get("total"),
    }
    for m in record.metrics:
        yield (
            job
            | {"metric": m.name}
            | {k: getattr(m, k) for k in ("value", "se", "n", "floor", "direction", "signature")}
        )
    if not record.metrics:
        yield job


def _device(name: str | torch.device) -> torch.device:
    import torch

    from ganbench.jobs.runner import pick_device

    try:
        kind = torch.device(name)
    except RuntimeError:
        raise UnknownName("device", str(name), ("cpu", "cuda", "mps")) from None
    if kind.type in ("cuda", "mps"):
        pick_device(kind.type)
    return kind


def _names(given: str | Sequence[str] | None) -> list[str] | None:
    return [given] if isinstance(given, str) else None if given is None else list(given)


def _budget(given: str | Mapping[str, float] | None) -> str | None:
    if given is None or isinstance(given, str):
        return given
    if len(given) != 1:
        raise BadConfig(f"a budget is one of iterations, examples or seconds; got {dict(given)}")
    ((kind, amount),) = given.items()
    return f"{kind}={amount}"
