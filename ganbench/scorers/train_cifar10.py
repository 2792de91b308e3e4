"""Trains the CIFAR-10 classifier: `python -m ganbench.scorers.train_cifar10 --data cifar10 --state FOLDER`.

It learns from `train` and all of `holdout` but its last 5,000 images; those show progress and set the scale of the
logits. The recipe is fixed beforehand, the last weights are kept, and the test split is measured once, at the end.
Every epoch is saved in the state folder; the same command goes on from there, with the same bits on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset
from ganbench.datasets.load import load
from ganbench.scorers.base import in_batches
from ganbench.scorers.pinned import FOLDER
from ganbench.scorers.resnet import WIDTHS, SmallResNet, whitening
from ganbench.scorers.train import accuracy, publish

WATCHED = 5000


@dataclass(frozen=True)
class Recipe:
    """Nesterov SGD, learning rate up and down in straight lines, flips and shifts; bfloat16 over float32 weights."""

    epochs: int = 20
    batch_size: int = 250
    lr: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warm_up: float = 0.2  # share of the steps
    label_smoothing: float = 0.1
    shift: int = 2  # pixels, uniform in +- shift, over a mirrored border


def augment(x: Tensor, shift: int, rng: torch.Generator) -> Tensor:
    """Mirror half of the images and shift all: (B, C, H, W) -> (B, C, H, W)."""
    n, _, h, w = x.shape
    dy, dx = torch.randint(2 * shift + 1, (2, n), generator=rng)
    flip = torch.rand(n, generator=rng) < 0.5
    columns = torch.arange(w).expand(n, w)
    columns = torch.where(flip[:, None], w - 1 - columns, columns) + dx[:, None]  # (B, W)
    rows = torch.arange(h) + dy[:, None]  # (B, H)
    padded = F.pad(x, [shift] * 4, mode="reflect").permute(0, 2, 3, 1)
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def divide(data: Dataset) -> tuple[Split, Split]:
    """What is learned from, and the last `WATCHED` images of the holdout."""
    train, holdout = data.train, data.holdout
    assert train.y is not None
    assert holdout.y is not None
    cut = len(holdout) - WATCHED
    learned = Split(torch.cat([train.x, holdout.x[:cut]]), torch.cat([train.y, holdout.y[:cut]]))
    return learned, Split(holdout.x[cut:], holdout.y[cut:])


def start(data: Split) -> SmallResNet:
    """The network before training: its first layer whitens patches of the first 5,000 images."""
    with seeding.global_stream("init", "scorer", "cifar10"):
        net = SmallResNet()
    net.whiten.weight.data.copy_(whitening(data.events(slice(0, 5000))))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def fit(data: Split, watched: Split, recipe: Recipe, state: Path) -> tuple[SmallResNet, float]:
    """A classifier trained on all of `data`, and the processor seconds that took; goes on from `state` if it exists."""
    assert data.y is not None
    net = start(data)
    rng = seeding.stream("training", "scorer", "cifar10")
    learned = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(
        learned, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True, fused=True
    )
    per_epoch = len(data) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.lr, recipe.epochs * per_epoch, pct_start=recipe.warm_up, anneal_strategy="linear",
        cycle_momentum=False,
    )  # fmt: skip
    first, seconds = 0, 0.0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        if saved["recipe"] != asdict(recipe):
            raise SystemExit(f"{state} holds another recipe, {saved['recipe']}; name another state folder")
        first, seconds = saved["epoch"], saved["seconds"]
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        rng.set_state(saved["rng"])
    for epoch in range(first, recipe.epochs):
        begun, total = time.process_time(), torch.zeros(())
        net.train()
        for rows in torch.randperm(len(data), generator=rng)[: per_epoch * recipe.batch_size].split(recipe.batch_size):
            x = augment(data.events(rows), recipe.shift, rng).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(x)
            loss = F.cross_entropy(logits.float(), data.y[rows], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        seconds += time.process_time() - begun
        found = {
            "recipe": asdict(recipe), "epoch": epoch + 1, "seconds": seconds, "rng": rng.get_state(),
            "net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        }  # fmt: skip
        torch.save(found, state.with_suffix(".part"))
        os.replace(state.with_suffix(".part"), state)
        print(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {float(total) / per_epoch:.4f}, held-out accuracy "
            f"{accuracy(net, watched):.4f}, {seconds:.0f} s in all",
            flush=True,
        )
    return net, seconds


def calibrate(net: SmallResNet, watched: Split) -> float:
    """Set the scale of the logits to the one under which held-out labels are most likely; returns that likelihood.

    Label smoothing makes posteriors too flat; a score made of posteriors would inherit that. Guo et al. 2017
    (arXiv:1706.04599) call the reciprocal of this one number the temperature.
    """
    assert watched.y is not None
    net.eval()
    logits = in_batches(net, watched.events()).double()
    factors = torch.logspace(-1, 1, 401, dtype=torch.float64)
    losses = torch.stack([F.cross_entropy(logits * f, watched.y) for f in factors])
    net.scale.mul_(factors[losses.argmin()])
    return float(losses.min())


def main() -> None:
    """Train, calibrate, store in half precision, measure what was stored, write weights and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="cifar10, or folder:PATH of the same pictures in class folders")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the last finished epoch")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe(epochs=args.epochs)
    args.state.mkdir(parents=True, exist_ok=True)
    data = load(args.data, args.data_dir)
    learned, watched = divide(data)
    net, seconds = fit(learned, watched, recipe, args.state / "last.pt")
    nll = calibrate(net, watched)
    named = args.data if args.data == "cifar10" else "folder:CIFAR10-JPEG, the same pictures re-encoded as JPEG"
    publish(
        net, "cifar10", data.test, args.out,
        {
            "architecture": {"widths": WIDTHS, "n_classes": 10},
            "data": named,
            "data_sha256": data.spec.sha256,
            "trained_on": f"train + holdout but its last {WATCHED} images",
            "n_train": len(learned),
            "command": f"python -m ganbench.scorers.train_cifar10 --data {named.split(',')[0]} --state FOLDER",
            "recipe": asdict(recipe),
            "holdout_nll": nll,
        },
        seconds,
    )  # fmt: skip


if __name__ == "__main__":
    main()
