"""Text -> the inputs of a network and its targets, as arrays. Random choices come from a given generator.

Shapes: B sequences, L tokens of text, T positions, N predictions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.data import TokenizedCorpus
from foretoken.data.specials import special_ids

Integers = NDArray[np.int64]

VALIDATION = 2**32 - 1
"""In place of a run's seed: what is hidden in the validation set is the same for all runs."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Sequences of one batch."""

    inputs: dict[str, NDArray[Any]]
    """Arguments of `network.features`; `tokens` is the first."""
    targets: Integers
    """The tokens to predict: [B, T] where every position predicts, else [N]."""
    positions: Integers | None = None
    """[N] the positions that predict, flat in [B, T]; None for all."""
    labels: Integers | None = None
    """[B] whether the second segment follows the first (0) or is from elsewhere (1), as BERT has it."""

    @property
    def sequence_of(self) -> Integers:
        """[N] the sequence of each prediction."""
        if self.positions is None:
            return np.repeat(np.arange(len(self.targets)), self.targets.shape[1])
        return self.positions // self.length

    @property
    def length(self) -> int:
        """T: positions of a sequence that the head may read; those of the target, where there are two stacks."""
        return int(self.inputs.get("target", self.inputs["tokens"]).shape[1])


@dataclass(frozen=True, kw_only=True)
class ExampleBuilder:
    """All that the examples of a run depend on beside the text and the random generator."""

    objective: Objective
    shape: ModelShape
    text_vocabulary: int
    """Tokens of the text are below it; a random token is one of them."""
    specials: dict[str, int] = field(default_factory=dict)
    """Ids of the special tokens, by name."""
    separator: int | None = None
    """The token that ends a document."""

    def documents(self, tokens_BT: Integers) -> dict[str, NDArray[Any]]:
        """The number of each token's document, where these are kept apart: a separator ends its own."""
        if not self.objective.separate_documents or self.separator is None:
            return {}
        ends = tokens_BT == self.separator
        # Separators up to and with a position, less the one at it: so a separator has the number of its own document.
        return {"documents": np.cumsum(ends, axis=1) - ends}


def example_builder(objective: Objective, shape: ModelShape, corpus: TokenizedCorpus) -> ExampleBuilder:
    """The example builder of a run. Raises CorpusError when the tokenizer lacks a special token."""
    specials, _ = special_ids(corpus.specials, corpus.vocabulary, corpus.fixed_vocabulary, objective.specials(shape))
    return ExampleBuilder(
        objective=objective,
        shape=shape,
        text_vocabulary=corpus.vocabulary,
        specials=specials,
        separator=corpus.separator,
    )


def batch_rng(seed: int, index: int) -> np.random.Generator:
    """The generator of one batch: a function of the seed and the batch's index alone, so nothing need be saved."""
    # Philox is counter-based (Salmon et al. 2011): another last word of the counter is a stream of its own, and the
    # words before it, which count the draws, never reach it.
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, index]))


def shifted_right(target_BT: Integers, start: int) -> Integers:
    """The decoder's input for a target: the start token, then all but the last token.

    >>> shifted_right(np.array([[5, 6, 7]]), start=0).tolist()
    [[0, 5, 6]]
    """
    return np.concatenate([np.full((len(target_BT), 1), start), target_BT[:, :-1]], axis=1)
