"""The command line: one Typer application, whose verbs are the modules here that have no underscore.

A module defines `attach(app)`; it parses, calls one function and prints. None imports torch or pandas at the top.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

CONTEXT = {"help_option_names": ["-h", "--help"]}


def build() -> typer.Typer:
    """The application with every verb."""
    app = typer.Typer(
        name="ganbench",
        help="Train, score and rank classical deep generative models.",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )
    app.callback()(_root)
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"{__name__}.{module.name}").attach(app)
    return app


def command() -> Any:
    """The application as it parses: every help text shows its brackets, which the printer would take for markup."""
    whole: Any = typer.main.get_command(build())
    waiting = [whole]
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "commands", {}).values()
        for told in [one, *one.params]:
            if getattr(told, "help", None):
                told.help = re.sub(r"\\*\[", r"\\[", told.help)
    return whole


def invoke(arguments: Sequence[str]) -> int:
    """Parse and run; returns the exit code. Unknown verbs and flags end with code 2 and a near match.

    Raises `BrokenPipeError` when nobody reads the output any more.
    """
    streams = sys.stdout, sys.stderr
    try:
        code = command()(list(arguments), prog_name="ganbench", standalone_mode=True)
    except SystemExit as done:
        if isinstance(done.__context__, BrokenPipeError):  # which the parser makes an exit code of 1
            sys.stdout, sys.stderr = streams
            raise done.__context__ from None
        if isinstance(done.code, str):
            typer.echo(done.code, err=True)
        return done.code if isinstance(done.code, int) else 0 if done.code is None else 2
    return code if isinstance(code, int) else 0


def _version(wanted: bool) -> None:
    if wanted:
        from ganbench.provenance import environment

        typer.echo(environment.version())
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, score and rank classical deep generative models."""
