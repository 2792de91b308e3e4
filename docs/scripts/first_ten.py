"""The table of README.md: the first ten of the mixtures at scale standard and the controls, as their board has them.

    python docs/scripts/first_ten.py

Writes README.md anew from leaderboards/toy2d-standard/README.md; run it after that board is built.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
README, BOARD = ROOT / "README.md", ROOT / "leaderboards" / "toy2d-standard" / "README.md"
HEAD = "| rank"


def first_table(page: str) -> list[str]:
    """The lines of the first table of ranks on a page."""
    lines = page[page.index(HEAD) :].splitlines()
    return lines[: next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))]


def with_first_ten(readme: str, board: str) -> str:
    """The readme with its table in place of the one it has."""
    head, _rule, *rows = first_table(board)
    ranked = [row for row in rows if row[2].isdigit()][:10]
    controls = [row for row in rows if "| control " in row]
    # The board's cells are as wide as its longest row, which may stand below the tenth.
    chosen = [[cell.strip() for cell in row.strip("|").split("|")] for row in (head, *ranked, *controls)]
    widths = [max(map(len, column)) for column in zip(*chosen, strict=True)]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in chosen]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return readme.replace("\n".join(first_table(readme)), "\n".join(lines))


def main() -> None:
    """Write README.md."""
    README.write_text(with_first_ten(README.read_text(encoding="utf-8"), BOARD.read_text(encoding="utf-8")), "utf-8")


if __name__ == "__main__":
    main()
