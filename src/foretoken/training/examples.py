"""The examples of a run: its objective, the tokens of its corpus, and a generator for each batch."""

from __future__ import annotations

import numpy as np

from foretoken.compute.objective import Objective
from foretoken.compute.shape import ModelShape
from foretoken.data import TokenizedCorpus
from foretoken.data.specials import special_ids
from foretoken.objectives import ExampleBuilder

VALIDATION = 2**32 - 1
"""In place of a run's seed: what is hidden in the validation set is the same for all runs."""


def example_builder(objective: Objective, shape: ModelShape, corpus: TokenizedCorpus) -> ExampleBuilder:
    """What makes the examples. Raises CorpusError when the tokenizer lacks a special token."""
    wanted = objective.specials(shape)
    specials, _ = special_ids(corpus.specials, corpus.vocabulary, corpus.closed, wanted)
    return ExampleBuilder(
        objective=objective,
        shape=shape,
        text_vocabulary=corpus.vocabulary,
        specials=specials,
        separator=corpus.separator,
    )


def batch_rng(seed: int, index: int) -> np.random.Generator:
    """The generator of one batch: a function of the seed and the batch's index alone, so nothing need be saved."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, index]))
