"""`python -m ganbench` and the `ganbench` command: runs the verbs and turns every error into one line and a code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

UNFORESEEN = 5  # not 1, which says that something got worse
CUT_SHORT = 141  # the reader of our output has gone: what a shell reports of a program that SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code. Errors go to stderr, and with --json to stdout as well."""
    mend_streams()
    try:
        code = _main(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # as in `ganbench list models | head -1`
        code = CUT_SHORT
    return _flushed(code)


def _flushed(code: int) -> int:
    """The exit code, once what was printed has gone out, or another where it cannot."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        if code != CUT_SHORT:
            return code
    except BrokenPipeError:
        code = code or CUT_SHORT
    except OSError as error:
        code = code or _fail(error.strerror or str(error), UNFORESEEN, False, "OSError")
    for stream in (sys.__stdout__, sys.__stderr__):  # or the interpreter complains when it flushes them at its end
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]
    return code


def mend_streams() -> None:
    """Put the null device where a standard stream is closed, and print "?" for what a stream's encoding lacks."""
    for descriptor, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:  # or the next file that is opened would take its place
            null = os.open(os.devnull, mode)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115


def _main(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    from ganbench.commands import invoke
    from ganbench.errors import GanbenchError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = invoke(arguments)
    except GanbenchError as error:
        return _fail(str(error), error.exit_code, as_json, type(error).__name__, error.document)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = Path(str(error.filename)).name if error.filename else ""
        code = 5 if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else 2
        return _fail(f"{name}: {error.strerror or error}".lstrip(": "), code, as_json, type(error).__name__)
    except KeyboardInterrupt:
        return _fail("interrupted", 130, as_json, "Interrupted")
    except Exception as error:
        return _fail(_unforeseen(error), UNFORESEEN, as_json, type(error).__name__)
    if code == 2 and as_json:  # the parser has explained it on stderr
        print(json.dumps({"error": {"type": "Usage", "message": "see stderr", "exit_code": 2}}))
    return code


def _unforeseen(error: Exception) -> str:
    """One line about an error that ganbench did not foresee, and the file that holds its traceback."""
    from ganbench.errors import in_one_line

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="ganbench-error-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
        where = file.name
    except OSError:
        where = "no file could be written"
    return f"unexpected error, please report it: {in_one_line(error)} (details: {where})"


def _fail(message: str, code: int, as_json: bool, kind: str, document: dict[str, Any] | None = None) -> int:
    with contextlib.suppress(OSError):  # of a stream that is full or that nobody reads
        print(f"error: {message}", file=sys.stderr)
    with contextlib.suppress(OSError):
        if as_json:
            print(json.dumps(document or {"error": {"type": kind, "message": message, "exit_code": code}}), flush=True)
    return code


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """One line, without the path of the file that warns."""
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
