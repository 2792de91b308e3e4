"""The documentation as part of the site: Sphinx with MyST and furo, where the extra `docs` is installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from ganbench.errors import BadInput

NEEDED = ("sphinx", "myst_parser", "furo")


def missing() -> str:
    """What of the extra is not installed; empty where all of it is."""
    return ", ".join(name for name in NEEDED if importlib.util.find_spec(name) is None)


def build(source: Path, out: Path) -> str:
    """Write the documentation's pages; says how many, or why there are none.

    Raises `BadInput` for a folder that is no documentation, or a page that does not build; warnings are errors.
    """
    if not (source / "conf.py").is_file():
        raise BadInput(f"{source.name!r} is no documentation: it has no conf.py")
    if lacking := missing():
        return f"left out: {lacking} not installed; `pip install 'ganbench[docs]'` brings it"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-d", str(out) + ".doctrees"]
    done = subprocess.run([*command, str(source), str(out)], capture_output=True, text=True, check=False)
    shutil.rmtree(Path(str(out) + ".doctrees"), ignore_errors=True)
    if done.returncode:
        first = (done.stderr.strip() or done.stdout.strip()).replace(str(source.resolve()) + "/", "")
        raise BadInput(f"the documentation does not build: {first[:2000]}")
    for name in (".buildinfo", "objects.inv"):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / "_sources", ignore_errors=True)
    return f"{sum(1 for _ in out.rglob('*.html'))} pages"
