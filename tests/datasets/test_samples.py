"""Other people's samples: every honest format gives the same events; every dishonest one is refused by name."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from ganbench.boards.submission import read_submission
from ganbench.data import DataSpec
from ganbench.datasets.samples import read_samples
from ganbench.errors import BadInput

VECTORS = DataSpec("ring", (2,))
GREY = DataSpec("grey", (1, 4, 6), (-1.0, 1.0))
COLOUR = DataSpec("colour", (3, 4, 6), (-1.0, 1.0))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 6), dtype=np.uint8)


def test_all_formats_agree(tmp_path: Path) -> None:
    floats = (PIXELS / 127.5 - 1).astype(np.float32)
    np.save(tmp_path / "a.npy", PIXELS)
    np.savez(tmp_path / "b.npz", samples=PIXELS, other=np.zeros(3))
    np.savez_compressed(tmp_path / "c.npz", whatever=floats)
    np.save(tmp_path / "d.npy", PIXELS[:, 0])
    np.save(tmp_path / "e.npy", PIXELS.transpose(0, 2, 3, 1))
    np.save(tmp_path / "f.npy", floats.astype(np.float64))
    save_file({"samples": floats, "labels": np.zeros(5)}, tmp_path / "g.safetensors")
    (tmp_path / "h").mkdir()
    for i, image in enumerate(PIXELS):
        Image.fromarray(image[0]).save(tmp_path / "h" / f"{i:02d}.png")
    want = torch.from_numpy(floats)
    for name in ("a.npy", "b.npz", "c.npz", "d.npy", "e.npy", "f.npy", "g.safetensors", "h"):
        found = read_samples(tmp_path / name, GREY)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, want, rtol=0, atol=2e-7)


def test_colour_images_keep_their_channels(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "0.png")
    found = read_samples(tmp_path, COLOUR)
    torch.testing.assert_close(found[0], torch.from_numpy(image.transpose(2, 0, 1) / 127.5 - 1).float())


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (np.zeros((5, 3)), VECTORS),
        (np.zeros((0, 2)), VECTORS),
        (np.zeros(()), VECTORS),
        (np.zeros((5, 2), np.int64), VECTORS),
        (np.zeros((5, 2), np.complex64), VECTORS),
        (np.zeros((5, 2), np.uint8), VECTORS),
        (np.full((5, 2), np.nan), VECTORS),
        (np.full((5, 2), 1e300), VECTORS),
        (np.linspace(0, 1, 120).reshape(5, 1, 4, 6), GREY),
        (np.linspace(-255, 255, 120).reshape(5, 1, 4, 6), GREY),
        (np.zeros((5, 24)), GREY),
    ],
    ids=str,
)
def test_wrong_arrays_are_refused_by_name(tmp_path: Path, array: np.ndarray, spec: DataSpec) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(BadInput, match=r"x\.npy"):
        read_samples(tmp_path / "x.npy", spec)


class Bomb:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("exploded",)


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Bomb()))
    np.save(tmp_path / "b.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "c.npz", samples=np.array([Bomb()], dtype=object))
    (tmp_path / "d.safetensors").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "b.npy", "c.npz", "d.safetensors", "e.pkl"):
        with pytest.raises(BadInput, match=name):
            read_samples(tmp_path / name, VECTORS)
    assert not (tmp_path / "exploded").exists()


def test_sizes_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 2)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.npy", header.getvalue() + b"\0" * (1 << 24))
    (tmp_path / "c.safetensors").write_bytes(struct.pack("<Q", 10 << 30) + b"{}")
    big = b'{"samples":{"dtype":"F32","shape":[1099511627776,2],"data_offsets":[0,8796093022208]}}'
    (tmp_path / "d.safetensors").write_bytes(struct.pack("<Q", len(big)) + big)
    for name in ("a.npy", "b.npz", "c.safetensors", "d.safetensors"):
        with pytest.raises(BadInput, match=name):
            read_samples(tmp_path / name, VECTORS)


def test_damaged_files_and_odd_folders(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros((3, 2)), b=np.zeros((3, 2)))
    whole = io.BytesIO()
    np.save(whole, np.zeros((50, 2)))
    (tmp_path / "short.npy").write_bytes(whole.getvalue()[:-100])
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("two.npz", "short.npy", "empty.npz", "nothing.npy"):
        with pytest.raises(BadInput, match=name):
            read_samples(tmp_path / name, VECTORS)
    folder = tmp_path / "images"
    folder.mkdir()
    for spec in (GREY, VECTORS):
        with pytest.raises(BadInput, match="images"):
            read_samples(folder, spec)
    Image.fromarray(PIXELS[0, 0]).save(folder / "0.png")
    (folder / "1.png").write_bytes((folder / "0.png").read_bytes()[:60])
    with pytest.raises(BadInput, match=r"1\.png"):
        read_samples(folder, GREY)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "1.png")
    with pytest.raises(BadInput, match=r"1\.png"):
        read_samples(folder, GREY)
    (folder / "1.png").unlink()
    (folder / "1.png").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match=r"1\.png"):
        read_samples(folder, GREY)


def test_a_byte_order_mark_before_submission_toml_is_read(tmp_path: Path) -> None:
    text = (
        '[submission]\nboard = "b"\nprotocol = "1.0"\ntier = "claim"\nteam = "T"\nname = "n"\nlicense = "MIT"\n'
        '[[claimed]]\ndataset = "digits"\nmetric = "mmd"\nvalue = 1.0\n'
    )
    found = []
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "submission.toml").write_text(text, encoding=encoding)
        found.append(read_submission(tmp_path))
    assert found[0] == found[1]
    (tmp_path / "submission.toml").write_text(text, encoding="utf-16")
    with pytest.raises(BadInput, match="must be UTF-8"):
        read_submission(tmp_path)
