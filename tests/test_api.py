"""ganbench from Python: what it loads is what was trained, what it tables is what was recorded."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganbench
from ganbench.errors import BadConfig, BadInput, UnknownName
from ganbench.jobs import runner
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import RunFolder
from ganbench.jobs.rescore import WEIGHTS
from ganbench.scoring.draws import draw
from ganbench.scoring.inputs import Workplace

ROOT = Path(__file__).resolve().parent.parent
BUDGET: dict[str, int | float] = {"iterations": 20}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two models, one with two configs, on two seeds; made here, without worker processes."""
    root = tmp_path_factory.mktemp("api") / "kept"
    models = ("gan_ns", "gmm[n_components=4,8]")
    chosen = Selection("t", models, ("ring8",), (0, 1), "custom", ("modes", "mmd"), 200, budget=BUDGET)
    place, planned = Workplace(), plan(chosen)
    with RunFolder.create(root, chosen.manifest()) as folder:
        folder.set_plan(planned)
        for job in planned:
            where = folder.job_folder(job.spec)
            where.mkdir(parents=True)
            folder.write(runner.run_job(job, place, where, save_weights=True))
        folder.rebuild_index()
    return root


def jobs_of(root: Path) -> list[tuple[Path, Any]]:
    folder = RunFolder.open(root)
    return [(folder.job_folder(r.spec), r) for r in folder.records()]


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_loaded_model_draws_what_the_run_kept(kept: Path) -> None:
    for folder, record in jobs_of(kept):
        model = ganbench.load(folder)
        assert not model.training
        data = Workplace().dataset("ring8")
        x = draw(model, data, 200, (record.spec.dataset, record.spec.seed), torch.device("cpu"))
        np.testing.assert_allclose(x.numpy(), np.load(folder / "samples.npz")["samples"], rtol=0, atol=1e-6)


def test_the_four_ways_to_name_a_model_agree(kept: Path, tmp_path: Path) -> None:
    folder, record = next((f, r) for f, r in jobs_of(kept) if r.spec.row == "gmm[n_components=4]" and r.spec.seed == 1)
    bare = tmp_path / "w.safetensors"
    shutil.copy(folder / WEIGHTS, bare)
    one = ganbench.load(folder)
    assert one.config.n_components == 4
    assert same(one, ganbench.load(folder / WEIGHTS))
    assert same(one, ganbench.load(kept, model="gmm[n_components=4]", dataset="ring8", seed=1))
    assert same(one, ganbench.load(bare, model="gmm", dataset="ring8", config={"n_components": 4}))
    assert same(one, ganbench.load(bare, model="gmm[n_components=4]", dataset="ring8"))
    assert record.spec.config == {"n_components": 4}


def test_what_is_not_one_trained_model_is_refused(kept: Path, tmp_path: Path) -> None:
    folder = jobs_of(kept)[0][0]
    bare = tmp_path / "w.safetensors"
    shutil.copy(folder / WEIGHTS, bare)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    refused: list[tuple[type[Exception], str, Path, dict[str, Any]]] = [
        (BadInput, "6 jobs fit", kept, {}),
        (BadInput, "4 jobs fit.*gmm.n_components=8./ring8/s1", kept, {"model": "gmm"}),
        (BadInput, "no job with weights fits", kept, {"model": "gan_ns", "seed": 7}),
        (BadInput, "name model and dataset", bare, {}),
        (BadInput, "not a gmm with this config", bare, {"model": "gmm", "dataset": "ring8"}),
        (BadInput, "not a gan_ns with this config", bare, {"model": "gan_ns[hidden=[8]]", "dataset": "ring8"}),
        (UnknownName, "did you mean gan_ns", bare, {"model": "gan_n", "dataset": "ring8"}),
        (UnknownName, "latent_dim", bare, {"model": "gan_ns[latent=2]", "dataset": "ring8"}),
        (BadInput, "header", tmp_path / "bad.safetensors", {"model": "gmm", "dataset": "ring8"}),
        (BadInput, "no file", tmp_path / "none.safetensors", {"model": "gmm", "dataset": "ring8"}),
        (BadInput, "not a run folder", tmp_path, {}),
        (BadConfig, "bare weights", folder, {"config": {"lr": 1}}),
        (UnknownName, "device", folder, {"device": "gpu"}),
    ]
    for kind, said, path, options in refused:
        with pytest.raises(kind, match=said):
            ganbench.load(path, **options)


def test_a_weight_that_was_changed_is_refused(kept: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(jobs_of(kept)[0][0], copy)
    raw = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(raw[:-4] + b"\0\0\0\1")
    with pytest.raises(BadInput, match="not the file that was written after training"):
        ganbench.load(copy)


def test_a_config_is_the_one_that_held_in_training(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model whose defaults have moved since."""
    from ganbench.model.make import model_class

    cls: Any = model_class("gan_ns")
    monkeypatch.setattr(cls, "configure", classmethod(lambda c, spec, **o: c.Config().override(**{"hidden": [8], **o})))
    model = ganbench.load(kept, model="gan_ns", seed=0)
    assert model.config.hidden == (128, 128)


def test_results_are_the_records(kept: Path) -> None:
    frame = ganbench.results(kept)
    wanted = [(r.spec.row, r.spec.seed, m.name, m.value, m.signature) for _, r in jobs_of(kept) for m in r.metrics]
    columns = ["model", "seed", "metric", "value", "signature"]
    assert list(frame[columns].itertuples(index=False, name=None)) == wanted
    assert set(frame.status) == {"ok"}
    assert (frame.train_s > 0).all()
    index = ganbench.results(kept / "results.jsonl")
    assert index.sort_values(["job_id", "metric"])[columns].values.tolist() == (
        frame.sort_values(["job_id", "metric"])[columns].values.tolist()
    )


def test_results_of_a_board_and_of_failures(tmp_path: Path) -> None:
    board = ganbench.results(ROOT / "leaderboards" / "toy2d")
    assert {"wgan_gp", "gmm"} <= set(board.model)
    assert {"ring8", "grid25"} == set(board.dataset)
    none = str(tmp_path)  # holds no data set
    chosen = Selection("t", ("gmm",), ("mnist",), (0,), "custom", ("mmd",), 200, budget=BUDGET, data_dir=none)
    with RunFolder.create(tmp_path / "r", chosen.manifest()) as folder:
        (job,) = plan(chosen)
        folder.write(runner.run_job(job, Workplace()))
    frame = ganbench.results(tmp_path / "r")
    assert len(frame) == 1
    assert frame.status[0] == "skipped"
    assert "mnist" in frame.reason[0]
    assert frame.metric.isna().all()
    with pytest.raises(BadInput, match="no run folder or results file"):
        ganbench.results(tmp_path / "none")
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(BadInput, match=r"x\.jsonl line 1 is not a record"):
        ganbench.results(tmp_path / "x.jsonl")


def test_run_is_what_the_verb_runs_and_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "out"
    asked: dict[str, Any] = {"seeds": [0, 2], "budget": {"iterations": 20}, "metrics": "modes", "out": root}
    frame = ganbench.run("gmm[n_components=4,8]", "ring8", samples=200, workers=1, **asked)
    assert capfd.readouterr() == ("", "")
    assert [tuple(r) for r in frame[["model", "seed"]].drop_duplicates().values] == [
        (f"gmm[n_components={k}]", s) for s in (0, 2) for k in (4, 8)
    ]
    assert frame.attrs == {"run_dir": root.as_posix(), "pending": 0}
    assert (root / "summary.csv").is_file()
    assert ganbench.load(root, model="gmm[n_components=8]", seed=2).config.n_components == 8


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"models": "gmn"}, UnknownName, "gmm"),
        ({"models": "gmm", "seeds": []}, BadConfig, "seeds are"),
        ({"models": "gmm", "samples": 1}, BadConfig, "samples must be at least 2"),
        ({"models": "gmm", "budget": {"iterations": 1, "seconds": 1}}, BadConfig, "one of iterations"),
        ({"models": "gmm", "scale": "huge"}, UnknownName, "scale"),
    ],
)
def test_run_refuses_what_the_verb_refuses(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        ganbench.run(**options)


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import ganbench, sys; print([m for m in ('torch', 'pandas', 'numpy', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
