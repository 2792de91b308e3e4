"""One column for one kind of number: where a run has a metric in several kinds, their signatures tell them apart."""

from __future__ import annotations

from collections.abc import Iterable

Score = tuple[str, str, str]  # data set, metric, signature


def columns(scores: Iterable[Score]) -> dict[Score, str]:
    """The column of each score: the metric's name, with what sets its signature apart where a data set has several.

    >>> columns([("digits", "nll", "nll|exact|v1"), ("digits", "nll", "nll|elbo|v1"), ("digits", "mmd", "mmd|v1")])
    {('digits', 'nll', 'nll|exact|v1'): 'nll_exact', ('digits', 'nll', 'nll|elbo|v1'): 'nll_elbo', ...}
    """
    kinds: dict[tuple[str, str], list[str]] = {}
    for dataset, name, signature in scores:
        known = kinds.setdefault((dataset, name), [])
        if signature not in known:
            known.append(signature)
    found = {}
    for (dataset, name), signatures in kinds.items():
        parts = [s.split("|") for s in signatures]
        shared = set.intersection(*map(set, parts))
        for signature, split in zip(signatures, parts, strict=True):
            apart = [_plain(p) for p in split if p not in shared]
            found[dataset, name, signature] = "_".join([name, *apart])[:60]
    return found


def _plain(part: str) -> str:
    """Small letters, digits and underscores."""
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in part.lower())
