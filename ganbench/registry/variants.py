"""`name[k=v1,v2]`: a model with a config, or with several, as it is written on the command line.

Several values make a variant each, several keys their product. A value is JSON (`0.1`, `true`, `[128,128]`, `"a,b"`)
or a bare word; a word with a comma, bracket, quote or `=` goes in double quotes. Without `=` brackets are a glob's.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganbench.errors import BadConfig

MAX_VARIANTS = 10_000  # of one reference
CLOSING = {"[": "]", "{": "}"}
CONFIG = re.compile(r"(.+?)\[(?=[^\[\]]*=)", re.DOTALL)  # a bracket with `=` in it, up to the next bracket
SHAPE = "name[key=value] or name[key=v1,v2,other=w]"


def split_config(reference: str) -> tuple[str, str | None]:
    """`gmm[k=4]` -> ("gmm", "k=4"), `gan_[nm]s` -> ("gan_[nm]s", None). Raises `BadConfig` for an open bracket."""
    head = reference.rfind(".py:") + 4 if ".py:" in reference else 0  # folders may be called anything
    found = CONFIG.match(reference, head)
    if not found:
        return reference, None
    if not reference.endswith("]"):
        raise BadConfig(f"a config closes at the end of the reference, {SHAPE}; got {reference!r}")
    return reference[: found.end() - 1], reference[found.end() : -1]


def expand(reference: str) -> list[str]:
    """The reference of every variant, in order: `gmm[k=4,8]` -> `gmm[k=4]`, `gmm[k=8]`. Raises `BadConfig`."""
    name, inside = split_config(reference)
    if inside is None:
        return [reference]
    values = _parse(inside, reference)
    count = 1
    for chosen in values.values():
        count *= len(chosen)
    if count > MAX_VARIANTS:
        raise BadConfig(f"{name} with {count} configs; at most {MAX_VARIANTS} fit into one reference")
    return [with_config(name, dict(zip(values, row, strict=True))) for row in itertools.product(*values.values())]


def with_config(name: str, config: Mapping[str, Any]) -> str:
    """The reference of one variant: ("gmm", {"k": 4}) -> `gmm[k=4]`."""
    inner = ",".join(f"{k}={json.dumps(v, separators=(',', ':'))}" for k, v in config.items())
    return f"{name}[{inner}]" if inner else name


def with_options(name: str, options: Mapping[str, Any]) -> str:
    """As `with_config`, with bare words: ("folder", {"crop": "centre"}) -> `folder[crop=centre]`."""
    inner = ",".join(f"{k}={v}" for k, v in options.items())
    return f"{name}[{inner}]" if inner else name


def folder_with(references: Iterable[str], **options: Any) -> list[str]:
    """References in which every folder:PATH has these options: `folder[resize=32,crop=centre]:PATH`; None says nothing.

    Raises `BadConfig` where no folder is named.
    """
    said = {k: v for k, v in options.items() if v is not None}
    found = list(references)
    if not said:
        return found
    if not any(r.startswith("folder:") for r in found):
        raise BadConfig(f"--{next(iter(said))} is for folders of pictures; name one, as in -d folder:PATH")
    return [with_options("folder", said) + r[6:] if r.startswith("folder:") else r for r in found]


def single(reference: str) -> tuple[str, dict[str, Any]]:
    """Name and config of a reference: `gmm[k=4]` -> ("gmm", {"k": 4}). Raises `BadConfig` where it means several."""
    name, inside = split_config(reference)
    values = {} if inside is None else _parse(inside, reference)
    for key, chosen in values.items():
        if len(chosen) > 1:
            raise BadConfig(f"{key} must have one value here; got {len(chosen)} in {reference!r}")
    return name, {key: chosen[0] for key, chosen in values.items()}


def split_names(values: Iterable[str] | None) -> list[str]:
    """`-m a -m b` and `-m a,b` alike; commas in brackets are not between names, and a path with one stays whole."""
    names = []
    for value in values or []:
        parts = _split(value)
        outside = ",".join(p.split("[", 1)[0] + p.rpartition("]")[2] for p in parts)
        names += [value] if "/" in outside or ".py:" in outside else parts
    return [name for name in names if name]


def parse_value(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parse(inside: str, reference: str) -> dict[str, list[Any]]:
    """`k=4,8,w=a` -> {"k": [4, 8], "w": ["a"]}. Raises `BadConfig`."""
    found: dict[str, list[Any]] = {}
    key = ""
    for item in _split(inside, reference):
        equals = _outside(item, "=")
        if equals is not None:
            key, item = item[:equals].strip(), item[equals + 1 :]
            if not key or key in found:
                what = f"{key} is said twice: list its values, {key}=v1,v2" if key else "a key is missing before ="
                raise BadConfig(f"{what}; got {reference!r}")
            found[key] = []
        if not key or not item.strip():
            raise BadConfig(f"a config is written {SHAPE}; got {reference!r}")
        found[key].append(_value(item.strip(), reference))
    return found


def _value(text: str, reference: str) -> Any:
    value = parse_value(text)
    if value is text and (text[0] in '[{"' or any(c in text for c in '[]{}"=')):
        raise BadConfig(f"values are JSON or bare words, other text in double quotes; got {text!r} in {reference!r}")
    return value


def _split(text: str, reference: str | None = None) -> list[str]:
    """At commas outside brackets and quotes. Raises `BadConfig` for unbalanced ones where a reference is named."""
    cuts = [-1, *_bare(text, ",", reference), len(text)]
    return [text[a + 1 : b] for a, b in itertools.pairwise(cuts)]


def _outside(text: str, mark: str) -> int | None:
    """Where a mark first stands outside brackets and quotes."""
    return next(iter(_bare(text, mark)), None)


def _bare(text: str, mark: str, reference: str | None = None) -> Sequence[int]:
    found, waiting, quoted = [], list[str](), False
    for i, c in enumerate(text):
        if quoted:
            quoted = c != '"' or _escaped(text, i)
        elif c == '"':
            quoted = True
        elif c in CLOSING:
            waiting.append(CLOSING[c])
        elif waiting and c == waiting[-1]:
            waiting.pop()
        elif c == mark and not waiting:
            found.append(i)
    if reference is not None and (waiting or quoted):
        raise BadConfig(f"{'a quote' if quoted else waiting[-1]} is missing at the end of {text!r}; got {reference!r}")
    return found


def _escaped(text: str, i: int) -> bool:
    """Whether an odd number of backslashes stands before position i."""
    before = text[:i]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
