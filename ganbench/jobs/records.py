"""Records: one strict-JSON row per job attempt, written so that a kill at any moment leaves whole files.

`jobs/<job>/result.json` is the truth; `results.jsonl` is an index over it, rebuilt when it is torn or behind. A seal in
the former, a hash of the rest, tells a record that was edited by hand or cut. Readers keep fields they do not know, so
that records of later versions survive a round trip.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from ganbench.errors import BadConfig, BadInput, GanbenchError, first_problem
from ganbench.files import write_atomic
from ganbench.jobs.spec import Job, JobSpec
from ganbench.provenance.source import canonical_hash

SCHEMA: Final = "ganbench.result/1"
Status = Literal["ok", "failed", "diverged", "timeout", "oom", "skipped"]
CHECKPOINT = "checkpoint.safetensors"  # in a job's folder, while it is in training
STATUSES: tuple[Status, ...] = get_args(Status)


class RecordWarning(UserWarning):
    """A record that was set aside, or an index that was mended."""


class MetricRow(BaseModel):
    """One score of one job."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    name: str
    value: float
    n: int
    signature: str
    direction: str
    se: float | None = None
    interval: tuple[float, float] | None = None
    floor: float | None = None  # the same estimator on real against real
    floor_n: int | None = None  # its sample size; smaller than n where there is not so much real data
    seconds: float | None = None
    extra: dict[str, Any] = {}


Flags = Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=100)]
ONLY_SOME = ("members", "origin", "verified", "samples_sha256", "flags")  # fields that most records do not have


class Record(BaseModel):
    """What became of one attempt at one job."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, allow_inf_nan=False)

    schema_: Literal["ganbench.result/1"] = Field(alias="schema")
    job_id: str
    attempt: int = 1
    status: Status
    reason: str | None = None  # one line; None for ok
    spec: JobSpec
    metrics: list[MetricRow] = []
    not_applicable: list[dict[str, str]] = []  # {"name", "reason"} of metrics that could not be computed
    timing: dict[str, float] = {}  # data_s, build_s, train_s, ..., wall_s, examples_per_s, peak_rss_bytes
    env_ref: str = ""  # sha256 of the environment file in the run folder
    iterations: int | None = None
    examples: int | None = None
    config: dict[str, Any] = {}  # every field with the value that held; the spec has what the user changed
    n_parameters: dict[str, int] = {}  # by network, and "total"
    data_sha256: str = ""
    history: str | None = None  # losses and diagnostics over iterations, relative to the job's folder
    artifacts: list[dict[str, Any]] = []  # {"path", "kind", "bytes", "sha256"}, relative to the job's folder
    error: dict[str, Any] | None = None  # {"type", "phase", "traceback"}
    git: dict[str, Any] = {}  # {"commit", "dirty"} of the source tree, where there is one
    determinism: dict[str, Any] = {}
    started_at: str = ""
    ended_at: str = ""
    # Said only where it applies: what is None is not written.
    members: list[str] | None = None  # the jobs of an ensemble
    origin: str | None = None  # "submission" for what others sent
    verified: str | None = None  # how its scores were computed: the badge of its row
    samples_sha256: str | None = None  # of the samples that were scored
    flags: Flags | None = None  # what a reader of the board must know

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if v is not None or k not in ONLY_SOME}

    @property
    def final(self) -> bool:
        """True where running the job again would give the same row."""
        return self.status in ("ok", "diverged")

    def score(self, metric: str) -> MetricRow | None:
        """The score of that name, where it has one."""
        return next((m for m in self.metrics if m.name == metric), None)

    def plain(self) -> dict[str, Any]:
        """JSON values of the fields that were given: of a record that was read, just what its line holds."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_json(self) -> str:
        """One line of strict JSON: every field, also those that were not given."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), allow_nan=False, ensure_ascii=False)


def parse_record(text: str) -> Record:
    """A record from its JSON, checked against the schema, its own id, and its seal where it has one.

    Raises `BadInput`.
    """
    try:
        raw = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not a record: {error}") from None
    if not isinstance(raw, dict) or not str(raw.get("schema", "")).startswith("ganbench.result/"):
        raise BadInput("not a record: no schema ganbench.result/1")
    seal = raw.pop("seal", None)
    if seal is not None and seal != canonical_hash(raw):
        raise BadInput("its seal does not fit: the record was edited")
    if raw["schema"] != SCHEMA:
        raise BadInput(f"record of schema {raw['schema']!r}; this version reads {SCHEMA}")
    try:
        record = Record.model_validate(raw)
    except ValidationError as error:
        raise BadInput(f"not a record: {first_problem(error)}") from None
    if canonical_hash(raw["spec"]) != record.job_id:
        raise BadInput("job_id is not the hash of the spec: the record was edited")
    return record


def sealed(record: Record) -> str:
    """The record as its own file holds it: one line of JSON that ends with a hash of all before it."""
    text = record.to_json()
    return f'{text[:-1]}, "seal": "{canonical_hash(json.loads(text))}"}}\n'


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def job_folder_name(spec: JobSpec) -> str:
    """A readable and unique folder name: model-dataset-s0-1a2b3c4d."""
    text = f"{spec.model}-{spec.dataset}-s{spec.seed}-{spec.job_id[:8]}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".")


class RunFolder:
    """A run's folder on disk; the one who opens it for writing holds its lock until `close` (or death)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock: int | None = None
        self._written: dict[Path, str] = {}  # what this process wrote, against what jobs may do to it
        self._index = 0  # bytes that results.jsonl should have

    @classmethod
    def create(cls, root: Path, manifest: dict[str, Any]) -> RunFolder:
        """Open for writing: make it, or check that it is of the same run; lock it; mend the index.

        Raises `BadConfig` for a folder of another suite or config, or one that another process is writing.
        """
        folder = cls(root)
        if root.exists() and not root.is_dir():
            raise BadConfig(f"--out {root.name!r} is a file; name a folder")
        known = root / "run.json"
        if root.is_dir() and not known.exists() and any(p.name not in (".lock",) for p in root.iterdir()):
            raise BadConfig(f"--out {root.name!r} holds other files and no run.json; name an empty or new folder")
        root.mkdir(parents=True, exist_ok=True)
        folder._take_lock()
        try:
            if known.exists():
                folder._check_manifest(manifest)
            else:
                folder._write_manifest({"schema": "ganbench.run/1", "request": manifest})
            (root / "jobs").mkdir(exist_ok=True)
            for left in [*root.glob(".*.tmp"), *root.glob("*/.*.tmp"), *root.glob("jobs/*/.*.tmp")]:
                left.unlink(missing_ok=True)
            folder.rebuild_index()
            folder._index = folder._index_bytes()
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def open(cls, root: Path) -> RunFolder:
        """Open for reading. Raises `BadInput` when it is no run."""
        if not (root / "run.json").is_file():
            raise BadInput(f"{root.name!r} is not a run folder: it has no run.json; `ganbench run --out DIR` makes one")
        return cls(root)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def manifest(self) -> dict[str, Any]:
        """The contents of run.json. Raises `BadInput` when it is corrupt."""
        try:
            value = json.loads((self.root / "run.json").read_text(encoding="utf-8"))
            if isinstance(value, dict) and isinstance(value.get("request"), dict):
                return value
        except (OSError, ValueError):
            pass
        raise BadInput(f"{self.root.name}/run.json is corrupt; the records in jobs/ are whole: choose a new --out")

    def set_plan(self, jobs: list[Job]) -> None:
        """Note which jobs belong to this run, in order; tables show these."""
        self._write_manifest({**self.manifest, "jobs": [job.spec.job_id for job in jobs]})

    def job_folder(self, spec: JobSpec) -> Path:
        """The folder of a job."""
        return self.root / "jobs" / job_folder_name(spec)

    def checkpoint(self, spec: JobSpec) -> Path:
        """Where a long training saves itself, to go on from there when its job is run again."""
        return self.job_folder(spec) / CHECKPOINT

    def read(self, spec: JobSpec) -> Record | None:
        """The job's last record, or None. A corrupt one is set aside with a warning."""
        return self._read_file(self.job_folder(spec) / "result.json")

    def write(self, record: Record) -> None:
        """Put the record in its folder; an earlier attempt stays beside it. Raises `OSError`, as for a full disk."""
        folder = self.job_folder(record.spec)
        if folder.exists() and not folder.is_dir():
            folder.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "result.json"
        earlier = self._read_file(path)
        if earlier is not None:
            os.replace(path, folder / f"attempt-{earlier.attempt}.json")
        self._written[path] = text = sealed(record)
        write_atomic(path, text)

    def settle(self, records: Iterable[Record]) -> None:
        """Put back what jobs have changed or removed: the manifest, these records, the index. Raises `OSError`."""
        for path, text in self._written.items():
            if _read_text(path) != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, text)
        for record in records:
            if not (self.job_folder(record.spec) / "result.json").exists():
                self.write(record)
        if self._index_bytes() != self._index:
            self.rebuild_index()
            self._index = self._index_bytes()

    def try_to_write(self) -> None:
        """Write a megabyte and remove it. Raises `OSError`, as for a full disk."""
        trial = self.root / ".trial"
        write_atomic(trial, bytes(1 << 20))
        trial.unlink()

    def append(self, record: Record) -> None:
        """Add the record to the index: one write of one line."""
        line = (record.to_json() + "\n").encode()
        with (self.root / "results.jsonl").open("ab") as file:
            file.write(line)
        self._index += len(line)

    def records(self) -> list[Record]:
        """The last record of every job of the plan, in its order; of every job found, where no plan was noted."""
        found = {r.job_id: r for r in self._scan("result.json")}
        wanted = self.manifest.get("jobs")
        return [found[i] for i in wanted if i in found] if wanted else list(found.values())

    def rebuild_index(self) -> None:
        """Rewrite results.jsonl from the job folders when it is torn, behind or edited."""
        truth = [*self._scan("attempt-*.json"), *self._scan("result.json")]
        truth.sort(key=lambda r: (r.ended_at, r.job_id, r.attempt))
        path = self.root / "results.jsonl"
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
        wanted = [r.to_json().encode() for r in truth]
        if lines[-1] == b"" and sorted(lines[:-1]) == sorted(wanted):
            return
        if any(lines[:-1]):
            said = f"{path.name} was torn or behind; rebuilt from {len(truth)} records"
            warnings.warn(said, RecordWarning, stacklevel=2)
        write_atomic(path, b"".join(line + b"\n" for line in wanted))

    def write_environment(self, environment: dict[str, Any]) -> str:
        """Keep the environment under its hash: env.json, or env-<hash>.json when another was there first."""
        digest = canonical_hash(environment)
        path = self.root / "env.json"
        if path.exists() and _read_json(path) != environment:
            path = self.root / f"env-{digest[:8]}.json"
        if not path.exists():
            write_atomic(path, json.dumps(environment, indent=1, sort_keys=True, allow_nan=False) + "\n")
        return f"sha256:{digest}"

    def _scan(self, pattern: str) -> Iterator[Record]:
        for path in sorted(self.root.glob(f"jobs/*/{pattern}")):
            record = self._read_file(path)
            if record is None:
                continue
            if path.parent.name == job_folder_name(record.spec):
                yield record
            else:
                warnings.warn(
                    f"jobs/{path.parent.name} is a copy of another job; left out", RecordWarning, stacklevel=3
                )

    def _index_bytes(self) -> int:
        path = self.root / "results.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _write_manifest(self, value: dict[str, Any]) -> None:
        path = self.root / "run.json"
        self._written[path] = text = json.dumps(value, indent=1) + "\n"
        write_atomic(path, text)

    def _read_file(self, path: Path) -> Record | None:
        try:
            return parse_record(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (BadInput, UnicodeDecodeError) as error:
            aside = path.with_name(path.name + ".corrupt")
            said = f"{path.parent.name}/{path.name}: {error}; set aside as {aside.name}"
            warnings.warn(said, RecordWarning, stacklevel=3)
            os.replace(path, aside)
            return None

    def _check_manifest(self, manifest: dict[str, Any]) -> None:
        before = self.manifest["request"]
        keys = [k for k in {**before, **manifest} if before.get(k) != manifest.get(k)]
        if keys:
            changes = "; ".join(f"{k}: {_short(before.get(k))} there, {_short(manifest.get(k))} now" for k in keys)
            raise BadConfig(
                f"--out {self.root.name!r} holds another run ({changes}); name a new folder or repeat its options"
            )

    def _take_lock(self) -> None:
        self._lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            lock_file(self._lock)
        except OSError:
            self.close()
            raise BadConfig(
                f"another ganbench is writing to --out {self.root.name!r}; wait for it or name another folder"
            ) from None


def lock_file(descriptor: int) -> None:
    """Take a file for this process alone, until it is closed. Raises `OSError` where another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class DiskFull(GanbenchError):
    """No room to write a record; earlier ones are whole."""

    exit_code = 5


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
