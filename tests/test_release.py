"""What a release stands on: one version in every place, a licence, and requirements that are imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import yaml

import ganbench

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = [r for group in PROJECT["optional-dependencies"].values() for r in group]
BROUGHT = {"annotated_types", "markupsafe", "threadpoolctl"}  # by pydantic, jinja2 and scikit-learn
NAMES = {
    "PIL": "pillow",
    "ot": "pot",
    "lap": "lapx",
    "sklearn": "scikit-learn",
    "mlflow": "mlflow_skinny",
}  # import -> package


def imported() -> set[str]:
    """Top-level packages that ganbench and the baselines import."""
    found: set[str] = set()
    for path in [*ROOT.glob("ganbench/**/*.py"), *ROOT.glob("baselines/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {a.name.partition(".")[0] for a in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").partition(".")[0])
    return found


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert "version" in PROJECT["dynamic"]  # read from ganbench.__version__
    assert citation["version"] == ganbench.__version__
    assert citation["license"] == PROJECT["license"] == "MIT"


def test_the_workflow_files_are_yaml():
    files = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"]
    assert len(files) >= 5
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path.name


def test_every_requirement_is_imported():
    used = {NAMES.get(name, name).lower() for name in imported()}
    required = {re.split(r"[\[<>=]", r)[0].lower() for r in PROJECT["dependencies"]}
    assert required - used == set(), "a requirement that nothing imports"
    own, extras = {"ganbench", "baselines"}, {re.split(r"[\[<>=]", r)[0].lower().replace("-", "_") for r in OPTIONAL}
    known = own | extras | BROUGHT | {name.lower() for name in sys.stdlib_module_names} | required
    assert used - known == set(), "an import that nothing requires"
