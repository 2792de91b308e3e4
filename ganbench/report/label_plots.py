"""Accuracy over the number of labels, a curve for each method with its interval over draws."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ganbench.pictures.grids import blank
from ganbench.report.label_counts import LAST, Curve
from ganbench.stats import estimate

MARKS = "os^Dv<>Pp*Xhd"


def accuracy_over_labels(curves: Sequence[Curve], title: str = "") -> bytes:
    """A PNG of test accuracy in per cent against the number of labels (log scale); last iterates are left out.

    Bars are 95 % Student-t intervals over seeds, each a draw of the labels and a training; none under 3 seeds.
    """
    shown = [c for c in curves if not c.method.endswith(LAST)]
    figure = blank(7.2, 4.2)
    axes = figure.add_axes((0.09, 0.12, 0.55, 0.78))
    counts = sorted({n for c in shown for n in c.errors})
    for i, curve in enumerate(shown):
        x, y, bars = [], [], []
        for n, errors in sorted(curve.errors.items()):
            e = estimate([100 * (1 - v) for v in errors])
            x.append(n * (1 + 0.012 * (i - len(shown) / 2)))  # side by side, so that bars do not hide each other
            y.append(e.mean)
            bars.append(0.0 if e.high is None else e.high - e.mean)
        style = "--" if curve.method.endswith("SVM") else "-"
        mark = MARKS[i % len(MARKS)]
        axes.errorbar(x, y, bars, label=curve.method, ls=style, marker=mark, ms=4, lw=1, capsize=2, color=f"C{i % 10}")
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("labels", fontsize=9)
    axes.set_ylabel("test accuracy, %", fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    figure.legend(loc="upper left", bbox_to_anchor=(0.65, 0.92), fontsize=7, frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
