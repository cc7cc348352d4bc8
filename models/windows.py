"""Documents to batches: one document per row, rows of similar length together, a weight per token.

In: the corpus from a given number on, a tokenizer, the maximum tokens per batch. Out: one `Batch`
after the other, and the place to resume from. Every document stands alone at the beginning of its
row, like a prompt; the rest of the row is padding of weight zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer

from models.corpus.documents import Document, document
from models.corpus.forms import shuffled
from models.vocabulary import POSITIONS

POOL = 1024


@dataclass(frozen=True, slots=True)
class Encoded:
    """One document as tokens."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of equal length; `weights` belong to the tokens at the same places."""

    tokens: torch.Tensor
    weights: torch.Tensor


def encoded(tokenizer: Tokenizer, docs: Sequence[Document]) -> list[Encoded]:
    """Return each document's tokens, piece by piece, so that every token has its piece's weight."""
    texts = [piece.text for doc in docs for piece in doc.pieces]
    cut = iter(tokenizer.encode_batch_fast(texts))
    found = []
    for doc in docs:
        runs = [(next(cut).ids, piece.weight) for piece in doc.pieces]
        tokens = tuple([token for ids, _ in runs for token in ids])
        weights = tuple([weight for ids, weight in runs for _ in ids])
        found.append(Encoded(tokens, weights))
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A run's place: the document number at which its pool begins, and how much of it is used."""

    document: int = 0
    used: int = 0


class Packer:
    """The batches of one seed's documents, pool by pool, starting from a place."""

    def __init__(self, tokenizer: Tokenizer, seed: int, tokens: int) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._tokens = tokens
        self.place = Place()
        self._batches: list[list[Encoded]] = []

    def seek(self, place: Place) -> None:
        self.place = place
        self._batches = self._pool(place.document)

    def next(self) -> Batch:
        if self.place.used == len(self._batches):
            after = self.place.document + (POOL if self._batches else 0)
            self.seek(Place(after))
        rows = self._batches[self.place.used]
        self.place = Place(self.place.document, self.place.used + 1)
        return _padded(rows)

    def _pool(self, first: int) -> list[list[Encoded]]:
        """Return the pool's documents by length, cut into batches, the batches in a random order.

        Leaves out the shortest, which fill no batch, so that steps have about equal weight, and the
        few documents longer than the models' context.
        """
        docs = [document(self._seed, number) for number in range(first, first + POOL)]
        batches: list[list[Encoded]] = [[]]
        fit = [doc for doc in encoded(self._tokenizer, docs) if len(doc.tokens) <= POSITIONS]
        for doc in sorted(fit, key=lambda doc: -len(doc.tokens)):
            longest = len((batches[-1] or [doc])[0].tokens)
            if (len(batches[-1]) + 1) * longest > self._tokens and batches[-1]:
                batches.append([])
            batches[-1].append(doc)
        return shuffled(Random(first), batches[:-1] or batches)


def _padded(docs: Sequence[Encoded]) -> Batch:
    length = max(len(doc.tokens) for doc in docs)
    tokens = torch.zeros(len(docs), length, dtype=torch.long)
    weights = torch.zeros(len(docs), length)
    for row, doc in enumerate(docs):
        tokens[row, : len(doc.tokens)] = torch.tensor(doc.tokens)
        weights[row, : len(doc.tokens)] = torch.tensor(doc.weights)
    return Batch(tokens, weights)
