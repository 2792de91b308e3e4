"""`ganbench sample RUN_OR_WEIGHTS -n N --out FILE`: samples of a model that is trained already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._common import WORK, DataDir, Json, named_path, print_json
from ganbench.errors import BadInput, NotApplicable


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("sample", rich_help_panel=WORK)(sample)


def sample(
    trained: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_WEIGHTS", help="A run folder made with --save-weights, one of its jobs, or a .safetensors."
        ),
    ],
    n: Annotated[int, typer.Option("-n", "--samples", help="How many samples.", min=1)],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            callback=named_path,
            help=".npz, .npy, .safetensors (float32 in the data's domain), a folder of PNG, .wav. Never overwritten.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model of the job; of bare weights, their model."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="The data set of the job; of bare weights, that of their training."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="The seed of the job; with bare weights, that of the draw [default: 0].", min=0),
    ] = None,
    draw_seed: Annotated[
        int | None,
        typer.Option(
            "--draw-seed",
            help="The seed of the draw [default: the job's, which draws the samples that were scored].",
            min=0,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Config of bare weights: key=value, where values are JSON. Repeat for more."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda or mps.")] = "cpu",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draw from a trained model into a file that `score` and submissions take; trains nothing.

    A model that makes events from conditions is given those of test examples.
    """
    import torch

    from ganbench.api import load_trained
    from ganbench.datasets.writing import check_target, write_samples
    from ganbench.jobs.plan import parse_sets
    from ganbench.jobs.spec import display_name
    from ganbench.scoring.draws import check_samples, draw_batches, translate
    from ganbench.scoring.inputs import Inputs, Workplace

    config = {key: value for _, key, value in parse_sets(set_ or (), [model] if model else [])}
    found = load_trained(
        trained, model=model, dataset=dataset, seed=seed, config=config or None, device=device, data_dir=data_dir
    )
    network, data = found.model, found.dataset
    if not {"sample", "translate"} & set(network.gives):
        raise NotApplicable(f"{network.name} does not sample; it gives {', '.join(network.gives)}")
    target = Path(out)
    check_target(target, n, data.spec, data.sound)
    if draw_seed is None:
        draw_seed = found.record.spec.seed if found.record else seed or 0
    name = found.record.spec.dataset if found.record else display_name(dataset or "")
    streams, place = (name, draw_seed), torch.device(device)
    if "sample" in network.gives:
        batches = draw_batches(network, data, n, streams, place)
    else:
        cond = Inputs(Workplace(), name, data, n, draw_seed).of("cond")  # those that a run of n samples is scored on
        if len(cond) < n:
            raise BadInput(f"{network.name} makes one event of each test condition; -n must be <= {len(cond)}; got {n}")
        batches = iter([translate(network, cond, streams, place, data.spec)])
    write_samples(target, (check_samples(x, data.spec) for x in batches), n, data.spec, data.sound)
    said: dict[str, Any] = {
        "file": target.as_posix(),
        "n": n,
        "shape": [n, *data.spec.event_shape],
        "model": found.record.spec.row if found.record else network.name,
        "dataset": name,
        "seed": found.record.spec.seed if found.record else None,
        "draw_seed": draw_seed,
    }
    if as_json:
        return print_json(said)
    of = f"{said['model']} on {said['dataset']}" + ("" if found.record is None else f", seed {said['seed']}")
    typer.echo(f"wrote {n} samples {tuple(said['shape'][1:])} of {of}, draw {draw_seed}, to {target.as_posix()}")
    return None
