"""`evaluate` and `compare` take anybody's arrays, pair their draws, and refuse what would give a wrong number."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import ganbench
from ganbench.errors import BadInput, NotApplicable, UnknownName
from ganbench.evaluation import compare, evaluate


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8)).astype(np.uint8)


def test_arrays_and_tensors_of_every_float_type_agree():
    x, y = normal(200, 3), normal(200, 3, seed=1)
    values = [
        evaluate(kind(x), kind(y), ["wasserstein"])[0].value
        for kind in (
            np.asarray,
            torch.tensor,
            lambda a: a.astype(np.float32),
            lambda a: torch.tensor(a).half(),
            lambda a: np.asfortranarray(a),
        )
    ]
    assert_close(values, [values[0]] * 5, rtol=1e-3, atol=0)
    assert_close(evaluate(x, y.astype(np.float32), ["wasserstein"])[0].value, values[0], rtol=1e-6, atol=0)


def test_pixels_are_mapped_to_minus_one_to_one():
    a, b = images(100), images(100, seed=1)
    floats = [torch.tensor(x).float() / 127.5 - 1 for x in (a, b)]
    pixels = evaluate(a, b, ["wasserstein"])[0].value
    assert_close(pixels, evaluate(*floats, ["wasserstein"])[0].value, rtol=1e-6, atol=0)


def test_scores_carry_time_floor_and_come_in_order():
    x, y, h = normal(300, 2) + 1, normal(300, 2, seed=1), normal(300, 2, seed=2)
    scores = evaluate(x, y, ["wasserstein", "mmd", "birthday"], holdout=h)
    assert [s.name for s in scores] == ["wasserstein", "mmd", "birthday"]
    assert all(s.seconds > 0 for s in scores)
    assert scores[0].floor < 0.4 < scores[0].value
    assert scores[0].floor == evaluate(h, y, ["wasserstein"])[0].value
    assert scores[2].floor is None  # the holdout calibrates it


def test_scorer_by_name_by_object_and_given_probabilities_agree():
    a, b = images(200), images(200, seed=1)
    from ganbench.scorers.load import load_scorer

    scorer = load_scorer("digits_cnn")
    events = torch.tensor(a).float() / 127.5 - 1
    wanted = ["inception_score", "mode_score"]
    by_name = evaluate(a, b, wanted, scorer="digits_cnn")
    assert [s.value for s in by_name] == [s.value for s in evaluate(a, b, wanted, scorer=scorer)]
    assert evaluate(a, metrics=["inception_score"], probs=scorer.probs(events))[0].value == by_name[0].value
    assert scorer.signature in by_name[0].signature


def test_the_seed_decides_and_repeats():
    x, y = normal(500, 3), normal(500, 3, seed=1)
    options = {"sliced_wasserstein": {"n_directions": 5}}
    one, two, other = (evaluate(x, y, "sliced_wasserstein", seed=s, options=options)[0].value for s in (1, 1, 2))
    assert one == two != other


def test_options_reach_the_metric():
    x = normal(100, 2)
    t = np.array([3.0, 4.0])
    score = evaluate(x, x + t, ["wasserstein"], options={"wasserstein": {"p": 2, "n": None}})[0]
    assert_close(score.value, 5.0, rtol=1e-9, atol=0)
    assert score.signature.startswith("w2|")


def test_paired_interval_covers_the_true_difference():
    covered = 0
    for seed in range(300):
        a, b, y = (
            normal(400, 2, seed=3 * seed) + 1,
            normal(400, 2, seed=3 * seed + 1) + 1.1,
            normal(400, 2, seed=3 * seed + 2),
        )
        (d,) = compare(a, b, y, ["mmd"], options={"mmd": {"kernel": "linear"}})
        covered += d.interval[0] <= 2 * (1 - 1.21) <= d.interval[1]  # squared distances of means, unbiased
    assert 0.90 <= covered / 300 <= 0.98


def test_pairing_finds_the_better_set_and_is_antisymmetric():
    x, y = normal(1000, 2), normal(1000, 2, seed=1)
    a, b = x + 0.1, x + 0.6
    (d,), (r,) = compare(a, b, y, ["wasserstein"]), compare(b, a, y, ["wasserstein"])
    assert d.better == "a"
    assert r.better == "b"
    assert_close(d.value, -r.value, rtol=1e-12, atol=0)
    (same,) = compare(a, a, y, ["wasserstein"])
    assert (same.value, same.se, same.better) == (0, 0, None)


def test_package_exports_without_importing_torch():
    code = "import sys, ganbench; assert 'torch' not in sys.modules; ganbench.evaluate; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code + "; assert callable(ganbench.evaluate)"], check=True)
    assert ganbench.evaluate is evaluate
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ganbench.nothing


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: evaluate(x, x, ["msd"]), UnknownName, "did you mean"),
        (lambda x: evaluate(x, x, ["mmd"], scorer="digit_cnn"), UnknownName, "digits_cnn"),
        (lambda x: evaluate(x, x, ["inception_score"]), NotApplicable, "pass scorer="),
        (lambda x: evaluate(x, metrics=["mmd"]), NotApplicable, "pass reference="),
        (lambda x: evaluate(images(50), x, ["mmd"]), BadInput, "both be uint8 pixels or both floats"),
        (lambda x: evaluate(x[:, 0], x[:, 0], ["mmd"]), BadInput, r"reshape\(-1, 1\)"),
        (lambda x: evaluate(x.astype(int), x.astype(int), ["mmd"]), BadInput, "floating point, or uint8"),
        (lambda x: evaluate(x[:0], x, ["mmd"]), BadInput, "samples must hold at least one"),
        (lambda x: evaluate(x * np.nan, x, ["mmd"]), BadInput, "row 0"),
        (lambda x: evaluate(x, x[:, :2], ["mmd"]), BadInput, "event shape"),
        (lambda x: evaluate(9 * x, x, ["mmd"], domain=(-6, 6)), BadInput, r"samples must lie in \[-6, 6\]; row"),
        (lambda x: evaluate({"a": 1}, x, ["mmd"]), BadInput, "numpy array or a tensor"),
        (lambda x: evaluate([["a"]], x, ["mmd"]), BadInput, "samples"),
        (lambda x: evaluate(x, x, ["mmd"], options={"mmd": {"sigma": 1}}), BadInput, "unexpected keyword"),
        (lambda x: evaluate(x, x, ["mmd"], options={"fid": {}}), BadInput, "not computed: fid"),
        (lambda x: compare(x, x, x, ["mmd"], blocks=20), BadInput, "leave 10 samples"),
    ],
)
def test_bad_input_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call(normal(50, 3))


def test_files_and_folders_score_as_the_arrays_they_hold(tmp_path):
    from PIL import Image

    pixels = torch.randint(0, 256, (20, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    reference = torch.randint(0, 256, (30, 1, 8, 8), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    np.savez(tmp_path / "reference.npz", x=reference.numpy())
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(pixels[:, 0].numpy()):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i:03d}.png")
    named = ganbench.evaluate(tmp_path / "pictures", str(tmp_path / "reference.npz"), ["mmd"])
    assert named[0].value == ganbench.evaluate(pixels, reference, ["mmd"])[0].value
    with pytest.raises(BadInput, match=r"absent\.npz"):
        ganbench.evaluate(tmp_path / "absent.npz", reference, ["mmd"])
