"""Places that repeat six lines of code or more, word for word: `python tests/duplicates.py` prints them.

Lines are compared without indentation; comments, docstrings, imports, blank lines and lone brackets do not count. A
pair is two stretches that agree as far as they go. Copies between two exhibits (files of `baselines/`) are fair: see
docs/decisions/0012-fair-copies.md.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = 6


@dataclass(frozen=True)
class Pair:
    """Two stretches of the same lines."""

    one: str  # file
    line: int
    other: str
    other_line: int
    lines: int

    @property
    def fair(self) -> bool:
        """Whether both stand in exhibits, which show their algorithm whole."""
        return all(file.startswith("baselines/") for file in (self.one, self.other))

    def __str__(self) -> str:
        return f"{self.lines} lines: {self.one}:{self.line} and {self.other}:{self.other_line}"


def code_lines(source: str) -> list[tuple[int, str]]:
    """Number and text of each line that counts."""
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    found = [(i, " ".join(line.split())) for i, line in enumerate(lines, 1) if i not in skipped]
    return [(i, line) for i, line in found if any(c.isalnum() for c in line)]


def pairs(files: dict[str, str]) -> list[Pair]:
    """Every pair of places, the longest first; `files` maps names to sources."""
    code = {name: code_lines(source) for name, source in files.items()}
    windows: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, lines in code.items():
        for i in range(len(lines) - LINES + 1):
            windows[tuple(text for _, text in lines[i : i + LINES])].append((name, i))
    same = {(a, b) for places in windows.values() for k, a in enumerate(places) for b in places[k + 1 :]}
    found = []
    for (one, i), (other, j) in same:
        if ((one, i - 1), (other, j - 1)) in same or (one == other and j - i < LINES):
            continue
        n = LINES
        while ((one, i + n - LINES + 1), (other, j + n - LINES + 1)) in same:
            n += 1
        found.append(Pair(one, code[one][i][0], other, code[other][j][0], n))
    return sorted(found, key=lambda p: (-p.lines, str(p)))


def sources(*folders: str) -> dict[str, str]:
    """The Python files below folders of the repository."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def main() -> None:
    """Print every pair that is not fair, and how many are."""
    found = pairs(sources("ganbench", "baselines", "docs", "tests"))
    unfair = [p for p in found if not p.fair]
    print(*unfair, sep="\n")
    print(f"{len(unfair)} pairs; {len(found) - len(unfair)} more between exhibits")


if __name__ == "__main__":
    main()
