"""`ganbench bench`: how fast kernels, training and metrics run, against the device's ceiling and against others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ganbench.commands._common import WORK, DataDir, Json, print_json, print_table, say, split_names
from ganbench.errors import BadConfig, UnknownName

CLOCK = typer.Option("--clock", help="wall, or cpu: processor time, for a machine that others use too.")
THREADS = typer.Option("--threads", help="Torch threads.", min=1, max=1024)
DEVICE = typer.Option("--device", help="cpu or cuda.")


def attach(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="Throughput, with the share of the device's measured ceiling.", no_args_is_help=True)
    group.command("kernels")(kernels)
    group.command("train")(train)
    group.command("words")(words)
    group.command("metrics")(metrics)
    group.command("chains")(chains)
    group.command("ab")(ab)
    group.command("trend")(trend)
    app.add_typer(group, name="bench", rich_help_panel=WORK)


def kernels(
    kernel: Annotated[list[str] | None, typer.Option("--kernel", "-k", help="Only these; repeat for more.")] = None,
    scaling: Annotated[bool, typer.Option("--scaling", help="Also follow the time over n.")] = False,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Also time the code that others use.")] = True,
    seconds: Annotated[float, typer.Option("--seconds", help="Seconds spent on each row.", min=0.01)] = 0.5,
    write: Annotated[str | None, typer.Option("--write", help="Folder for <device>.csv, plots and README.md.")] = None,
    device: Annotated[str, DEVICE] = "cpu",
    threads: Annotated[int, THREADS] = 1,
    clock: Annotated[str, CLOCK] = "wall",
    as_json: Json = False,
) -> None:
    """Every numerical kernel: time, rate, and share of what the device could do at best."""
    _prepare(device, clock, threads)
    from ganbench.bench import kernels as bench
    from ganbench.bench import tables
    from ganbench.provenance import environment

    names = split_names(kernel)
    environment.keep_freed_memory()  # as the processes that run jobs do
    say("measuring ceilings, then kernels")
    best, rows = bench.run(names, device=device, clock=clock, seconds=seconds, peers=peers)  # type: ignore[arg-type]
    lines = [bench.scaling(c, device=device, clock=clock) for c in bench.chosen(names)] if scaling or write else []  # type: ignore[arg-type]
    if write is not None:
        for path in tables.write_kernels(Path(write), best, rows, lines, device, clock):
            say(f"wrote {path.name}")
    if as_json:
        return print_json({"ceilings": _data(best), "kernels": _data(rows), "scaling": _data(lines)})
    typer.echo(tables.ceilings_text(best))
    print_table(*tables.kernel_rows(rows))
    if lines:
        typer.echo("")
        print_table(*tables.scaling_rows(lines))
    return None


def train(
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only these; repeat for more.")] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", "-d", help="ring8, digits, mnist.")] = None,
    case: Annotated[str | None, typer.Option("--case", help="usual_script or ssl_script, beside it.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Interleaved rounds.", min=1, max=1000)] = 5,
    device: Annotated[str, DEVICE] = "cpu",
    threads: Annotated[int, THREADS] = 1,
    clock: Annotated[str, CLOCK] = "wall",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Each model's training rate, beside a plain eager loop of the same networks and losses in the same run."""
    _prepare(device, clock, threads)
    from ganbench.bench import calibration, ceilings, tables, usual
    from ganbench.bench import train as bench

    if case is not None and case not in usual.CASES:
        raise UnknownName("training case", case, tuple(usual.CASES))

    say("measuring ceilings and calibration, then training")
    best = ceilings.measure(("float32", "bfloat16"), device, clock)  # type: ignore[arg-type]
    before = calibration.measure(device, clock)  # type: ignore[arg-type]
    if case is not None:
        rows: list[Any] = usual.run(case, best.gemm, clock=clock, rounds=rounds, data_dir=data_dir)  # type: ignore[arg-type]
        header, lines = tables.usual_rows(rows)
    else:
        sets = split_names(dataset) or list(bench.USUAL)
        gemm = best.gemm["float32"]
        rows = bench.run(split_names(model), sets, gemm, device=device, clock=clock, rounds=rounds, data_dir=data_dir)  # type: ignore[arg-type]
        header, lines = tables.train_rows(rows)
    drift = before.drift(calibration.measure(device, clock))  # type: ignore[arg-type]
    if as_json:
        calibrated = {"id": calibration.ID, "device_class": ceilings.device_class(device), "scores": before.scores}
        return print_json(
            {"ceilings": _data(best), "calibration": {**calibrated, "drift": drift}, "training": _data(rows)}
        )
    typer.echo(tables.ceilings_text(best))
    print_table(header, lines)
    if drift > calibration.STEADY:
        say(f"the machine drifted by {drift:.0%} over this run: trends leave it out")
    return None


def words(
    model: Annotated[list[str] | None, typer.Option("--model", "-m", help="Only these; repeat for more.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", help="Interleaved rounds.", min=1, max=1000)] = 5,
    clock: Annotated[str, CLOCK] = "wall",
    as_json: Json = False,
) -> None:
    """Words a second of the word vectors, beside gensim on the same text with the same settings, one thread each."""
    _prepare("cpu", clock, 1)
    from ganbench.bench import words as bench
    from ganbench.provenance import environment

    environment.keep_freed_memory()  # as the processes that run jobs do
    rows = bench.run(split_names(model), clock=clock, rounds=rounds)  # type: ignore[arg-type]
    if as_json:
        return print_json({"words": _data(rows)})
    lines = [
        [
            r.model,
            f"{r.words_per_s:.0f}",
            f"{r.gensim_words_per_s:.0f}",
            f"{r.ratio:.2f} ({r.lowest:.2f}-{r.highest:.2f})",
        ]
        for r in rows
    ]
    print_table(["model", "words/s", "gensim words/s", "gensim's time / ours"], lines)
    return None


def metrics(
    case: Annotated[list[str] | None, typer.Option("--case", help="Only these; repeat for more.")] = None,
    turns: Annotated[int, typer.Option("--turns", help="Timed turns of each side; 0 times the first.", min=0)] = 3,
    write: Annotated[str | None, typer.Option("--write", help="Also write the table to this Markdown file.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", help="Torch threads of both sides.", min=1)] = None,
    clock: Annotated[str, CLOCK] = "wall",
    as_json: Json = False,
) -> None:
    """Metrics against what people use today: the same value first, then interleaved times."""
    import torch

    _prepare("cpu", clock, threads or torch.get_num_threads())
    from ganbench.bench import metric_tables
    from ganbench.bench import metrics as bench

    chosen = split_names(case)
    results = bench.run(chosen, turns, clock)  # type: ignore[arg-type]
    if write is not None:
        options = [f"--threads {torch.get_num_threads()}", *(f"--case {c}" for c in chosen)]
        options += ["--clock cpu"] if clock == "cpu" else []
        metric_tables.write(Path(write), results, f"ganbench bench metrics --turns {turns} {' '.join(options)}")
    if as_json:
        found = {"threads": torch.get_num_threads(), "torch": torch.__version__, "cases": _data(results)}
        return print_json(found)
    typer.echo(metric_tables.render(results))
    return None


def chains(
    rounds: Annotated[int, typer.Option("--rounds", help="Interleaved rounds.", min=1, max=1000)] = 3,
    threads: Annotated[int, THREADS] = 1,
    clock: Annotated[str, CLOCK] = "wall",
    as_json: Json = False,
) -> None:
    """Chains that move together, beside a Python loop over the same chains."""
    _prepare("cpu", clock, threads)
    from ganbench.bench import chains as bench

    rows = bench.run(clock, rounds)  # type: ignore[arg-type]
    if as_json:
        return print_json({"chains": _data(rows)})
    header = ["method", "chains", "evaluations/s", "x loop", "rounds"]
    lines = [
        [r.method, str(r.chains), f"{r.evaluations_per_s:.3g}", f"{r.ratio:.1f}", f"{r.lowest:.1f}-{r.highest:.1f}"]
        for r in rows
    ]
    print_table(header, lines)
    return None


def ab(
    a: Annotated[str, typer.Argument(help="The revision to compare with.")],
    b: Annotated[str, typer.Argument(help="The revision that may be slower.")],
    case: Annotated[list[str] | None, typer.Option("--case", "-k", help="Only these; repeat for more.")] = None,
    device: Annotated[str, DEVICE] = "cpu",
    as_json: Json = False,
) -> None:
    """Two revisions on this machine, A B C C B A; ends with 1 where B is slower, 4 where the machine is too noisy."""
    from ganbench.commands.check import print_verdicts
    from ganbench.gates import revisions, speed
    from ganbench.gates.verdict import exit_code

    commits = revisions.resolve(a), revisions.resolve(b)
    verdicts = speed.compare(*commits, split_names(case), device=device, say=say)
    code = exit_code(verdicts)
    if as_json:
        print_json({"exit_code": code, "a": commits[0], "b": commits[1], "verdicts": [v.as_data() for v in verdicts]})
    else:
        print_verdicts(verdicts)
    if code:
        raise typer.Exit(code)


def trend(
    file: Annotated[str, typer.Argument(help="File of JSON lines, one for each run. It is made if it does not exist.")],
    show: Annotated[bool, typer.Option("--show", help="Measure nothing, only print the table.")] = False,
    case: Annotated[list[str] | None, typer.Option("--case", "-k", help="Only these; repeat for more.")] = None,
    device: Annotated[str, DEVICE] = "cpu",
    threads: Annotated[int, THREADS] = 1,
    clock: Annotated[str, CLOCK] = "wall",
    as_json: Json = False,
) -> None:
    """Add today's calibrated rates to a file and print them beside the earlier ones of this device class."""
    _prepare(device, clock, threads)
    from ganbench.bench import trend as bench
    from ganbench.provenance import environment

    path = Path(file)
    if not show:
        environment.keep_freed_memory()
        say("measuring calibration, cases, calibration")
        bench.append(path, bench.measure(split_names(case), device=device, clock=clock))  # type: ignore[arg-type]
    points, aside = bench.read(path)
    for number, reason in aside.items():
        say(f"{path.name} line {number} is set aside: {reason}")
    steps = bench.steps(points)
    if as_json:
        fell = [{"case": s.case, "change": s.change, "point": points.index(s.point)} for s in steps]
        return print_json(
            {"points": [p.model_dump(mode="json") for p in points], "steps": fell, "set_aside": sorted(aside)}
        )
    for (name, used, threads_used, vector), series in bench.by_series(points).items():
        typer.echo(f"{name}, {threads_used} thread(s), {used} clock, {vector}: {len(series)} point(s)")
        print_table(*bench.table(series))
        typer.echo("")
    for s in steps:
        typer.echo(f"{s.case} fell by {-s.change:.0%} at {s.point.label} on {s.point.device_class}")
    return None


def _prepare(device: str, clock: str, threads: int) -> None:
    if clock not in ("wall", "cpu"):
        raise UnknownName("clock", clock, ("wall", "cpu"))
    if device not in ("cpu", "cuda"):
        raise UnknownName("device", device, ("cpu", "cuda"))
    if device == "cuda" and clock == "cpu":
        raise BadConfig("--clock cpu does not see a GPU's time; leave it out with --device cuda")
    import torch

    from ganbench.jobs.runner import pick_device

    pick_device(device)
    torch.set_num_threads(threads)


def _data(value: Any) -> Any:
    from dataclasses import asdict

    from ganbench.files import finite

    return finite([asdict(v) for v in value] if isinstance(value, list) else asdict(value))
