"""`ganbench doctor`: what this machine offers, and what is missing, with the cure."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import typer

from ganbench.commands._common import LOOK, DataDir, Json, print_json, print_table
from ganbench.errors import GanbenchError, MissingResource


def attach(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("doctor", rich_help_panel=LOOK)(doctor)


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check packages, devices, registries, data and disk; ends with code 5 when something needed is missing."""
    checks = [*_packages(), *_registries(), _disk(), _data(data_dir)]
    if as_json:
        from ganbench.provenance import environment

        whole = all(c["ok"] for c in checks if c["needed"])
        env = environment.describe() if whole else {}
        print_json({"ok": whole, "checks": checks, "environment": env})
    else:
        marks = {(True, True): "ok", (True, False): "ok", (False, True): "MISSING", (False, False): "note"}
        print_table(["", "what", "found"], [[marks[c["ok"], c["needed"]], c["name"], c["found"]] for c in checks])
    if not all(c["ok"] for c in checks if c["needed"]):
        raise typer.Exit(MissingResource.exit_code)


def _check(name: str, ok: bool, found: str, needed: bool = True) -> dict[str, Any]:
    return {"name": name, "ok": ok, "found": found, "needed": needed}


def _packages() -> list[dict[str, Any]]:
    from ganbench.jobs.executors.local import default_workers
    from ganbench.provenance import environment

    versions = environment.versions()
    checks = [_check(n, v is not None, v or f"pip install {n}") for n, v in versions.items() if n != "pillow"]
    try:
        import torch

        device = "CUDA " + torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none: jobs run on the CPU"
        checks.append(_check("CUDA device", torch.cuda.is_available(), device, needed=False))
        checks.append(_check("CPU", True, f"{environment.cpu_name()}, {default_workers()} cores"))
    except ImportError as error:
        checks.append(_check("torch", False, f"does not import: {error}"))
    return checks


def _registries() -> list[dict[str, Any]]:
    from ganbench.registry import DATASETS, METRICS, MODELS, SCORERS

    checks = []
    for registry in (MODELS, DATASETS, METRICS, SCORERS):
        try:
            checks.append(_check(f"{registry.kind}s", True, f"{len(registry.entries)} registered"))
        except GanbenchError as error:
            checks.append(_check(f"{registry.kind}s", False, str(error)))
    return checks


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(Path.cwd()).free
    return _check("disk here", free > 1 << 30, f"{free / 1e9:.0f} GB free", needed=False)


def _data(data_dir: str | None) -> dict[str, Any]:
    root = data_dir or os.environ.get("GANBENCH_DATA")
    if not root:
        return _check(
            "data directory", False, "not set: --data-dir or GANBENCH_DATA; built-in data needs none", needed=False
        )
    return _check(
        "data directory", Path(root).is_dir(), "there" if Path(root).is_dir() else "is not a folder", needed=False
    )
