"""Trained models on a model hub: the weights, the record and a card of one job, pushed and pulled."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ganbench.errors import BadInput, MissingResource
from ganbench.jobs.records import Record, parse_record

FILES = ("weights.safetensors", "result.json", "samples.png", "README.md")
LARGEST = 1 << 32  # bytes of one file that is pulled


def hub() -> Any:
    """The `huggingface_hub` module. Raises `MissingResource`."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise MissingResource("`ganbench hub` needs its package: pip install 'ganbench[hub]'") from None
    return huggingface_hub


def push(job: Path, repo: str, *, private: bool = False) -> str:
    """Upload a job's weights, record, picture and card; returns the address of the commit.

    Raises `BadInput` for a folder that is no job or kept no weights, or a hub that refuses.
    """
    record = _record(job)
    card(job, record)
    api, errors = hub().HfApi(), hub().errors
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo, folder_path=str(job), allow_patterns=list(FILES), commit_message=f"{record.spec.label}"
        )
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        raise BadInput(f"the hub did not take {repo!r}: {str(error).splitlines()[0]}") from None
    return str(done)


def pull(repo: str, out: Path, *, revision: str | None = None) -> Path:
    """Download a job that `push` uploaded into a new folder, which `load`, `sample` and `rescore` take.

    Only weights (safetensors), record, picture and card are fetched, and nothing in them is run. Raises `BadInput`.
    """
    if out.exists():
        raise BadInput(f"{out.name!r} is there already; name a new folder")
    api, errors = hub(), hub().errors
    try:
        for info in api.HfApi().get_paths_info(repo, list(FILES), revision=revision):
            if info.size > LARGEST:
                raise BadInput(f"{repo}: {info.path} has {info.size} bytes, more than {LARGEST}")
        found = Path(api.snapshot_download(repo, revision=revision, allow_patterns=list(FILES)))
    except (errors.HfHubHTTPError, errors.HFValidationError, errors.LocalEntryNotFoundError, OSError) as error:
        raise BadInput(f"the hub did not give {repo!r}: {str(error).splitlines()[0]}") from None
    _record(found)
    out.mkdir(parents=True)
    for name in FILES:
        if (found / name).is_file():
            shutil.copyfile(found / name, out / name)
    return out


def card(job: Path, record: Record) -> None:
    """Write README.md: what the model is, what it was trained on, what it reached, how to load it."""
    spec = record.spec
    rows = [f"| {m.name} | {m.value:.6g} | {m.n} | `{m.signature}` |" for m in record.metrics]
    parts = [
        "---", "library_name: ganbench", "tags: [ganbench, generative-model]", "---", "",
        f"# {spec.row} on {spec.dataset}", "",
        f"Scale {spec.scale}, seed {spec.seed}, model version {spec.versions.get('model', '?')}.", "",
        "| score | value | n | signature |", "|---|---|---|---|", *rows, "",
        "```python", "import ganbench", "", 'model = ganbench.load("FOLDER")  # after `ganbench hub pull REPO FOLDER`',
        "```", "",
    ]  # fmt: skip
    (job / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _record(job: Path) -> Record:
    if not (job / "weights.safetensors").is_file():
        raise BadInput(f"{job.name!r} holds no weights.safetensors: name a job's folder of a run with --save-weights")
    try:
        return parse_record((job / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{job.name!r} has no result.json that can be read: {error}; name a job's folder") from None
