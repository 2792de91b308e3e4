"""Scoring: builds the inputs that a metric names, calls it, and sets the real-versus-real floor beside the value."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
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
from ganbench.errors import BadInput, GanbenchError, MissingResource, NotApplicable
from ganbench.files import finite, write_atomic
from ganbench.metrics.base import Score
from ganbench.metrics.door import fresh_torch
from ganbench.model import Model
from ganbench.provenance.environment import without_paths
from ganbench.provenance.source import canonical_hash, code_sha256
from ganbench.registry import DATASETS, METRICS, SCORERS, MetricInfo, scorer_name
from ganbench.scorers.base import Linear, Scorer
from ganbench.scorers.load import load_scorer
from ganbench.scoring import asked

FEATURE_BATCH = 500
SEEN = (  # of the model's events, or made by it when first asked for
    "probs", "features", "translated_probs", "measured", "cycled", "edited", "edited_probs", "edited_measured",
    "inpainted", "inpainted_probs", "projected",
)  # fmt: skip


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
        key = canonical_hash([entry.name, code_sha256(entry), inputs.dataset.spec.sha256, inputs.ref, inputs.n])
        if key not in self._floors:
            path = self.floor_folder / f"{key[:16]}.json" if self.floor_folder else None
            known = _read_json(path) if path else None
            if known is None:
                known = real_floor(entry, inputs)
                if path:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(path, json.dumps(known, allow_nan=False))
            self._floors[key] = known
        return self._floors[key]


class Inputs:
    """The arguments that metrics may ask for, each made when first asked for."""

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
        sample_labels: Tensor | None = None,
        translated: Tensor | None = None,
        predicted: Tensor | None = None,
    ) -> None:
        self.place, self.ref, self.dataset, self.seed = place, ref, dataset, seed
        self.model, self.samples = model, samples
        self.label_counts, self.draw = label_counts, draw
        self.sample_labels, self.translated, self.predicted = sample_labels, translated, predicted
        self.n = min(n_samples, dataset.spec.n_eval or n_samples)
        self._made: dict[str, Any] = {}

    def get(self, name: str, entry: MetricInfo) -> Any:
        """The input `name` for the metric `entry`. Raises `NotApplicable` with the reason when there is none."""
        if name == "rng":
            return seeding.stream("metrics", self.dataset.spec.name, self.seed, entry.name)
        if name == "space":
            return self.scorer.signature if entry.looks_through and self.scorer else "x"
        if name == "samples":
            return self._samples()
        if name in SEEN:
            if name not in self._made:
                self._made[name] = self._seen(name)
            return self._made[name]
        if name == "sample_labels":
            return _there(self.sample_labels, "needs samples of classes that were asked for; this model takes none")
        if name == "translated":
            return _there(self.translated, "needs events made from conditions; this model does not translate")
        if name == "predicted":
            return _there(self.predicted, "needs predicted frames; this model does not predict")
        if name == "model":
            if self.model is None:
                raise NotApplicable("needs the trained model, not only its samples")
            return self.model
        if name in ("word_vectors", "document_vectors"):
            if name not in self._made:
                self._made[name] = self._vectors(name)
            return self._made[name]
        if name == "label_draws":
            return label_draws(self.dataset, self.label_counts, int(str(self.seed)) if self.draw is None else self.draw)
        return self.real(name)

    def _seen(self, name: str) -> Tensor:
        """What is seen in the model's events, kept for the next metric."""
        match name:
            case "probs" if isinstance(self.scorer, Linear):
                return self.scorer.posteriors(self.get("features", NOBODY))
            case "probs":
                return self._probs(self._samples())
            case "features":
                return self._features(self._samples())
            case "translated_probs":
                return self._probs(self.get("translated", NOBODY))
            case "edited_probs" | "inpainted_probs":
                return self._probs(self.get(name.removesuffix("_probs"), NOBODY))
            case "edited_measured":
                return measure(self.get("edited", NOBODY))
            case "edited" | "inpainted" | "projected" | "cycled":
                return self._asked(name)
        self.real("wanted")  # only rendered pictures have attributes to measure
        return measure(self.get("translated", NOBODY))

    def _vectors(self, name: str) -> Tensor:
        """The model's vectors of the words, or of the test documents in step with the reference; kept as `_seen`."""
        model, capability = self.get("model", NOBODY), {"word_vectors": "embed_words"}.get(name, "embed")
        if capability not in model.gives:
            raise NotApplicable(f"needs a model that gives {capability}; {model.name} does not")
        if name == "word_vectors":
            out = model.embed_words()
        else:
            rng = seeding.stream("sampling", self.dataset.spec.name, self.seed)
            out = _batched(lambda x: model.embed(x, rng), self.real("reference"))
        n = self.dataset.spec.vocabulary if name == "word_vectors" else len(self.real("reference"))
        if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != n:
            got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise BadInput(f"{capability} must return a tensor of shape ({n}, F); got {got}")
        return out.detach().cpu()

    def _asked(self, name: str) -> Tensor:
        """What the model makes of test events, on the CPU, drawn from a stream of the data set and the seed."""
        model, x = self.get("model", NOBODY), self.real("reference")
        rng = seeding.stream("sampling", self.dataset.spec.name, self.seed, name)
        match name:
            case "edited":
                return asked.edited(model, x, self.real("edit_bits"), rng)
            case "cycled":
                cond = self.real("cond")
                return asked.translated_back(model, self.get("translated", NOBODY), tuple(cond.shape[1:]), rng)
        return asked.completed(model, x, self.real("known"), rng, project=name == "projected")

    def real(self, name: str) -> Any:
        """An input made of real data alone, kept between jobs. Raises `NotApplicable` where the data has none."""
        key = (self.ref, name, self.n)
        if key not in self.place.real:
            self.place.real[key] = self._real(name)
        return self.place.real[key]

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

    def fresh_real(self, entry: MetricInfo) -> Tensor:
        """Real events for the floor, which neither the reference nor another input of the metric holds."""
        data = self.dataset
        if data.mixture is not None:
            return data.mixture.sample(self.n, seeding.stream("metrics", data.spec.name, "floor"))[0]
        split = data.train if "holdout" in entry.needs else data.holdout
        return split.events(_some(len(split), self.n, data.spec.name, "floor"))

    def _samples(self) -> Tensor:
        if self.samples is None:
            raise NotApplicable("needs samples; this model does not sample")
        return self.samples

    def _probs(self, x: Tensor) -> Tensor:
        if self.scorer is None:
            raise NotApplicable(f"needs class probabilities; {self.dataset.spec.name} has no scorer")
        return _batched(self.scorer.probs, x)

    def _features(self, x: Tensor) -> Tensor:
        if self.scorer is None:
            return x.flatten(1)
        return _batched(self.scorer.features, x)

    def _real(self, name: str) -> Any:
        data = self.dataset
        match name:
            case "reference":
                return data.test.events(_some(len(data.test), self.n, data.spec.name, "reference"))
            case "holdout":
                return data.holdout.events(_some(len(data.holdout), self.n, data.spec.name, "holdout"))
            case "train":
                return data.train.events()
            case "reference_probs" if isinstance(self.scorer, Linear):
                return self.scorer.posteriors(self.get("reference_features", NOBODY))
            case "reference_probs":
                return self._probs(self.get("reference", NOBODY))
            case "reference_features":
                return self._features(self.get("reference", NOBODY))
            case "train_features":
                return self._features(self.get("train", NOBODY))
            case "mixture":
                return _there(data.mixture, f"needs the exact density; {data.spec.name} has none")
            case "future":
                if data.spec.kind != "clip":
                    raise NotApplicable(f"needs clips; {data.spec.name} has none")
                return self.get("reference", NOBODY)[:, -HORIZON:]
            case "sound":
                return _there(data.sound, f"needs images that stand for waves; those of {data.spec.name} do not")
            case "answers":
                return _there(data.answers, f"needs a density that is given; that of {data.spec.name} is not")
            case "train_labels":
                return _there(data.train.y, f"needs labels; {data.spec.name} has none")
            case "test_labels":
                index = _some(len(data.test), self.n, data.spec.name, "reference")
                return _there(data.test.y, f"needs labels; {data.spec.name} has none")[index]
            case "cond":
                index = _some(len(data.test), self.n, data.spec.name, "reference")
                return _there(data.test.conditions(index), f"needs conditions; {data.spec.name} has none")
            case "known":
                return asked.upper_half(data.spec.event_shape)
            case "turned":
                if data.spec.cond is None or data.spec.cond.kind != "attributes":
                    raise NotApplicable(f"needs attributes to turn; {data.spec.name} has none")
                return asked.turns(self.get("cond", NOBODY), data.spec.name)
            case "edit_bits":
                return asked.turned(self.get("cond", NOBODY), self.get("turned", NOBODY))
            case "edit_values":
                return wanted_values(data.spec, self.get("edit_bits", NOBODY))
            case "edit_truth":
                index = _some(len(data.test), self.n, data.spec.name, "reference")
                return asked.counterfactuals(data, index, self.get("edit_bits", NOBODY))
            case "text":
                return _there(data.text, f"needs what is known of words; {data.spec.name} has none")
            case "document_ratings":
                ratings = None if data.text is None else data.text.document_ratings
                index = _some(len(data.test), self.n, data.spec.name, "reference")
                return _there(ratings, f"needs ratings of documents; {data.spec.name} has none")[index][:, index]
            case "wanted":
                return wanted_values(data.spec, self.get("cond", NOBODY))
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
        floor = {} if "model" in entry.needs else inputs.place.floor(entry, inputs)
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


def call(entry: MetricInfo, inputs: Inputs) -> list[Score]:
    """Call one metric with the inputs it names; several scores or one come back as a list."""
    function = entry.load()
    with fresh_torch(), torch.no_grad():
        arguments = {need: inputs.get(need, entry) for need in entry.needs}
    result = function(**arguments)
    scores = list(result) if isinstance(result, list | tuple) else [result]
    for score in scores:
        if not isinstance(score, Score):
            raise TypeError(f"a metric returns Score or a list of Score; got {type(score).__name__}")
    return scores


def real_floor(entry: MetricInfo, inputs: Inputs) -> dict[str, Any]:
    """The metric of unseen real events in place of samples, {name: [value, n]}; empty where it cannot be computed."""
    real = inputs.fresh_real(entry)
    if len(real) < 2:
        return {}
    try:
        scores = call(entry, Inputs(inputs.place, inputs.ref, inputs.dataset, inputs.n, "floor", samples=real))
    except GanbenchError:
        return {}
    return {s.name: [float(s.value), s.n] for s in scores if math.isfinite(s.value)}


def _some(have: int, n: int, *parts: object) -> Tensor:
    """n of `have` row numbers, in random order fixed by `parts`; all of them when n is not smaller."""
    return torch.randperm(have, generator=seeding.stream("metrics", *parts))[:n]


def _batched(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([function(part).cpu() for part in x.split(FEATURE_BATCH)])


def _there(value: Any, reason: str) -> Any:
    if value is None:
        raise NotApplicable(reason)
    return value


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


NOBODY = MetricInfo("", "", "", Path())  # asks for an input that is no metric's own
