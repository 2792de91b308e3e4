"""Data sets in torchvision's layout: the real MNIST, and small stand-ins in the file formats of the others."""

import gzip
import pickle
import time

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets as tv

from ganbench.datasets import images
from ganbench.datasets.load import load
from ganbench.errors import BadInput, MissingResource, UnknownName

RNG = np.random.default_rng(0)


def idx(array):
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def write_mnist_like(raw, n_train, n_test):
    raw.mkdir(parents=True)
    parts = {}
    for part, n in (("train", n_train), ("t10k", n_test)):
        x, y = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % 10
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
        parts[part] = x
    return parts


@pytest.fixture
def few(monkeypatch):
    """A holdout and files that are small."""
    monkeypatch.setattr(images, "HOLDOUT", 20)
    monkeypatch.setattr(images, "IDX_FILES", few_files())


def few_files(n_train=60, n_test=30, side=28):
    """Files and their sizes, as in `images.IDX_FILES`."""
    return {
        f"{part}-{what}-idx{axes}-ubyte": (kind, (n, side, side)[:axes])
        for part, n in (("train", n_train), ("t10k", n_test))
        for what, kind, axes in (("images", "pixels", 3), ("labels", "labels", 1))
    }


def mnist():
    try:
        return load("mnist")
    except MissingResource as error:
        pytest.skip(str(error))


def test_mnist_is_the_published_one():
    data = mnist()
    counts = [torch.bincount(s.y).tolist() for s in (data.train, data.holdout, data.test)]
    assert [a + b for a, b in zip(*counts[:2], strict=True)] == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert counts[2] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.spec.sha256 == "000d330b9bd04c90eedb60569ddeea038edfcc88a207cb808d197dca4221b1ae"
    assert data.train.y[:5].tolist() == [5, 0, 4, 1, 9]
    # The mean and std that every tutorial normalises by, over all 60,000 training images.
    pixels = torch.cat([data.train.x, data.holdout.x]).double() / 255
    assert float(pixels.mean()) == pytest.approx(0.1307, abs=5e-5)
    assert float(pixels.std()) == pytest.approx(0.3081, abs=5e-5)


def test_mnist_loads_in_under_a_second():
    mnist()
    best = min(_seconds(mnist) for _ in range(3))
    assert best < 1


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_idx_files_agree_with_torchvision(tmp_path, few, name, folder):
    parts = write_mnist_like(tmp_path / folder / "raw", 60, 30)
    data = load(name, tmp_path)
    theirs = getattr(tv, folder)(root=tmp_path, train=True)
    mine = torch.cat([data.train.x, data.holdout.x]), torch.cat([data.train.y, data.holdout.y])
    torch.testing.assert_close(mine[0][:, 0], theirs.data)
    torch.testing.assert_close(mine[1], theirs.targets)
    torch.testing.assert_close(data.test.x[:, 0], torch.from_numpy(parts["t10k"]))
    assert [len(s) for s in (data.train, data.holdout, data.test)] == [40, 20, 30]
    assert data.spec.event_shape == (1, 28, 28)


def idx_of(array, code):
    raw = bytearray(idx(array))
    raw[2] = code
    return bytes(raw)


X, Y = RNG.integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 10
IMAGES, LABELS = idx(X), idx(Y)
WRONG = {  # case -> (file, its bytes, what the message says of them)
    "empty": ("train-images-idx3-ubyte", b"", "begins with nothing"),
    "a header cut short": ("train-images-idx3-ubyte", IMAGES[:10], r"uint8 of shape \(60,\)"),
    "a zip": ("train-images-idx3-ubyte", b"PK\3\4 and more", "begins with 50 4b 03 04"),
    "packed": ("train-images-idx3-ubyte", gzip.compress(IMAGES), "packed by gzip"),
    "one byte too few": ("train-images-idx3-ubyte", IMAGES[:-1], "47040 bytes .* it has 47039"),
    "one byte too many": ("train-images-idx3-ubyte", IMAGES + b"0", "it has more"),
    "fewer pictures": ("train-images-idx3-ubyte", idx(X[:50]), r"\(60, 28, 28\) .*says uint8 of shape \(50, 28, 28\)"),
    "the test pictures": ("train-images-idx3-ubyte", idx(X[:30]), r"\(30, 28, 28\)"),
    "larger pictures": ("t10k-images-idx3-ubyte", idx(np.zeros((30, 32, 32))), r"\(30, 32, 32\)"),
    "floats": ("train-images-idx3-ubyte", idx_of(X, 0x0D), "says float32"),
    "a type that is none": ("train-images-idx3-ubyte", idx_of(X, 0x77), "says type 0x77"),
    "labels as pictures": ("train-images-idx3-ubyte", LABELS, r"says uint8 of shape \(60,\)"),
    "pictures as labels": ("train-labels-idx1-ubyte", IMAGES, r"says uint8 of shape \(60, 28, 28\)"),
    "the test labels": ("train-labels-idx1-ubyte", idx(Y[:30]), r"says uint8 of shape \(30,\)"),
    "the training labels": ("t10k-labels-idx1-ubyte", LABELS, r"says uint8 of shape \(60,\)"),
    "labels from 1": ("train-labels-idx1-ubyte", idx(Y + 1), "each of 0 to 9 .* holds 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;"),
    "labels from -1": ("t10k-labels-idx1-ubyte", idx(Y[:30].astype(np.uint8) - 1), "holds 0, .*, 255;"),
    "one class": ("t10k-labels-idx1-ubyte", idx(0 * Y[:30]), "holds 0;"),
    "sizes beyond memory": ("t10k-labels-idx1-ubyte", b"\0\0\x08\x01\xff\xff\xff\xff", r"\(4294967295,\)"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("case", WRONG)
def test_idx_files_that_do_not_fit_are_refused_by_name(tmp_path, few, case, packed):
    raw = tmp_path / "MNIST" / "raw"
    write_mnist_like(raw, 60, 30)
    file, content, says = WRONG[case]
    (raw / file).write_bytes(content)
    if packed:
        (raw / f"{file}.gz").write_bytes(gzip.compress(content))
        (raw / file).unlink()
    with pytest.raises(BadInput, match=f"^{file}{'.gz' if packed else ''} must hold (pixels|labels) of shape .*{says}"):
        load("mnist", tmp_path)


@pytest.mark.parametrize("count", [9_999, 10_000, 50_000, 60_001])
@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST"), ("stacked_mnist", "MNIST"), ("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
)
def test_published_counts_are_what_is_asked_for(tmp_path, name, folder, count):
    raw = tmp_path / folder / "raw"
    write_mnist_like(raw, 60, 30)
    (raw / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + np.array([count, 28, 28], ">u4").tobytes())
    with pytest.raises(BadInput, match=rf"train-images-idx3-ubyte .*\(60000, 28, 28\).*\({count}, 28, 28\)"):
        load(name, tmp_path)


def test_gz_files_are_read_like_plain_ones(tmp_path, few):
    raw = tmp_path / "KMNIST" / "raw"
    write_mnist_like(raw, 60, 30)
    plain = load("kmnist", tmp_path).spec
    for path in list(raw.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load("kmnist", tmp_path).spec == plain
    path = raw / "t10k-images-idx3-ubyte.gz"
    for damage in (path.read_bytes()[:-9], b"\x1f\x8bnothing", path.read_bytes()[:-5] + b"12345"):
        path.write_bytes(damage)
        with pytest.raises(BadInput, match=r"t10k-images-idx3-ubyte.gz must .*cannot be read"):
            load("kmnist", tmp_path)


def test_cifar10_keeps_channels_rows_and_labels(tmp_path, few, monkeypatch):
    monkeypatch.setattr(tv.CIFAR10, "train_list", [[f"data_batch_{i}", None] for i in range(1, 6)])  # no md5 of ours
    monkeypatch.setattr(tv.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(tv.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    x, y = RNG.integers(0, 256, (60, 3, 32, 32), dtype=np.uint8), (np.arange(60) * 7 % 10).tolist()
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for k, name in enumerate(names):
        rows = slice(10 * k, 10 * k + 10)
        (folder / name).write_bytes(pickle.dumps({"data": x[rows].reshape(10, -1), "labels": y[rows]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    data = load("cifar10", tmp_path)
    torch.testing.assert_close(torch.cat([data.train.x, data.holdout.x, data.test.x]), torch.from_numpy(x))
    assert torch.cat([data.train.y, data.holdout.y, data.test.y]).tolist() == y
    assert data.train.x.is_contiguous()


def test_cifar10_with_other_bytes_is_never_unpickled(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(b"cos\nabort\n(tR.")  # would end the process
    with pytest.raises(MissingResource, match="not the published files"):
        load("cifar10", tmp_path)


def test_svhn_counts_ten_as_zero(tmp_path, few, monkeypatch):
    monkeypatch.setattr(tv.SVHN, "split_list", {p: ["", f"{p}_32x32.mat", None] for p in ("train", "test")})
    x = {p: RNG.integers(0, 256, (32, 32, 3, n), dtype=np.uint8) for p, n in (("train", 50), ("test", 30))}
    for part, pixels in x.items():
        y = np.arange(pixels.shape[3])[:, None] % 10 + 1
        scipy.io.savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels, "y": y})
    data = load("svhn", tmp_path)
    torch.testing.assert_close(data.test.x, torch.from_numpy(x["test"].transpose(3, 2, 0, 1).copy()))
    assert data.test.y[:10].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert (len(data.train), len(data.holdout)) == (30, 20)


def test_celeba_keeps_the_centre_and_decodes_once(tmp_path, monkeypatch):
    files = [(i, None, f) for i, _, f in tv.CelebA.file_list]
    monkeypatch.setattr(tv.CelebA, "file_list", files)
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(1, 10)]
    for k, name in enumerate(names):
        picture = np.zeros((218, 178, 3), np.uint8)  # a grey square where the face is, black bars outside the crop
        picture[20:198] = 20 * (k + 1)
        Image.fromarray(picture).save(folder / "img_align_celeba" / name, quality=100)
    table = "\n".join(f"{n} {i // 3}" for i, n in enumerate(names))
    for file in ("list_eval_partition.txt", "identity_CelebA.txt"):
        (folder / file).write_text(table)
    for file in ("list_bbox_celeba.txt", "list_landmarks_align_celeba.txt", "list_attr_celeba.txt"):
        (folder / file).write_text("9\nhead\n" + table)
    data = load("celeba", tmp_path)
    assert (data.spec.event_shape, data.spec.n_classes) == ((3, 64, 64), None)
    means = torch.cat([s.x.float().mean((1, 2, 3)) for s in (data.train, data.holdout, data.test)])
    torch.testing.assert_close(means, 20.0 * torch.arange(1, 10), atol=1.5, rtol=0)
    monkeypatch.setattr(tv.CelebA, "__init__", lambda *_, **__: pytest.fail("decoded twice"))
    assert load("celeba", tmp_path).spec == data.spec
    np.save(folder / "ganbench-64x64-v1-valid.npy", np.zeros((3, 64, 64), np.uint8))
    with pytest.raises(BadInput, match=r"valid.npy must hold uint8 \(N, 3, 64, 64\)"):
        load("celeba", tmp_path)
    (folder / "ganbench-64x64-v1-valid.npy").write_bytes(b"")
    with pytest.raises(BadInput, match=r"valid.npy cannot be read"):
        load("celeba", tmp_path)


def test_a_failed_download_is_an_environment_error(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(tv.KMNIST, "download", offline)
    with pytest.raises(MissingResource, match=r"download into .* failed: no route"):
        load("kmnist", tmp_path, download=True)


def test_the_directory_comes_from_the_argument_then_the_environment(tmp_path, few, monkeypatch):
    for part in "ab":
        write_mnist_like(tmp_path / part / "KMNIST" / "raw", 60, 30)
    monkeypatch.setenv("GANBENCH_DATA", str(tmp_path / "a"))
    first = load("kmnist").spec
    assert load("kmnist", str(tmp_path / "a")).spec == first
    assert load("kmnist", str(tmp_path / "b")).spec.sha256 != first.sha256
    monkeypatch.setenv("GANBENCH_DATA", "")
    with pytest.raises(MissingResource, match="no data directory"):
        load("kmnist")


def test_unknown_names_offer_near_ones():
    with pytest.raises(UnknownName, match=r"did you mean .*ring8"):
        load("ring9")
