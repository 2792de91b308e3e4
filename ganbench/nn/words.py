"""What models of words share: a vector for every word as input and as output, and what a corpus says of its words.

Documents are rows of words (B, L) int64, padded with -1 at their end. Source of the rules: Mikolov et al. 2013,
"Distributed Representations of Words and Phrases and their Compositionality", sections 2.2 and 2.3.

Shapes      B documents, L places of words, V words of the vocabulary, F numbers in a vector, M words of noise,
            R radius of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbench.data import DataSpec
from ganbench.errors import BadInput, NotApplicable
from ganbench.nn.tokens import check_rows


class WordTable(nn.Module):
    """A vector for each word as what predicts (`inputs`) and as what is predicted (`outputs`), and the law of noise."""

    noise: Tensor  # (V,) the law that negatives are drawn from
    keep: Tensor  # (V,) the chance of a word to stay, by how frequent it is

    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.inputs = nn.Parameter((torch.rand(vocabulary, dim) - 0.5) / dim)
        self.outputs = nn.Parameter(torch.zeros(vocabulary, dim))
        self.register_buffer("noise", torch.full((vocabulary,), 1 / vocabulary))
        self.register_buffer("keep", torch.ones(vocabulary))

    def learn_counts(self, documents: Tensor, power: float, sample: float) -> None:
        """Take the law of noise, unigram^power, and the chances to stay from documents (N, L).

        A word of share f stays with chance sqrt(sample / f) + sample / f, as word2vec.c has it; every word for 0.
        """
        counts = torch.bincount(documents[documents >= 0], minlength=len(self.noise)).double()
        weights = counts.pow(power)
        self.noise.copy_(weights / weights.sum())
        if sample > 0:
            rarity = sample * counts.sum() / counts
            self.keep.copy_((rarity.sqrt() + rarity).clamp(max=1))

    def thin(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Documents without a random part of their frequent words; those that stay close up: (B, L) -> (B, L)."""
        stays = torch.rand(x.shape, generator=rng, device=x.device) < self.keep[x.clamp(min=0)]
        stays &= x >= 0
        order = torch.argsort(~stays, dim=1, stable=True)
        return torch.where(stays, x, -1).gather(1, order)

    def as_input(self, x: Tensor) -> Tensor:
        """(B, L) -> (B, L, F); padding has the vector of some word and is to be masked."""
        return F.embedding(x.clamp(min=0), self.inputs)

    def as_outputs(self, x: Tensor, m: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The words of documents (B, L), and m words of noise for each of them: -> (B, L, F), (B, M, F).

        Padding has the vector of some word. One lookup serves both, for its gradient is as large as the table.
        """
        drawn = torch.multinomial(self.noise, len(x) * m, replacement=True, generator=rng).view(len(x), m)
        both = F.embedding(torch.cat([x.clamp(min=0), drawn], 1), self.outputs)
        return both[:, : x.shape[1]], both[:, x.shape[1] :]


def windows(x: Tensor, radius: int, rng: torch.Generator) -> Tensor:
    """Which places are in the context of which: (B, L) -> (B, L, L), 1 where the word at j is near that at i, else 0.

    The window of each place reaches a whole number of words to either side, uniform on 1 to `radius`.
    """
    place = torch.arange(x.shape[1], device=x.device)
    distance = (place[:, None] - place).abs()
    reach = torch.randint(1, radius + 1, x.shape, generator=rng, device=x.device)
    near = (distance <= reach[:, :, None]) & (distance > 0)
    there = x >= 0
    return (near & there[:, :, None] & there[:, None, :]).float()


def neighbours(v: Tensor, u: Tensor, near: Tensor) -> Tensor:
    """Products of v at each place with u at the places around it: (B, L, F), (B, L, F), (B, L, 2 R) -> (B, L, 2 R).

    `near` is that of `offsets`, whose order of places they have: as many as the band of the matrix v u^T holds.
    """
    radius, length = near.shape[2] // 2, v.shape[1]
    around = F.pad(u, (0, 0, radius, radius))
    starts = [s for s in range(2 * radius + 1) if s != radius]
    return torch.stack([(v * around[:, s : s + length]).sum(2) for s in starts], 2)


def offsets(x: Tensor, radius: int, rng: torch.Generator) -> Tensor:
    """As `windows`, for places -R to -1 and 1 to R words away alone: (B, L) -> (B, L, 2 R), R = `radius`."""
    away = torch.arange(-radius, radius + 1, device=x.device)
    away = away[away != 0]
    reach = torch.randint(1, radius + 1, x.shape, generator=rng, device=x.device)
    there = F.pad(x >= 0, (radius, radius)).unfold(1, 2 * radius + 1, 1)[:, :, radius + away]
    return ((away.abs() <= reach[:, :, None]) & there & (x >= 0)[:, :, None]).float()


def check_vocabulary(spec: DataSpec, window: int) -> int:
    """The number of words of the data. Raises `NotApplicable` for none, or documents shorter than the window."""
    if spec.kind != "tokens":
        raise NotApplicable(f"needs documents of words; {spec.name} has {spec.kind} events")
    if spec.vocabulary is None or spec.vocabulary < 2:
        raise NotApplicable(f"the vocabulary of {spec.name} must hold 2 words at least; got {spec.vocabulary or 0}")
    if spec.event_shape[0] < window:
        raise NotApplicable(
            f"documents of {spec.name} hold {spec.event_shape[0]} words at most, the window {window}: lower window"
        )
    return spec.vocabulary


def check_corpus(documents: Tensor, vocabulary: int, window: int) -> None:
    """Refuse documents to learn from that hold unknown words, too few, or not all of the vocabulary.

    Raises `BadInput`.
    """
    check_rows(documents, documents.shape[1], vocabulary, "documents")
    lengths = (documents >= 0).sum(1)
    if len(documents) == 0 or int(lengths.min()) < window:
        row = int(lengths.argmin()) if len(documents) else 0
        held = int(lengths[row]) if len(documents) else 0
        raise BadInput(f"every document must hold {window} words, the window; row {row} holds {held}: lower window")
    unseen = (torch.bincount(documents[documents >= 0], minlength=vocabulary) == 0).nonzero()
    if len(unseen):
        raise BadInput(
            f"every word of the vocabulary must stand in the documents; {len(unseen)} of {vocabulary} do not, the "
            f"first is word {int(unseen[0])}: leave them out of the vocabulary"
        )


def mean_of_words(vectors: Tensor, x: Tensor) -> Tensor:
    """The mean vector of each document's words, the same to the last bit in whatever order they stand: -> (B, F).

    Raises `BadInput` for documents of unknown words or of none.
    """
    check_rows(x, x.shape[1], len(vectors), "documents")
    x = x.sort(dim=1, descending=True).values  # padding stays last
    there = (x >= 0)[:, :, None]
    return (F.embedding(x.clamp(min=0), vectors) * there).sum(1) / there.sum(1)


def sum_before(v: Tensor, there: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Sums of vectors of up to `window` words before each place, and how many: (B, L, F), (B, L) -> (B, L, F), (B, L).

    `there` says where words stand; padding, which stands last, has nothing before it.
    """
    v, count = v * there[:, :, None], there.float()
    total, number = torch.zeros_like(v), torch.zeros_like(count)
    for back in range(min(window, v.shape[1] - 1), 0, -1):
        total[:, back:] += v[:, :-back]
        number[:, back:] += count[:, :-back]
    return total * there[:, :, None], number * there
