"""`submit init`, `check`, `pack` and `add`: one set of checks, run by submitter and board alike."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ganbench.boards import build
from ganbench.boards.board import Board, load_board
from ganbench.boards.bounds import bounds
from ganbench.boards.own import family_of, own_records
from ganbench.boards.submission import RESULTS, FileOf, Submission, Tier, find_submissions, read_submission
from ganbench.errors import BadInput, first_problem
from ganbench.files import write_atomic
from ganbench.jobs.records import Record
from ganbench.stats import Estimate, estimate

if TYPE_CHECKING:
    from ganbench.boards.measure import Measurement
    from ganbench.scoring.inputs import Workplace

MAX_FILE = 1 << 30  # bytes of any one file
FREE = ("submission.toml", RESULTS, "README.md", "CARD.md")  # files that need not be listed in submission.toml


@dataclass(frozen=True)
class Checked:
    """A submission that passed, with what was measured."""

    submission: Submission
    measurement: Measurement

    @property
    def means(self) -> dict[tuple[str, str], Estimate]:
        """What was measured, over seeds: (data set, metric) -> mean with its interval."""
        values: dict[tuple[str, str], list[float]] = {}
        for record in self.measurement.records:
            for m in record.metrics:
                values.setdefault((record.spec.dataset, m.name), []).append(m.value)
        return {key: estimate(v, bounds=bounds(key[1], key[0])) for key, v in values.items()}


def check(
    folder: Path,
    board_folder: Path,
    *,
    place: Workplace | None = None,
    data_dir: str | None = None,
    run_code: bool = False,
) -> Checked:
    """Everything that acceptance runs; writes nothing. Raises `BadInput` with the first reason to refuse."""
    from ganbench.boards.measure import check_against, measure

    board = load_board(board_folder)
    submission = read_submission(folder)
    check_against(board, submission)
    check_tree(folder, submission)
    own = own_records(board_folder)
    found = measure(submission, folder, board, own, place=place, data_dir=data_dir, run_code=run_code)
    return Checked(submission, found)


CODE = '''"""What the model is, in one sentence."""

import torch

from ganbench.model import Model, register


@register("my_model", family="adversarial")
class MyModel(Model):
    def build(self, spec):
        self.spec = spec

    def fit(self, data, budget, rng):
        x = data.events()  # (N, *E)
        self.mean, self.std = x.mean(0), x.std(0)

    def sample(self, n, rng):
        noise = torch.randn(n, *self.spec.event_shape, generator=rng)
        x = self.mean + self.std * noise
        return x if self.spec.domain is None else x.clamp(*self.spec.domain)
'''


def init(folder: Path, board: Board, tier: Tier = "samples", team: str = "My Team") -> Submission:
    """Write a valid submission.toml, named after the folder, that lists the files to put beside it.

    Raises `BadInput` for a folder that holds something, or a board that does not take the tier.
    """
    from ganbench.boards.measure import check_against

    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BadInput(f"{folder.name!r} is there already and not empty; name a new folder")
    one = len(board.tasks) == 1
    end = "safetensors" if tier == "weights" else "npz"
    files = [
        {"dataset": d, "seed": s, "path": f"s{s}.{end}" if one else f"{d}-s{s}.{end}"}
        for d in dict.fromkeys(t.dataset for t in board.tasks)
        for s in range(board.min_seeds)
    ]
    values: dict[str, Any] = {"board": board.id, "protocol": board.protocol, "tier": tier, "license": "CC-BY-4.0"}
    values |= {"team": team, "name": folder.resolve().name}
    if tier in ("samples", "weights"):
        values[tier] = files
    if tier in ("weights", "code"):
        values["model"] = {"name": "gan_ns" if tier == "weights" else "my_model.py:MyModel"}
    if tier == "claim":
        values["claimed"] = [{"dataset": t.dataset, "metric": board.primary(t).name, "value": 0.0} for t in board.tasks]
    try:
        submission = Submission.model_validate(values)
    except ValidationError as error:
        raise BadInput(f"the folder's name and --team go on the board: {first_problem(error)}") from None
    check_against(board, submission)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = "; ".join(f"{t.dataset}: n = {t.n}" for t in board.tasks)
    text = f"# {wanted} samples from each seed\n{to_toml(submission, submission.files)}"
    write_atomic(folder / "submission.toml", text)
    if tier == "code":
        write_atomic(folder / "my_model.py", CODE)
    return submission


def pack(folder: Path, out: Path, board_folder: Path, **options: Any) -> Path:
    """Check a submission and write `out/<team>__<name>/` for a pull request: samples as compressed .npz, hashes set.

    Returns the new folder. Raises `BadInput`, with nothing written.
    """
    checked = check(folder, board_folder, **options)
    target = out / checked.submission.id
    with _new_folder(target) as temporary:
        _copy(folder, temporary, checked.submission, board_folder, options.get("place"), options.get("data_dir"))
    return target


def add(folder: Path, board_folder: Path, **options: Any) -> Checked:
    """Check and score a submission, put it and its records on the board, and rebuild the board's pages.

    A folder that already lies in the board's submissions/ is scored in place. Raises `BadInput`, with nothing written.
    """
    checked = check(folder, board_folder, **options)
    submission, found = checked.submission, checked.measurement
    if submission.tier == "code" and not found.records:
        raise BadInput("code is added only once it has been retrained; read it, then repeat with --run-code")
    target = board_folder / "submissions" / submission.id
    lines = "".join(json.dumps(r.plain(), sort_keys=True, ensure_ascii=False) + "\n" for r in found.records)
    _try_build(board_folder, submission, found.records)
    if target.is_dir() and target.resolve() == folder.resolve():
        if lines:
            write_atomic(target / RESULTS, lines)
    else:
        with _new_folder(target) as temporary:
            _copy(folder, temporary, submission, board_folder, options.get("place"), options.get("data_dir"))
            if lines:
                (temporary / RESULTS).write_text(lines, encoding="utf-8")
    build.write(board_folder)
    return checked


def check_tree(folder: Path, submission: Submission) -> None:
    """Only plain files that submission.toml names, in plain folders. Raises `BadInput` for the first that is not."""
    listed = {f.path for f in submission.files}
    code = submission.model.name.partition(":")[0] if submission.tier == "code" and submission.model else ""
    for relative, entry in _walk(folder):
        mode = entry.stat(follow_symlinks=False).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise BadInput(f"{relative} must be a plain file or folder; links, pipes and devices are not accepted")
        if stat.S_ISREG(mode) and entry.stat(follow_symlinks=False).st_size > MAX_FILE:
            raise BadInput(f"{relative} must be below {MAX_FILE} bytes")
        inside = any(path == relative or relative.startswith(f"{path}/") for path in listed)
        leads = any(path.startswith(f"{relative}/") for path in listed)
        if not inside and not leads and relative not in (*FREE, code):
            raise BadInput(f"{relative} is not named in submission.toml; remove it, or list it")
    for path in sorted(listed):
        if not (folder / path).exists():
            raise BadInput(f"submission.toml names {path}, which is not there")


def _walk(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, os.DirEntry[str]]]:
    if depth > 4:
        raise BadInput(f"{prefix} lies too deep; folders of a submission nest at most four levels")
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            relative = f"{prefix}{entry.name}"
            if not relative.isprintable():
                raise BadInput(f"file names must be printable; got {relative!r:.80}")
            yield relative, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{relative}/", depth + 1)


def _try_build(board_folder: Path, submission: Submission, records: Sequence[Record]) -> None:
    """Compute the board with the submission on it, so that an impossible one is refused before anything is written."""
    from ganbench.boards.standings import standings

    board, own = load_board(board_folder), own_records(board_folder)
    entry = submission.entry(scored=bool(records))
    others = [(e, r) for e, r in find_submissions(board_folder, board, own).submitted if e.key != entry.key]
    standings(board, own, family_of, [*others, (entry, records)])


def _copy(
    folder: Path,
    target: Path,
    submission: Submission,
    board_folder: Path,
    place: Workplace | None,
    data_dir: str | None,
) -> None:
    """The submission's files as a board keeps them: samples in one form, hashes filled in."""
    from ganbench.datasets.samples import file_sha256

    board = load_board(board_folder)
    files = []
    for f in submission.files:
        if submission.tier == "samples":
            path = f"samples/{f.dataset}-s{f.seed}.npz"
            _pack_samples(folder / f.path, target / path, board, f, place, data_dir)
        else:
            path = f"weights/{f.dataset}-s{f.seed}.safetensors"
            (target / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / f.path, target / path, follow_symlinks=False)
        files.append(f.model_copy(update={"path": path, "sha256": file_sha256(target / path)}))
    if submission.tier == "code" and submission.model and ".py" in submission.model.name:
        name = submission.model.name.partition(":")[0]
        shutil.copyfile(folder / name, target / name, follow_symlinks=False)
    for name in ("README.md", "CARD.md"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name, follow_symlinks=False)
    (target / "submission.toml").write_text(to_toml(submission, files), encoding="utf-8")


def _pack_samples(
    source: Path, target: Path, board: Board, f: FileOf, place: Workplace | None, data_dir: str | None
) -> None:
    """Samples as one compressed .npz: uint8 pixels for what came as pixels, float32 else; the same bytes every time."""
    import io
    import zipfile

    import numpy as np

    from ganbench.datasets.samples import read_samples
    from ganbench.scoring.inputs import Workplace

    dataset = (place or Workplace()).dataset(f.dataset, data_dir)
    x = read_samples(source, dataset.spec, board.task(f.dataset).n)
    array = x.numpy()
    if dataset.spec.domain == (-1, 1):
        pixels = x.add(1).mul(127.5)
        if bool((pixels - pixels.round()).abs().max() < 1e-3):  # it came as pixels: 8 bits lose nothing
            array = pixels.round().numpy().astype(np.uint8)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0))
    target.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr(
            zipfile.ZipInfo("samples.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9
        )


def to_toml(submission: Submission, files: Sequence[FileOf]) -> str:
    """The text of submission.toml; parsing it gives the submission back."""
    lines = ["[submission]"]
    lines += [
        f"{key} = {_quoted(value)}"
        for key in ("board", "protocol", "tier", "team", "name", "license", "paper", "url")
        if (value := getattr(submission, key))
    ]
    if submission.model:
        lines += ["", "[model]", f"name = {_quoted(submission.model.name)}"]
        lines += [f"seeds = {submission.model.seeds}"] if submission.model.seeds else []
        if submission.model.config:
            lines += ["", "[model.config]"]
            lines += [f"{k} = {_quoted(v)}" for k, v in submission.model.config.items()]
    kind = "samples" if submission.samples else "weights"
    for f in files:
        lines += ["", f"[[{kind}]]"]
        lines += [f"{k} = {_quoted(v)}" for k, v in f.model_dump(exclude_none=True).items()]
    for c in submission.claimed:
        lines += ["", "[[claimed]]"]
        lines += [f"{k} = {_quoted(v)}" for k, v in c.model_dump().items()]
    return "\n".join(lines) + "\n"


def _quoted(value: Any) -> str:
    """A TOML value; the strings, numbers, booleans and lists that a submission holds look as they do in JSON."""
    if isinstance(value, dict):
        raise BadInput(f"config values must be numbers, words or lists of them; got a table {str(value)[:60]}")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears whole under its name, or not at all. Raises `BadInput` when the name is taken."""
    if target.exists() or target.is_symlink():
        raise BadInput(f"{target.parent.name}/{target.name} is there already; choose another name, or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=".new-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        if temporary.exists():
            shutil.rmtree(temporary)
