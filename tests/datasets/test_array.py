"""Array files: round trips through .npy, .npz and .safetensors, and what is refused before it can hurt."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from ganbench.data import DataSpec
from ganbench.datasets.load import load
from ganbench.datasets.samples import read_samples
from ganbench.errors import BadInput
from ganbench.scoring.evaluation import evaluate

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(30, 3)).astype(np.float32)
IMAGES = RNG.integers(0, 256, (30, 3, 4, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3


def rows(data):
    return sorted(x.numpy().tobytes() for s in (data.train, data.holdout, data.test) for x in s.x)


def save(path, **arrays):
    if path.suffix == ".npy":
        np.save(path, arrays["x"])
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, path)
    return f"array:{path}"


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("x", [VECTORS, IMAGES], ids=["vectors", "images"])
def test_round_trip_with_labels(tmp_path, suffix, x):
    data = load(save(tmp_path / f"a{suffix}", x=x, y=LABELS))
    assert data.spec.name == f"array:a{suffix}"
    assert data.spec.event_shape == x.shape[1:]
    assert data.spec.n_classes == 3
    assert data.spec.domain == ((-1, 1) if x.ndim == 4 else None)
    assert [len(s) for s in (data.train, data.holdout, data.test)] == [18, 6, 6]
    assert rows(data) == sorted(row.tobytes() for row in x)
    label_of = {row.tobytes(): label for row, label in zip(x, LABELS, strict=True)}
    for split in (data.train, data.holdout, data.test):
        assert [label_of[row.numpy().tobytes()] for row in split.x] == split.y.tolist()


def test_npy_and_containers_agree(tmp_path):
    hashes = {load(save(tmp_path / f"a{s}", x=VECTORS)).spec.sha256 for s in (".npy", ".npz", ".safetensors")}
    assert len(hashes) == 1


def test_layouts_and_types_of_images(tmp_path):
    channels_first = load(save(tmp_path / "a.npz", x=IMAGES)).spec
    assert load(save(tmp_path / "b.npz", x=IMAGES.transpose(0, 2, 3, 1))).spec.sha256 == channels_first.sha256
    assert load(save(tmp_path / "c.npz", x=IMAGES[:, 0])).spec.event_shape == (1, 4, 5)
    floats = load(save(tmp_path / "d.npz", x=IMAGES / 127.5 - 1))
    torch.testing.assert_close(floats.test.x, load(f"array:{tmp_path}/a.npz").test.events(), atol=1e-6, rtol=0)
    swapped = load(save(tmp_path / "e.npz", x=VECTORS.astype(">f8")))
    assert rows(swapped) == sorted(row.tobytes() for row in VECTORS)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.where(np.arange(90).reshape(30, 3) == 16, np.nan, VECTORS)}, "row 5 holds NaN"),
        ({"x": VECTORS.astype(np.float64) * 1e300}, "finite in float32; row 0"),
        ({"x": VECTORS.astype(int)}, "floating point, or uint8 for images"),
        ({"x": VECTORS > 0}, "floating point"),
        ({"x": VECTORS.astype(complex)}, "floating point"),
        ({"x": VECTORS[:, 0]}, r"x must be .* got \(30,\)"),
        ({"x": np.zeros((30, 2, 4, 4), np.uint8)}, "C 1 or 3"),
        ({"x": np.zeros((30, 0), np.float32)}, "not empty"),
        ({"x": IMAGES.astype(np.float32)}, r"span \[-1, 1\]; got \[0, 255\]"),
        ({"x": IMAGES / 255.0}, r"span \[-1, 1\]; got \[0, 1\]"),
        ({"x": VECTORS[:9]}, "at least 10"),
        ({"x": VECTORS, "y": LABELS[:29]}, r"shape \(30,\)"),
        ({"x": VECTORS, "y": LABELS + 0.5}, "must be integers"),
        ({"x": VECTORS, "y": LABELS - 1}, "row 0 is -1"),
        ({"x": VECTORS, "y": np.where(LABELS == 2, 10**12, LABELS)}, "row 2 is 1000000000000"),
        ({"data": VECTORS, "y": LABELS}, "array named x; it holds data, y"),
        ({"x": VECTORS, "samples": VECTORS}, "array named x; it holds samples, x"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays, says):
    with pytest.raises(BadInput, match=says):
        load(save(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_only_x_and_y_are_read(tmp_path, suffix):
    with_more = load(save(tmp_path / f"a{suffix}", x=VECTORS, y=LABELS, note=np.full(3, np.nan)))
    assert with_more.spec.sha256 == load(save(tmp_path / f"b{suffix}", x=VECTORS, y=LABELS)).spec.sha256
    with pytest.raises(BadInput, match="array named x; it holds note, y"):
        load(save(tmp_path / f"c{suffix}", y=LABELS, note=np.full(3, np.nan)))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_x_may_be_called_samples_or_be_alone(tmp_path, suffix):
    usual = load(save(tmp_path / f"a{suffix}", x=VECTORS, y=LABELS)).spec.sha256
    assert load(save(tmp_path / f"b{suffix}", samples=VECTORS, y=LABELS, more=LABELS)).spec.sha256 == usual
    alone = load(save(tmp_path / f"c{suffix}", arr_0=VECTORS))
    assert rows(alone) == sorted(row.tobytes() for row in VECTORS)
    for name in ("x", "samples", "whatever"):
        path = save(tmp_path / f"d{suffix}", **{name: VECTORS}).removeprefix("array:")
        assert [s.n for s in evaluate(path, VECTORS, ["sliced_wasserstein"])] == [30]
        torch.testing.assert_close(read_samples(Path(path), DataSpec("three", (3,))), torch.from_numpy(VECTORS))


def header(shape, descr="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_a_bomb_is_refused_by_its_header(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((10**6, 10**4)))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header((10**6, 10**4)))
    for suffix in ("npy", "npz"):
        with pytest.raises(BadInput, match=r"37\.3 GiB in memory; the limit is 8 GiB"):
            load(f"array:{tmp_path}/a.{suffix}")


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}] * 20, dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}] * 20, dtype=object), allow_pickle=True)
    for suffix in ("npy", "npz"):
        with pytest.raises(BadInput, match="plain numbers"):
            load(f"array:{tmp_path}/a.{suffix}")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors"])
def test_damaged_and_absent_files_are_refused(tmp_path, suffix):
    whole = tmp_path / f"a{suffix}"
    save(whole, x=VECTORS)
    cut = tmp_path / f"b{suffix}"
    for content in (whole.read_bytes()[:-50], b"not an array at all", b""):
        cut.write_bytes(content)
        with pytest.raises(BadInput, match=f"b{suffix}"):
            load(f"array:{cut}")
    with pytest.raises(BadInput, match="needs an existing"):
        load(f"array:{tmp_path}/none{suffix}")


def test_other_suffixes_are_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"takes .npy, .npz or .safetensors"):
        load(f"array:{tmp_path}/a.pkl")
