"""What is pushed to a hub comes back as the same model; the hub is a folder that answers as huggingface_hub does."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import ganbench
from ganbench.api import hub
from ganbench.errors import BadInput

errors: Any = pytest.importorskip("huggingface_hub.errors", reason="pip install 'ganbench[hub]'")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "run"
    ganbench.run("gmm", "digits", seeds=1, budget="iterations=1", out=out, metrics=["mmd"])
    (found,) = (out / "jobs").iterdir()
    return found


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local hub: repositories are folders."""
    shelf = tmp_path / "hub"

    class Api:
        def create_repo(self, repo: str, private: bool, exist_ok: bool) -> None:
            if "/" not in repo:
                raise errors.HFValidationError(f"no such name: {repo}")
            (shelf / repo).mkdir(parents=True, exist_ok=exist_ok)

        def upload_folder(self, repo_id: str, folder_path: str, allow_patterns: list[str], commit_message: str) -> str:
            for path in Path(folder_path).iterdir():
                if path.name in allow_patterns:
                    shutil.copyfile(path, shelf / repo_id / path.name)
            return f"local/{repo_id}"

        def get_paths_info(self, repo: str, paths: list[str], revision: str | None) -> list[Any]:
            found = [shelf / repo / name for name in paths]
            return [SimpleNamespace(path=p.name, size=p.stat().st_size) for p in found if p.is_file()]

    def snapshot(repo: str, revision: str | None, allow_patterns: list[str]) -> str:
        if not (shelf / repo).is_dir():
            raise errors.LocalEntryNotFoundError("nothing by that name")
        return str(shelf / repo)

    fake = SimpleNamespace(HfApi=Api, errors=errors, snapshot_download=snapshot)
    monkeypatch.setattr(hub, "hub", lambda: fake)
    return shelf


def test_a_model_comes_back_as_it_went(job: Path, shelf: Path, tmp_path: Path) -> None:
    assert hub.push(job, "lab/gmm-digits") == "local/lab/gmm-digits"
    assert sorted(p.name for p in (shelf / "lab/gmm-digits").iterdir()) == sorted(hub.FILES)
    pulled = hub.pull("lab/gmm-digits", tmp_path / "pulled")
    here, there = (ganbench.load(f).sample(20, torch.Generator().manual_seed(3)) for f in (job, pulled))
    assert torch.equal(here, there)
    card = (pulled / "README.md").read_text()
    assert "gmm" in card
    assert "| mmd |" in card


def test_what_is_no_job_or_was_edited_is_refused(job: Path, shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no weights"):
        hub.push(tmp_path, "lab/x")
    with pytest.raises(BadInput, match="did not take"):
        hub.push(job, "no-owner")
    with pytest.raises(BadInput, match="did not give"):
        hub.pull("lab/absent", tmp_path / "new")
    hub.push(job, "lab/x")
    record = shelf / "lab/x/result.json"
    record.write_text(record.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(BadInput, match="that can be read"):
        hub.pull("lab/x", tmp_path / "new")
    assert not (tmp_path / "new").exists()
