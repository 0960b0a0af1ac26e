"""Texts whose hidden language changes now and then, and what can be inferred about them when the languages are known.

Each language has, for each symbol, its own order of the symbols that may follow; the rank of what does follow is drawn
from one Zipf distribution. So single symbols tell nothing of the language, pairs of neighbours do.

Shapes: B texts, T positions, G languages, V symbols. A position's state is its language and its symbol.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class SwitchingLanguage:
    """A hidden Markov chain of languages and symbols; every text begins with any language and symbol alike."""

    follows: Floats = field(repr=False)
    """[G, V, V]: probability of each next symbol, by language and symbol before."""
    stay: float
    """Probability that the next symbol is of the same language."""

    @property
    def languages(self) -> int:
        """G."""
        return len(self.follows)

    @property
    def symbols(self) -> int:
        """V."""
        return int(self.follows.shape[1])

    @property
    def switches(self) -> Floats:
        """[G, G]: probability of each next language."""
        other = (1 - self.stay) / (self.languages - 1)
        return np.where(np.eye(self.languages, dtype=bool), self.stay, other)

    def sample(self, texts: int, length: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
        """Symbols [B, T] and the language of each, [B, T]."""
        cumulative = np.cumsum(self.follows, axis=2)
        languages, symbols = np.empty((2, texts, length), np.int64)
        languages[:, 0] = rng.integers(self.languages, size=texts)
        symbols[:, 0] = rng.integers(self.symbols, size=texts)
        for now in range(1, length):
            step = rng.integers(1, self.languages, size=texts) * (rng.random(texts) >= self.stay)
            languages[:, now] = (languages[:, now - 1] + step) % self.languages
            rows = cumulative[languages[:, now], symbols[:, now - 1]]
            symbols[:, now] = np.minimum((rows < rng.random((texts, 1))).sum(1), self.symbols - 1)
        return symbols, languages

    def forward(self, symbols_BT: Integers, hidden_BT: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """Probability of each state given the text up to it, [B, T, G, V], and the text's log-likelihood, [B].

        Symbols that are hidden are not known.
        """
        seen = self._seen(symbols_BT, hidden_BT)
        states, total = np.empty(seen.shape[:2] + self.follows.shape[:2]), np.zeros(len(seen))
        for now in range(seen.shape[1]):
            if now:
                state = self._next(states[:, now - 1]) * seen[:, now, None]
            else:
                state = np.broadcast_to(seen[:, 0, None], states[:, 0].shape) / (self.languages * self.symbols)
            weight = state.sum((1, 2))
            states[:, now], total = state / weight[:, None, None], total + np.log(weight)
        return states, total

    def backward(self, symbols_BT: Integers, hidden_BT: NDArray[np.bool_] | None = None) -> Floats:
        """Likelihood of all behind a position given its state, up to a factor, [B, T, G, V]."""
        seen = self._seen(symbols_BT, hidden_BT)
        behind = np.ones(seen.shape[:2] + self.follows.shape[:2])
        for now in range(seen.shape[1] - 2, -1, -1):
            ahead = behind[:, now + 1] * seen[:, now + 1, None]
            after = np.einsum("gh,hvw,bhw->bgv", self.switches, self.follows, ahead, optimize=True)
            behind[:, now] = after / after.sum((1, 2), keepdims=True)
        return behind

    def posterior(self, symbols_BT: Integers) -> Floats:
        """Probability of each language at each position given the whole text, [B, T, G]."""
        both = (self.forward(symbols_BT)[0] * self.backward(symbols_BT)).sum(3)
        languages: Floats = both / both.sum(2, keepdims=True)
        return languages

    def two_hidden(self, symbols_BT: Integers, first: int) -> Floats:
        """Probability of the symbols at `first` and behind it, given all others, [B, V, V]."""
        hidden = np.zeros(symbols_BT.shape, dtype=bool)
        hidden[:, first : first + 2] = True
        left = self.forward(symbols_BT, hidden)[0][:, first]
        right = self.backward(symbols_BT, hidden)[:, first + 1]
        both = np.einsum("bgv,gh,hvw,bhw->bvw", left, self.switches, self.follows, right, optimize=True)
        pairs: Floats = both / both.sum((1, 2), keepdims=True)
        return pairs

    def _next(self, state_BGV: Floats) -> Floats:
        after: Floats = np.einsum("bgv,gh,hvw->bhw", state_BGV, self.switches, self.follows, optimize=True)
        return after

    def _seen(self, symbols_BT: Integers, hidden_BT: NDArray[np.bool_] | None) -> Floats:
        seen = np.eye(self.symbols)[symbols_BT]
        return seen if hidden_BT is None else np.where(hidden_BT[..., None], 1.0, seen)


def switching_language(
    *, symbols: int = 16, languages: int = 4, exponent: float = 2.0, stay: float = 0.97, seed: int = 0
) -> SwitchingLanguage:
    """Languages with random orders.

    >>> known = switching_language(symbols=3, languages=2)
    >>> text, hidden = known.sample(2, 5, np.random.default_rng(0))
    >>> text.shape, known.posterior(text).sum(2).round(6).min()
    ((2, 5), np.float64(1.0))
    """
    zipf = np.arange(1, symbols + 1, dtype=np.float64) ** -exponent
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(symbols), (languages, symbols, 1)), axis=2)
    return SwitchingLanguage((zipf / zipf.sum())[ranks], stay)
