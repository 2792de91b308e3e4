"""Mutated submissions end in acceptance or in a clean refusal: no traceback, no hang, no file written."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outsider import BOARD, N, toml

from ganbench.errors import GanbenchError

pytest.importorskip("ganbench.scoring")
from ganbench.boards import measure
from ganbench.boards.submit import check


def originals() -> dict[str, bytes]:
    """One small valid file of every kind that a submission can hold."""
    from PIL import Image
    from safetensors.numpy import save

    x = np.random.default_rng(0).integers(0, 256, (N, 8, 8)).astype(np.uint8)
    npy, npz, stored, png = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(npy, x)
    np.savez_compressed(npz, samples=x)
    np.savez(stored, samples=x)
    Image.fromarray(x[0]).save(png, format="PNG")
    text = toml(["s0.npz"], paper="A paper", url="https://example.org") + (
        '[[claimed]]\ndataset = "digits"\nmetric = "mmd"\nvalue = 0.5\n'
    )
    return {
        "s0.npy": npy.getvalue(),
        "s0.npz": npz.getvalue(),
        "stored/s0.npz": stored.getvalue(),
        "s0.safetensors": save({"samples": x}),
        "s0": png.getvalue(),
        "submission.toml": text.encode(),
    }


ORIGINALS = originals()
INTERESTING = [
    b"\xff" * 8,
    b"\0" * 8,
    struct.pack("<Q", 1 << 62),
    b"../",
    b"O",
    b"[" * 300,
    b"\x93NUMPY",
    b"PK\x05\x06",
    b"\n",
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A kind of file and its bytes after one to four cuts, overwrites, insertions, repeats or a truncation."""
    kind = draw(st.sampled_from(sorted(ORIGINALS)))
    data = bytearray(ORIGINALS[kind])
    for _ in range(draw(st.integers(1, 4))):
        # headers and directories lie at the ends: half of the mutations go there
        near = draw(st.sampled_from(["anywhere", "start", "end"]))
        span = len(data) if near == "anywhere" else min(160, len(data))
        at = draw(st.integers(0, max(0, span - 1))) + (max(0, len(data) - span) if near == "end" else 0)
        piece = draw(st.one_of(st.sampled_from(INTERESTING), st.binary(min_size=1, max_size=9)))
        match draw(st.sampled_from(["overwrite", "insert", "cut", "repeat", "truncate", "flip"])):
            case "overwrite":
                data[at : at + len(piece)] = piece
            case "insert":
                data[at:at] = piece
            case "cut":
                del data[at : at + draw(st.integers(1, 40))]
            case "repeat":
                data[at:at] = data[at : at + 200] * draw(st.integers(1, 5))
            case "truncate":
                del data[at:]
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
    return kind, bytes(data)


def lay_out(root: Path, kind: str, data: bytes) -> tuple[Path, Path]:
    """A board and a submission in which the file of this kind is `data`."""
    board, folder = root / "small", root / "mine"
    board.mkdir()
    folder.mkdir()
    (board / "board.toml").write_text(BOARD)
    name = Path(kind).name
    if kind == "s0":
        (folder / "s0").mkdir()
        for i in range(N):
            (folder / "s0" / f"{i:03}.png").write_bytes(ORIGINALS["s0"] if i else data)
    elif kind == "submission.toml":
        (folder / "s0.npz").write_bytes(ORIGINALS["s0.npz"])
    else:
        (folder / name).write_bytes(data)
    text = data if kind == "submission.toml" else toml([name]).encode()
    (folder / "submission.toml").write_bytes(text)
    return board, folder


def outcome(place: Any, kind: str, data: bytes) -> str:
    """`accepted` or `refused`; anything else is an error of the test. Nothing may appear on disk."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        board, folder = lay_out(root, kind, data)
        before = sorted(p.relative_to(root) for p in root.rglob("*"))
        reason = refusal(lambda: check(folder, board, place=place))
        assert sorted(p.relative_to(root) for p in root.rglob("*")) == before
    assert reason is None or reason.isprintable()  # what a terminal shows must not be steered by the file
    return "accepted" if reason is None else "refused"


def refusal(function: Callable[[], object]) -> str | None:
    """The reason when ganbench refuses on purpose, with the code for bad input; other exceptions pass."""
    try:
        function()
    except GanbenchError as error:
        return str(error) if error.exit_code == 2 else f"\0 code {error.exit_code}"
    return None


def test_the_files_that_are_mutated_are_valid(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "confirm_claims", lambda *_: None)
    assert {kind: outcome(place, kind, data) for kind, data in ORIGINALS.items()} == dict.fromkeys(
        ORIGINALS, "accepted"
    )


@pytest.fixture
def unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is accepted is not scored: by then its bytes have been read and checked."""
    score = {"name": "mmd", "value": 0.5, "n": N, "signature": "s", "direction": "min", "se": 0.1}
    monkeypatch.setattr(measure, "score", lambda *_: [score])
    monkeypatch.setattr(measure, "judge", lambda *_: [])


QUICK = settings(deadline=20_000, derandomize=True, suppress_health_check=list(HealthCheck), database=None)


@settings(QUICK, max_examples=150)
@given(mutated())
@pytest.mark.usefixtures("unscored")
def test_mutated_files_are_accepted_or_refused(place: Any, file: tuple[str, bytes]) -> None:
    outcome(place, *file)


@pytest.mark.slow
@settings(QUICK, max_examples=2500)
@given(mutated())
@pytest.mark.usefixtures("unscored")
def test_2500_mutated_files_are_accepted_or_refused(place: Any, file: tuple[str, bytes]) -> None:
    outcome(place, *file)


@pytest.mark.slow
@settings(max_examples=600, deadline=20_000, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_mutated_files_are_scored_or_refused(place: Any, file: tuple[str, bytes]) -> None:
    outcome(place, *file)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda s: st.lists(s, max_size=3) | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), s),
    max_leaves=8,
)


@settings(QUICK, max_examples=200)
@given(JSON)
def test_any_json_as_a_safetensors_header_is_read_or_refused(value: Any) -> None:
    from ganbench.files import safetensors_header

    header = json.dumps({"x": value} if not isinstance(value, dict) else value).encode()
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "x.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        refusal(lambda: safetensors_header(path))


@pytest.mark.parametrize("kind", ["s0.npz", "stored/s0.npz"])
def test_every_single_byte_of_a_zip_can_be_damaged(kind: str, place: Any) -> None:
    """All positions of the archive's structure, not a random sample: each ends in samples or in a refusal."""
    from ganbench.datasets.samples import read_samples

    data = ORIGINALS[kind]
    start = zipfile.ZipFile(io.BytesIO(data)).start_dir
    spec = place.dataset("digits").spec
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "x.npz"
        for at in [*range(160), *range(start, len(data))]:
            for value in (0, 0xFF, data[at] ^ 0x80):
                path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
                refusal(lambda: read_samples(path, spec, N))
