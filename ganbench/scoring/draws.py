"""What a trained model makes from its streams: samples, translations and predicted frames, checked once.

Latent draws depend on `streams` alone, a data set and a seed, so that models are compared in pairs on the same draws.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import HORIZON, DataSpec
from ganbench.datasets.base import Dataset
from ganbench.errors import BadInput
from ganbench.model import Model
from ganbench.scoring.inputs import Inputs

Streams = tuple[object, ...]


def draw_all(inputs: Inputs, model: Model, streams: Streams, device: torch.device) -> dict[str, Tensor | None]:
    """Everything that metrics may ask of what the model, which lies on `device`, makes: name -> events on the CPU."""
    dataset, spec = inputs.dataset, inputs.dataset.spec
    made: dict[str, Tensor | None] = {"samples": None}
    if "sample" in model.gives:
        made["samples"] = check_samples(draw(model, dataset, inputs.n, streams, device), spec)
        made["sample_labels"] = asked_labels(model, dataset, inputs.n, streams, device)
    if "translate" in model.gives:
        made["translated"] = check_samples(translate(model, inputs.of("cond"), streams, device, spec), spec)
        if made["samples"] is None:  # what a law's distance looks at
            made["samples"] = made["translated"]
    if "predict" in model.gives:
        frames = inputs.of("reference")[:, :-HORIZON]
        made["predicted"] = check_samples(predict(model, frames, streams, device), spec)
    return made


def draw(model: Model, dataset: Dataset, n: int, streams: Streams, device: torch.device) -> Tensor:
    """n samples on the CPU, (n, *E)."""
    return torch.cat(list(draw_batches(model, dataset, n, streams, device)))


def draw_batches(model: Model, dataset: Dataset, n: int, streams: Streams, device: torch.device) -> Iterator[Tensor]:
    """n samples on the CPU, in batches (b, *E) whose size depends on the event alone."""
    rng = seeding.stream("sampling", *streams, device=device)
    size = max(1, min(1000, (1 << 22) // dataset.spec.n_dims))
    labels = _label_draws(model, dataset, n, rng)
    with torch.no_grad(), seeding.global_stream("sampling", *streams):
        for start in range(0, n, size):
            count = min(size, n - start)
            more = () if labels is None else (labels[start : start + count],)
            out = model.sample(count, rng, *more)
            if not isinstance(out, Tensor):
                raise BadInput(f"sample({count}, rng) must return a tensor; got {type(out).__name__}")
            if tuple(out.shape) != (count, *dataset.spec.event_shape):
                want = (count, *dataset.spec.event_shape)
                raise BadInput(f"sample({count}, rng) must return shape {want}; got {tuple(out.shape)}")
            yield out.detach().to("cpu")


def asked_labels(model: Model, dataset: Dataset, n: int, streams: Streams, device: torch.device) -> Tensor | None:
    """The classes (n,) that `draw` asks for, on the CPU; None for a model that takes none."""
    labels = _label_draws(model, dataset, n, seeding.stream("sampling", *streams, device=device))
    return None if labels is None else labels.to("cpu")


def translate(model: Model, cond: Tensor, streams: Streams, device: torch.device, data: DataSpec) -> Tensor:
    """Events made from conditions (N, *C), on the CPU, (N, *E), in batches whose size depends on the event alone."""
    parts = cond.split(max(1, min(1000, (1 << 22) // data.n_dims)))
    return _answers("translate(cond, rng)", model.translate, parts, data.event_shape, streams, device)


def predict(model: Model, frames: Tensor, streams: Streams, device: torch.device) -> Tensor:
    """The HORIZON frames that follow clips (N, S, C, H, W), on the CPU, in batches whose size depends on them alone."""
    parts = frames.split(max(1, min(200, (1 << 22) // frames[0].numel())))
    shape = (HORIZON, *frames.shape[2:])
    return _answers(
        f"predict(frames, {HORIZON}, rng)", lambda x, rng: model.predict(x, HORIZON, rng), parts, shape, streams, device
    )


def _answers(
    call: str,
    ask: Callable[[Tensor, torch.Generator], Tensor],
    parts: Sequence[Tensor],
    shape: tuple[int, ...],
    streams: Streams,
    device: torch.device,
) -> Tensor:
    """What a model answers to each part (b, ...), all of them on the CPU: (N, *shape). Raises `BadInput`."""
    rng = seeding.stream("sampling", *streams, device=device)
    batches = []
    with torch.no_grad(), seeding.global_stream("sampling", *streams):
        for part in parts:
            out, want = ask(part.to(device), rng), (len(part), *shape)
            if not isinstance(out, Tensor) or tuple(out.shape) != want:
                got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise BadInput(f"{call} must return a tensor of shape {want}; got {got}")
            batches.append(out.detach().to("cpu"))
    return torch.cat(batches)


def check_samples(x: Tensor, spec: DataSpec) -> Tensor:
    """Samples as float32 in the domain. Raises `BadInput` for other types, NaN or infinity, or values outside it."""
    if not x.is_floating_point():
        raise BadInput(f"samples must be floating point; got {x.dtype}")
    x = x.float()
    bad = ~torch.isfinite(x).flatten(1).all(1)
    if bad.any():
        first = int(bad.nonzero()[0])
        raise BadInput(
            f"samples must be finite; {int(bad.sum())} of {len(x)} hold NaN or infinity, the first is {first}"
        )
    if spec.domain is not None:
        low, high = spec.domain
        slack = 1e-3 * (high - low)
        least, most = float(x.min()), float(x.max())
        if least < low - slack or most > high + slack:
            raise BadInput(
                f"samples must lie in [{low:g}, {high:g}]; got [{least:.4g}, {most:.4g}]; "
                "end the generator with tanh, or clamp"
            )
        x = x.clamp(low, high)
    return x


def _label_draws(model: Model, dataset: Dataset, n: int, rng: torch.Generator) -> Tensor | None:
    """Labels (n,) from the training marginal for models whose `sample` takes them as a third argument.

    A model that was shown a few labels, as many of every class, is asked for as many of every class.
    """
    if len(inspect.signature(model.sample).parameters) < 3 or dataset.train.y is None:
        return None
    y = dataset.train.y.unique() if "labels" in model.needs else dataset.train.y
    return y[torch.randint(len(y), (n,), generator=rng, device=rng.device).to(y.device)].to(rng.device)
