"""How alike people find the news of Lee, by the number of epochs and the settings: the page docs/news.md, on stdout.

    OMP_NUM_THREADS=1 python docs/scripts/news.py > docs/news.md

Ours and gensim's learn from the same words of the same documents. It is made to explain a row of the documents board,
and no default is chosen by it: the ratings are of the test documents, and there are no others.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from torch import Tensor

from ganbench import seeding
from ganbench.datasets.base import Dataset
from ganbench.datasets.load import load
from ganbench.engine.loop import train
from ganbench.metrics.documents import document_similarity
from ganbench.model import Budget
from ganbench.model.make import make
from ganbench.report.table import Column, Row, Table, Text, to_markdown

Config = dict[str, Any]
SEEDS = range(3)
EPOCHS = (20, 40, 80, 200)
OURS: dict[str, Config] = {  # label: config
    "PV-DBOW, ours": {"mode": "dbow"},
    "PV-DM, 2 words before, ours": {},
    "PV-DM, 5 words before, thinned, ours": {"window": 5, "sample": 1e-3},
}
GENSIMS: dict[str, Config] = {
    "PV-DBOW, gensim": {"dm": 0, "sample": 0},
    "PV-DM, 2 words on either side, gensim": {"dm": 1, "window": 2, "sample": 0},
    "PV-DM, 5 words on either side, thinned, gensim": {"dm": 1, "window": 5, "sample": 1e-3},
}
HEAD = """# News that people have compared: what the scores hang on

Made by `python docs/scripts/news.py`. Cells are Pearson's correlation of cosines with the ratings of
[Lee, Pincombe and Welsh 2005](metrics.md), mean and range of three seeds; people agree with one another to .605. All
learn from the same 263 documents, of the words that stand twice or more. The ratings are of the test documents, so
nothing here is a choice: the page explains the board.

The board trains for about 195 epochs. After 200, the ranges of gensim's and ours overlap; after 40, gensim's are all
higher. Counts of words gain most from leaving out the most common words of English.
"""


def main() -> None:
    """Print the page."""
    torch.set_num_threads(1)
    data = load("lee")
    print(HEAD)
    print("## Counts of words\n")
    print(counted(data))
    print("## Vectors that learn, by epochs\n")
    print(learned(data))


def likeness(data: Dataset, vectors: Tensor) -> float:
    """Correlation of the test documents' cosines with the ratings."""
    assert data.text is not None
    assert data.text.document_ratings is not None
    rng = torch.Generator().manual_seed(0)
    return document_similarity(vectors, data.text.document_ratings, rng=rng).value


def counted(data: Dataset) -> str:
    """Variants of tf-idf: what a word counts, with and without the most common words of English."""
    assert data.text is not None
    common = torch.tensor([word in ENGLISH_STOP_WORDS for word in data.text.words])
    x = data.test.x
    rest = [row[(row >= 0) & ~common[row.clamp(min=0)]] for row in x]
    without = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True, padding_value=-1)
    rows = []
    for label, config in (
        ("counts", {"idf": False}),
        ("tf-idf", {}),
        ("tf-idf of 1 + log(count)", {"sublinear": True}),
    ):
        model = make("bow_tfidf", data.spec, config, ("news", 0))
        train(model, data.train, Budget(iterations=1), torch.Generator())
        values = [f"{likeness(data, model.embed(words, torch.Generator())):.3f}" for words in (x, without)]
        rows.append(Row("ranked", [Text(t) for t in (label, *values)]))
    columns = [Column(t, t) for t in ("counted", "all words", "without stop words")]
    return to_markdown(Table("counts", "", columns, rows))


def learned(data: Dataset) -> str:
    """Ours beside gensim's after each number of epochs."""
    rows = []
    for label, config in {**OURS, **GENSIMS}.items():
        vectors = ours if label in OURS else gensims
        cells = []
        for epochs in EPOCHS:
            values = [likeness(data, vectors(data, config, epochs, seed)) for seed in SEEDS]
            cells.append(f"{sum(values) / len(values):.3f} [{min(values):.3f}, {max(values):.3f}]")
            print(label, epochs, cells[-1], file=sys.stderr, flush=True)
        rows.append(Row("ranked", [Text(t) for t in (label, *cells)]))
    return to_markdown(Table("epochs", "", [Column(t, t) for t in ("row", *map(str, EPOCHS))], rows))


def ours(data: Dataset, config: Config, epochs: int, seed: int) -> Tensor:
    """Vectors of the test documents by ganbench's doc2vec."""
    model = make("doc2vec", data.spec, config, ("news", seed))
    budget = Budget(iterations=epochs * len(data.train) // model.config.batch_size)
    train(model, data.train, budget, seeding.stream("training", "news", str(seed)))
    return model.embed(data.test.x, torch.Generator().manual_seed(seed))


def gensims(data: Dataset, config: Config, epochs: int, seed: int) -> Tensor:
    """Vectors of the test documents by gensim's Doc2Vec, of as many numbers."""
    from gensim.models.doc2vec import Doc2Vec, TaggedDocument

    train, test = ([[str(w) for w in row[row >= 0].tolist()] for row in split.x] for split in (data.train, data.test))
    tagged = [TaggedDocument(words, [i]) for i, words in enumerate(train)]
    model = Doc2Vec(tagged, vector_size=50, min_count=1, epochs=epochs, seed=seed, workers=1, **config)
    return torch.tensor([model.infer_vector(words).tolist() for words in test])


if __name__ == "__main__":
    main()
