"""Git revisions as a gate needs them: resolved to a commit, a file as it stood there, a tree in a temporary folder."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganbench.errors import BadInput, MissingResource

ROOT = Path(__file__).resolve().parents[2]  # of the source tree this ganbench runs from


class NoHistory(MissingResource):
    """ganbench does not run from a git checkout: there is no revision to compare with."""


def resolve(ref: str, root: Path = ROOT) -> str:
    """The commit that `ref` names. Raises `NoHistory` outside a checkout, `BadInput` for an unknown revision."""
    if not (root / ".git").exists():
        raise NoHistory("a baseline revision needs ganbench to run from a git checkout: clone the repository first")
    done = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    if done.returncode:
        raise BadInput(f"no revision {ref!r}; give a commit, branch or tag that this checkout knows (git fetch first?)")
    return done.stdout.strip()


def file_at(commit: str, path: str, root: Path = ROOT) -> str | None:
    """The text of a file at a commit; None where it did not exist."""
    done = _git(root, "show", f"{commit}:{path}")
    return done.stdout if done.returncode == 0 else None


@contextmanager
def trees(*commits: str, root: Path = ROOT) -> Iterator[list[Path]]:
    """The source trees of these commits in a temporary folder; removed afterwards, git's note of them too."""
    with tempfile.TemporaryDirectory(prefix="ganbench-") as folder:
        paths = [Path(folder) / f"{i}-{commit[:12]}" for i, commit in enumerate(commits)]
        try:
            for commit, path in zip(commits, paths, strict=True):
                done = _git(root, "worktree", "add", "--detach", "--quiet", str(path), commit)
                if done.returncode:
                    raise MissingResource(f"git cannot check out {commit[:12]}: {done.stderr.strip().splitlines()[-1]}")
            yield paths
        finally:
            for path in paths:
                _git(root, "worktree", "remove", "--force", str(path))


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
