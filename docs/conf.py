"""The documentation as pages: Sphinx with MyST and furo. `ganbench site build` calls it; nothing is fetched."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import ganbench  # noqa: E402

project, author, copyright = "ganbench", "the ganbench authors", "the ganbench authors"
version = release = ganbench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["scripts", "_build"]
html_theme = "furo"
html_title = f"ganbench {version}"
html_copy_source = html_show_sphinx = html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
html_context = {"display_github": False}
templates_path = ["_templates"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]  # pages begin at the heading that GitHub needs
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
pygments_style, pygments_dark_style = "sphinx", "monokai"
html_sidebars = {
    "**": [f"sidebar/{part}.html" for part in ("brand", "search", "scroll-start", "site", "navigation", "scroll-end")]
}

OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]+)\)")


def site_links(app: Any, docname: str, source: list[str]) -> None:
    """Links out of docs/ go to the site's own pages where it has them, else they are the name alone."""
    up = "../" * (docname.count("/") + 1)

    def link(found: re.Match[str]) -> str:
        text, target = found[1], found[2].lstrip("./").partition("#")[0]
        board = re.fullmatch(r"leaderboards/([\w-]+)(?:/README\.md)?/?", target)
        code = re.fullmatch(r"baselines/.+\.py", target)
        address = f"boards/{board[1]}.html" if board else f"source/{target}.txt" if code else ""
        return f'<a href="{up}{address}">{text.replace("`", "")}</a>' if address else text

    if found := re.search(r"<!-- commands -->", source[0]):
        source[0] = source[0][: found.start()] + commands() + source[0][found.end() :]
    source[0] = OUTSIDE.sub(link, source[0])


def commands() -> str:
    """The command line's reference, made from its own help."""
    import typer

    from ganbench.commands import build

    parts: list[str] = []

    def write(name: str, command: Any) -> None:
        if hasattr(command, "commands"):
            for verb in sorted(command.commands):
                write(f"{name} {verb}", command.commands[verb])
            return
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
        usage = " ".join([name, *(a.name.upper() if a.required else f"[{a.name.upper()}]" for a in arguments)])
        parts.extend([f"## {name}", "", plain(command.help), "", "```text", f"{usage} [OPTIONS]", "```", ""])
        for p in [*arguments, *options]:
            names = p.name.upper() if p.param_type_name == "argument" else ", ".join([*p.opts, *p.secondary_opts])
            parts.append(f"- `{names}`: {plain(getattr(p, 'help', ''))}")
        parts.append("")

    write("ganbench", typer.main.get_command(build()))
    return "\n".join(parts)


def plain(text: str | None) -> str:
    """Help text as Markdown that shows as it is."""
    escaped = re.sub(r"([*_<>\[\]])", r"\\\1", (text or "").replace("\\[", "[").strip())
    return " ".join(escaped.split())


def docstrings(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain English with `code` in backticks: shapes such as (B, *E) must not become emphasis."""
    start = 0
    for end in [i for i, line in enumerate(lines) if not line.strip()] + [len(lines)]:
        ragged = any(line.startswith(" ") for line in lines[start:end])  # it keeps its lines and indents
        for i in range(start, end):
            pieces = re.split(r"(`[^`]+`)", lines[i])
            text = "".join(f"`{p}`" if re.fullmatch(r"`[^`]+`", p) else escaped(p) for p in pieces)
            lines[i] = f"| {text}" if ragged else text
        start = end + 1


def escaped(text: str) -> str:
    """Text without anything that reStructuredText would take for markup."""
    body = re.sub(r"([\\*_|`])", r"\\\1", text)
    return re.sub(r"^(\s*)([-+]|\d+\.|::)(\s)", r"\1\\\2\3", body)


def setup(app: Any) -> None:
    """Connect the two hooks."""
    app.connect("source-read", site_links)
    app.connect("autodoc-process-docstring", docstrings)
