"""Folders of images: exact round trips, labels from class folders, given splits, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.datasets import base
from ganbench.datasets.load import load
from ganbench.errors import BadConfig, BadInput


def pictures(n, shape=(5, 4, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def write(folder, images, suffix=".png", start=0):
    folder.mkdir(parents=True, exist_ok=True)
    for row, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{start + row:03d}{suffix}")


def rows(*splits):
    return sorted(x.numpy().tobytes() for s in splits for x in s.x)


def test_png_round_trip_is_exact(tmp_path):
    images = pictures(20)
    write(tmp_path, images)
    data = load(f"folder:{tmp_path}")
    assert (data.spec.event_shape, data.spec.domain, data.spec.n_classes) == ((3, 5, 4), (-1, 1), None)
    assert [len(s) for s in (data.train, data.holdout, data.test)] == [12, 4, 4]
    assert data.train.x.dtype == torch.uint8
    assert rows(data.train, data.holdout, data.test) == sorted(i.transpose(2, 0, 1).tobytes() for i in images)
    assert load(f"folder:{tmp_path}/").spec == data.spec


def test_grey_images_have_one_channel(tmp_path):
    write(tmp_path, pictures(10, (6, 6)))
    assert load(f"folder:{tmp_path}").spec.event_shape == (1, 6, 6)


def test_jpeg_is_read(tmp_path):
    flat = np.full((10, 8, 8, 3), 100, np.uint8) + np.arange(10, dtype=np.uint8)[:, None, None, None]
    write(tmp_path, flat, ".jpg")
    data = load(f"folder:{tmp_path}")
    means = torch.cat([s.x.float().mean((1, 2, 3)) for s in (data.train, data.holdout, data.test)]).sort().values
    torch.testing.assert_close(means, torch.arange(100.0, 110.0), atol=1.0, rtol=0)


def test_class_folders_give_labels_in_sorted_order(tmp_path):
    for label, name in enumerate(["zebra", "ant", "mole"]):
        write(tmp_path / name, np.full((10, 4, 4), 50 * label, np.uint8))
    data = load(f"folder:{tmp_path}")
    assert data.spec.n_classes == 3
    for split in (data.train, data.holdout, data.test):
        value = split.x[:, 0, 0, 0].long()  # zebra 0, ant 50, mole 100; sorted: ant 0, mole 1, zebra 2
        torch.testing.assert_close(split.y, torch.tensor([2, 0, 1])[value // 50])
        assert torch.bincount(split.y).tolist() == [len(split) // 3] * 3  # stratified


def test_train_and_test_folders_are_the_splits(tmp_path):
    old, new = pictures(20, seed=1), pictures(10, seed=2)
    for name, part in (("a", slice(0, None, 2)), ("b", slice(1, None, 2))):
        write(tmp_path / "train" / name, old[part])
        write(tmp_path / "test" / name, new[part])
    data = load(f"folder:{tmp_path}")
    assert rows(data.test) == sorted(i.transpose(2, 0, 1).tobytes() for i in new)
    assert rows(data.train, data.holdout) == sorted(i.transpose(2, 0, 1).tobytes() for i in old)
    assert (data.test.y[1:] < data.test.y[:-1]).any()  # not sorted by class


def test_names_decide_the_order_not_creation(tmp_path):
    images = pictures(12)
    write(tmp_path / "one", images)
    for row in reversed(range(12)):
        write(tmp_path / "two", images[row : row + 1], start=row)
    assert load(f"folder:{tmp_path}/one").spec.sha256 == load(f"folder:{tmp_path}/two").spec.sha256


def break_size(root):
    write(root, pictures(1, (5, 5, 3)), start=99)


def break_mode(root):
    write(root, pictures(1, (5, 4)), start=99)


def break_alpha(root):
    write(root, pictures(1, (5, 4, 4)), start=99)


def break_file(root):
    (root / "099.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")


def break_truncated(root):
    write(root, pictures(1, (64, 64, 3)), start=99)
    whole = (root / "099.png").read_bytes()
    for path in root.glob("*.png"):
        path.unlink()
    (root / "099.png").write_bytes(whole[: len(whole) // 2])


def break_disguise(root):
    Image.fromarray(pictures(1)[0]).save(root / "x.bmp")
    (root / "x.bmp").rename(root / "099.png")


def break_layout(root):
    write(root / "class", pictures(1))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (break_size, r"000.png has \(3, 5, 4\), 099.png has \(3, 5, 5\)"),
        (break_mode, r"000.png has \(3, 5, 4\), 099.png has \(1, 5, 4\)"),
        (break_alpha, "099.png.*without alpha; got mode RGBA"),
        (break_file, "099.png is not a readable"),
        (break_truncated, "099.png is not a readable"),
        (break_disguise, "099.png is not a readable"),
        (break_layout, "holds both"),
    ],
)
def test_unusable_folders_are_refused(tmp_path, damage, says):
    write(tmp_path, pictures(10))
    damage(tmp_path)
    with pytest.raises(BadInput, match=says):
        load(f"folder:{tmp_path}")


def test_empty_small_and_absent_folders_are_refused(tmp_path):
    for name, says in (("folder", "needs a path"), ("folder:/no/such", "existing folder")):
        with pytest.raises(BadInput, match=says):
            load(name)
    with pytest.raises(BadInput, match="must hold PNG or JPEG"):
        load(f"folder:{tmp_path}")
    write(tmp_path / "few", pictures(9))
    with pytest.raises(BadInput, match="at least 10"):
        load(f"folder:{tmp_path}/few")
    (tmp_path / "classes" / "void").mkdir(parents=True)
    write(tmp_path / "classes" / "full", pictures(10))
    with pytest.raises(BadInput, match="'void' has none"):
        load(f"folder:{tmp_path}/classes")
    write(tmp_path / "both" / "train" / "a", pictures(10))
    write(tmp_path / "both" / "test" / "b", pictures(10))
    with pytest.raises(BadInput, match=r"same class folders.*'a'"):
        load(f"folder:{tmp_path}/both")


def test_size_is_known_before_anything_decodes(tmp_path, monkeypatch):
    write(tmp_path, pictures(10))
    monkeypatch.setattr(base, "MAX_BYTES", 10 * 60 - 1)
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadInput, match="the limit is"):
        load(f"folder:{tmp_path}")


def test_framing_is_part_of_the_data_and_only_where_it_is_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(12):  # sizes of every kind
        write(tmp_path, rng.integers(0, 256, (1, 20 + i, 30 - i, 3), dtype=np.uint8), start=i)
    with pytest.raises(BadInput, match="--resize N"):
        load(f"folder:{tmp_path}")
    whole, centre = (load(f"folder[{how}]:{tmp_path}") for how in ("resize=8", "resize=8,crop=centre"))
    assert whole.spec.event_shape == centre.spec.event_shape == (3, 8, 8)
    assert whole.spec.sha256 != centre.spec.sha256
    assert centre.spec.name == f"folder[resize=8,crop=centre]:{tmp_path.name}"
    with Image.open(tmp_path / "003.png") as picture:  # 27 x 23
        box = picture.crop((2, 0, 25, 23)).resize((8, 8), Image.Resampling.LANCZOS)
    wanted = np.asarray(box).transpose(2, 0, 1).tobytes()
    assert wanted in rows(centre.train, centre.holdout, centre.test)


def test_pictures_of_the_size_asked_for_stay_bit_by_bit(tmp_path):
    write(tmp_path, pictures(20, (8, 8, 3)))
    plain, framed = load(f"folder:{tmp_path}"), load(f"folder[resize=8]:{tmp_path}")
    assert plain.spec.sha256 == framed.spec.sha256
    cut = load(f"folder[crop=centre]:{tmp_path}")
    assert cut.spec.event_shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("resize=1", "2 to 4096"),
        ("resize=x", "2 to 4096"),
        ("crop=left", "none, centre"),
        ("turn=1", "takes resize"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path, options, says):
    write(tmp_path, pictures(10))
    with pytest.raises(BadConfig, match=says):
        load(f"folder[{options}]:{tmp_path}")
    with pytest.raises(BadConfig, match="array takes no options"):
        load(f"array[{options}]:{tmp_path}")
