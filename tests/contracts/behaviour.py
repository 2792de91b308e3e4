"""What a model does, as a few numbers: its config on each kind of data, its first weights, and those after training.

`python tests/contracts/behaviour.py` writes the files that `test_behaviour_stays` compares with. A change of code that
is meant to move a training bumps the model's version and writes them anew; any other leaves them as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tiny
import torch
from threadpoolctl import threadpool_limits

from ganbench import seeding
from ganbench.engine.loop import train
from ganbench.errors import NotApplicable
from ganbench.gates.platform import platform_tag
from ganbench.model import Budget, Model

FOLDER = Path(__file__).parent / "golden"
STEPS = 50
LONG = 0.12  # seconds of a training above which its test is slow
GAMES = (  # composed GANs: every part at least once, together where they go together
    {"objective": "minimax", "stabilisers": ("label_smoothing", "batch_norm")},
    {"objective": "hinge", "stabilisers": ("spectral_norm", "ema", "historical_avg")},
    {"objective": "wasserstein", "penalty": "gp", "n_critic": 2},
    {"objective": "wasserstein", "penalty": "clip", "optimizer": "rmsprop"},
    {"objective": "wasserstein", "penalty": "one_sided:5", "stabilisers": ("pack:2",)},
    {"penalty": "dragan", "stabilisers": ("virtual_bn:8", "historical_avg:0.01")},
    {"penalty": "r1", "stabilisers": ("two_sided_label_smoothing", "gradient_clip:0.5")},
    {"stabilisers": ("minibatch_disc:10", "feature_matching", "pack:2")},
    {"objective": "least_squares", "stabilisers": ("unroll:2", "historical_avg")},
    {"objective": "minimax", "stabilisers": ("unroll:2", "ema:0.9")},
    {"objective": "relativistic_average", "stabilisers": ("virtual_bn:8", "minibatch_disc:10")},
)
OTHERS: tuple[tuple[str, str, dict[str, Any]], ...] = (  # options that make other networks or players
    ("pacgan", "vector", {"networks": "paper", "pack": 2}),
    ("pacgan", "image28", {"architecture": "stacked_half", "pack": 2}),
    ("pacgan", "image28", {"architecture": "stacked", "generator_updates": 2}),
    ("unrolled", "vector", {"networks": "paper", "discriminator_lr": 1e-4}),
    ("unrolled", "image28", {"architecture": "stacked_quarter", "k": 1}),
    ("wgan_gp", "vector", {"networks": "paper", "scale": 0.5}),
    ("wgan_gp", "image28", {"architecture": "gated", "width": 8}),
    ("wgan_gp", "image28", {"architecture": "baseline", "width": 8}),
    ("wgan", "image28", {"architecture": "tanh", "width": 8}),
    ("wgan", "vector", {"clips": "gradient", "warm_up": True}),
    ("lsgan", "image28", {"architecture": "no_norm", "width": 8, "optimizer": "rmsprop"}),
    ("dcgan", "image28", {"architecture": "constant_width", "width": 8, "discriminator_lr": 1e-3}),
    ("dcgan", "image28", {"architecture": "stacked"}),
    ("dcgan", "image28", {"architecture": "dense_generator", "width": 8}),
    ("dcgan", "image28", {"discriminator": "capsules", "width": 8}),
    ("progan", "image8", {"grow": False}),
    ("capsnet", "image8", {"network": "cnn"}),
    ("batch_norm", "image28", {"in_discriminator": False, "width": 8}),
    ("ali", "vector", {"networks": "paper"}),
    ("bigan", "image8", {"networks": "paper"}),
    ("bigan", "vector", {"mlp_norm": "none"}),
    ("latent_regressor", "image8", {"networks": "paper"}),
    ("veegan", "image8", {"reconstructor": "gaussian"}),
    ("fgan_kl", "vector", {"gradient_clip": 1.0, "generator": "conjugate"}),
    ("fgan_rkl", "vector", {"generator": "activation"}),
    ("swg", "vector", {"space": "learned"}),
    ("dual_gan_linear", "vector", {"features": "learned"}),
    ("pixelcnn", "image8", {"n_levels": 2, "rounding": "drawn"}),
    ("pixelrnn", "image8", {"layer": "diagonal", "n_levels": 4}),
    ("m1_m2", "vector", {"stack": "m1"}),
    ("m1_m2", "image8", {"stack": "m2"}),
    *(("gan", "vector", game) for game in GAMES),
    *(("gan", "image8", game) for game in GAMES[:3]),
    *(("gan", "image28", {"width": 8, **game}) for game in GAMES),
)


def key(name: str, kind: str, config: dict[str, Any]) -> str:
    """One line for a case."""
    return f"{name} {kind} {json.dumps(config)}" if config else f"{name} {kind}"


def cases() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every model on every kind of data that it takes, then the others."""
    for name, entry in tiny.ENTRIES.items():
        for kind in tiny.SPECS:
            if tiny.takes(entry, kind):
                yield name, kind, {}
    yield from OTHERS


def effective_config(name: str, kind: str) -> dict[str, Any]:
    """Every field of the config that a model has on this kind of data, nothing overridden."""
    config = tiny.ENTRIES[name].load().configure(tiny.SPECS[kind])
    out: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return out


def built(name: str, kind: str, config: dict[str, Any]) -> Model:
    """The model for this data, with small batches. Raises `NotApplicable`."""
    cls = tiny.ENTRIES[name].load()
    model: Model = cls(cls.configure(tiny.SPECS[kind], batch_size=16, **config))
    with seeding.global_stream("init", name):
        model.build(tiny.SPECS[kind])
    return model


def trained(name: str, kind: str, config: dict[str, Any], steps: int) -> Model:
    """The model after so many iterations, or fitted."""
    model, data = built(name, kind, config), tiny.data(kind, tiny.ENTRIES[name])
    # scikit-learn's fits stop where a sum falls below a threshold: its last digits hang on the number of threads
    with seeding.global_stream("training", name), threadpool_limits(1):
        train(model, data, Budget(iterations=steps), seeding.stream("training", name))
    return model


def steps(kind: str) -> int:
    """Iterations of a training on this kind of data."""
    return STEPS if kind in ("vector", "image8") else 3


def print_of(model: Model) -> list[Any]:
    """Names and shapes of the state as a hash; how many numbers; their mean, size, and sum under a ramp of weights."""
    state = model.state_dict()
    layout = hashlib.sha256(json.dumps([[k, list(v.shape)] for k, v in state.items()]).encode()).hexdigest()[:12]
    flat = torch.cat([v.double().flatten() for v in state.values()]) if state else torch.zeros(0).double()
    ramp = torch.linspace(-1, 1, len(flat), dtype=torch.float64)
    numbers = (flat.mean(), flat.square().mean().sqrt(), (ramp * flat).sum()) if len(flat) else ()
    return [layout, len(flat), *(float(f"{float(v):.9g}") for v in numbers)]


def sampled(model: Model) -> list[Any]:
    """Mean and size of a few samples of a model that draws any."""
    if "sample" not in model.gives:
        return []
    x = tiny.samples(model.eval(), 8, 3).double()
    return [float(f"{float(v):.9g}") for v in (x.mean(), x.square().mean().sqrt())]


def write() -> None:
    """Write all golden files of this platform."""
    import time

    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    configs, first, after = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    for name, kind, config in cases():
        case = key(name, kind, config)
        if not config:
            configs[case] = effective_config(name, kind)
        try:
            first[case] = print_of(built(name, kind, config))
        except NotApplicable as reason:
            first[case] = str(reason)
            continue
        if kind == "image32" or (kind == "image28" and not config and name.startswith("pixel")):
            continue
        start = time.process_time()
        try:
            model = trained(name, kind, config, steps(kind))
        except NotApplicable:
            continue
        seconds = time.process_time() - start
        after[case] = {"slow": seconds > LONG, "state": print_of(model), "samples": sampled(model)}
        sys.stderr.write(f"{case}: {seconds:.2f} s\n")
    for stem, table in (("configs", configs), ("first_weights", first), (f"trainings-{platform_tag()}", after)):
        rows = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(table.items())]
        (FOLDER / f"{stem}.json").write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
