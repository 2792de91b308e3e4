"""Modes counted by a classifier where no density is known: on stacked MNIST, which of the 1,000 triples appear.

Source      Metz et al. 2017 (unrolled GANs, arXiv:1611.02163); VEEGAN (arXiv:1705.07761), table 2: 26,000 samples; the
            KL is PacGAN's (arXiv:1712.04086), sum_k p_k log(K p_k) in nats, p the histogram of predicted classes.

Shapes      N samples, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.metrics.base import Score, check_probs, metric, signature
from ganbench.metrics.modes import kl_to_uniform


@metric(
    "classified_modes",
    direction="max",
    returns=("classified_modes", "classified_modes_reverse_kl"),
    bounds=(0, None),
)
def classified_modes(probs: Tensor, *, space: str = "probs") -> list[Score]:
    """Two scores over the most probable class of each of N posteriors (N, K).

    classified_modes              number of classes that at least one sample is taken for
    classified_modes_reverse_kl   KL(p_g || uniform) in nats, p_g the histogram of those classes; ln K when all samples
                                  fall in one. Even a perfect sampler has (K-1)/2N on average, .0192 for 1,000 at
                                  26,000; that MNIST's digits are not equally frequent adds to it.

    No sample is too bad to be counted: noise is taken for something too. Both depend on N, which is in the signature.
    Raises `BadInput` for logits, rows that do not sum to 1 or no samples.
    """
    p = check_probs(probs)
    n, k = p.shape
    counts = torch.bincount(p.argmax(1), minlength=k)
    kl, kl_se = kl_to_uniform(counts)
    parts = (f"K={k}", f"n={n}", space)
    extra = {"K": k, "modes_with_tenth_of_share": int((counts >= max(1.0, 0.1 * n / k)).sum())}
    return [
        Score(
            "classified_modes", float((counts > 0).sum()), n, signature("classified_modes", *parts), "max", extra=extra
        ),
        Score(
            "classified_modes_reverse_kl",
            kl,
            n,
            signature("classified_modes_reverse_kl", *parts),
            "min",
            se=kl_se,
            extra={"expected_bias": (k - 1) / (2 * n)},
        ),
    ]
