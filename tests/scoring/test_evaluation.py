"""`evaluate` and `compare` take anybody's arrays, pair their draws, and refuse what would give a wrong number."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.testing import assert_close

import ganbench
from ganbench.errors import BadInput, NotApplicable, UnknownName
from ganbench.jobs.plan import metric_names
from ganbench.registry import SCORERS
from ganbench.scoring.evaluation import compare, evaluate


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


@pytest.mark.parametrize("name", ["samples", "reference", "holdout", "train"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (x + 1) / 2, r"images in \[0, 1\]"),
        (lambda x: (x + 1) * 127.5, "0..255 pixels"),
        (lambda x: 2 * x, r"must lie in \[-1, 1\]"),
    ],
)
def test_every_set_is_held_to_the_scorers_domain(name, change, message):
    sets = {k: torch.tensor(images(20)).float() / 127.5 - 1 for k in ("samples", "reference", "holdout", "train")}
    evaluate(**sets, metrics=["frechet"], scorer="digits_cnn")
    sets[name] = change(sets[name])
    with pytest.raises(BadInput, match=f"{name}.*{message}"):
        evaluate(**sets, metrics=["frechet"], scorer="digits_cnn")
    if name in ("reference", "holdout"):
        with pytest.raises(BadInput, match=f"{name}.*{message}"):
            compare(
                sets["samples"], sets["samples"], sets["reference"], ["frechet"],
                holdout=sets["holdout"], scorer="digits_cnn", blocks=2,
            )  # fmt: skip
    elif name == "samples":
        with pytest.raises(BadInput, match=f"b.*{message}"):
            compare(sets["train"], sets["samples"], sets["reference"], ["frechet"], scorer="digits_cnn", blocks=2)


def test_every_scorer_of_images_says_its_domain():
    for entry in SCORERS:
        assert entry.load().domain == (None if entry.needs_mixture else (-1, 1)), entry.name


def test_pixels_of_zero_and_one_are_refused():
    with pytest.raises(BadInput, match="reference: uint8 pixels run from 0 to 255"):
        evaluate(images(20), images(20) % 2, ["mmd"])


def test_probabilities_alone_and_uint8_holdouts_are_enough():
    assert_close(evaluate(None, metrics=["inception_score"], probs=np.full((100, 10), 0.1))[0].value, 1.0)
    with pytest.raises(NotApplicable, match="pass samples"):
        evaluate(None, metrics=["mmd"])
    a, b, c, d = (images(120, seed) for seed in range(4))
    assert compare(a, b, c, ["birthday"], holdout=d, blocks=2)[0].name == "birthday"
    with pytest.raises(BadInput, match="uint8 in a and b and reference, floats in holdout"):
        compare(a, b, c, ["birthday"], holdout=d / 255, blocks=2)


def test_scores_are_names_of_metrics():
    x, y = normal(60, 3), normal(60, 3, seed=1)
    (one,) = evaluate(x, y, ["precision"])
    assert [one.value] == [s.value for s in evaluate(x, y, ["prdc"]) if s.name == "precision"]
    assert [s.name for s in evaluate(x, y, ["recall", "kid_full", "density"])] == ["recall", "kid_full", "density"]
    assert evaluate(x, y, "precision", options={"precision": {"k": 5}})[0].signature.startswith("precision|k=5")
    assert metric_names(("precision", "recall", "kid_full")) == ("prdc", "kid")
    with pytest.raises(UnknownName, match="precision"):
        evaluate(x, y, ["precisoin"])


def test_arrays_of_any_layout_give_the_same_bits_without_a_warning():
    x, y = normal(60, 3), normal(60, 3, seed=1)
    value = evaluate(x, y, ["mmd"])[0].value
    still = x.copy()
    still.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for same in (x.astype(">f8"), still, np.repeat(x, 2, 0)[::2], x[::-1][::-1], x.tolist(), np.ma.masked_array(x)):
            assert evaluate(same, y, ["mmd"])[0].value == value


def masked(x):
    out = np.ma.masked_array(x, mask=False)
    out[7, 1] = np.ma.masked
    return out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (masked, "row 7"),
        (lambda x: x.astype(object), "object"),
        (lambda x: np.float64(3), "shape"),
        (lambda x: torch.tensor(3.0), "shape"),
        (scipy.sparse.csr_matrix, "toarray"),
        (lambda x: torch.tensor(x).to_sparse(), "dense"),
        (lambda x: torch.tensor(x, device="meta"), "dense"),
        (lambda x: x.astype(complex), "complex"),
        (lambda x: x.astype(np.longdouble), "astype"),
        (lambda x: x.astype("U8"), "numpy array or a tensor of numbers"),
        (lambda x: x > 0, "floating point"),
    ],
)
def test_sets_that_are_no_plain_numbers_are_refused(change, message):
    x = normal(30, 3)
    for name, sets in (("samples", (change(x), x)), ("reference", (x, change(x)))):
        with pytest.raises(BadInput, match=f"{name}.*{message}"):
            evaluate(*sets, ["mmd"])


def test_options_of_a_wrong_type_are_refused():
    x = normal(60, 3)
    with pytest.raises(BadInput, match="subset_size must be a whole number or None; got 50"):
        evaluate(x, x, ["kid"], options={"kid": {"subset_size": 50.0}})
    with pytest.raises(BadInput, match="rng is an input"):
        evaluate(x, x, ["kid"], options={"kid": {"rng": torch.Generator()}})
    with pytest.raises(BadInput, match="blocks must be a whole number"):
        compare(x, x, x, ["mmd"], blocks=2.0)


def test_labels_start_at_zero():
    x = normal(30, 3)
    for labels in ({"train_labels": np.arange(30) % 3 + 1}, {"test_labels": np.arange(30) % 3 - 1}):
        with pytest.raises(BadInput, match="classes from 0 on"):
            evaluate(x, x, ["mmd"], **labels)
    with pytest.raises(BadInput, match="integer class labels"):
        evaluate(x, x, ["mmd"], test_labels=np.zeros(30))


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
