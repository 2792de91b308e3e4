"""What metrics are given in a job: real data, what a trained model made of it, and what is kept from job to job."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import HORIZON
from ganbench.datasets.base import Dataset
from ganbench.datasets.labels import USUAL, draw_labels
from ganbench.datasets.load import load
from ganbench.datasets.rendered import wanted_values
from ganbench.datasets.rendering import measure
from ganbench.errors import BadInput, GanbenchError, MissingResource, NotApplicable, without_paths
from ganbench.files import finite, write_atomic
from ganbench.model import Model
from ganbench.provenance.source import canonical_hash, code_sha256
from ganbench.registry import DATASETS, METRICS, SCORERS, MetricInfo, scorer_name
from ganbench.scorers.base import Scorer, in_batches
from ganbench.scorers.load import load_scorer
from ganbench.scoring import asked
from ganbench.scoring.provider import Provider, call, floors, there

OF_MODEL = {
    "model", "samples", "sample_labels", "translated", "predicted", "edited", "cycled", "inpainted", "projected",
    "label_draws", "word_vectors", "document_vectors",
}  # fmt: skip
LACKING = {
    "samples": "needs samples; this model does not sample",
    "sample_labels": "needs samples of classes that were asked for; this model takes none",
    "translated": "needs events made from conditions; this model does not translate",
    "predicted": "needs predicted frames; this model does not predict",
}


class MetricFailed(GanbenchError):
    """A metric raised what no metric should; the other scores are kept in `rows` and `missing`."""

    def __init__(self, message: str, rows: list[dict[str, Any]], missing: list[dict[str, str]]) -> None:
        super().__init__(message)
        self.rows, self.missing = rows, missing


class Workplace:
    """What a worker keeps between jobs: the last data sets, their scorers and real features, and floors."""

    def __init__(self, floors: Path | None = None, *, scorer_weights: str | None = None, keep: int = 2) -> None:
        self.floor_folder, self.scorer_weights, self.keep = floors, scorer_weights, keep
        self._datasets: OrderedDict[tuple[str, str | None], Dataset] = OrderedDict()
        self.on_load: Callable[[Tensor], Any] = lambda x: None  # what is noted of each tensor of a data set
        self._noted: dict[tuple[str, str | None], list[tuple[str, Tensor, Any]]] = {}
        self._floors: dict[str, dict[str, Any]] = {}
        self.real: dict[tuple[str, str, int], Any] = {}  # (data set, input, n) -> inputs made of real data alone

    def dataset(self, ref: str, data_dir: str | None = None) -> Dataset:
        """The data set, loaded once. Raises `MissingResource`, or what its loader raises."""
        key = (ref, data_dir)
        if key not in self._datasets:
            data = self._datasets[key] = load(ref, data_dir)
            parts = [(f"{s} of {ref}", x) for s in ("train", "holdout", "test") for x in _tensors(getattr(data, s))]
            self._noted[key] = [(name, x, self.on_load(x)) for name, x in parts]
            while len(self._datasets) > self.keep:
                gone, _ = self._datasets.popitem(last=False)
                del self._noted[gone]
                self.real = {k: v for k, v in self.real.items() if k[0] != gone[0]}
        self._datasets.move_to_end(key)
        return self._datasets[key]

    def kept(self) -> Iterator[tuple[str, Tensor, Any]]:
        """Every tensor that later jobs will find: its name, itself, and what was noted at its loading, if at all."""
        for noted in self._noted.values():
            yield from noted
        for (ref, name, _), value in self.real.items():
            for x in _tensors(value):
                yield f"{name} of {ref}", x, None

    def floor(self, entry: MetricInfo, inputs: Inputs) -> dict[str, Any]:
        """Each score of this metric on real against real, {name: [value, n]}; empty where there is none."""
        if "model" in entry.needs:
            return {}
        key = canonical_hash([entry.name, code_sha256(entry), inputs.dataset.spec.sha256, inputs.ref, inputs.n])
        if key not in self._floors:
            path = self.floor_folder / f"{key[:16]}.json" if self.floor_folder else None
            known = _read_json(path) if path else None
            if known is None:
                known = {name: [float(s.value), s.n] for name, s in floors(entry, inputs).items()}
                if path:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(path, json.dumps(known, allow_nan=False))
            self._floors[key] = known
        return self._floors[key]


class Inputs(Provider):
    """What metrics are given of a data set, with the events that a trained model made or that somebody sent."""

    def __init__(
        self,
        place: Workplace,
        ref: str,
        dataset: Dataset,
        n_samples: int,
        seed: object,
        *,
        model: Model | None = None,
        samples: Tensor | None = None,
        label_counts: Sequence[int] = (),
        draw: int | None = None,
    ) -> None:
        super().__init__((dataset.spec.name, seed))
        self.place, self.ref, self.dataset, self.seed = place, ref, dataset, seed
        self.model, self.label_counts, self.draw = model, label_counts, draw
        self.events: dict[str, Tensor | None] = {"samples": samples}
        self.n = min(n_samples, dataset.spec.n_eval or n_samples)

    @property
    def samples(self) -> Tensor | None:
        """(N, *E); None where nothing samples."""
        return self.events["samples"]

    @property
    def scorer(self) -> Scorer | None:
        """The data set's scorer; None where it has none. Raises `MissingResource` when its weights are not here."""
        key = (self.ref, "scorer", 0)
        if key not in self.place.real:
            name = scorer_name(self.ref, DATASETS.get(self.ref))
            weights = self.place.scorer_weights if name and SCORERS.get(name).needs_weights else None
            self.place.real[key] = load_scorer(name, weights, self.dataset.mixture) if name else None
        found: Scorer | None = self.place.real[key]
        return found

    def shelf(self, need: str) -> tuple[dict[Any, Any], Any]:
        """What is made of real data alone stays for the next jobs."""
        if _of_model(need):
            return super().shelf(need)
        return self.place.real, (self.ref, need, self.n)

    def brought(self, need: str) -> Any:
        if need.endswith("probs"):
            raise NotApplicable(f"needs class probabilities; {self.dataset.spec.name} has no scorer")
        return self._from_model(need) if _of_model(need) else self._real(need)

    def _from_model(self, need: str) -> Any:
        """What the model made, or makes now of test events, on the CPU, drawn from a stream of data set and seed."""
        match need:
            case "samples" | "sample_labels" | "translated" | "predicted":
                return there(self.events.get(need), LACKING[need])
            case "model":
                return there(self.model, "needs the trained model, not only its samples")
            case "label_draws":
                draw = int(str(self.seed)) if self.draw is None else self.draw
                return label_draws(self.dataset, self.label_counts, draw)
            case "word_vectors" | "document_vectors":
                return self._vectors(need)
            case "edited_measured":
                return measure(self.of("edited"))
            case "measured":
                self.of("wanted")  # only rendered pictures have attributes to measure
                return measure(self.of("translated"))
        model, x = self.of("model"), self.of("reference")
        rng = seeding.stream("sampling", *self.streams, need)
        match need:
            case "edited":
                return asked.edited(model, x, self.of("edit_bits"), rng)
            case "cycled":
                shape = tuple(self.of("cond").shape[1:])
                return asked.translated_back(model, self.of("translated"), shape, rng)
        return asked.completed(model, x, self.of("known"), rng, project=need == "projected")

    def _vectors(self, name: str) -> Tensor:
        """The model's vectors of the words, or of the test documents in step with the reference."""
        model, capability = self.of("model"), {"word_vectors": "embed_words"}.get(name, "embed")
        if capability not in model.gives:
            raise NotApplicable(f"needs a model that gives {capability}; {model.name} does not")
        if name == "word_vectors":
            out = model.embed_words()
        else:
            rng = seeding.stream("sampling", *self.streams)
            out = in_batches(lambda x: model.embed(x, rng), self.of("reference"))
        n = self.dataset.spec.vocabulary if name == "word_vectors" else len(self.of("reference"))
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != n:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise BadInput(f"{capability} must return a tensor of shape ({n}, F); got {got}")
        return out.detach().cpu()

    def real(self, entry: MetricInfo) -> Inputs | None:
        """The same with real events as samples, which neither the reference nor another input of the metric holds."""
        data = self.dataset
        if data.mixture is not None:
            events = data.mixture.sample(self.n, seeding.stream("metrics", data.spec.name, "floor"))[0]
        else:
            split = data.train if "holdout" in entry.needs else data.holdout
            events = split.events(_some(len(split), self.n, data.spec.name, "floor"))
        return None if len(events) < 2 else Inputs(self.place, self.ref, data, self.n, "floor", samples=events)

    def _real(self, name: str) -> Any:
        """What is made of real data alone. Raises `NotApplicable` where the data has none."""
        data = self.dataset
        rows = lambda: _some(len(data.test), self.n, data.spec.name, "reference")  # noqa: E731 - of test, in step
        match name:
            case "reference":
                return data.test.events(rows())
            case "holdout":
                return data.holdout.events(_some(len(data.holdout), self.n, data.spec.name, "holdout"))
            case "train":
                return data.train.events()
            case "mixture":
                return there(data.mixture, f"needs the exact density; {data.spec.name} has none")
            case "future":
                if data.spec.kind != "clip":
                    raise NotApplicable(f"needs clips; {data.spec.name} has none")
                return self.of("reference")[:, -HORIZON:]
            case "sound":
                return there(data.sound, f"needs images that stand for waves; those of {data.spec.name} do not")
            case "answers":
                return there(data.answers, f"needs a density that is given; that of {data.spec.name} is not")
            case "train_labels":
                return there(data.train.y, f"needs labels; {data.spec.name} has none")
            case "test_labels":
                return there(data.test.y, f"needs labels; {data.spec.name} has none")[rows()]
            case "cond":
                return there(data.test.conditions(rows()), f"needs conditions; {data.spec.name} has none")
            case "known":
                return asked.upper_half(data.spec.event_shape)
            case "turned":
                if data.spec.cond is None or data.spec.cond.kind != "attributes":
                    raise NotApplicable(f"needs attributes to turn; {data.spec.name} has none")
                return asked.turns(self.of("cond"), data.spec.name)
            case "edit_bits":
                return asked.turned(self.of("cond"), self.of("turned"))
            case "edit_values":
                return wanted_values(data.spec, self.of("edit_bits"))
            case "edit_truth":
                return asked.counterfactuals(data, rows(), self.of("edit_bits"))
            case "text":
                return there(data.text, f"needs what is known of words; {data.spec.name} has none")
            case "document_ratings":
                ratings = None if data.text is None else data.text.document_ratings
                return there(ratings, f"needs ratings of documents; {data.spec.name} has none")[rows()][:, rows()]
            case "wanted":
                return wanted_values(data.spec, self.of("cond"))
        raise BadInput(f"no metric input is called {name!r}; ganbench/metrics/base.py lists them")


def label_draws(dataset: Dataset, counts: Sequence[int], draw: int) -> dict[int, Tensor]:
    """The rows of the training split whose labels draw number `draw` reveals, for each count; the usual ones for none.

    Raises `NotApplicable` for data without labels, `BadInput` for counts it does not allow.
    """
    train, spec = dataset.train, dataset.spec
    if counts or train.labelled is not None:
        counts = counts or (len(train.labelled),)  # type: ignore[arg-type]
        return {n: draw_labels(train, spec, n, draw) for n in counts}
    found: dict[int, Tensor] = {}
    for n in USUAL:
        with contextlib.suppress(BadInput):
            found[n] = draw_labels(train, spec, n, draw)
    if not found:
        raise NotApplicable(f"{spec.name} allows none of {', '.join(map(str, USUAL))} labels, as many of every class")
    return found


def score_all(names: Iterable[str], inputs: Inputs) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Rows for the record, and metrics that do not apply with the reason. Raises `MetricFailed` at the end."""
    rows: list[dict[str, Any]] = []
    missing: list[dict[str, str]] = []
    failures: list[str] = []
    for name in names:
        entry = METRICS.get(name)
        start = time.perf_counter()
        try:
            scores = call(entry, inputs)
        except (NotApplicable, MissingResource, BadInput) as error:
            missing.append({"name": name, "reason": without_paths(str(error))})
            continue
        except MemoryError:
            raise
        except Exception as error:
            failures.append(f"{name} raised {type(error).__name__}: {error}")
            continue
        seconds = (time.perf_counter() - start) / max(1, len(scores))
        floor = inputs.place.floor(entry, inputs)
        for score in scores:
            if not math.isfinite(score.value):
                missing.append({"name": score.name, "reason": f"the value is {score.value}"})
                continue
            row = finite(dataclasses.asdict(score))
            row.pop("peak_bytes")  # a worker's memory is its record's: pages it kept would hide what a metric takes
            row["seconds"] = round(row["seconds"] or seconds, 6)
            if row["floor"] is None and score.name in floor:
                row["floor"], row["floor_n"] = floor[score.name]
            rows.append(row)
    if failures:
        raise MetricFailed("; ".join(failures), rows, missing)
    return rows, missing


def _of_model(need: str) -> bool:
    """Whether an input is the model's, or seen in its events; every other one is of real data alone."""
    return re.sub("_?(probs|features|measured)$", "", need) in ("", *OF_MODEL)


def _some(have: int, n: int, *parts: object) -> Tensor:
    """n of `have` row numbers, in random order fixed by `parts`; all of them when n is not smaller."""
    return torch.randperm(have, generator=seeding.stream("metrics", *parts))[:n]


def _tensors(value: Any) -> list[Tensor]:
    """The tensors that an input consists of."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, torch.nn.Module):
        return list(value.state_dict().values())
    return [x for x in vars(value).values() if isinstance(x, Tensor)] if hasattr(value, "__dict__") else []


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else None
    except (OSError, ValueError):
        return None
