"""Objectives: text -> what a network reads and has to predict (arrays), and the loss of each prediction.

Making examples needs no torch; the loss is in `objectives.loss`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from foretoken.objectives.causal import causal, prefix
from foretoken.objectives.examples import ExampleBuilder, Examples, Integers
from foretoken.objectives.masked import masked
from foretoken.objectives.span_corruption import span_corruption

OBJECTIVES: dict[str, Callable[[ExampleBuilder, Integers, np.random.Generator], Examples]] = {
    "causal": causal,
    "prefix": prefix,
    "masked": masked,
    "span_corruption": span_corruption,
}

__all__ = ["OBJECTIVES", "ExampleBuilder", "Examples", "Integers", "make_examples"]


def make_examples(builder: ExampleBuilder, text_BL: Integers, rng: np.random.Generator) -> Examples:
    """Examples of a batch of text by the builder's objective."""
    return OBJECTIVES[builder.objective.kind](builder, text_BL, rng)
