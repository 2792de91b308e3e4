"""Submissions: good ones are scored and shown; bad and hostile ones are refused with a reason and leave no trace."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outsider import N, outside_generator, toml

from ganbench.boards.build import files, write
from ganbench.boards.submission import parse_submission, read_submission
from ganbench.errors import BadInput, GanbenchError

pytest.importorskip("ganbench.scoring")
from ganbench.boards.submit import add, check, pack, to_toml
from ganbench.boards.verify import verify

Tree = Callable[[], dict[str, bytes]]


def write_samples(folder: Path, form: str, x: np.ndarray[Any, Any], name: str) -> str:
    """Samples in one of the accepted forms; returns the path for submission.toml."""
    if form == "npz":
        np.savez_compressed(folder / f"{name}.npz", samples=x)
    elif form == "npy":
        np.save(folder / f"{name}.npy", x)
    elif form == "safetensors":
        from safetensors.numpy import save_file

        save_file({"samples": x}, folder / f"{name}.safetensors")
    elif form == "float":
        np.savez(folder / f"{name}.npz", samples=(x.astype(np.float32) / 127.5 - 1)[:, None])
        return f"{name}.npz"
    else:
        from PIL import Image

        (folder / name).mkdir()
        for i, pixels in enumerate(x):
            Image.fromarray(pixels).save(folder / name / f"{i:05}.png")
        return name
    return f"{name}.{form}"


def test_every_form_of_the_same_samples_gets_the_same_score(
    tmp_path: Path, board_folder: Path, samples: list[Any], place: Any
) -> None:
    scores = []
    for form in ("npz", "npy", "safetensors", "png", "float"):
        folder = tmp_path / form
        folder.mkdir()
        paths = [write_samples(folder, form, x, f"s{i}") for i, x in enumerate(samples)]
        (folder / "submission.toml").write_text(toml(paths))
        found = check(folder, board_folder, place=place).measurement
        scores.append([m.value for r in found.records for m in r.metrics])
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-5, atol=1e-7)


def test_add_scores_shows_and_rebuilds_the_board(submission: Path, board_folder: Path, place: Any) -> None:
    done = add(submission, board_folder, place=place)
    target = board_folder / "submissions" / "example-lab__my-gmm"
    assert {p.name for p in target.iterdir()} == {"submission.toml", "results.jsonl", "samples"}
    assert done.submission.id == target.name
    page = (board_folder / "README.md").read_text()
    assert "my-gmm (Example Lab)" in page
    assert "re-scored" in page
    assert "1 [1–1]" in page
    assert all(f.passed for f in verify(board_folder, place=place))
    assert list(board_folder.glob("**/.*")) == []


def test_pack_gives_a_folder_that_scores_the_same_and_is_the_same_again(
    tmp_path: Path, submission: Path, board_folder: Path, place: Any
) -> None:
    first = pack(submission, tmp_path / "a", board_folder, place=place)
    second = pack(first, tmp_path / "b", board_folder, place=place)
    assert {p.relative_to(first): p.read_bytes() for p in first.rglob("*") if p.is_file()} == {
        p.relative_to(second): p.read_bytes() for p in second.rglob("*") if p.is_file()
    }
    assert all(f.sha256 for f in read_submission(first).files)
    one, two = (check(f, board_folder, place=place).measurement.records for f in (submission, second))
    assert [r.metrics for r in one] == [r.metrics for r in two]


def test_a_packed_folder_laid_on_the_board_is_a_claim_until_it_is_scored_in_place(
    submission: Path, board_folder: Path, place: Any
) -> None:
    measured = check(submission, board_folder, place=place).measurement.records
    mmd = float(np.mean([m.value for r in measured for m in r.metrics if m.name == "mmd"]))
    text = (submission / "submission.toml").read_text()
    claim = f'[[claimed]]\ndataset = "digits"\nmetric = "mmd"\nvalue = {mmd!r}\n'
    (submission / "submission.toml").write_text(text + claim)
    target = pack(submission, board_folder / "submissions", board_folder, place=place)
    write(board_folder)
    page = (board_folder / "README.md").read_text()
    assert "claimed mmd" in page
    assert "| claimed " in page
    add(target, board_folder, place=place)
    page = (board_folder / "README.md").read_text()
    assert "re-scored" in page
    assert "claimed mmd" in page


def test_a_packed_folder_without_claims_is_listed_until_it_is_scored(
    submission: Path, board_folder: Path, place: Any
) -> None:
    pack(submission, board_folder / "submissions", board_folder, place=place)
    write(board_folder)
    row = next(line for line in (board_folder / "README.md").read_text().splitlines() if "my-gmm" in line)
    assert "| claimed " in row


def test_a_second_submission_under_the_same_name_is_refused(submission: Path, board_folder: Path, place: Any) -> None:
    add(submission, board_folder, place=place)
    with pytest.raises(BadInput, match="there already"):
        add(submission, board_folder, place=place)


def test_the_toml_it_writes_is_the_toml_it_reads() -> None:
    text = toml(["a.npz", "b/c.npz"], name="My GAN 2.0", url="https://example.org/x?y=1")
    text += '[[claimed]]\ndataset = "digits"\nmetric = "mmd"\nvalue = -1.5e-7\n'
    one = parse_submission(text)
    assert parse_submission(to_toml(one, one.files)) == one


def test_results_of_the_same_files_are_byte_identical(submission: Path, board_folder: Path, place: Any) -> None:
    add(submission, board_folder, place=place)
    target = board_folder / "submissions" / "example-lab__my-gmm"
    first = (target / "results.jsonl").read_bytes()
    add(target, board_folder, place=place)
    assert (target / "results.jsonl").read_bytes() == first


# --- weights and code


WEIGHTS_CONFIG = '[model]\nname = "{name}"\n[model.config]\nhidden = [16, 16]\n'


@pytest.fixture
def weights(tmp_path: Path, place: Any) -> Path:
    """A submission of tier B: two sets of weights of a registered GAN."""
    from safetensors.torch import save_file

    from ganbench.model.make import make

    folder = tmp_path / "weights"
    folder.mkdir()
    for seed in range(2):
        model = make("gan_ns", place.dataset("digits").spec, {"hidden": (16, 16)}, (seed,))
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / f"s{seed}.safetensors")
    text = toml(["s0.safetensors", "s1.safetensors"], "weights")
    (folder / "submission.toml").write_text(text + WEIGHTS_CONFIG.format(name="gan_ns"))
    return folder


def test_weights_are_sampled_again(weights: Path, board_folder: Path, place: Any) -> None:
    add(weights, board_folder, place=place)
    assert "re-sampled" in (board_folder / "README.md").read_text()
    assert all(f.passed for f in verify(board_folder, place=place))


def test_weights_of_another_architecture_are_refused(weights: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    text = (weights / "submission.toml").read_text()
    (weights / "submission.toml").write_text(text.replace("[16, 16]", "[16, 24]"))
    refused(weights, board_folder, place, tree, "is not a gan_ns with this config")


def test_weights_of_an_unknown_model_are_refused(weights: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    text = (weights / "submission.toml").read_text()
    (weights / "submission.toml").write_text(text.replace("gan_ns", "gan_mine"))
    refused(weights, board_folder, place, tree, "registered model")


def test_weights_with_nan_are_refused(weights: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    from safetensors.torch import load_file, save_file

    values = load_file(weights / "s1.safetensors")
    next(v for v in values.values() if v.is_floating_point()).view(-1)[0] = float("nan")
    save_file(values, weights / "s1.safetensors")
    refused(weights, board_folder, place, tree, "NaN")


CODE = '''"""A model of an outsider."""
import torch
from ganbench.model import Model, register


@register("outsider", family="adversarial")
class Outsider(Model):
    def build(self, spec):
        self.spec = spec

    def fit(self, data, budget, rng):
        x = data.events()
        self.mean, self.std = x.mean(0), x.std(0)

    def sample(self, n, rng):
        return (self.mean + self.std * torch.randn(n, *self.spec.event_shape, generator=rng)).clamp(-1, 1)
'''


def test_code_runs_only_when_told_to_and_is_retrained_over_seeds(
    tmp_path: Path, board_folder: Path, place: Any, tree: Tree
) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine.py").write_text(CODE)
    (folder / "submission.toml").write_text(toml([], "code") + '[model]\nname = "mine.py:Outsider"\nseeds = 2\n')
    seen = check(folder, board_folder, place=place)
    assert seen.measurement.records == []
    assert "--run-code" in seen.measurement.flags[0]
    refused(folder, board_folder, place, tree, "--run-code", verbs=("add",))
    add(folder, board_folder, place=place, run_code=True)
    page = (board_folder / "README.md").read_text()
    assert "retrained" in page
    assert "training s" in page
    last = verify(board_folder, place=place)[-1]  # without --run-code nothing stands behind the stored scores
    assert last.passed
    assert "not checked" in last.reason


# --- what is refused


def refused(
    folder: Path,
    board_folder: Path,
    place: Any,
    tree: Tree,
    reason: str,
    verbs: tuple[str, ...] = ("check", "pack", "add"),
) -> None:
    """Every verb refuses with this reason and code 2, and leaves no trace."""
    before = tree()
    calls: dict[str, Callable[[], object]] = {
        "check": lambda: check(folder, board_folder, place=place),
        "pack": lambda: pack(folder, board_folder.parent.parent / "packed", board_folder, place=place),
        "add": lambda: add(folder, board_folder, place=place),
    }
    for verb in verbs:
        with pytest.raises(GanbenchError, match=reason) as caught:
            calls[verb]()
        assert caught.value.exit_code == 2
        assert str(folder.parent) not in str(caught.value)
    assert tree() == before


def npz(path: Path, **arrays: Any) -> None:
    np.savez_compressed(path, **arrays)


def raw_npz(path: Path, member: str, data: bytes, attr: int = 0) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(member)
        info.external_attr, info.compress_type = attr, zipfile.ZIP_DEFLATED
        archive.writestr(info, data)


def npy_bytes(x: np.ndarray[Any, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, x, **options)
    return out.getvalue()


def digits_of(split: str, place: Any) -> np.ndarray[Any, Any]:
    events = getattr(place.dataset("digits"), split).events().numpy()
    return np.asarray((events + 1) * 127.5).round().astype(np.uint8)


GOOD = outside_generator(7)
BAD_SAMPLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled objects": (lambda p: npz(p, samples=np.array([{"a": 1}], dtype=object)), "pickle"),
    "a pickle called .npz": (lambda p: p.write_bytes(pickle.dumps([1, 2, 3])), "not a zip"),
    "a zip bomb": (lambda p: raw_npz(p, "samples.npy", b"\0" * (1 << 28)), "unpacks to"),
    "a bomb behind a modest header": (
        lambda p: raw_npz(p, "samples.npy", npy_bytes(GOOD) + b"\0" * (1 << 28)),
        "unpacks to",
    ),
    "a path that climbs out": (lambda p: raw_npz(p, "../../evil.npy", npy_bytes(GOOD)), "plain name"),
    "an absolute path": (lambda p: raw_npz(p, "/tmp/evil.npy", npy_bytes(GOOD)), "plain name"),
    "a link inside the zip": (lambda p: raw_npz(p, "samples.npy", b"/etc/passwd", 0o120777 << 16), "plain name"),
    "too few samples": (lambda p: npz(p, samples=GOOD[:-1]), f"n = {N} samples; got {N - 1}"),
    "too many samples": (lambda p: npz(p, samples=np.concatenate([GOOD, GOOD])), f"n = {N} samples"),
    "another shape": (lambda p: npz(p, samples=GOOD[:, :7]), "events of digits"),
    "NaN": (lambda p: npz(p, samples=np.where(GOOD > 200, np.nan, 0.0).astype(np.float32)), "NaN or infinity"),
    "infinity": (lambda p: npz(p, samples=np.full((N, 8, 8), np.inf, np.float32)), "NaN or infinity"),
    "pixels saved as floats": (lambda p: npz(p, samples=GOOD.astype(np.float32)), "uint8"),
    "floats in [0, 1]": (lambda p: npz(p, samples=GOOD.astype(np.float32) / 255), r"x \* 2 - 1"),
    "floats cast to uint8": (lambda p: npz(p, samples=(GOOD / 255).astype(np.uint8)), "0 to 255"),
    "integers": (lambda p: npz(p, samples=GOOD.astype(np.int64)), "uint8 or float"),
    "complex numbers": (lambda p: npz(p, samples=GOOD.astype(np.complex64)), "uint8 or float"),
    "several arrays": (lambda p: npz(p, a=GOOD, b=GOOD), "one array"),
    "no array": (lambda p: npz(p), "one array"),
    "half a file": (lambda p: (npz(p, samples=GOOD), p.write_bytes(p.read_bytes()[:-90])), "not a zip|not a readable"),
    "an empty file": (lambda p: p.write_bytes(b""), "not a zip"),
}


@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_bad_samples_are_refused(case: str, submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    make, reason = BAD_SAMPLES[case]
    make(submission / "s1.npz")
    place.dataset("digits")
    tracemalloc.start()
    try:
        refused(submission, board_folder, place, tree, reason, verbs=("check",))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    refused(submission, board_folder, place, tree, reason, verbs=("pack", "add"))


@pytest.mark.parametrize("split", ["train", "holdout", "test"])
def test_real_data_sent_back_is_refused(
    split: str, submission: Path, board_folder: Path, place: Any, tree: Tree
) -> None:
    rng = np.random.default_rng(0)
    x = digits_of(split, place)[rng.permutation(500)[:N]].astype(int)
    x = np.clip(x + rng.integers(-1, 2, x.shape), 0, 255)  # a little noise does not hide a copy
    npz(submission / "s1.npz", samples=x.astype(np.uint8))
    refused(submission, board_folder, place, tree, f"copies of {split} events")


def replace_with(submission: Path, name: str) -> None:
    """Name another file as the second seed's."""
    text = (submission / "submission.toml").read_text()
    (submission / "s1.npz").unlink()
    (submission / "submission.toml").write_text(text.replace("s1.npz", name))


def safetensors_bytes(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


SHAPE = json.dumps([N, 8, 8])
BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "a 10 GB safetensors header": ("x.safetensors", safetensors_bytes(b"{}", 10 << 30), "header must take"),
    "a header that is no JSON": ("x.safetensors", safetensors_bytes(b"{{{{"), "not JSON"),
    "a header of nested lists": ("x.safetensors", safetensors_bytes(b"[" * 60000), "not JSON"),
    "offsets beyond the file": (
        "x.safetensors",
        safetensors_bytes(b'{"x": {"dtype": "U8", "shape": %s, "data_offsets": [0, %d]}}' % (SHAPE.encode(), N * 64)),
        "does not fit",
    ),
    "a negative shape": (
        "x.safetensors",
        safetensors_bytes(b'{"x": {"dtype": "U8", "shape": [-1, 8, 8], "data_offsets": [0, -64]}}'),
        "does not fit",
    ),
    "an npy header of 4 GB": (
        "x.npy",
        b"\x93NUMPY\x02\x00" + struct.pack("<I", (1 << 32) - 1) + b"{",
        "header must be",
    ),
    "an npy header that is code": (
        "x.npy",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 30) + b"__import__('os').system('id') ",
        "not that of an array",
    ),
    "an npy of 10 TB": (
        "x.npy",
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", 75)
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8, 8)}".ljust(75),
        "n = 120 samples",
    ),
    "an npy that ends early": ("x.npy", npy_bytes(GOOD)[:-5], "ends after"),
    "an npy with more behind it": ("x.npy", npy_bytes(GOOD) + b"more", "after its array"),
    "an npy of objects": ("x.npy", npy_bytes(np.array([{}] * N, dtype=object), allow_pickle=True), "pickle"),
    "a torch checkpoint": ("x.pt", b"PK\x03\x04", "come as"),
    "a pickle": ("x.pkl", pickle.dumps({}), "come as"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused(case: str, submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    name, data, reason = BAD_FILES[case]
    replace_with(submission, name)
    (submission / name).write_bytes(data)
    refused(submission, board_folder, place, tree, reason)


def test_a_sparse_file_of_10_gb_is_refused_unread(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    replace_with(submission, "x.safetensors")
    with (submission / "x.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", 10 << 30))
        file.truncate(10 << 30)
    tracemalloc.start()
    with pytest.raises(BadInput, match="must be below"):
        check(submission, board_folder, place=place)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_pictures_are_checked_before_they_are_decoded(
    tmp_path: Path, submission: Path, board_folder: Path, place: Any, tree: Tree
) -> None:
    from PIL import Image

    replace_with(submission, "s1")
    write_samples(submission, "png", GOOD, "s1")
    Image.new("L", (20000, 20000)).save(submission / "s1" / "00003.png")
    refused(submission, board_folder, place, tree, "must be below|8 x 8 pixels")
    Image.new("RGB", (8, 8)).save(submission / "s1" / "00003.png")
    refused(submission, board_folder, place, tree, "must be grey")
    (submission / "s1" / "00003.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    refused(submission, board_folder, place, tree, "not a readable .png")
    (submission / "s1" / "00003.png").rename(submission / "s1" / "00003.exe")
    refused(submission, board_folder, place, tree, "files only")


def test_links_and_pipes_are_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    (submission / "s1.npz").rename(submission.parent / "elsewhere.npz")
    (submission / "s1.npz").symlink_to(submission.parent / "elsewhere.npz")
    refused(submission, board_folder, place, tree, "links, pipes and devices")
    (submission / "s1.npz").unlink()
    os.mkfifo(submission / "s1.npz")
    with pytest.raises(BadInput, match="links, pipes and devices"):
        check(submission, board_folder, place=place)
    (submission / "s1.npz").unlink()
    (submission / "CARD.md").symlink_to("/etc/hostname")
    refused(submission, board_folder, place, tree, "links, pipes and devices")


def test_files_that_nobody_listed_are_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    (submission / "extra.bin").write_bytes(b"x")
    refused(submission, board_folder, place, tree, "not named in submission.toml")


def test_one_file_for_two_seeds_is_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    (submission / "s1.npz").write_bytes((submission / "s0.npz").read_bytes())
    refused(submission, board_folder, place, tree, "same samples")


def test_a_wrong_hash_is_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    text = (submission / "submission.toml").read_text()
    (submission / "submission.toml").write_text(text + f'sha256 = "{"0" * 64}"\n')
    refused(submission, board_folder, place, tree, "sha256")


def test_a_claim_that_was_not_measured_is_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    text = (submission / "submission.toml").read_text()
    claim = '[[claimed]]\ndataset = "digits"\nmetric = "inception_score"\nvalue = 9.9\n'
    (submission / "submission.toml").write_text(text + claim)
    refused(submission, board_folder, place, tree, "claimed inception_score = 9.9")


def test_an_edited_score_is_found_by_verify(submission: Path, board_folder: Path, place: Any) -> None:
    add(submission, board_folder, place=place)
    path = board_folder / "submissions" / "example-lab__my-gmm" / "results.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    records[0]["metrics"][0]["value"] *= 0.9
    path.write_text("".join(json.dumps(r, sort_keys=True) + "\n" for r in records))
    write(board_folder)
    findings = [f for f in verify(board_folder, place=place) if not f.passed]
    assert len(findings) == 1
    assert "the record was edited" in findings[0].reason


def test_an_edited_page_is_found_by_verify(submission: Path, board_folder: Path, place: Any) -> None:
    add(submission, board_folder, place=place)
    page = board_folder / "README.md"
    page.write_text(page.read_text().replace("1 [1–1]", "1 [1–2]"))
    findings = [f for f in verify(board_folder, rescore=False) if not f.passed]
    assert [f.what for f in findings] == ["generated files"]


BAD_TOML = {
    "markup in a name": ({"name": "<script>alert(1)</script>"}, "name"),
    "control characters": ({"team": "a\x1b[31mb"}, "team"),
    "a newline": ({"team": "a\nb"}, "team"),
    "right-to-left override": ({"name": "a\u202eb"}, "name"),
    "a path as a name": ({"name": "../../x"}, "name"),
    "nothing but spaces": ({"name": "  "}, "name"),
    "a long name": ({"name": "x" * 500}, "name"),
    "a script link": ({"url": "javascript:alert(1)"}, "url"),
    "another board": ({"board": "other"}, "board 'other'"),
    "another protocol": ({"protocol": "0.9"}, "protocol 0.9"),
    "an unknown tier": ({"tier": "pickle"}, "tier"),
    "an unknown field": ({"score": 1.0}, "score"),
    "no licence": ({"license": None}, "license"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_TOML)
def test_a_bad_submission_toml_is_refused(
    case: str, submission: Path, board_folder: Path, place: Any, tree: Tree
) -> None:
    changes, reason = BAD_TOML[case]
    (submission / "submission.toml").write_text(toml(["s0.npz", "s1.npz"], **changes))
    refused(submission, board_folder, place, tree, reason)


@pytest.mark.parametrize("path", ["../x.npz", "/etc/passwd", "a/../../x.npz", "C:\\x.npz", "./s0.npz", "a//b.npz", ""])
def test_paths_that_lead_out_of_the_folder_are_refused(path: str) -> None:
    with pytest.raises(BadInput, match="path"):
        parse_submission(toml([path]))


def test_a_board_of_another_protocol_is_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    text = (board_folder / "board.toml").read_text()
    (board_folder / "board.toml").write_text(text.replace("scale", 'protocol = "2.0"\nscale'))
    refused(submission, board_folder, place, tree, "protocol 2.0")


def test_better_than_real_data_raises_an_alarm_on_the_row(submission: Path, board_folder: Path, place: Any) -> None:
    from fakes import raw

    measured = check(submission, board_folder, place=place).measurement.records[0].metrics[0]
    oracle = [
        raw("control_oracle", "digits", s, {"mmd": 0.9 + s / 1000}, signature=measured.signature, n=N) for s in range(3)
    ]
    (board_folder / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in oracle))
    add(submission, board_folder, place=place)
    assert "better than real data on digits" in (board_folder / "README.md").read_text()


def test_the_board_is_the_same_whatever_was_added_first(
    tmp_path: Path, submission: Path, board_folder: Path, place: Any
) -> None:
    from ganbench.boards.build import build

    add(submission, board_folder, place=place)
    second = tmp_path / "second"
    second.mkdir()
    for seed in (10, 11):
        npz(second / f"s{seed}.npz", samples=outside_generator(seed))
    (second / "submission.toml").write_text(toml(["s10.npz", "s11.npz"], name="another"))
    add(second, board_folder, place=place)
    pages = files(build(board_folder))
    lines = (board_folder / "submissions" / "example-lab__another" / "results.jsonl").read_text().splitlines()
    (board_folder / "submissions" / "example-lab__another" / "results.jsonl").write_text("\n".join(lines[::-1]) + "\n")
    assert files(build(board_folder)) == pages


# --- seeds, leaks and sizes


def test_one_set_in_another_order_or_moved_a_little_is_one_seed(
    submission: Path, board_folder: Path, place: Any, tree: Tree
) -> None:
    rng = np.random.default_rng(0)
    x = np.load(submission / "s0.npz")["samples"][rng.permutation(N)]
    npz(submission / "s1.npz", samples=x)
    refused(submission, board_folder, place, tree, "nearly the same samples", verbs=("check",))
    moved = np.clip(x.astype(int) + rng.integers(-3, 4, x.shape), 0, 255).astype(np.uint8)
    npz(submission / "s1.npz", samples=moved)
    refused(submission, board_folder, place, tree, "nearly the same samples", verbs=("check",))


def test_test_events_with_noise_are_refused(submission: Path, board_folder: Path, place: Any, tree: Tree) -> None:
    rng = np.random.default_rng(0)
    events = digits_of("test", place)[rng.permutation(500)[:N]].astype(int)
    noisy = np.clip(events + rng.normal(0, 12, events.shape).round(), 0, 255).astype(
        np.uint8
    )  # a third of a neighbour's
    npz(submission / "s1.npz", samples=noisy)
    refused(submission, board_folder, place, tree, "copies of test events of digits, perhaps moved")


def test_memorised_training_events_are_flagged_on_the_row(submission: Path, board_folder: Path, place: Any) -> None:
    rng = np.random.default_rng(0)
    events = digits_of("train", place)[rng.permutation(700)[:N]].astype(int)
    noisy = np.clip(events + rng.normal(0, 25, events.shape).round(), 0, 255).astype(np.uint8)
    npz(submission / "s1.npz", samples=noisy)
    add(submission, board_folder, place=place)
    assert re.search(r"seed 1 on digits: \d+% of the samples lie closer to train .* memorised", readme_of(board_folder))


def readme_of(board_folder: Path) -> str:
    return (board_folder / "README.md").read_text()


def test_shapes_are_checked_before_any_network_is_made(
    weights: Path, board_folder: Path, place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config of 1 GB of weights against a file of a few kB: refused while nothing but shapes exists."""
    import torch

    from ganbench.model import make as module

    place.dataset("digits")
    made = []
    original = module.make
    monkeypatch.setattr(module, "make", lambda *a: made.append(str(torch.empty(0).device)) or original(*a))
    text = (weights / "submission.toml").read_text()
    for hidden in ("[12000, 12000]", "[1000000000, 1000000000]", str([9] * 3000), "[-1]", '"x"', "[1e30]"):
        (weights / "submission.toml").write_text(text.replace("[16, 16]", hidden))
        with pytest.raises(GanbenchError) as caught:
            check(weights, board_folder, place=place)
        assert caught.value.exit_code == 2
    assert set(made) == {"meta"}
