"""Trains the CIFAR-10 classifier: `python -m ganbench.scorers.train_cifar10 --data cifar10 --state FOLDER`.

It learns from `train` and all of `holdout` but its last 2,500 images. Those show progress, set the scale of the logits,
and chose network and recipe, the best of several. The last weights are kept; test is measured once, at the end.
Every epoch is saved in the state folder; the same command goes on from there, with the same bits on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset
from ganbench.datasets.load import load
from ganbench.scorers.base import in_batches
from ganbench.scorers.pinned import FOLDER
from ganbench.scorers.small_conv import WIDTHS, SmallConvNet, whitening
from ganbench.scorers.train import accuracy, publish

WATCHED = 2500


@dataclass(frozen=True)
class Recipe:
    """The recipe of arXiv:2404.00498 for longer training; bfloat16 over float32 weights.

    Nesterov SGD whose learning rate goes up and down in straight lines; biases learn faster, and weights are pulled
    towards a slow average of themselves (Lookahead, arXiv:1907.08610).
    """

    epochs: int = 30
    batch_size: int = 500
    lr: float = 0.73
    bias_lr: float = 64.0  # times lr
    momentum: float = 0.85
    weight_decay: float = 1.33e-3  # of biases, divided by bias_lr
    warm_up: float = 0.23  # share of the steps after which lr is highest
    first: float = 0.2  # of lr, at the first step
    last: float = 0.07  # of lr, at the last step
    whitening_epochs: int = 3  # after which the whitening layer's biases stay
    label_smoothing: float = 0.2
    shift: int = 4  # pixels, uniform in +- shift, over a mirrored border
    every: int = 5  # steps between two pulls of the slow average
    slow: float = 0.95  # its decay a step, reached at the end


def augment(x: Tensor, mirror: Tensor, shift: int, rng: torch.Generator) -> Tensor:
    """Mirror the images where `mirror` (B,) says so and shift all: (B, C, H, W) -> (B, C, H, W)."""
    n, _, h, w = x.shape
    dy, dx = torch.randint(2 * shift + 1, (2, n), generator=rng)
    columns = torch.arange(w).expand(n, w)
    columns = torch.where(mirror[:, None], w - 1 - columns, columns) + dx[:, None]  # (B, W)
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


def start(data: Split) -> SmallConvNet:
    """The network before training: its first layer whitens patches of the first 5,000 images."""
    with seeding.global_stream("init", "scorer", "cifar10"):
        net = SmallConvNet()
    net.whiten.weight.data.copy_(whitening(data.events(slice(0, 5000))))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def descent(net: SmallConvNet, recipe: Recipe, steps: int) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.LambdaLR]:
    """Optimizer and schedule: from `first` up to 1 and down to `last`, times each group's learning rate."""
    learned = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    biases = [p for name, p in learned if name.endswith("bias")]
    weights = [p for name, p in learned if not name.endswith("bias")]
    groups: list[dict[str, Any]] = [
        {"params": weights},
        {"params": biases, "lr": recipe.lr * recipe.bias_lr, "weight_decay": recipe.weight_decay / recipe.bias_lr},
    ]
    optimizer = torch.optim.SGD(
        groups, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True, fused=True,
    )  # fmt: skip
    top = recipe.warm_up * steps

    def height(step: int) -> float:
        if step < top:
            return recipe.first + (1 - recipe.first) * step / top
        return 1 + (recipe.last - 1) * (step - top) / (steps - top)

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, height)


def pull(net: nn.Module, slow: dict[str, Tensor], decay: float) -> None:
    """Move the slow weights towards those of the network, by 1 - decay, and let the network go on from there."""
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(slow[name].lerp_(tensor, 1 - decay))


def fit(data: Split, watched: Split, recipe: Recipe, state: Path) -> tuple[SmallConvNet, float]:
    """A classifier trained on all of `data`, and the processor seconds that took; goes on from `state` if it exists."""
    assert data.y is not None
    net = start(data)
    rng = seeding.stream("training", "scorer", "cifar10")
    mirrored = torch.rand(len(data), generator=rng) < 0.5  # in the first epoch; each next one shows the other side
    per_epoch = len(data) // recipe.batch_size
    optimizer, schedule = descent(net, recipe, recipe.epochs * per_epoch)
    slow = {name: t.clone() for name, t in net.state_dict().items()}
    first, seconds = 0, 0.0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        if saved["recipe"] != asdict(recipe):
            raise SystemExit(f"{state} holds another recipe, {saved['recipe']}; name another state folder")
        first, seconds, slow = saved["epoch"], saved["seconds"], saved["slow"]
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        rng.set_state(saved["rng"])
    for epoch in range(first, recipe.epochs):
        begun, total = time.process_time(), torch.zeros(())
        net.train()
        net.whiten.bias.requires_grad_(epoch < recipe.whitening_epochs)  # type: ignore[union-attr]
        order = torch.randperm(len(data), generator=rng)[: per_epoch * recipe.batch_size]
        for step, rows in enumerate(order.split(recipe.batch_size), 1 + epoch * per_epoch):
            x = augment(data.events(rows), mirrored[rows] ^ bool(epoch % 2), recipe.shift, rng)
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(x.contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(logits.float(), data.y[rows], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if step % recipe.every == 0:
                share = step / (recipe.epochs * per_epoch)
                pull(net, slow, recipe.slow**recipe.every * share**3)
            total += loss.detach()
        if epoch + 1 == recipe.epochs:
            pull(net, slow, 1.0)
        seconds += time.process_time() - begun
        found = {
            "recipe": asdict(recipe), "epoch": epoch + 1, "seconds": seconds, "rng": rng.get_state(), "slow": slow,
            "net": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        }  # fmt: skip
        torch.save(found, state.with_suffix(".part"))
        os.replace(state.with_suffix(".part"), state)
        with torch.autocast("cpu", torch.bfloat16):
            seen = accuracy(net, watched)
        print(
            f"epoch {epoch + 1}/{recipe.epochs}: loss {float(total) / per_epoch:.4f}, held-out accuracy {seen:.4f}, "
            f"{seconds:.0f} s in all",
            flush=True,
        )
    return net, seconds


def calibrate(net: nn.Module, watched: Split) -> float:
    """Set the scale of the logits to the one under which held-out labels are most likely; returns that likelihood.

    Label smoothing makes posteriors too flat; a score made of posteriors would inherit that. Guo et al. 2017
    (arXiv:1706.04599) call the reciprocal of this one number the temperature.
    """
    assert watched.y is not None
    net.eval()
    scale: Any = net.scale
    logits = in_batches(net, watched.events()).double()
    factors = torch.logspace(-1, 1, 401, dtype=torch.float64)
    losses = torch.stack([F.cross_entropy(logits * f, watched.y) for f in factors])
    scale.mul_(factors[losses.argmin()])
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
