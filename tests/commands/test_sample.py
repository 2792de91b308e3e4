"""Samples that are written are those that the run scored, in every form; nothing is overwritten or half written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.__main__ import main
from ganbench.commands.score import score_file
from ganbench.datasets.samples import read_samples
from ganbench.datasets.writing import write_samples
from ganbench.jobs import runner
from ganbench.jobs.plan import Selection, plan
from ganbench.jobs.records import Record, RunFolder
from ganbench.jobs.rescore import WEIGHTS
from ganbench.scoring.inputs import Inputs, Workplace

PLACE = Workplace()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with weights of a model of points and of models of images, one of which is asked for classes."""
    root = tmp_path_factory.mktemp("sample") / "kept"
    budget: dict[str, int | float] = {"iterations": 3}
    pairs = [(("gmm", "gan_ns"), "ring8"), (("lsgan", "acgan"), "digits")]
    with RunFolder.create(root, {}) as folder:
        for models, dataset in pairs:
            for job in plan(Selection("t", models, (dataset,), (0, 1), "custom", ("mmd",), 300, budget=budget)):
                where = folder.job_folder(job.spec)
                where.mkdir(parents=True)
                folder.write(runner.run_job(job, PLACE, where, save_weights=True))
    return root


def records(root: Path) -> list[Record]:
    return RunFolder.open(root).records()


def draw(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["sample", *map(str, arguments)])
    out, error = capsys.readouterr()
    assert "Traceback" not in error
    return code, out, error


def test_the_file_scores_as_the_run_did(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the seed of the job, every model: the same draws give the same score to the last bit that float32 keeps."""
    for record in records(kept):
        spec, out = record.spec, tmp_path / f"{record.job_id}.npz"
        chosen = ["-m", spec.model, "-d", spec.dataset, "--seed", spec.seed]
        code, printed, error = draw(capsys, kept, "-n", 300, "--out", out, "--json", *chosen)
        assert code == 0, error
        said = json.loads(printed)
        assert (said["n"], said["model"], said["draw_seed"]) == (300, spec.model, spec.seed)
        (row,) = score_file(out, spec.dataset, ("mmd",), seed=spec.seed)["metrics"]
        assert row["value"] == pytest.approx(record.metrics[0].value, rel=1e-5, abs=1e-7)


def test_a_model_of_conditions_is_given_those_it_was_scored_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    selection = Selection(
        "t", ("pix2pix",), ("thin_digits",), (1,), "custom", ("translation_l1",), 50, budget={"iterations": 2}
    )
    with RunFolder.create(tmp_path / "run", {}) as folder:
        (job,) = plan(selection)
        where = folder.job_folder(job.spec)
        where.mkdir(parents=True)
        record = runner.run_job(job, PLACE, where, save_weights=True)
        folder.write(record)
    code, _, error = draw(capsys, tmp_path / "run", "-n", 50, "--out", tmp_path / "s.npz")
    assert code == 0, error
    made, data = torch.from_numpy(np.load(tmp_path / "s.npz")["samples"]), PLACE.dataset("thin_digits")
    truth = Inputs(PLACE, "thin_digits", data, 50, 1).of("reference")
    assert float((made - truth).abs().mean()) == pytest.approx(record.metrics[0].value, rel=1e-5)
    code, _, error = draw(capsys, tmp_path / "run", "-n", 10**6, "--out", tmp_path / "more.npz")
    assert code == 2
    assert f"-n must be <= {len(data.test)}; got 1000000" in error


def test_every_form_holds_the_same_samples(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [kept, "-m", "lsgan", "--seed", 1, "-n", 30]
    spec = PLACE.dataset("digits").spec
    found = []
    for name in ("a.npz", "b.npy", "c.safetensors", "pictures"):
        code, _, error = draw(capsys, *chosen, "--out", tmp_path / name)
        assert code == 0, error
        found.append(read_samples(tmp_path / name, spec, 30))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    first = np.asarray(Image.open(tmp_path / "pictures" / "00.png"))
    pixels = found[0].add(1).mul(127.5).round().to(torch.uint8)
    assert (pixels[0, 0].numpy() == first).all()
    assert len(list((tmp_path / "pictures").iterdir())) == 30
    np.testing.assert_allclose(np.load(tmp_path / "a.npz", allow_pickle=False)["samples"], found[0].numpy())


def test_bare_weights_say_nothing_of_themselves(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = next(r for r in records(kept) if r.spec.model == "gan_ns" and r.spec.seed == 1)
    bare = tmp_path / "w.safetensors"
    shutil.copy(RunFolder.open(kept).job_folder(record.spec) / WEIGHTS, bare)
    known = ["-m", "gan_ns", "-d", "ring8"]
    assert draw(capsys, bare, *known, "--seed", 1, "-n", 20, "-o", tmp_path / "a.npy")[0] == 0
    assert draw(capsys, kept, *known, "--seed", 1, "-n", 20, "-o", tmp_path / "b.npy")[0] == 0
    assert (np.load(tmp_path / "a.npy") == np.load(tmp_path / "b.npy")).all()
    assert draw(capsys, kept, *known, "--seed", 1, "--draw-seed", 2, "-n", 20, "-o", tmp_path / "c.npy")[0] == 0
    assert (np.load(tmp_path / "a.npy") != np.load(tmp_path / "c.npy")).all()
    for wrong, said in (
        ([], "name model and dataset"),
        ([*known, "--set", "hidden=[8,8]"], "is not a gan_ns with this config"),
        ([*known, "--set", "hiden=[8,8]"], "did you mean hidden"),
        (["-m", "gan_ns[lr=1,2]", "-d", "ring8"], "one value here"),
        ([*known, "--device", "gpu"], "unknown device"),
    ):
        code, _, error = draw(capsys, bare, *wrong, "-n", 20, "-o", tmp_path / "d.npy")
        assert (code, said in error) == (2, True), error
    assert not (tmp_path / "d.npy").exists()


def test_what_cannot_be_written_is_refused(kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.npz").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    one = [kept, "-m", "gmm", "--seed", 0]
    for arguments, said in (
        ([*one, "-n", 5, "-o", tmp_path / "there.npz"], "nothing is overwritten"),
        ([*one, "-n", 5, "-o", tmp_path / "folder"], "nothing is overwritten"),
        ([*one, "-n", 5, "-o", tmp_path / "x.pt"], "must end in .npz"),
        ([*one, "-n", 5, "-o", tmp_path / "pictures"], "has none: name a file"),
        ([*one, "-n", 10**9, "-o", tmp_path / "x.npy"], "holds at most 1000000 samples"),
        ([*one, "-n", 0, "-o", tmp_path / "x.npy"], "-n"),
        ([kept, "-n", 5, "-o", tmp_path / "x.npy"], "8 jobs fit"),
        ([tmp_path, "-n", 5, "-o", tmp_path / "x.npy"], "not a run folder"),
        ([*one, "--set", "lr=1", "-n", 5, "-o", tmp_path / "x.npy"], "bare weights"),
    ):
        code, _, error = draw(capsys, *arguments)
        assert (code, said in error) == (2, True), error
    assert (tmp_path / "there.npz").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "there.npz"]


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.safetensors", "x"])
def test_a_draw_that_breaks_off_leaves_nothing(tmp_path: Path, name: str) -> None:
    def batches() -> Any:
        yield torch.zeros(2, 1, 8, 8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(tmp_path / name, batches(), 4, PLACE.dataset("digits").spec)
    assert not list(tmp_path.iterdir())
