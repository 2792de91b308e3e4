"""What a score can be at all: no interval over seeds may promise more than a count of modes or a share allows."""

from __future__ import annotations

import fnmatch
import math

SHARES = (
    *(
        "modes_hq",
        "precision",
        "recall",
        "coverage",
        "f1",
        "prd_f*",
        "authenticity",
        "nmi",
        "nn_two_sample",
        "nn_accuracy",
    ),
    *("label_agreement", "translation_agreement", "attribute_agreement", "classification_error*", "clustering_error"),
    *("svm_error*", "semi_supervised_accuracy*"),
)
POSITIVE = (
    *("modes_reverse_kl", "classified_modes_reverse_kl", "density", "wasserstein", "sliced_wasserstein", "rating_rmse"),
    *(
        "max_sliced_wasserstein",
        "lp_swd",
        "frechet",
        "fid",
        "mifid",
        "reconstruction_error",
        "translation_l1",
        "realism",
    ),
    *("consistency", "class_diversity", "mode_score", "birthday"),
)
MODES = {"ring8": 8, "grid25": 25}  # of the built-in mixtures
CLASSES = {"stacked_mnist": 1000}  # else 10: all other labelled data sets that modes are counted on have ten


def bounds(score: str, dataset: str) -> tuple[float, float]:
    """The least and the greatest value that a score can have on a data set; infinities where nothing bounds it."""
    if any(fnmatch.fnmatchcase(score, name) for name in SHARES):
        return 0.0, 1.0
    if score.startswith("errors_of_10000"):
        return 0.0, 10_000.0
    if score == "modes":
        return 0.0, MODES.get(dataset, math.inf)
    if score == "classified_modes":
        return 0.0, float(CLASSES.get(dataset, 10))
    if score == "ssim":
        return -1.0, 1.0
    if score in ("inception_score", "mode_score_che", "vendi", "perplexity"):
        return 1.0, math.inf
    return (0.0, math.inf) if score in POSITIVE else (-math.inf, math.inf)
