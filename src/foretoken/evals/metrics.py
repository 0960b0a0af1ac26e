"""Metrics of a tuned network, each a score and its standard error from the test examples; and means over seeds.

A new metric is one function here and one line in `METRICS`.

Shapes: N predictions, B examples that they belong to, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretoken.evals.tasks import KINDS, TEXT_TO_TEXT, TaskKind
from foretoken.shares import wilson_of_error

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
LEVEL, NORMAL_95 = 0.95, 1.96
"""Of intervals, and how many standard deviations of a normal hold so much."""


@dataclass(frozen=True)
class Predictions:
    """What was predicted for each label or token, the right answer, and the example of each, [N]."""

    predicted: Integers
    targets: Integers
    example_index: Integers


def accuracy(predictions: Predictions) -> tuple[float, float]:
    """Share of predictions that are right, and its standard error with examples as units.

    With one prediction per example that is the binomial one.

    >>> accuracy(Predictions(np.array([1, 0, 1, 1]), np.array([1, 1, 1, 1]), np.arange(4)))
    (0.75, 0.21650635094610965)
    """
    hits = np.bincount(predictions.example_index, predictions.predicted == predictions.targets)
    sizes = np.bincount(predictions.example_index)
    share = float(hits.sum() / sizes.sum())
    # The share is a ratio of sums over examples, hits / sizes. Its standard error by the delta method is that of the
    # sum of hits - share * sizes, over the sum of the sizes (Cochran, Sampling Techniques, 1977, section 2.11).
    return share, float(np.sqrt(np.sum((hits - share * sizes) ** 2)) / sizes.sum())


def exact_match(predictions: Predictions) -> tuple[float, float]:
    """Share of examples in which every prediction is right, and its binomial standard error."""
    misses = np.bincount(predictions.example_index, predictions.predicted != predictions.targets)
    matches = (misses == 0).astype(np.int64)
    return accuracy(Predictions(matches, np.ones_like(matches), np.arange(len(matches))))


def f1(predictions: Predictions) -> tuple[float, float]:
    """Mean over the classes of F1 = 2 hits / (predicted + targets), and its standard error.

    The error is the jackknife's: each example is left out once (Efron 1982). A class that is neither predicted nor a
    target does not enter the mean.

    >>> f1(Predictions(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1]), np.arange(4)))[0]
    0.7333333333333334
    """
    predicted, targets, example = predictions.predicted, predictions.targets, predictions.example_index
    classes, examples = int(max(predicted.max(), targets.max())) + 1, int(example.max()) + 1
    hits, occurrences = np.zeros((2, examples, classes))
    np.add.at(hits, (example, targets), predicted == targets)
    np.add.at(occurrences, (example, targets), 1.0)
    np.add.at(occurrences, (example, predicted), 1.0)
    without = _mean_f1(hits.sum(0) - hits, occurrences.sum(0) - occurrences)
    error = np.sqrt((examples - 1) / examples * np.sum((without - without.mean()) ** 2))
    return float(_mean_f1(hits.sum(0), occurrences.sum(0))), float(error)


def _mean_f1(hits: Floats, occurrences: Floats) -> Floats:
    # F1 is the harmonic mean of hits / predicted and hits / targets, which is 2 hits / (predicted + targets).
    occurs = occurrences > 0
    each = np.divide(2 * hits, occurrences, out=np.zeros_like(occurrences), where=occurs)
    mean: Floats = each.sum(-1) / np.maximum(occurs.sum(-1), 1)
    return mean


Metric = Callable[[Predictions], tuple[float, float]]
METRICS: dict[str, Metric] = {"accuracy": accuracy, "f1": f1, "exact_match": exact_match}
DEFAULT_METRIC: dict[TaskKind, str] = {kind: "exact_match" if kind == TEXT_TO_TEXT else "accuracy" for kind in KINDS}
"""The metric of each kind of task, unless another is asked for."""


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds."""

    mean: float
    se: float | None
    """Its standard error; None of one seed."""
    low: float | None
    high: float | None
    """Student's interval of 95 %, for scores kept inside 0 and 1; None of one seed."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def score_over_seeds(scores: Sequence[float]) -> SeedMean:
    """As `mean_over_seeds`, for scores: shares, whose interval stays inside 0 and 1 (Wilson's, of Student's reach).

    >>> score = score_over_seeds([0.9, 1.0])
    >>> 0 < score.low < score.mean < score.high <= 1
    True
    """
    mean = mean_over_seeds(scores)
    if not mean.se:
        return mean
    low, high = wilson_of_error(mean.mean, mean.se, len(scores), student(len(scores), LEVEL))
    return replace(mean, low=low, high=high)


def sampling_interval(score: float, error: float, examples: int) -> tuple[float, float]:
    """Where a score lies for all that so few test examples tell: Wilson's interval of 95 %.

    >>> [round(end, 2) for end in sampling_interval(1.0, 0.0, examples=8)]
    [0.68, 1.0]
    """
    return wilson_of_error(score, error, examples, NORMAL_95)


def chance(metric: str, learned: Sequence[int], targets: Integers, example_index: Integers) -> float:
    """The score of always answering the commonest class of the training examples.

    Args:
        metric: one of `METRICS`.
        learned: the classes of the training examples.
        targets: the right answers of the test examples, [N].
        example_index: the example of each, [N].

    >>> chance("accuracy", [0, 1, 1], np.array([1, 0, 1, 1]), np.arange(4))
    0.75

    """
    commonest = np.full_like(targets, np.bincount(np.array(learned)).argmax())
    return METRICS[metric](Predictions(commonest, targets, example_index))[0]


def student(values: int, level: float) -> float:
    """How many standard errors the interval of a mean of so many values reaches."""
    from scipy.special import stdtrit

    return float(stdtrit(values - 1, (1 + level) / 2))


def mean_over_seeds(values: Sequence[float], level: float = LEVEL) -> SeedMean:
    """Mean, standard error and Student's interval.

    >>> mean = mean_over_seeds([1.0, 2.0, 3.0])
    >>> [round(value, 3) for value in (mean.mean, mean.se, mean.low, mean.high)]
    [2.0, 0.577, -0.484, 4.484]
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return SeedMean(mean, None, None, None)
    se = float(np.std(values, ddof=1) / np.sqrt(len(values)))
    reach = student(len(values), level) * se
    return SeedMean(mean, se, mean - reach, mean + reach)
