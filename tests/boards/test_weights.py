"""Weights that a run keeps are those that a submission may send, and they draw again what the run drew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outsider import toml

from ganbench.boards.submission import parse_submission
from ganbench.boards.submit import check
from ganbench.boards.weights import draw_from_weights
from ganbench.jobs import runner
from ganbench.jobs.plan import Selection, plan
from ganbench.registry import DATASETS, MODELS
from ganbench.scoring.inputs import Workplace

HOME = {  # what a model takes, where its kind of event does not say so
    "lda_topics": "topics", "code_arith": "attributed_digits", "gansynth": "notes", "ep": "probit",
    "reversible_jump": "subset_regression",
}  # fmt: skip
QUICK = {"gan_ns", "lsgan", "vae_gaussian", "gmmn", "gmm", "infogan", "wgan_gp", "kmeans"}


def sampling() -> list[Any]:
    """Every model that samples and may be submitted, on the first of the built-in data sets that it takes."""
    found = []
    for entry in MODELS:
        if "sample" not in entry.gives or entry.family == "control":
            continue
        for dataset in [HOME[entry.name]] if entry.name in HOME else ("digits", "ring8"):
            event = DATASETS.get(dataset).event
            if event in entry.events:
                slow = entry.name not in QUICK
                found.append(pytest.param(entry.name, dataset, id=entry.name, marks=[pytest.mark.slow] * slow))
                break
    return found


@pytest.mark.parametrize(("name", "dataset"), sampling())
def test_kept_weights_draw_the_samples_of_their_run(tmp_path: Path, place: Workplace, name: str, dataset: str) -> None:
    evaluations = MODELS.get(name).family == "given_density"  # an iteration is one of these, and a sweep takes hundreds
    budget: dict[str, int | float] = {"iterations": 2000 if evaluations else 3}
    (job,) = plan(Selection("t", (name,), (dataset,), (3,), "custom", ("sliced_wasserstein",), 40, budget=budget))
    record = runner.run_job(job, place, tmp_path, save_weights=True)
    assert record.status == "ok", record.reason
    text = toml(["weights.safetensors"], "weights") + f'[model]\nname = "{name}"\n'
    loaded = place.dataset(dataset)
    x = draw_from_weights(parse_submission(text), tmp_path / "weights.safetensors", job.spec, loaded)
    kept = np.load(tmp_path / "samples.npz")["samples"]
    np.testing.assert_allclose(runner_form(x.numpy(), kept), kept, rtol=0, atol=1e-5 if kept.dtype.kind == "f" else 1)


def runner_form(x: np.ndarray[Any, Any], kept: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Samples as files hold them: images as bytes."""
    if kept.dtype.kind == "f":
        return x
    return np.round((x.astype(np.float64) + 1) * 127.5).astype(int).reshape(kept.shape)


def test_the_example_of_the_submission_guide(tmp_path: Path, board_folder: Path, place: Workplace) -> None:
    """`ganbench run -m lsgan --set hidden=[256,256] --save-weights`, then its config in submission.toml."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed in range(2):
        selection = Selection("t", ("lsgan",), ("digits",), (seed,), "custom", ("mmd",), 40, budget={"iterations": 20})
        (job,) = plan(selection, {"lsgan": {"hidden": [256, 256]}})
        (tmp_path / str(seed)).mkdir()
        record = runner.run_job(job, place, tmp_path / str(seed), save_weights=True)
        assert record.config["hidden"] == [256, 256]
        assert record.config["latent_dim"] == 64  # on images, though the spec says nothing of it
        assert record.spec.config == {"hidden": [256, 256]}
        shutil.copy(tmp_path / str(seed) / "weights.safetensors", folder / f"s{seed}.safetensors")
    text = toml(["s0.safetensors", "s1.safetensors"], "weights")
    (folder / "submission.toml").write_text(text + '[model]\nname = "lsgan"\n[model.config]\nhidden = [256, 256]\n')
    found = check(folder, board_folder, place=place).measurement.records
    assert [r.config for r in found] == [record.config] * 2
