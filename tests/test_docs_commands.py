"""What the documentation prints works: its blocks, in order, from the wheel alone, outside the checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = ["start.md", "howto/site.md", *sorted(f"tutorials/{p.name}" for p in (DOCS / "tutorials").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMISED = {
    "run",
    "show",
    "report",
    "list",
    "describe",
    "plan",
    "score",
    "sample",
    "submit",
    "leaderboard",
    "site",
    "check",
}


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of a page's blocks that are to be run; a python block begins with the name of its file."""
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bin/ of a clean environment that holds the wheel, and what it requires from the environment of the tests."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    source = place / "source"  # or the build would leave its folders in the checkout
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(place / "dist"), str(source)]
    subprocess.run(build, check=True, timeout=600)
    (wheel,) = (place / "dist").glob("ganbench-*.whl")
    venv.create(place / "clean", with_pip=False)
    python = place / "clean" / "bin" / "python"
    (site,) = (place / "clean").glob("lib/python*/site-packages")
    # Nothing else is installed there yet, or pip would find an editable ganbench and leave the wheel.
    alone = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [*pip, "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True, env=alone
    )
    # A plain path: the .pth files over there, such as that of an editable ganbench, are not read.
    (site / "requirements.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python.parent


def outside(folder: Path, bin_: Path) -> dict[str, str]:
    """The environment of somebody who has installed the wheel and nothing else."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "GANBENCH_DATA", "VIRTUAL_ENV")}
    return kept | {"PATH": f"{bin_}{os.pathsep}{kept['PATH']}", "HOME": str(folder), "OMP_NUM_THREADS": "1"}


def test_the_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    code = "import ganbench, baselines; print(ganbench.__file__); print(baselines.__file__)"
    found = subprocess.run(
        [installed / "python", "-c", code],
        cwd=tmp_path,
        env=outside(tmp_path, installed),
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert all(line.startswith(str(installed.parent)) for line in found.stdout.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(page: str, installed: Path, tmp_path: Path) -> None:
    found = blocks(page)
    assert any(language == "sh" for language, _ in found), f"{page} has no command that is run"
    for language, text in found:
        if language == "python":
            name = re.match(r"# ([\w.]+\.py)\n", text)
            assert name, f"{page}: a python block must begin with the name of its file"
            (tmp_path / name[1]).write_text(
                text.removeprefix(name[0]) if '"""' in text[:60] else text, encoding="utf-8"
            )
            continue
        done = subprocess.run(
            ["bash", "-e", "-c", text], cwd=tmp_path, env=outside(tmp_path, installed), capture_output=True, text=True,
            timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, f"{page}:\n{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert str(ROOT) not in done.stdout
    if page == "howto/site.md":
        assert (tmp_path / "site" / "index.html").is_file()
    if page == "start.md":
        lines = (tmp_path / "runs/first/results.jsonl").read_text().splitlines()
        assert [json.loads(line)["status"] for line in lines] == ["ok"] * 24


def test_the_pages_show_every_verb_that_a_newcomer_needs() -> None:
    shown = {
        m for page in PAGES for _, text in blocks(page) for m in re.findall(r"^ganbench (\w+)", text, re.MULTILINE)
    }
    assert shown >= PROMISED
