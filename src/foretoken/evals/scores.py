"""Scores and their doubts: of the test examples, over seeds, and of a difference.

Shapes: N predictions, B examples that they belong to, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.evals.tasks import KINDS, TEXT_TO_TEXT

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What was predicted for each label or token, what is right, and the example of each, [N]."""

    given: Integers
    right: Integers
    owner: Integers


def accuracy(found: Predictions) -> tuple[float, float]:
    """Share of predictions that are right, and its standard error with examples as units.

    With one prediction per example that is the binomial one.

    >>> accuracy(Predictions(np.array([1, 0, 1, 1]), np.array([1, 1, 1, 1]), np.arange(4)))
    (0.75, 0.21650635094610965)
    """
    good, number = np.bincount(found.owner, found.given == found.right), np.bincount(found.owner)
    share = float(good.sum() / number.sum())
    return share, float(np.sqrt(np.sum((good - share * number) ** 2)) / number.sum())


def exact_match(found: Predictions) -> tuple[float, float]:
    """Share of examples in which every prediction is right, and its binomial standard error."""
    wrong = np.bincount(found.owner, found.given != found.right)
    whole = (wrong == 0).astype(np.int64)
    return accuracy(Predictions(whole, np.ones_like(whole), np.arange(len(whole))))


def f1(found: Predictions) -> tuple[float, float]:
    """Mean over the classes of F1 = 2 hits / (given + right), and its standard error.

    The error is the jackknife's: each example is left out once (Efron 1982). A class that is neither given nor right
    counts for nothing.

    >>> f1(Predictions(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4)))[0]
    0.7333333333333334
    """
    classes, examples = int(max(found.given.max(), found.right.max())) + 1, int(found.owner.max()) + 1
    hits, both = np.zeros((2, examples, classes))
    np.add.at(hits, (found.owner, found.right), found.given == found.right)
    np.add.at(both, (found.owner, found.right), 1.0)
    np.add.at(both, (found.owner, found.given), 1.0)
    without = _mean_f1(hits.sum(0) - hits, both.sum(0) - both)
    error = np.sqrt((examples - 1) / examples * np.sum((without - without.mean()) ** 2))
    return float(_mean_f1(hits.sum(0), both.sum(0))), float(error)


def _mean_f1(hits: Floats, both: Floats) -> Floats:
    met = both > 0
    each = np.divide(2 * hits, both, out=np.zeros_like(both), where=met)
    mean: Floats = each.sum(-1) / np.maximum(met.sum(-1), 1)
    return mean


METRICS: dict[str, Callable[[Predictions], tuple[float, float]]] = {
    "accuracy": accuracy,
    "f1": f1,
    "exact_match": exact_match,
}
METRIC_OF = {kind: "exact_match" if kind == TEXT_TO_TEXT else "accuracy" for kind in KINDS}
"""The metric of each kind, unless another is asked for."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds."""

    mean: float
    se: float | None
    """Its standard error; None of one seed."""
    low: float | None
    high: float | None
    """Student's interval of 95 %; None of one seed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def mean_over_seeds(values: Sequence[float], level: float = 0.95) -> Mean:
    """Mean, standard error and Student's interval.

    >>> found = mean_over_seeds([1.0, 2.0, 3.0])
    >>> [round(value, 3) for value in (found.mean, found.se, found.low, found.high)]
    [2.0, 0.577, -0.484, 4.484]
    """
    from scipy.stats import t

    mean = float(np.mean(values))
    if len(values) < 2:
        return Mean(mean, None, None, None)
    se = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    reach = float(t.ppf((1 + level) / 2, len(values) - 1)) * se
    return Mean(mean, se, mean - reach, mean + reach)
