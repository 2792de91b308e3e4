"""Which pictures of a folder are read: one rule for `folder:`, `score`, `submit` and `evaluate`, read without decoding.

PNG and JPEG files lie in the folder itself or in class folders, `CLASS/`. Hidden files and what systems leave behind
are not seen. Everything else is refused by name and count, so that no picture is passed over in silence.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from ganbench.errors import BadInput
from ganbench.files import is_clutter

SUFFIXES = (".png", ".jpg", ".jpeg")
# Names that say "part of a data set", not "class"; `folder:` takes the three of USED.
SPLITS = {"train", "training", "val", "valid", "validation", "dev", "eval", "holdout", "test", "testing"}
USED = ("train", "val", "test")


@dataclass(frozen=True)
class Pictures:
    """Pictures in a fixed order: class by class, by name within a class."""

    paths: list[Path]
    classes: list[str] = field(default_factory=list)  # names of the class folders; none where pictures lie loose
    labels: list[int] = field(default_factory=list)  # (N,) index into classes; empty where there are none

    def dealt(self) -> list[Path]:
        """The paths with classes taking turns, so that the first n hold all of them."""
        return sorted(self.paths, key=lambda p: (p.name, p.parent.name)) if self.classes else self.paths


@dataclass
class _Listing:
    """What lies in one folder."""

    pictures: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    strays: dict[str, list[Path]] = field(default_factory=dict)  # reason -> what is not read for it


def find_pictures(root: Path) -> Pictures:
    """The pictures of a folder, loose or in class folders. Raises `BadInput` naming and counting what is not read."""
    top = _listing(root)
    splits = _splits(top)
    if splits:
        raise BadInput(
            f"{root.name} holds {_slashed(splits)}, parts of a data set and no classes; name one of them, as in "
            f"{root.name}/{splits[0]}"
        )
    by_class = {folder.name: _listing(folder) for folder in top.folders}
    strays = dict(top.strays)
    for inner in by_class.values():
        deeper = [path for folder in inner.folders for path in _all_below(folder)]
        for reason, paths in {**inner.strays, "too deep": deeper}.items():
            strays[reason] = strays.get(reason, []) + paths
    _refuse(strays, root)
    held = {name: inner.pictures for name, inner in by_class.items()}
    if top.pictures and any(held.values()):
        raise BadInput(f"{root.name} must hold images or class folders of images; it holds both")
    if top.pictures:
        return Pictures(top.pictures)
    empty = [name for name, paths in held.items() if not paths]
    if empty or not held:
        where = f"its folder {shown(empty[0])!r}" if empty else "it"
        raise BadInput(f"{root.name} must hold PNG or JPEG images or class folders of them; {where} has none")
    labels = [k for k, paths in enumerate(held.values()) for _ in paths]
    return Pictures([path for paths in held.values() for path in paths], list(held), labels)


def find_splits(root: Path) -> dict[str, Pictures]:
    """{"train", "test"} and, if there, "val" of a folder with those names; {"all"} of one without.

    Raises `BadInput` where they are not just these, or do not hold the same classes.
    """
    top = _listing(root)
    if not _splits(top):
        return {"all": find_pictures(root)}
    names = [folder.name for folder in top.folders]
    if sorted(names) not in (["test", "train"], ["test", "train", "val"]):
        raise BadInput(
            f"{root.name} holds {_slashed(names)}; a data set in parts has train/ and test/ and, where the holdout is "
            "given, val/: rename the folders, or name one of them"
        )
    _refuse({**top.strays, "beside the parts": top.pictures}, root)
    parts = {name: find_pictures(root / name) for name in USED if name in names}
    for name, part in parts.items():
        odd = sorted(set(part.classes) ^ set(parts["train"].classes))
        if odd:
            raise BadInput(f"train/ and {name}/ must hold the same class folders; only one of them has {odd[0]!r}")
    return parts


_CURES = {
    "other formats": "pictures are PNG or JPEG files only (.png, .jpg, .jpeg): convert these, or move them away",
    "links": "links are not followed: put the files in their place, or remove them",
    "special": "only plain files are read: remove them",
    "too deep": "pictures lie in the folder or in class folders: move them up, or name a folder further down",
    "beside the parts": "with train/ and test/ there may be nothing else: move these away",
}


def _refuse(strays: dict[str, list[Path]], root: Path) -> None:
    """Raise `BadInput` for the first reason that has any file."""
    for reason, paths in strays.items():
        if paths:
            some = ", ".join(shown(path.relative_to(root).as_posix()) for path in paths[:3])
            some += ", ..." if len(paths) > 3 else ""
            are = "1 file is" if len(paths) == 1 else f"{len(paths)} files are"
            raise BadInput(f"{root.name}: {are} not read ({some}); {_CURES[reason]}")


def _listing(folder: Path) -> _Listing:
    """A folder's entries by what is done with them, sorted by name. Raises `BadInput` where it cannot be listed."""
    found = _Listing()
    try:
        with os.scandir(folder) as entries:
            visible = sorted((e for e in entries if not is_clutter(e.name)), key=lambda e: e.name)
    except OSError as error:
        raise BadInput(f"{folder.name!r} cannot be listed: {error.strerror}") from None
    for entry in visible:
        path = folder / entry.name
        if entry.is_symlink():
            found.strays.setdefault("links", []).append(path)
        elif entry.is_dir():
            found.folders.append(path)
        elif not entry.is_file():
            found.strays.setdefault("special", []).append(path)
        elif entry.name.lower().endswith(SUFFIXES):
            found.pictures.append(path)
        else:
            found.strays.setdefault("other formats", []).append(path)
    return found


def _all_below(folder: Path) -> list[Path]:
    """Every visible file under a folder, links among them and not followed."""
    found = []
    for where, folders, files in os.walk(folder):
        links = [f for f in folders if os.path.islink(os.path.join(where, f))]
        folders[:] = sorted(f for f in folders if not is_clutter(f) and f not in links)
        found += [Path(where, name) for name in sorted([*files, *links]) if not is_clutter(name)]
    return found


def _splits(top: _Listing) -> list[str]:
    """Names of folders that are parts of a data set: where two of them say so, or nothing else is there.

    One `train` among other classes is a class.
    """
    names = [folder.name for folder in top.folders]
    parts = [name for name in names if name.lower() in SPLITS]
    return parts if len(parts) > 1 or parts == names else []


def _slashed(names: list[str]) -> str:
    return ", ".join(f"{shown(name)}/" for name in names[:6]) + (", ..." if len(names) > 6 else "")


def shown(name: str) -> str:
    """A file's name as it may be printed."""
    return name[:80] if name.isprintable() else ascii(name[:80])
