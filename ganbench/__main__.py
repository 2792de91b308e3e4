"""`python -m ganbench` and the `ganbench` command: runs the verbs and turns every error into one line and a code."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code. Errors go to stderr, and with --json to stdout as well."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    from ganbench.cli import invoke
    from ganbench.errors import GanbenchError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = invoke(arguments)
    except GanbenchError as error:
        return _fail(str(error), error.exit_code, as_json, type(error).__name__, error.document)
    except OSError as error:
        name = Path(str(error.filename)).name if error.filename else ""
        return _fail(f"{name}: {error.strerror or error}".lstrip(": "), 2, as_json, type(error).__name__)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, as_json, "Interrupted")
    if code == 2 and as_json:  # the parser has explained it on stderr
        print(json.dumps({"error": {"type": "Usage", "message": "see stderr", "exit_code": 2}}))
    return code


def _fail(message: str, code: int, as_json: bool, kind: str, document: dict[str, Any] | None = None) -> int:
    print(f"error: {message}", file=sys.stderr)
    if as_json:
        print(json.dumps(document or {"error": {"type": kind, "message": message, "exit_code": code}}))
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, without the path of the file that warns."""
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
