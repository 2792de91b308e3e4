"""The script that times a source tree runs in trees of other days, and takes nothing from the tree it came from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganbench.bench import workloads


@pytest.mark.parametrize("holds", [(), ("environment.py",), ("provenance/__init__.py", "provenance/environment.py")])
def test_it_serves_a_tree_whatever_that_tree_has(tmp_path: Path, holds: tuple[str, ...]) -> None:
    for name in ("__init__.py", *holds):
        path = tmp_path / "ganbench" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("def keep_freed_memory(): print('kept')\n" if name.endswith("environment.py") else "")
    done = subprocess.run(
        [sys.executable, "-P", workloads.__file__, "cpu"], input='{"name": "untouched", "count": 1, "readings": 1}\n',
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *kept, hello, reply = done.stdout.splitlines()
    assert kept == ["kept"] * bool(holds)
    said = json.loads(hello)
    assert said["tree"] == str(tmp_path / "ganbench" / "__init__.py")
    assert "untouched" in said["names"]
    assert not set(said["names"]) & set(workloads.CASES)  # kernels that the tree does not have
    assert json.loads(reply).keys() == {"wall", "cpu"}
