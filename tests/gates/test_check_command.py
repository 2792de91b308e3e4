"""`ganbench check` as CI calls it: codes, JSON, refusals; revisions from a small repository of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ganbench.__main__ import main
from ganbench.errors import BadInput
from ganbench.gates import revisions
from ganbench.gates.revisions import NoHistory


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    git("init", "-q")
    for text in ("one", "two"):
        (tmp_path / "file.txt").write_text(text)
        git("add", "-A")
        git("commit", "-qm", text)
    return tmp_path


def test_files_and_trees_of_revisions(repository: Path) -> None:
    first, second = revisions.resolve("HEAD~1", repository), revisions.resolve("HEAD", repository)
    assert first != second
    assert revisions.file_at(first, "file.txt", repository) == "one"
    assert revisions.file_at(first, "none.txt", repository) is None
    with revisions.trees(first, second, root=repository) as paths:
        assert [(p / "file.txt").read_text() for p in paths] == ["one", "two"]
    assert not paths[0].exists()
    listed = subprocess.run(["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True)
    assert len(listed.stdout.splitlines()) == 1


@pytest.mark.parametrize("ref", ["no-such", "--upload-pack=x", "HEAD~99", ""])
def test_unknown_revisions_are_refused(repository: Path, ref: str) -> None:
    with pytest.raises(BadInput, match="no revision"):
        revisions.resolve(ref, repository)


def test_no_checkout_is_code_5(tmp_path: Path) -> None:
    with pytest.raises(NoHistory) as caught:
        revisions.resolve("HEAD", tmp_path)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "--speed"],
        ["check", "--quality", "--only", "fingerprints"],
        ["check", "--update", "--speed"],
        ["check", "--quality", "--baseline", "no-such-revision"],
        ["bench", "kernels", "--kernel", "no_such"],
        ["bench", "kernels", "--clock", "sun"],
        ["bench", "train", "--case", "no_such"],
        ["bench", "train", "-d", "grid25"],
    ],
)
def test_misuse_is_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*arguments, "--json"])
    assert code == 2 or (code == 5 and "--baseline" in arguments)  # 5 where this is no git checkout
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == code


def test_golden_layer_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--quality", "--only", "golden", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == 0
    assert {v["gate"] for v in found["verdicts"]} == {"golden"}
