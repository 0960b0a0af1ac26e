"""Languages whose entropy rate is known exactly, to hold a fitted irreducible loss against the truth.

A zipf_markov language of order k draws the *rank* of the next symbol from one Zipf distribution, independently each
time, and looks the rank up in an order of the symbols that belongs to the last k symbols. Given the context, symbol and
rank determine each other, so the entropy rate is that of the rank: no estimate, whatever the orders are.

The orders favour symbols that are popular everywhere. So contexts are rare and frequent as in real text, and a model
learns them one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import CorpusError
from foretoken.runs.corpus_section import LanguageSection

DOCUMENT_TOKENS = 4096
LARGEST_TABLE = 2**26
"""Entries of the table of orders: contexts x symbols, 2 bytes each."""
BURN_IN = 256
"""Tokens that are drawn before a document begins, so that it begins as it goes on."""
_ROWS = 2**20
"""Entries of the table that are sorted at once."""
_CHAINS = 1024
"""Documents that are drawn side by side."""


@dataclass(frozen=True)
class ZipfMarkov:
    """A language of known entropy rate."""

    symbols: int
    order: int
    """Symbols of the past that the next one depends on."""
    exponent: float
    table: NDArray[np.uint16] = field(repr=False)
    """[symbols ** order, symbols]: the symbols of each context, from the likeliest to the least likely."""

    @property
    def rank_probabilities(self) -> NDArray[np.float64]:
        """[symbols]: probability of the likeliest symbol of a context, of the next one, and so on."""
        return _zipf(self.symbols, self.exponent)

    @property
    def entropy_rate(self) -> float:
        """Nats per token that no model can go below."""
        # Given the context, symbol and rank determine each other, so H(symbol | past) = H(rank), the same for all
        # contexts because ranks are drawn independently.
        p = self.rank_probabilities
        return float(-np.sum(p * np.log(p)))

    def transitions(self) -> NDArray[np.float64]:
        """[symbols ** order, symbols]: probability of each next symbol in each context."""
        matrix = np.empty(self.table.shape)
        np.put_along_axis(matrix, self.table.astype(np.int64), self.rank_probabilities[None, :], axis=1)
        return matrix

    def sample(self, tokens: int, seed: int) -> NDArray[np.uint16]:
        """A text of that many tokens: documents of DOCUMENT_TOKENS one after another. Same seed, same text."""
        parts = [np.empty(0, np.uint16), *self.documents(tokens, seed)]
        return np.concatenate(parts)

    def documents(self, tokens: int, seed: int) -> Iterator[NDArray[np.uint16]]:
        """The documents of `sample`, a few million tokens in memory at a time; the last one may be shorter."""
        for first in range(0, tokens, _CHAINS * DOCUMENT_TOKENS):
            rows = self._chains(_CHAINS, np.random.default_rng([seed, first]))
            left = min(tokens - first, rows.size)
            for start in range(0, left, DOCUMENT_TOKENS):
                yield rows[start // DOCUMENT_TOKENS, : min(DOCUMENT_TOKENS, left - start)]

    def _chains(self, chains: int, random: np.random.Generator) -> NDArray[np.uint16]:
        """[chains, DOCUMENT_TOKENS]: independent documents, all advanced together."""
        cumulative = np.cumsum(self.rank_probabilities)
        contexts, flat = len(self.table), self.table.reshape(-1)
        context = random.integers(contexts, size=chains)
        text = np.empty((DOCUMENT_TOKENS, chains), np.uint16)
        for step in range(-BURN_IN, DOCUMENT_TOKENS):
            # The inverse of the cumulative distribution; its last value may be rounded below 1, hence the minimum.
            rank = np.minimum(np.searchsorted(cumulative, random.random(chains), side="right"), self.symbols - 1)
            symbol = flat[context * self.symbols + rank]
            # A context is its last `order` symbols as digits to the base `symbols`: shift, append, drop the oldest.
            context = (context * self.symbols + symbol) % contexts
            if step >= 0:
                text[step] = symbol
        return np.ascontiguousarray(text.T)


def language(section: LanguageSection, seed: int) -> ZipfMarkov:
    """The language that a study file describes; each seed has its own orders and the same entropy rate.

    Raises CorpusError when its table would not fit in memory.
    """
    if section.symbols ** (section.order + 1) > LARGEST_TABLE:
        raise CorpusError(
            f"a language of order {section.order} over {section.symbols} symbols is too large",
            expected=f"symbols ^ (order + 1) of at most {LARGEST_TABLE}",
            got=str(section.symbols ** (section.order + 1)),
            cure="lower corpus.language.order or corpus.language.symbols",
        )
    random = np.random.default_rng([seed, section.symbols, section.order])
    popularity = random.permutation(np.log(_zipf(section.symbols, section.exponent)))
    contexts = section.symbols**section.order
    table = np.empty((contexts, section.symbols), np.uint16)
    for rows in np.array_split(np.arange(contexts), -(-table.size // _ROWS)):
        # Sorting log-weights plus Gumbel noise draws without replacement in proportion to the weights (Gumbel-top-k,
        # Yellott 1977): each context has an order of its own, in which popular symbols tend to come early.
        keys = popularity + random.gumbel(size=(len(rows), section.symbols))
        table[rows] = np.argsort(-keys, axis=1, kind="stable")
    return ZipfMarkov(section.symbols, section.order, section.exponent, table)


def _zipf(symbols: int, exponent: float) -> NDArray[np.float64]:
    weights = np.arange(1, symbols + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())
