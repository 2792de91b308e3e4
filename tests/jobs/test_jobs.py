"""A job's id changes with what can move a score and with nothing else; plans come in an order that can be cut short."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbench import files
from ganbench.errors import BadConfig, UnknownName
from ganbench.jobs import identity, suites
from ganbench.jobs import plan as jobs
from ganbench.jobs import spec as specs
from ganbench.jobs.executors import worker
from ganbench.jobs.plan import Selection
from ganbench.jobs.spec import JobSpec
from ganbench.provenance import source
from ganbench.registry import DATASETS, MODELS

BASE = Selection("smoke", ("gan_ns", "gmm"), ("ring8",), (0, 1), "smoke", ("modes", "mmd"), 500)
SPEC = JobSpec(
    model="m", dataset="d", scale="smoke", budget={"iterations": 5}, seed=0, metrics=("modes",), n_samples=10
)


def test_id_is_the_hash_of_the_canonical_json() -> None:
    text = json.dumps(SPEC.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    import hashlib

    assert SPEC.job_id == hashlib.sha256(text.encode()).hexdigest()
    assert JobSpec.model_validate_json(SPEC.model_dump_json()).job_id == SPEC.job_id


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"config": {"lr": 0.1}},
        {"dataset": "e"},
        {"budget": {"iterations": 6}},
        {"seed": 1},
        {"metrics": ("mmd",)},
        {"n_samples": 11},
        {"device": "cuda"},
        {"versions": {"torch": "2.0"}},
        {"code_sha256": "x"},
    ],
)
def test_whatever_can_move_a_score_moves_the_id(change: dict[str, object]) -> None:
    assert SPEC.model_copy(update=change).job_id != SPEC.job_id


def test_order_of_keys_does_not_matter() -> None:
    one = SPEC.model_copy(update={"config": {"a": 1, "b": 2}})
    two = SPEC.model_copy(update={"config": {"b": 2, "a": 1}})
    assert one.job_id == two.job_id


def test_plan_finishes_one_seed_before_the_next() -> None:
    planned = jobs.plan(BASE)
    assert [(j.spec.seed, j.spec.model) for j in planned] == [(0, "gan_ns"), (0, "gmm"), (1, "gan_ns"), (1, "gmm")]
    assert len({j.spec.job_id for j in planned}) == 4
    assert planned[0].spec.budget == {"iterations": DATASETS.get("ring8").budgets["smoke"]}


def test_pairs_that_do_not_go_together_are_skipped_with_the_reason(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text(
        "from ganbench.model import Model, register\n"
        '@register("flat_labels", family="x", events=("vector",), needs=("y",))\n'
        "class A(Model):\n    pass\n"
    )
    planned = jobs.plan(replace(BASE, models=(f"{file}:A",), datasets=("digits", "gaussian", "ring8"), seeds=(0,)))
    assert [j.skip for j in planned] == [
        "flat_labels takes vector events; digits holds image events",
        "flat_labels learns from labels; gaussian has none",
        None,
    ]
    assert str(tmp_path) not in planned[2].spec.model_dump_json()


def test_selectors() -> None:
    names = [j.spec.model for j in jobs.plan(replace(BASE, models=("gan_*", "gmm"), seeds=(0,)))]
    assert names == [*(e.name for e in MODELS if e.name.startswith("gan_")), "gmm"]
    families = {MODELS.get(j.spec.model).family for j in jobs.plan(replace(BASE, models=("family:classical",)))}
    assert families == {"classical"}
    with pytest.raises(UnknownName, match="did you mean gan_ns"):
        jobs.plan(replace(BASE, models=("gan_nss",)))
    with pytest.raises(UnknownName, match="adversarial"):
        jobs.plan(replace(BASE, models=("family:adversarail",)))
    with pytest.raises(UnknownName, match="did you mean"):
        jobs.plan(replace(BASE, datasets=("ring",)))
    with pytest.raises(UnknownName, match="metric"):
        jobs.metric_names(("modez",))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("4-6", (4, 5, 6)), ("1,5", (1, 5)), ("7,", (7,)), ("1", (0,))]
)
def test_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert jobs.parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["0", "-1", "x", "3-1", "1,1", "", "1-2-3", "99999999", "9" * 40])
def test_bad_seeds(text: str) -> None:
    with pytest.raises(BadConfig, match="seeds are"):
        jobs.parse_seeds(text)


@pytest.mark.parametrize("text", ["", "5", "iterations", "iterations=x", "iterations=-1", "steps=5", "seconds=nan"])
def test_bad_budgets(text: str) -> None:
    with pytest.raises(BadConfig, match="a budget is"):
        jobs.parse_budget(text)


def test_settings() -> None:
    found = list(jobs.parse_sets(["lr=1e-3", "a.hidden=[8,8]", "architecture=mlp"], ["a", "b"]))
    assert found == [(None, "lr", 1e-3), ("a", "hidden", [8, 8]), (None, "architecture", "mlp")]
    with pytest.raises(UnknownName, match="did you mean a"):
        list(jobs.parse_sets(["aa.lr=1"], ["a"]))
    with pytest.raises(BadConfig, match="key=value"):
        list(jobs.parse_sets(["lr"], ["a"]))


def test_code_hash_follows_imports_and_nothing_else(tmp_path: Path) -> None:
    model, helper, other = tmp_path / "m.py", "ganbench.nn", "ganbench.bench"
    model.write_text(
        f"import torch\nfrom {helper} import make_generator\nfrom ganbench.model import Model, register\n"
        '@register("a", family="x")\nclass A(Model):\n    pass\n'
    )
    files = source._closure(model, str(model))
    assert "m.py" in files
    assert any(name.startswith("ganbench.nn.") for name in files)
    assert "ganbench.model.contract" in files
    assert not any(name.startswith((other, "ganbench.report", "ganbench.errors", "torch")) for name in files)


SAYING = """{header}
from ganbench.model import Model, register
{more}

@register("a", family="x")
class A(Model):
    {doc}
    lr: float = {lr}

    def loss(self, batch):
        {note}
        return batch.x.mean(){end}
"""
PLAIN = {"header": '"""A header."""', "more": "", "doc": '"""A docstring."""', "lr": "0.1", "note": "# why", "end": ""}


def code_of(file: Path, **words: str) -> str:
    file.write_text(SAYING.format(**PLAIN | words))
    source.look_again()
    return source.code_sha256(MODELS.get(f"{file}:A"))


@pytest.mark.parametrize(
    "words",
    [
        {"header": '"""Another header,\n\nlonger by far."""'},
        {"header": "# no header"},
        {"doc": '"""Other words."""\n\n    # and a comment'},
        {"note": '"""A string that nobody reads."""'},
        {"more": "\n\n# a line\n"},
        {"end": "  # (B,) -> ()"},
        {"lr": "(0.1)"},
        {"lr": "1e-1"},
    ],
    ids=str,
)
def test_words_make_no_job_new(tmp_path: Path, words: dict[str, str]) -> None:
    assert code_of(tmp_path / "m.py", **words) == code_of(tmp_path / "m.py")


@pytest.mark.parametrize(
    "words",
    [
        {"end": " + 0"},
        {"lr": "0.2"},
        {"lr": "True"},
        {"lr": "{None: 1}"},
        {"lr": "{**1}"},
        {"lr": "'0.1'"},
        {"more": "import math"},
        {"more": "X: 'doc' = 1"},
        {"doc": "pass"},
        {"note": "return 'text'"},
        {"note": "batch = 'text'"},
    ],
    ids=str,
)
def test_statements_do(tmp_path: Path, words: dict[str, str]) -> None:
    changed, plain = code_of(tmp_path / "m.py", **words), code_of(tmp_path / "m.py")
    assert changed != plain
    assert code_of(tmp_path / "m.py", lr="{None: 1}") != code_of(tmp_path / "m.py", lr="{**1}")


def test_a_file_that_is_not_python_is_told_by_its_bytes(tmp_path: Path) -> None:
    assert source._read(b"def (") != source._read(b"def (  # words")
    deep = b"x = " + b"-" * 50_000 + b"1"
    assert source._read(deep).sha256 != source._read(deep + b" ").sha256


EDITING = """
import json, sys
from pathlib import Path
from ganbench.jobs import identity
from ganbench.jobs import plan as jobs
base = jobs.Selection("smoke", ("gan_ns", "wgan_gp", "gmm"), ("ring8", "digits"), (0,), "smoke", ("mmd", "kid"), 500)
planned, found = jobs.plan(base), []
def changes():
    new = [job.spec != old.spec for job, old in zip(jobs.plan(base), planned, strict=True)]
    assert new == [identity.changed_since_plan(old) is not None for old in planned], "what a worker sees"
    return new
for file, old, new in json.loads(sys.argv[1]):
    path = Path(file)
    text = path.read_text()
    assert old in text, file
    path.write_text(text.replace(old, new, 1))
    found.append(changes())
    path.write_text(text)
print(json.dumps([*found, changes()]))
"""
# (file, text, what is put in its place), and whether gan_ns, wgan_gp, gmm become new on ring8, then on digits
EDITS = [
    (("baselines/adversarial/gan_ns.py", '"""', '"""Said in other words. '), [False] * 6),
    (("ganbench/engine/loop.py", "from __future__", "# a comment\n\n\nfrom __future__"), [False] * 6),
    (("ganbench/engine/loop.py", "from __future__ import annotations", "import math"), [True] * 6),
    (("baselines/adversarial/wgan_gp.py", "1 - t", "2 - t"), [False, True, False] * 2),
    (("ganbench/metrics/mmd.py", "import annotations", "import annotations, division"), [True] * 6),
    (("ganbench/scorers/cnn.py", "import annotations", "import annotations, division"), [False] * 3 + [True] * 3),
]


def test_an_edit_of_the_package_makes_new_just_the_jobs_that_stand_on_it(tmp_path: Path) -> None:
    root = Path(jobs.__file__).parents[2]
    ignore = shutil.ignore_patterns("__pycache__", "*.safetensors", "golden")
    for package in ("ganbench", "baselines"):
        shutil.copytree(root / package, tmp_path / package, ignore=ignore)
    command = [sys.executable, "-c", EDITING, json.dumps([edit for edit, _ in EDITS])]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [*(new for _, new in EDITS), [False] * 6]


def test_helpers_of_a_users_file_belong_to_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "spaced_helpers").mkdir()  # a namespace, without __init__.py
    helpers = [tmp_path / "my_losses_of_test.py", tmp_path / "spaced_helpers" / "penalty.py"]
    for helper in helpers:
        helper.write_text("def loss(x):\n    return x\n")
    more = "from my_losses_of_test import loss\nfrom spaced_helpers.penalty import loss as other"
    before = code_of(tmp_path / "m.py", more=more)
    for helper in helpers:
        helper.write_text("def loss(x):\n    return 2 * x\n")
        after = code_of(tmp_path / "m.py", more=more)
        assert after != before
        before = after


def data_at(path: Path) -> str:
    """What the plan says that a user's data at this path holds."""
    kind = "folder" if path.is_dir() else "array"
    (job,) = jobs.plan(replace(BASE, models=("gmm",), datasets=(f"{kind}:{path}",), seeds=(0,)))
    return job.spec.versions["files"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr(files, "_notes", lambda: tmp_path / "cache" / "contents")
    return tmp_path / "cache"


def test_data_of_equal_size_and_time_is_told_apart(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SETTLED", 0)  # so that the cache answers too
    root = tmp_path / "cats"
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (tmp_path / "x.npz").write_bytes(b"one")
    for path, file in ((root, root / "a" / "1.png"), (tmp_path / "x.npz", tmp_path / "x.npz")):
        before, stamp, old = data_at(path), file.stat(), file.read_bytes()
        assert data_at(path) == before
        time.sleep(0.05)  # several ticks of the clock that file systems stamp with
        file.write_bytes(old[::-1])
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert file.stat().st_size == stamp.st_size
        assert data_at(path) != before
        time.sleep(0.05)
        file.write_bytes(old)
        assert data_at(path) == before


def test_names_are_contents_and_clutter_is_not(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "cats"
    root.mkdir()
    for name in ("0.png", "1.png"):
        (root / name).write_bytes(name.encode())
    before = data_at(root)
    (root / ".DS_Store").write_bytes(b"x")
    (root / "Thumbs.db").write_bytes(b"x")
    shutil.copytree(root, tmp_path / "elsewhere")
    assert data_at(root) == data_at(tmp_path / "elsewhere") == before
    (root / "1.png").rename(root / "2.png")
    after = data_at(root)
    assert after != before
    (root / "3.png").write_bytes(b"more")
    assert data_at(root) not in (before, after)


def test_unchanged_data_is_not_read_again(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "cats"
    root.mkdir()
    (root / "0.png").write_bytes(b"0")
    data_at(root)
    assert not list(cache.rglob("*"))  # written a moment ago: the same stamps may come to stand for other bytes
    monkeypatch.setattr(files, "SETTLED", 0)
    before = data_at(root)
    assert [p.read_text()[:16] for p in cache.rglob("*") if p.is_file()] == [before]
    monkeypatch.setattr(files.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
    assert data_at(root) == before


def test_a_cache_that_cannot_be_used_is_none(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.npz").write_bytes(b"one")
    monkeypatch.setattr(files, "SETTLED", 0)
    before = data_at(tmp_path / "x.npz")
    for note in (cache / "contents").iterdir():
        note.write_bytes(b"\xff not a hash")
    assert data_at(tmp_path / "x.npz") == before
    shutil.rmtree(cache)
    cache.write_text("a file where the cache should be")
    assert data_at(tmp_path / "x.npz") == before


def test_weights_of_a_scorer_are_part_of_the_jobs_that_look_through_it(tmp_path: Path, cache: Path) -> None:
    weights, ids = tmp_path / "w.safetensors", []
    for content in (b"one", b"two"):
        weights.write_bytes(content)
        chosen = replace(BASE, datasets=("svhn", "digits"), models=("gan_ns",), seeds=(0,), scorer_weights=str(weights))
        ids.append([j.spec.job_id for j in jobs.plan(chosen)])
    without = [j.spec.job_id for j in jobs.plan(replace(chosen, scorer_weights=None))]
    assert len({ids[0][0], ids[1][0], without[0]}) == 3
    assert ids[0][1] == ids[1][1] == without[1]


@pytest.mark.parametrize("spelling", ["{0}/b/cats", "{0}/a/cats/", "{0}/b/../a/cats"])
def test_two_data_sets_of_one_name_are_refused(tmp_path: Path, cache: Path, spelling: str) -> None:
    for part in "ab":
        (tmp_path / part / "cats").mkdir(parents=True)
        (tmp_path / part / "cats" / "0.png").write_bytes(part.encode())
    refs = (f"folder:{tmp_path}/a/cats", f"folder:{spelling.format(tmp_path)}")
    with pytest.raises(BadConfig, match="two references share the data set name folder:cats"):
        jobs.plan(replace(BASE, datasets=refs))
    with pytest.raises(BadConfig, match=r"two references share the data set name array:0.png"):
        jobs.plan(replace(BASE, datasets=tuple(f"array:{tmp_path}/{part}/cats/0.png" for part in "ab")))


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("ring8", "ring8"),
        ("models/m.py:A", "m.py:A"),
        ("folder:data/cats/", "folder:cats"),
        ("folder:cats", "folder:cats"),
        ("folder:/data/me:you/cats", "folder:cats"),
        ("folder:/data/cats/..", "folder:data"),
        ("array:/data/a:b.npz", "array:a:b.npz"),
    ],
)
def test_names_hold_no_folders(ref: str, name: str) -> None:
    assert specs.display_name(ref) == name


def test_what_was_edited_after_the_plan_is_refused_before_it_is_imported(tmp_path: Path, cache: Path) -> None:
    model, data, ran = tmp_path / "m.py", tmp_path / "x.npz", tmp_path / "ran"
    code_of(model, more=f"open({str(ran)!r}, 'w')")
    np.savez(data, x=np.random.default_rng(0).normal(size=(20, 2)))
    selection = replace(BASE, models=(f"{model}:A",), datasets=(f"array:{data}",), seeds=(0,))
    (job,) = jobs.plan(selection)
    assert identity.changed_since_plan(job) is None
    for file, change, says in ((model, b"lr: float = 9", "code that a is"), (data, b"more", "files of array:x.npz")):
        before = file.read_bytes()
        file.write_bytes(before.replace(b"lr: float = 0", change) if file == model else before + change)
        (tmp_path / says).mkdir()
        record = json.loads(worker.work(job, worker.Orders(str(tmp_path / says), {}), 1)["record"])
        assert record["status"] == "failed"
        assert says in record["reason"]
        assert "run the same command again" in record["reason"]
        assert not ran.exists()
        (again,) = jobs.plan(selection)
        assert again.spec.job_id != job.spec.job_id
        file.write_bytes(before)
    assert jobs.plan(selection) == [job]


def test_every_suite_plans() -> None:
    for name in suites.names():
        suite = suites.load(name)
        assert suite.scale in specs.SCALES
        metrics = jobs.metric_names(suite.metrics)
        selection = Selection(name, suite.models, suite.datasets, (0,), suite.scale, metrics, suite.n_samples)
        assert len(jobs.plan(selection)) >= 3


def test_bad_suites(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean smoke"):
        suites.load("smok")
    with pytest.raises(BadConfig, match=r"no suite file 'x.toml'"):
        suites.load("x.toml")
    file = tmp_path / "mine.toml"
    for text, match in (
        ("about = 'x'\nmodel = []", "did you mean models"),
        ("about = 3", "about must be a str"),
        ("= 3", "is not TOML"),
    ):
        file.write_text(text)
        with pytest.raises((BadConfig, UnknownName), match=match):
            suites.load(str(file))


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({}, "a"),
        ({"config": {"lr": 0.1, "act": "relu"}}, "a[act=relu,lr=0.1]"),
        ({"labels": 50}, "a[labels=50]"),
        ({"config": {"lr": 0.1}, "labels": 50, "draw": 0}, "a[draw=0,labels=50,lr=0.1]"),
    ],
)
def test_a_row_is_a_model_with_what_sets_it_apart(parts: dict[str, Any], name: str) -> None:
    assert SPEC.but(model="a", **parts).row == name


def test_variants_of_a_model_are_jobs_of_their_own() -> None:
    chosen = replace(BASE, models=("gmm[n_components=4,8]", "gan_*[lr=0.5]"), seeds=(0,))
    planned = jobs.plan(chosen)
    rows = [j.spec.row for j in planned]
    assert rows[:2] == ["gmm[n_components=4]", "gmm[n_components=8]"]
    assert {r.partition("[")[2] for r in rows[2:]} == {"lr=0.5]"}
    assert len(rows) > 3
    assert all(j.model_ref in MODELS.entries for j in planned)
    assert len({j.spec.job_id for j in planned}) == len(planned)


def test_a_config_in_brackets_names_its_model_alone() -> None:
    """`[n_components=4]` read as a glob's set of letters would train gmmn."""
    assert {j.spec.model for j in jobs.plan(replace(BASE, models=("gmm[n_components=4]",)))} == {"gmm"}
    assert {j.spec.model for j in jobs.plan(replace(BASE, models=("gmm[n]",)))} == {"gmmn"}


def test_a_variant_is_the_job_that_set_makes() -> None:
    by_set = jobs.plan(replace(BASE, models=("gmm",)), {"gmm": {"n_components": 4}})
    by_brackets = jobs.plan(replace(BASE, models=("gmm[n_components=4]", "gmm[n_components=4]")))
    assert [j.spec for j in by_set] == [j.spec for j in by_brackets]


def test_variants_are_checked_beside_set_and_win() -> None:
    refs = ["gan_ns[lr=0.5]", "gan_ns", "gmm[n_components=3]"]
    found = worker.check_configs(refs, [(None, "lr", 0.1), ("gan_ns", "hidden", [4, 4])])["configs"]
    assert found["gan_ns[lr=0.5]"] == {"lr": 0.5, "hidden": [4, 4]}
    assert found["gan_ns"] == {"lr": 0.1, "hidden": [4, 4]}
    assert found["gmm[n_components=3]"] == {"n_components": 3}


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("gmm[n_component=4]", "did you mean n_components"),
        ("gmm[lr=4]", "unknown config field of gmm"),
        ("gmm[n_components=0]", "gmm: n_components = 0"),
        ("gmm[n_components=many]", "gmm: n_components = 'many'"),
    ],
)
def test_a_config_that_the_model_has_not_is_refused(ref: str, said: str) -> None:
    assert said in worker.check_configs([ref, "gan_ns"], [])["error"]


def test_a_manifest_shows_configs_without_folders(tmp_path: Path) -> None:
    ref = f'{tmp_path}/m.py:A[x={{"a":1}},y=2,3]'
    assert replace(BASE, models=(ref,)).manifest()["models"] == ['m.py:A[x={"a":1},y=2,3]']
