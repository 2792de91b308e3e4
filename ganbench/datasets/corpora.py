"""Real text that comes inside the gensim package: news with human similarities, an excerpt of Wikipedia, word pairs.

The files are read where gensim is installed (`pip install "ganbench[text]"`) and nothing of them is kept here. Each
belongs to its owners: Lee, Pincombe & Welsh 2005 (news); Wikipedia (CC BY-SA); Finkelstein et al. 2002 (WordSim-353);
Hill et al. 2015 (SimLex-999); Mikolov et al. 2013 (analogies).
"""

from __future__ import annotations

import bz2
import importlib.util
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split, Text, WordRatings
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.errors import BadInput, MissingResource

VERSION = 1
ROW = 100  # words of a row of Wikipedia, before rare ones are left out
FEWEST = 10  # words of it that stay
HELD = 41  # of its rows, for holdout and test each: a hundredth
WIKIPEDIA = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"

Words = Sequence[str]


@dataset("wikipedia", event="tokens", iterations={"smoke": 60, "quick": 640, "standard": 2560}, extra="text")
def wikipedia(source: Source) -> Dataset:
    """Rows of 100 words from 106 articles, of words that stand 5 times or more; WordSim-353, SimLex-999, analogies.

    Raises `MissingResource` without gensim.
    """
    folder = gensim_texts("wikipedia")
    rows = [words[i : i + ROW] for words in _articles(folder / WIKIPEDIA) for i in range(0, len(words), ROW)]
    order = torch.randperm(len(rows), generator=seeding.stream("data", "wikipedia", f"v{VERSION}", "split")).tolist()
    parts = [[rows[i] for i in part] for part in (order[: -2 * HELD], order[-2 * HELD : -HELD], order[-HELD:])]
    words = vocabulary(parts[0], 5)
    index = {word: i for i, word in enumerate(words)}
    train, holdout, test = (Split(encode(part, index, ROW, FEWEST)) for part in parts)
    text = Text(
        words,
        {
            "wordsim353": _ratings(folder / "wordsim353.tsv", index),
            "simlex999": _ratings(folder / "simlex999.txt", index),
        },
        _analogies(folder / "questions-words.txt", index),
    )
    return assemble("wikipedia", train, holdout, test, vocabulary=len(words), text=text, version=VERSION)


@dataset("lee", event="tokens", iterations={"smoke": 40, "quick": 400, "standard": 1600}, extra="text")
def lee(source: Source) -> Dataset:
    """News: 263 documents to learn from, and 50 whose similarity people have judged, pair by pair.

    Source: Lee, Pincombe & Welsh 2005, "An empirical evaluation of models of text document similarity". Words that
    stand twice or more in these; the background has 300 documents, 7 of them twice, and 30 are the holdout. Raises
    `MissingResource` without gensim.
    """
    from gensim.utils import simple_preprocess

    folder = gensim_texts("lee")
    background, test = (
        [simple_preprocess(line) for line in (folder / name).read_text("latin-1").split("\n") if line.strip()]
        for name in ("lee_background.cor", "lee.cor")
    )
    background = [list(words) for words in dict.fromkeys(map(tuple, background)) if list(words) not in test]
    order = torch.randperm(len(background), generator=seeding.stream("data", "lee", f"v{VERSION}", "split")).tolist()
    parts = [[background[i] for i in order[:-30]], [background[i] for i in order[-30:]], test]
    words = vocabulary(parts[0], 2)
    index = {word: i for i, word in enumerate(words)}
    length = max(len(words) for part in parts for words in part)
    splits = [Split(encode(part, index, length, FEWEST)) for part in parts]
    judged = [[float(v) for v in line.split()] for line in (folder / "similarities0-1.txt").read_text().split("\n")]
    ratings = torch.tensor([row for row in judged if row], dtype=torch.float64)
    if ratings.shape != (len(test), len(test)):
        raise BadInput(f"similarities0-1.txt must hold {len(test)} rows and columns; got {tuple(ratings.shape)}")
    text = Text(words, document_ratings=torch.maximum(ratings, ratings.T))
    return assemble("lee", *splits, vocabulary=len(words), text=text, version=VERSION)


def gensim_texts(name: str) -> Path:
    """The folder of texts inside the installed gensim, found without importing it. Raises `MissingResource`."""
    found = importlib.util.find_spec("gensim")
    folder = Path(found.origin).parent / "test" / "test_data" if found and found.origin else None
    if folder is None or not folder.is_dir():
        raise MissingResource(
            f'{name} is read from the gensim package, which is not here: pip install "ganbench[text]"'
        )
    return folder


def vocabulary(documents: Iterable[Words], least: int) -> tuple[str, ...]:
    """Words that stand `least` times or more, the most frequent first. Raises `BadInput` where there are none."""
    counts = Counter(word for document in documents for word in document)
    words = tuple(word for word, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if n >= least)
    if not words:
        raise BadInput(f"the vocabulary is empty: no word stands {least} times in the documents; lower the count")
    return words


def encode(documents: Iterable[Words], index: dict[str, int], length: int, fewest: int) -> Tensor:
    """Documents as rows of known words, padded with -1: -> (N, length) int64; those of too few are left out."""
    rows = [[index[word] for word in document if word in index] for document in documents]
    rows = [row for row in rows if len(row) >= fewest]
    out = torch.full((len(rows), length), -1)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row)
    return out


def _articles(path: Path) -> list[list[str]]:
    """Words of each article of a dump, markup removed, as gensim's own reader of Wikipedia has them."""
    from gensim.corpora.wikicorpus import extract_pages, filter_wiki, tokenize

    with bz2.open(path) as file:
        pages = extract_pages(file, filter_namespaces=("0",))
        found = [tokenize(filter_wiki(text), 2, 15, True) for _, text, _ in pages]
    return [words for words in found if len(words) >= 50]  # what is shorter redirects


def _ratings(path: Path, index: dict[str, int]) -> WordRatings:
    """Pairs of words with people's ratings, of those that are in the vocabulary."""
    lines = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    pairs = [(index.get(a.lower()), index.get(b.lower()), float(rating)) for a, b, rating in lines]
    covered = [(a, b, rating) for a, b, rating in pairs if a is not None and b is not None and a != b]
    return WordRatings(
        torch.tensor([pair[:2] for pair in covered]).view(-1, 2),
        torch.tensor([rating for _, _, rating in covered], dtype=torch.float64),
        len(pairs),
    )


def _analogies(path: Path, index: dict[str, int]) -> dict[str, Tensor]:
    """Questions of each section whose four words are in the vocabulary."""
    sections: dict[str, list[list[int]]] = {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith(":"):
            section = sections.setdefault(line[1:].strip(), [])
            continue
        question = [index.get(word.lower(), -1) for word in line.split()]
        if len(question) == 4 and min(question) >= 0:
            section.append(question)
    return {name: torch.tensor(questions) for name, questions in sections.items() if questions}
