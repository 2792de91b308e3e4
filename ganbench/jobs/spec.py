"""Jobs: what is run, frozen and hashed.

A job's id is the sha256 of its spec's canonical JSON. The spec names everything that can move a score: model and config
overrides, data set, budget, seed, metrics, versions, and hashes of the code and of the user's data that it stands on.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from ganbench.provenance.source import canonical_hash
from ganbench.registry.variants import split_config

LABELS = {"train_labels", "test_labels", "label_draws"}  # inputs of metrics that only labelled data has
SCALES = ("smoke", "quick", "standard", "paper")
Precision = Literal["ieee", "tf32", "bf16"]
Positive = Annotated[int, Field(ge=1)]


class JobSpec(BaseModel):
    """Everything that decides a job's result; equal specs are the same job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    config: dict[str, Any] = {}  # overrides that differ from the model's defaults, coerced
    dataset: str
    scale: str  # smoke, quick, standard, paper, or "custom" for an explicit budget
    budget: dict[str, int | float] = {}  # one of iterations, examples, seconds; empty for `paper`: the recipe decides
    seed: int
    metrics: tuple[str, ...]
    n_samples: int
    device: str = "cpu"
    versions: dict[str, str] = {}
    code_sha256: str = ""
    # Said only where it applies: what is None is no part of the spec, nor of its id.
    precision: Precision | None = None  # of matrix products in training, where it is not "ieee"
    deterministic: bool | None = None  # True where only algorithms that repeat bit by bit were allowed
    labels: Positive | None = None  # how many labels a few-label model sees, where the user or a recipe said so
    draw: Annotated[int, Field(ge=0)] | None = None  # which draw of them, where it is not the seed's own
    label_counts: list[Positive] | None = None  # for other models: how many labels metrics on the frozen model see
    recipe: str | None = None  # the label of the published setting that config and budget are, unchanged
    ensemble: Positive | None = None  # of how many models
    rescored: str | None = None  # the job whose kept model these scores are of

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in handler(self).items() if v is not None}

    @property
    def job_id(self) -> str:
        """sha256 of the canonical JSON of the spec."""
        return canonical_hash(self.model_dump(mode="json"))

    @property
    def label(self) -> str:
        """row/dataset/seed, for people."""
        return f"{self.row}/{self.dataset}/s{self.seed}"

    @property
    def row(self) -> str:
        """The row that a job stands in, whatever its data set and seed: `wgan_gp`, `wgan_gp[lr=0.1]`, `vat[labels=50]`.

        A published setting goes by its label, `pacgan[paper m=2]`; with anything changed, by its overrides again.
        Records are averaged over seeds only within a row: tables, boards, comparisons and gates all go by this name.
        """
        parts = {} if self.recipe else dict(self.config)
        parts |= {k: v for k in ROW_KEYS if (v := getattr(self, k)) is not None}
        said = [f"{k}={v if isinstance(v, str) else _compact(v)}" for k, v in sorted(parts.items())]
        inner = ",".join([self.recipe, *said] if self.recipe else said)
        return f"{self.model}[{inner}]" if inner else self.model

    def but(self, **changes: Any) -> JobSpec:
        """The same spec with other values, which are not checked."""
        return self.model_copy(update=changes)


ROW_KEYS = ("draw", "ensemble", "labels")  # parts of a spec, beside model and config, that set rows apart


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class Job:
    """A spec with where to find its parts; paths stay out of the spec, so that records carry none."""

    spec: JobSpec
    model_ref: str  # what the user named: a registry name or path/to/file.py:Class
    dataset_ref: str  # a registry name or prefix:argument
    data_dir: str | None = None
    skip: str | None = None  # why this pair is not run


def display_name(ref: str) -> str:
    """A reference without its folders: `models/m.py:A` -> `m.py:A`, `folder:data/cats` -> `folder:cats`."""
    if ".py:" in ref:
        ref, inside = split_config(ref)
        if inside is not None:
            return f"{display_name(ref)}[{inside}]"
        path, _, attribute = ref.rpartition(":")
        return f"{os.path.basename(path)}:{attribute}"
    stem, colon, argument = ref.partition(":")
    return f"{stem}:{os.path.basename(os.path.abspath(argument))}" if colon and argument else ref
