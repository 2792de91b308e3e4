"""What a job leaves in its folder beside the record: history, samples, pictures, weights on request."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ganbench import seeding
from ganbench.datasets.writing import write_wave
from ganbench.errors import NotApplicable
from ganbench.files import finite, write_atomic
from ganbench.model import Model
from ganbench.scoring.inputs import Inputs

SAMPLES_BYTES = 1 << 21  # samples.npz keeps as many rows as fit
NOTES = 12  # samples that are written as a wave and drawn
STRIPS = 6  # clips whose predicted frames are drawn
MISTAKES = 36  # misclassified test images that are drawn


def history(folder: Path, curves: dict[str, tuple[list[int], list[float]]]) -> str:
    """Write the curves as {name: [[iteration, ...], [value, ...]]} and return the file's name; NaN becomes null."""
    write_atomic(folder / "history.json", json.dumps(finite(curves), allow_nan=False))
    return "history.json"


def artifacts(folder: Path, model: Model, inputs: Inputs, curves: Any, save_weights: bool) -> list[dict[str, Any]]:
    """Write samples, picture and weights; return what was written, with sizes and hashes."""
    files = {"history": folder / "history.json"} if curves else {}
    if inputs.samples is not None:
        files["samples"] = folder / "samples.npz"
        save_samples(files["samples"], inputs.samples, inputs.dataset.spec.domain)
        shape = inputs.dataset.spec.event_shape
        if inputs.dataset.spec.is_image or shape == (2,):
            files["picture"] = folder / "samples.png"
            picture(files["picture"], inputs)
    sound = inputs.dataset.sound
    if sound is not None and inputs.samples is not None:
        files |= {"wave": folder / "samples.wav", "spectrograms": folder / "spectrograms.png"}
        write_wave(files["wave"], inputs.samples[:NOTES], sound)
        spectrograms(files["spectrograms"], inputs.samples[:NOTES], inputs.of("reference")[:NOTES])
    predicted = inputs.events.get("predicted")
    if predicted is not None:
        files["frames"] = folder / "frames.png"
        strips(files["frames"], inputs.of("reference"), predicted)
    if inputs.dataset.spec.is_image and inputs.dataset.spec.domain == (-1, 1):
        from ganbench.pictures.views import draw_views

        rng = seeding.stream("metrics", "views", inputs.seed)
        cond = inputs.of("cond") if "cond" in model.needs else None
        drawn = draw_views(folder, model, inputs.of("reference"), rng, cond)
        files |= {kind: folder / f"{kind}.png" for kind in drawn}
    if inputs.dataset.text is not None:
        files |= {kind: folder / f"{kind}.png" for kind in embedding_maps(folder, model, inputs)}
    found = test_logits(model, inputs)
    if found is not None:
        files["logits"] = folder / "logits.npz"
        np.savez_compressed(files["logits"], logits=found[0].numpy(), y=found[1].numpy())
        files |= {kind: folder / f"{kind}.png" for kind in classifier_pictures(folder, inputs, *found)}
    if save_weights:
        files["weights"] = folder / "weights.safetensors"
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}, files["weights"])
    return [_describe(path, kind) for kind, path in files.items()]


def test_logits(model: Model, inputs: Inputs) -> tuple[Tensor, Tensor] | None:
    """Logits (M, K) on the test events that metrics see, with their labels (M,); None where nothing classifies."""
    if "classify" not in model.gives or inputs.dataset.test.y is None:
        return None
    events = inputs.of("reference").split(1000)
    try:
        with torch.no_grad():
            return torch.cat([model.classify(x) for x in events]).float(), inputs.of("test_labels")
    except NotApplicable:
        return None


def classifier_pictures(folder: Path, inputs: Inputs, logits: Tensor, y: Tensor) -> list[str]:
    """Draw the confusion matrix, and for images samples beside mistakes; the names of the files, without .png."""
    from ganbench.pictures.grids import confusion, mistakes

    predicted, k = logits.argmax(1), max(logits.shape[1], int(y.max()) + 1)
    confusion(folder / "confusion.png", torch.bincount(y * k + predicted, minlength=k * k).view(k, k).numpy())
    wrong = (predicted != y).nonzero().squeeze(1)[:MISTAKES]
    if not inputs.dataset.spec.is_image or not len(wrong):
        return ["confusion"]
    samples = None if inputs.samples is None else to_pixels(inputs.samples[:MISTAKES])
    events = to_pixels(inputs.of("reference")[wrong])
    mistakes(folder / "mistakes.png", samples, events, y[wrong].numpy(), predicted[wrong].numpy())
    return ["confusion", "mistakes"]


def embedding_maps(folder: Path, model: Model, inputs: Inputs) -> list[str]:
    """Draw the vectors of words and of test documents; the names of the files, without .png."""
    from ganbench.pictures.maps import document_map, word_map

    drawn = []
    text = inputs.dataset.text
    if "embed_words" in model.gives and text is not None:
        word_map(folder / "words.png", inputs.of("word_vectors"), text)
        drawn.append("words")
    if "embed" in model.gives:
        labels = None if inputs.dataset.test.y is None else inputs.of("test_labels").tolist()
        document_map(folder / "documents.png", inputs.of("document_vectors"), labels)
        drawn.append("documents")
    return drawn


def save_samples(path: Path, x: Tensor, domain: tuple[float, float] | None) -> None:
    """The first rows of x that fit into 2 MiB; images in [-1, 1] as uint8 pixels."""
    array = to_pixels(x) if domain == (-1, 1) else x.float().numpy()
    rows = max(1, SAMPLES_BYTES // max(1, array[:1].nbytes))
    np.savez_compressed(path, samples=array[:rows])


def to_pixels(x: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Images in [-1, 1] as uint8."""
    return x.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).numpy()


def picture(path: Path, inputs: Inputs) -> None:
    """A grid of images, or 2-D samples over the true density."""
    from ganbench.pictures.grids import image_grid, scatter

    assert inputs.samples is not None
    if inputs.dataset.spec.is_image:
        image_grid(path, to_pixels(inputs.samples[:64]))
    else:
        real = inputs.dataset.test.events(slice(0, 2000)).numpy()
        mixture = inputs.dataset.mixture
        density = None if mixture is None else lambda points: mixture.log_prob(torch.from_numpy(points)).numpy()
        scatter(path, inputs.samples[:2000].numpy(), real, density)


def spectrograms(path: Path, samples: Tensor, real: Tensor) -> None:
    """Rows of log magnitudes above frequencies, low bins at the bottom: samples (N, 2, F, T), then real ones."""
    from ganbench.pictures.grids import image_grid

    rows = torch.stack([part[:, channel : channel + 1] for part in (samples, real) for channel in (0, 1)])
    image_grid(path, to_pixels(rows.flip(3).flatten(0, 1)), columns=rows.shape[1])


def strips(path: Path, clips: Tensor, predicted: Tensor) -> None:
    """Pairs of rows: a test clip of (N, T, C, H, W), and under it those frames that were shown and (N, K, C, H, W)."""
    from ganbench.pictures.grids import image_grid

    truth = clips[:STRIPS]
    said = torch.cat([truth[:, : -predicted.shape[1]], predicted[:STRIPS]], 1)
    rows = torch.stack([truth, said], 1).flatten(0, 2)
    image_grid(path, to_pixels(rows), columns=clips.shape[1])


def _describe(path: Path, kind: str) -> dict[str, Any]:
    data = path.read_bytes()
    return {"path": path.name, "kind": kind, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
