"""Places that repeat six lines of code may become fewer, and no file of the package is long."""

from __future__ import annotations

from pathlib import Path

import duplicates

ROOT = Path(__file__).parent.parent
LONGEST = 400  # lines of a file
MOST = 12  # of all below, as `python tests/duplicates.py` prints them; lower it with every one that goes


def test_few_places_repeat_six_lines() -> None:
    unfair = [p for p in duplicates.pairs(duplicates.sources("ganbench", "baselines", "docs", "tests")) if not p.fair]
    assert len(unfair) <= MOST, "\n".join(map(str, unfair))


def test_no_file_is_long() -> None:
    lines = {
        p: p.read_text(encoding="utf-8").count("\n")
        for d in ("ganbench", "baselines")
        for p in (ROOT / d).rglob("*.py")
    }
    assert not {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > LONGEST}


def test_pairs_are_counted_as_drawn() -> None:
    body = [f"    x{i} = f({i})" for i in range(8)]
    one = "def a():\n" + "\n".join(body)
    other = '"""Text."""\nimport os\n\n\ndef b():\n' + "\n\n".join(f"{line}  # why" for line in body[1:])
    (pair,) = duplicates.pairs({"ganbench/a.py": one, "baselines/b.py": other})
    assert (pair.line, pair.other_line, pair.lines, pair.fair) == (3, 6, 7, False)
    assert duplicates.pairs({"a.py": one, "b.py": other.replace("f(4)", "g(4)")}) == []
    (pair,) = duplicates.pairs({"baselines/a.py": one, "baselines/b.py": other})
    assert pair.fair
