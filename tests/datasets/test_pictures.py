"""Which pictures are read is one decision: `folder:`, `evaluate`, `score` and `submit` read the same ones, or none."""

import contextlib
import os
import random
import re
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.__main__ import main
from ganbench.data import DataSpec
from ganbench.datasets.load import load
from ganbench.datasets.pictures import read_folder
from ganbench.datasets.samples import read_samples
from ganbench.errors import BadInput
from ganbench.scoring.evaluation import evaluate

SHAPE = (3, 6, 5)
COLOUR = DataSpec("colour", SHAPE, (-1.0, 1.0))


def pictures(n, seed=0, shape=(6, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def write(folder, images, suffix=".png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{row:03d}{suffix}", **options)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def doors(root, data_set=True):
    """What each door says of a folder: the number of pictures it read, or the reason not to."""

    def at(read):
        try:
            return read()
        except BadInput as error:
            return str(error)

    def of_data_set():
        data = load(f"folder:{root}")
        return sum(len(s) for s in (data.train, data.holdout, data.test))

    found = [
        at(lambda: evaluate(root, pictures(20).transpose(0, 3, 1, 2), ["sliced_wasserstein"])[0].n),
        at(lambda: len(read_samples(root, COLOUR))),
        at(lambda: len(read_samples(root, COLOUR, 20))),
    ]
    return [at(of_data_set), *found] if data_set else found


def test_all_doors_read_all_of_a_good_folder(tmp_path):
    write(tmp_path / "flat", pictures(18))
    write(tmp_path / "flat", pictures(2), ".JPG")
    write(tmp_path / "sorted" / "a", pictures(5))
    write(tmp_path / "sorted" / "b", pictures(15))
    for name in ("flat", "sorted"):
        for clutter in (".DS_Store", "Thumbs.db", "desktop.ini", "._000.png"):
            (tmp_path / name / clutter).write_bytes(b"x")
        write(tmp_path / name / "__MACOSX", pictures(3))
        write(tmp_path / name / ".hidden", pictures(3))
        assert doors(tmp_path / name) == [20] * 4
    Image.fromarray(pictures(1)[0]).convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "flat" / "000.png")
    assert doors(tmp_path / "flat") == [20] * 4


def test_classes_take_turns_so_that_the_first_samples_hold_all_of_them(tmp_path):
    for value, name in enumerate("abc"):
        write(tmp_path / name, np.full((4, 6, 5, 3), 40 * value, np.uint8))
    want = (torch.arange(12) % 3 * 40 / 127.5 - 1).float()
    torch.testing.assert_close(read_samples(tmp_path, COLOUR)[:, 0, 0, 0], want)


def other(suffix, **options):
    def spoil(root):
        for name in ("000", "001", "002", "003", "004"):
            Image.open(root / f"{name}.png").save(root / f"{name}{suffix}", **options)
            (root / f"{name}.png").unlink()

    return spoil


def link(to):
    return lambda root: ((root / "000.png").unlink(), (root / "000.png").symlink_to(to))


def over(content):
    return lambda root: (root / "000.png").write_bytes(content if isinstance(content, bytes) else content(root))


def saved(picture, suffix=".png", **options):
    def spoil(root):
        (root / "000.png").unlink()
        picture.save(root / f"000{suffix}", **options)

    return spoil


def of_mode(mode, suffix=".png"):
    return saved(Image.fromarray(pictures(1)[0]).convert(mode), suffix)


def turned(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    saved(Image.fromarray(pictures(1)[0]), ".jpg", exif=exif)(root)


def deeper(root):
    write(root / "a" / "b", pictures(2))
    (root / "000.png").rename(root / "a" / "000.png")
    for path in root.glob("*.png"):
        path.unlink()


def damaged(root):
    raw = bytearray((root / "000.png").read_bytes())
    raw[60] ^= 8
    return bytes(raw)


SPOILED = {
    "webp": (other(".webp"), r"5 files are not read \(000.webp, 001.webp, 002.webp, ...\)"),
    "bmp": (other(".bmp"), "5 files are not read .*PNG or JPEG"),
    "jfif": (other(".jfif", format="JPEG"), "5 files are not read .*convert these"),
    "tiff": (other(".tiff"), "5 files"),
    "gif": (other(".gif"), "5 files"),
    "a table": (lambda root: (root / "labels.csv").write_text("a"), r"1 file is not read \(labels.csv\)"),
    "a name that cannot be printed": (lambda root: (root / "a\n\udcff").touch(), r"1 file is not read \('a\\n\\udcff'"),
    "a dead link": (link("nowhere.png"), r"000.png\); links are not followed"),
    "a live link": (link("001.png"), r"000.png\); links are not followed"),
    "a pipe": (lambda root: os.mkfifo(root / "pipe.png"), r"pipe.png\); only plain files"),
    "deeper folders": (deeper, r"2 files are not read \(a/b/000.png, a/b/001.png\); .*move them up"),
    "loose and sorted": (lambda root: write(root / "class", pictures(2)), "holds both"),
    "nothing": (lambda root: [p.unlink() for p in root.iterdir()], "must hold PNG or JPEG"),
    "an empty file": (over(b""), "000.png is empty"),
    "text": (over(b"not a picture"), "000.png is not a readable"),
    "half a picture": (over(lambda root: (root / "000.png").read_bytes()[:90]), "000.png is not a readable"),
    "a turned bit": (over(damaged), "000.png is not a readable"),
    "another size": (saved(Image.fromarray(pictures(1)[0][:5])), r"must be RGB, 5 x . pixels; .*0.\.png has"),
    "grey": (of_mode("L"), r"\(1, 6, 5\)"),
    "alpha": (of_mode("RGBA"), "000.png.*without alpha; got mode RGBA"),
    "grey with alpha": (of_mode("LA"), "000.png.*without alpha; got mode LA"),
    "a transparent colour": (saved(Image.fromarray(pictures(1)[0]), transparency=(0, 0, 0)), "with transparency"),
    "a transparent palette": (saved(Image.fromarray(pictures(1)[0]).convert("P"), transparency=0), "with transparency"),
    "CMYK": (of_mode("CMYK", ".jpg"), "000.jpg.*got mode CMYK"),
    "16 bits of grey": (saved(Image.fromarray(np.full((6, 5), 999, np.uint16))), "000.png.*got 16 bits a channel"),
    "16 bits of colour": (over(png(5, 6, 16, 2, (b"\0" + bytes(30)) * 6)), "000.png.*got 16 bits a channel"),
    "lying on its side": (turned, "000.jpg: its EXIF tag .*orientation 6"),
    "a film": (
        saved(Image.fromarray(pictures(1)[0]), save_all=True, append_images=[Image.fromarray(pictures(2)[1])]),
        "000.png must hold one picture; it holds 2",
    ),
    "a bomb": (over(png(60_000, 60_000, 8, 2, b"")), "000.png must be below .* pixels"),
    "a near bomb": (over(png(10_000, 9_000, 8, 2, b"")), "000.png must be below .* pixels"),
    "a text bomb": (
        over(png(5, 6, 8, 2, b"")[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 26)))),
        "000.png is not a readable",
    ),
    "a bloated file": (over(lambda root: (root / "000.png").read_bytes() + bytes(1 << 21)), "000.png must be below"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_what_is_not_read_is_refused_by_name_at_every_door(tmp_path, case):
    spoil, says = SPOILED[case]
    root = tmp_path / "mine"
    write(root, pictures(20))
    spoil(root)
    for said in doors(root):
        assert isinstance(said, str), case
        assert re.search(says, said), said


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["train", "val"], "train/, val/"),
        (["train", "validation", "test"], "rename the folders"),
        (["Train", "Test"], "rename the folders"),
        (["train"], "train/"),
        (["train", "test", "extra"], "extra/"),
    ],
)
def test_parts_of_a_data_set_are_not_classes(tmp_path, names, says):
    root = tmp_path / "mine"
    for name in names:
        write(root / name, pictures(20))
    said = doors(root)
    assert says in said[0]
    assert all(
        "parts of a data set and no classes; name one of them, as in mine/t" in text.lower() for text in said[1:]
    )


def test_one_class_may_be_called_train(tmp_path):
    for name in ("boat", "train"):
        write(tmp_path / name, pictures(10))
    assert doors(tmp_path) == [20] * 4
    assert load(f"folder:{tmp_path}").spec.n_classes == 2


def test_given_parts_are_the_splits(tmp_path):
    sets = {name: pictures(12, seed) for seed, name in enumerate(("train", "val", "test"))}
    for name, images in sets.items():
        write(tmp_path / name, images)
    data = load(f"folder:{tmp_path}")
    for name, split in (("train", data.train), ("val", data.holdout), ("test", data.test)):
        assert sorted(x.numpy().tobytes() for x in split.x) == sorted(
            i.transpose(2, 0, 1).tobytes() for i in sets[name]
        )
    (tmp_path / "README.txt").write_text("a")
    with pytest.raises(BadInput, match=r"1 file is not read \(README.txt\)"):
        load(f"folder:{tmp_path}")
    (tmp_path / "README.txt").rename(tmp_path / "0.png")
    with pytest.raises(BadInput, match=r"1 file is not read \(0.png\).*nothing else"):
        load(f"folder:{tmp_path}")


def grow(root: Path, good: Path, rng: random.Random, depth: int = 0) -> int:
    """Fill a folder with anything; returns how many files a reader may not pass over."""
    raw, seen = good.read_bytes(), 0
    for k in range(rng.randint(1, 8)):
        kind = rng.choice(["png"] * 25 + ["hidden", "webp", "link", "cut", "flip", "folder", "folder"])
        path = root / f"{k}.png"
        if kind == "folder":
            folder = root / rng.choice(["train", "val", "a", "b", "c", ".d", "__MACOSX"])
            if depth < 3 and not folder.exists():
                folder.mkdir()
                inner = grow(folder, good, rng, depth + 1)
                seen += inner if folder.name not in (".d", "__MACOSX") else 0
            continue
        seen += kind != "hidden"
        if kind == "hidden":
            (root / f".{k}.png").write_bytes(raw)
        elif kind == "webp":
            (root / f"{k}.webp").write_bytes(raw)
        elif kind == "link":
            path.symlink_to(good)
        elif kind == "cut":
            path.write_bytes(raw[: rng.randrange(len(raw) - 12)])
        elif kind == "flip":
            at = rng.randrange(len(raw))
            path.write_bytes(raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :])
        else:
            path.write_bytes(raw)
    return seen


@pytest.mark.parametrize("seed", range(60))
def test_any_tree_is_read_whole_or_refused_by_all_doors_alike(tmp_path, seed):
    good, root = tmp_path / "good.png", tmp_path / "mine"
    Image.fromarray(pictures(1)[0]).save(good)
    root.mkdir()
    visible = grow(root, good, random.Random(seed))
    said = doors(root, data_set=False)[:2]
    assert said[0] == said[1] == visible or all(isinstance(text, str) for text in said), said


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_damaged_bytes_are_pixels_or_a_refusal(tmp_path, form):
    path = tmp_path / "0.png"
    Image.fromarray(pictures(1)[0]).save(path, format=form)
    raw, rng = path.read_bytes(), random.Random(0)
    for _ in range(150):
        damage = bytearray(raw)
        for _ in range(rng.randint(1, 3)):
            damage[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(bytes(damage[: rng.choice([len(raw), rng.randrange(len(raw))])]))
        with contextlib.suppress(BadInput):
            assert read_folder(tmp_path).dtype == np.uint8


CASES = ["webp", "a dead link", "alpha", "16 bits of colour", "half a picture"]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["score", "mine", "-d", "folder:good"], ["score", "good", "-d", "folder:mine"]),
        *(["plan", "-d", "folder:mine"], ["run", "-d", "folder:mine", "-m", "gmm", "--out", "r"]),
    ],
    ids=" ".join,
)
def test_the_command_line_says_so_and_ends_with_code_2(tmp_path, arguments, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "good", pictures(20, 1))
    cases = {"plan": CASES[:2], "run": [*CASES[:2], "half a picture"]}.get(arguments[0], CASES)  # plan decodes nothing
    for case in cases:
        shutil.rmtree(tmp_path / "mine", ignore_errors=True)
        write(tmp_path / "mine", pictures(20))
        SPOILED[case][0](tmp_path / "mine")
        before = sorted(tmp_path.rglob("*"))
        assert main(arguments) == 2
        out, error = capsys.readouterr()
        assert out == ""
        assert re.search(SPOILED[case][1], error), error
        assert "Traceback" not in error
        assert sorted(tmp_path.rglob("*")) == before
