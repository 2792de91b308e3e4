"""Documents of a small grammar, in which every word carries known features: what vectors of them should say is known.

A sentence speaks of one word, such as `queen`: its base (king, queen) shows by marks of its own (crown, throne), its
form (female) by marks that all words of that form share (she, her). Given the word, its marks are independent, so that
how often two words meet has a closed form (`meetings`), and so has what an analogy must answer.

Shapes      N documents, L places, V words, S words that sentences speak of.
"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split, Text, WordRatings
from ganbench.datasets.base import Dataset, Source, assemble, dataset

VERSION = 1
SIZES = {"train": 3000, "holdout": 300, "test": 300}
SENTENCES = 8  # of a document
FORMS = {  # family: the marks of its first form, and of its second
    "gender": (("he", "his", "him"), ("she", "her", "hers")),
    "number": (("a", "one", "this"), ("many", "two", "these")),
    "tense": (("now", "today", "daily"), ("yesterday", "ago", "once")),
    "capital": (("nation", "border", "army"), ("mayor", "street", "station")),
}
BASES = {  # family: words in both forms, and the marks of their base
    "gender": (
        "king queen: crown throne", "actor actress: stage film", "waiter waitress: menu tray", "uncle aunt: visit gift",
        "wizard witch: magic spell", "monk nun: prayer vow", "husband wife: wedding ring", "boy girl: school toy",
        "hero heroine: rescue brave", "landlord landlady: rent flat",
    ),
    "number": (
        "dog dogs: bark leash", "tree trees: leaf root", "car cars: wheel road", "book books: page read",
        "house houses: roof door", "ship ships: sail harbour", "bird birds: wing nest", "apple apples: sweet juice",
        "river rivers: water bank", "star stars: night shine",
    ),
    "tense": (
        "walks walked: path slowly", "cooks cooked: kitchen soup",
        "plays played: game ball", "paints painted: brush wall",
        "jumps jumped: high fence", "cleans cleaned: dust floor",
        "counts counted: sum coins", "listens listened: radio song",
        "plants planted: garden seed", "climbs climbed: rope hill",
    ),
    "capital": (
        "france paris: wine french", "italy rome: pasta italian",
        "germany berlin: beer german", "spain madrid: flamenco spanish",
        "japan tokyo: sushi japanese", "russia moscow: vodka russian",
        "egypt cairo: pyramid arabic", "china beijing: tea chinese",
        "poland warsaw: amber polish", "greece athens: olive greek",
    ),
}  # fmt: skip
GLUE = ("the", "and", "of", "with", "there", "so")
ORDERS = (
    "gfwbfb",
    "bgwfbf",
)  # of a sentence, equally often: g glue, f mark of the form, w the word, b mark of the base


def _lexicon() -> tuple[tuple[str, ...], Tensor, dict[str, Tensor]]:
    """All words; the words spoken of as (S, 3) family, base, form; the laws (S, V) of glue, marks and the word."""
    spoken, marks = [], []
    for f, family in enumerate(FORMS):
        for b, line in enumerate(BASES[family]):
            pair, own = (part.split() for part in line.split(":"))
            for form, word in enumerate(pair):
                spoken.append((word, f, b, form))
                marks.append({"w": [word], "b": own, "f": FORMS[family][form], "g": GLUE})
    words = tuple(dict.fromkeys([w for w, *_ in spoken] + [w for m in marks for kind in "bfg" for w in m[kind]]))
    index = {word: i for i, word in enumerate(words)}
    laws = {kind: torch.zeros(len(spoken), len(words), dtype=torch.float64) for kind in "wbfg"}
    for s, kinds in enumerate(marks):
        for kind, held in kinds.items():
            laws[kind][s, [index[w] for w in held]] = 1 / len(held)
    return words, torch.tensor([rest for _, *rest in spoken]), laws


def meetings(window: int) -> Tensor:
    """How often the word of a row has that of a column near it in a document, on average: -> (V, V) float64.

    Windows reach a whole number of words to either side, uniform on 1 to `window`.
    """
    words, _, laws = _lexicon()
    slots = [torch.stack([laws[kind] for kind in order]) for order in ORDERS]  # (6, S, V) each
    n = len(ORDERS[0])
    alone = torch.stack([slot.mean(1) for slot in slots]).mean(0)  # (6, V): of a place, whatever the sentence
    out = torch.zeros(len(words), len(words), dtype=torch.float64)
    for i in range(SENTENCES * n):
        for j in range(max(0, i - window), min(SENTENCES * n, i + window + 1)):
            if i == j:
                continue
            share = 1 - (abs(i - j) - 1) / window
            if i // n == j // n:  # in one sentence, which speaks of one word
                joint = torch.stack([slot[i % n].T @ slot[j % n] / slot.shape[1] for slot in slots]).mean(0)
            else:
                joint = alone[i % n][:, None] * alone[j % n]
            out += share * joint
    return out


@dataset("grammar", event="tokens", iterations={"smoke": 100, "quick": 470, "standard": 1880}, builtin=True)
def grammar(source: Source) -> Dataset:
    """Documents of 8 sentences of 6 words about 40 words in two forms each; analogies and likeness are known.

    Two words are as alike as the features they share: their family, and in it their base or their form.
    """
    words, features, laws = _lexicon()
    ladders = [torch.stack([laws[kind] for kind in order], 1).cumsum(2) for order in ORDERS]  # (S, 6, V)

    def draw(part: str, n: int) -> Split:
        rng = seeding.stream("data", "grammar", f"v{VERSION}", part)
        about = torch.randint(len(features), (n, SENTENCES), generator=rng)
        order = torch.randint(len(ORDERS), (n, SENTENCES), generator=rng)
        ladder = torch.stack(ladders)[order, about]  # (N, 8, 6, V)
        u = torch.rand(*ladder.shape[:3], 1, generator=rng, dtype=torch.float64)
        return Split((ladder <= u * ladder[..., -1:]).sum(3).flatten(1))

    train, holdout, test = (draw(part, n) for part, n in SIZES.items())
    pairs = torch.combinations(torch.arange(len(features)))
    same = features[pairs[:, 0]] == features[pairs[:, 1]]
    alike = same[:, 0].double() * (1 + same[:, 1] + same[:, 2])
    text = Text(words, {"features": WordRatings(pairs, alike, len(pairs))}, _analogies(features))
    return assemble("grammar", train, holdout, test, vocabulary=len(words), text=text, version=VERSION)


def _analogies(features: Tensor) -> dict[str, Tensor]:
    """Of each family: king is to queen as actor is to ..., for all ordered pairs of bases."""
    found = {}
    for f, family in enumerate(FORMS):
        first, second = (((features[:, 0] == f) & (features[:, 2] == form)).nonzero().squeeze(1) for form in (0, 1))
        rows = [[first[i], second[i], first[j], second[j]] for i, j in permutations(range(len(first)), 2)]
        found[family] = torch.tensor(rows)
    return found


NAMES = ("anna", "ben", "clara", "david", "emma", "felix", "grace", "henry")
COPIES = 24


@dataset("who_likes_whom", event="tokens", iterations={"smoke": 100, "quick": 600, "standard": 2400}, builtin=True)
def who_likes_whom(source: Source) -> Dataset:
    """ "anna likes ben": all ordered pairs of 8 names, 24 copies each: does a vector know who likes whom?

    The same 56 sentences are in all splits, in an order of their own.
    """
    words = (*NAMES, "likes")
    pairs = torch.tensor(list(permutations(range(len(NAMES)), 2)))
    sentences = torch.stack([pairs[:, 0], torch.full((len(pairs),), len(NAMES)), pairs[:, 1]], 1).repeat(COPIES, 1)
    splits = []
    for part in SIZES:
        rng = seeding.stream("data", "who_likes_whom", f"v{VERSION}", part)
        splits.append(Split(sentences[torch.randperm(len(sentences), generator=rng)]))
    return assemble("who_likes_whom", *splits, vocabulary=len(words), text=Text(words), version=VERSION)


THEMES, THEME_WORDS, COMMON_WORDS = 8, 20, 40
DOCUMENT, SHARE = 40, 0.2  # words of a document, and how many of them are of its theme


@dataset(
    "themes", event="tokens", iterations={"smoke": 100, "quick": 600, "standard": 2400}, labelled=True, builtin=True
)
def themes(source: Source) -> Dataset:
    """Documents of 20 to 40 words, 60 % common to all; of the others half are of the document's theme, one of 8.

    The rest are of any theme. y is the theme; nobody can guess it better than `best_theme`.
    """

    def draw(part: str, n: int) -> Split:
        rng = seeding.stream("data", "themes", f"v{VERSION}", part)
        y = torch.arange(n)[torch.randperm(n, generator=rng)] % THEMES
        own = COMMON_WORDS + y[:, None] * THEME_WORDS + torch.randint(THEME_WORDS, (n, DOCUMENT), generator=rng)
        common = torch.randint(COMMON_WORDS, (n, DOCUMENT), generator=rng)
        other = COMMON_WORDS + torch.randint(THEMES * THEME_WORDS, (n, DOCUMENT), generator=rng)
        u = torch.rand(n, DOCUMENT, generator=rng, dtype=torch.float64)
        x = torch.where(u < SHARE, own, torch.where(u < 2 * SHARE, other, common))
        length = torch.randint(DOCUMENT // 2, DOCUMENT + 1, (n, 1), generator=rng)
        return Split(torch.where(torch.arange(DOCUMENT) < length, x, -1), y)

    own = [f"theme{k}_{i}" for k in range(THEMES) for i in range(THEME_WORDS)]
    words = (*(f"common{i}" for i in range(COMMON_WORDS)), *own)
    splits = (draw(part, n) for part, n in SIZES.items())
    return assemble("themes", *splits, n_classes=THEMES, vocabulary=len(words), text=Text(words), version=VERSION)


def best_theme(x: Tensor) -> Tensor:
    """The most likely theme of documents, by the law that made them: (N, L) -> (N,)."""
    theme = torch.where(x >= COMMON_WORDS, (x - COMMON_WORDS) // THEME_WORDS, -1)
    return torch.stack([(theme == k).sum(1) for k in range(THEMES)], 1).argmax(1)
