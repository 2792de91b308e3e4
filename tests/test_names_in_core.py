"""The core knows no model, metric, data set or scorer by name: what is true of one stands in its registration."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from layers import ROOT

from ganbench.registry import DATASETS, METRICS, MODELS, SCORERS, Registry

OWN = ("datasets", "metrics", "scorers")  # where those things are
NAMED = {  # rooms whose subject are particular things
    "bench": "its workloads are particular trainings and metrics, each beside the usual program for it",
    "losses": "objectives and penalties go by the names that the field gave them, as the models built on them do",
    "nn": "layers and networks go by the names that the field gave them",
    "ops": "a law of projections is named as what it is",
    "gates": "stored scores and fingerprints are those of particular metrics and data sets",
}
WORDS = {  # names that are words of the core too, with another meaning there
    "density": "what a model may need, and a law that is given",
    "elbo": "a method of models",
    "frames": "a kind of picture that jobs keep",
    "gaussian": "a law of what a decoder makes",
    "iwae": "a method of models",
    "notes": "a key of a table as JSON",
    "precision": "of matrix products, an option of run",
    "tangents": "what a model may give",
}
CHOSEN = {  # file -> (names, why they stand there)
    "scoring/evaluation.py": (
        {"mmd", "sliced_wasserstein", "wasserstein"},
        "what `evaluate` computes unless told otherwise: users read it in the signature",
    ),
    "scoring/two_sets.py": (
        {"kid", "inception_score", "prdc"},
        "what `score` computes of pictures unless told",
    ),
    "boards/submit.py": ({"gan_ns"}, "an example that is written into a new submission, for its author to replace"),
    "commands/submit.py": ({"digits", "folder"}, "the name of a board that options default to; the grammar of folders"),
    "commands/score.py": ({"folder", "array"}, "folder:PATH and array:PATH are grammar of the command line"),
    "commands/hub.py": ({"folder"}, "a key of what it prints as JSON"),
    "registry/variants.py": ({"folder"}, "folder[resize=32]:PATH is grammar of the command line"),
}


def registered() -> set[str]:
    registries: tuple[Registry, ...] = (MODELS, DATASETS, METRICS, SCORERS)
    return {name for registry in registries for e in registry for name in (e.name, *e.returns)}


def literals(path: Path) -> Iterator[tuple[str, int]]:
    """Strings of a file that are no documentation, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in texts:
            yield node.value, node.lineno


def test_core_code_names_nothing_that_is_registered() -> None:
    names, found, used = registered(), [], set()
    for path in sorted((ROOT / "ganbench").rglob("*.py")):
        file = path.relative_to(ROOT / "ganbench").as_posix()
        room = file.partition("/")[0]
        if room in OWN or room in NAMED:
            continue
        chosen = CHOSEN.get(file, (set(), ""))[0]
        for text, line in literals(path):
            if text in WORDS or text in chosen:
                used.add((file, text) if text in chosen else text)
            elif text in names:
                found.append(f"{file}:{line} names {text!r}: say what is true of it in its registration")
    assert not found, "\n".join(found)
    allowed = {*WORDS, *((file, name) for file, (chosen, _) in CHOSEN.items() for name in chosen)}
    assert allowed - used == set(), "exempt, and no longer there"
