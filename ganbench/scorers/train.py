"""Trains the digit classifiers: `python -m ganbench.scorers.train mnist` writes weights and card beside this file.

`digits` learns from its train and holdout splits, `mnist` from its train split. The recipe is fixed beforehand and the
last weights are kept: no choice is made by looking at test images, whose accuracy is only written on the card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench import seeding
from ganbench.data import Epochs, Split
from ganbench.datasets.load import load
from ganbench.scorers.base import in_batches
from ganbench.scorers.cnn import ARCHITECTURES, DigitNet
from ganbench.scorers.pinned import FOLDER


@dataclass(frozen=True)
class Recipe:
    """How one classifier is trained: AdamW, one-cycle learning rate, random affine maps of the images."""

    epochs: int
    shift: float  # pixels, uniform in +- shift
    rotation: float = 10.0  # degrees, uniform in +-
    scale: float = 0.1  # relative, uniform in 1 +-
    batch_size: int = 100
    lr: float = 4e-3
    weight_decay: float = 1e-2


RECIPES = {"digits": Recipe(epochs=100, shift=0.7), "mnist": Recipe(epochs=12, shift=2.0)}


def augment(x: Tensor, recipe: Recipe, rng: torch.Generator) -> Tensor:
    """Shift, turn and scale each image at random over a background of -1: (B, 1, H, W) -> (B, 1, H, W)."""
    u = torch.rand(4, len(x), generator=rng) * 2 - 1
    angle, size = u[0] * math.radians(recipe.rotation), 1 + u[1] * recipe.scale
    shift = u[2:] * 2 * recipe.shift / x.shape[-1]  # in grid_sample's units, where a picture is 2 wide
    cos, sin = angle.cos() * size, angle.sin() * size
    theta = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], 1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, grid, align_corners=False) - 1


def fit(data: Split, name: str) -> DigitNet:
    """A classifier trained on all of `data`; repeats exactly on one thread."""
    assert data.y is not None
    recipe = RECIPES[name]
    with seeding.global_stream("init", "scorer", name):
        net = DigitNet(ARCHITECTURES[name]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = seeding.stream("training", "scorer", name)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    per_epoch = len(data) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=recipe.epochs * per_epoch)
    batches = Epochs(len(data), recipe.batch_size, rng)
    for epoch in range(recipe.epochs):
        total = torch.zeros(())
        for _ in range(per_epoch):
            rows = next(batches)
            x = augment(data.events(rows), recipe, rng).to(memory_format=torch.channels_last)
            loss = F.cross_entropy(net(x), data.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        print(f"{name} epoch {epoch + 1}/{recipe.epochs}: loss {float(total) / per_epoch:.4f}", flush=True)
    return net


def accuracy(net: nn.Module, data: Split) -> float:
    """Share of examples whose most probable class is the label."""
    assert data.y is not None
    net.eval()
    return float((in_batches(net, data.events()).argmax(1) == data.y).double().mean())


def publish(net: nn.Module, name: str, test: Split, out: Path, card: dict[str, Any], seconds: float) -> None:
    """Store in half precision, measure what was stored on `test`, write `NAME_cnn.safetensors` and its card."""
    state = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    weights = save({k: v.contiguous() for k, v in state.items()})
    net.load_state_dict(state)  # what is measured is what is stored
    whole = {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "parameters": sum(p.numel() for p in net.parameters()),
        "storage": "float16, evaluated in float32",
        **card,
        "test_accuracy": accuracy(net, test),
        "n_test": len(test),
        "seconds": round(seconds, 1),
        "made_with": f"torch {torch.__version__}, {platform.machine()}, 1 thread",
    }
    (out / f"{name}_cnn.safetensors").write_bytes(weights)
    (out / f"{name}_cnn.json").write_text(json.dumps(whole, indent=2) + "\n")
    print(f"{name}: test accuracy {whole['test_accuracy']:.4f}, {len(weights)} bytes, {seconds:.0f} s")


def main() -> None:
    """Train on what the name stands for, then publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = load(args.name, args.data_dir)
    train = data.train
    if args.name == "digits":
        assert data.train.y is not None
        assert data.holdout.y is not None
        train = Split(torch.cat([data.train.x, data.holdout.x]), torch.cat([data.train.y, data.holdout.y]))
    start = time.perf_counter()
    net = fit(train, args.name)
    seconds = time.perf_counter() - start
    card = {
        "architecture": asdict(ARCHITECTURES[args.name]),
        "data": args.name,
        "data_sha256": data.spec.sha256,
        "trained_on": "train + holdout" if args.name == "digits" else "train",
        "n_train": len(train),
        "command": f"python -m ganbench.scorers.train {args.name}",
        "recipe": asdict(RECIPES[args.name]),
    }
    publish(net, args.name, data.test, args.out, card, seconds)


if __name__ == "__main__":
    main()
