"""`python -m ganbench` and the `ganbench` command: runs the verbs and turns every error into one line and a code."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code. Errors go to stderr, and as JSON to stdout where it was asked for."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    from ganbench.cli import invoke
    from ganbench.errors import GanbenchError

    try:
        return invoke(arguments)
    except GanbenchError as error:
        return _fail(str(error), error.exit_code, "--json" in arguments, type(error).__name__)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command goes on where it stopped", 130, "--json" in arguments, "Interrupted")
    except BrokenPipeError:  # `ganbench list models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _fail(message: str, code: int, as_json: bool, kind: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"type": kind, "message": message, "exit_code": code}}))
    return code


def entry() -> None:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    sys.exit(main())
