"""What each answer of a model is worth by each metric, one number per question, and means with their errors.

Shapes: S seeds (draws of the examples shown), N questions, C clusters of questions that are not independent.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretoken.scoring.answers import Answer
from foretoken.scoring.likelihood import Likelihood
from foretoken.tasks import Question

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known of how a model does on one question."""

    question: Question
    texts: tuple[str, ...]
    """What was weighed: the question's candidates, with what stands behind them where it was weighed, too."""
    weighed: tuple[Likelihood, ...]
    """After the prompt, in the order of `texts`."""
    alone: tuple[Likelihood, ...] = ()
    """The same without the question; empty where that was not asked for."""
    written: Answer | None = None
    """What the model wrote; None where that was not asked for."""
    edits: float = math.nan
    """From what it wrote to the answer, over the tokens of the longer."""

    @property
    def right(self) -> Likelihood:
        """Of the right answer."""
        return self.weighed[self.question.candidates.index(self.question.answer)]

    def chosen(self, scores: Sequence[float]) -> float:
        """1 where the right text has the highest score, a share of it where several have."""
        # equal scores are common where choices have equal tokens, and the first must not win by its place
        best = max(scores)
        right = scores[self.question.candidates.index(self.question.answer)] == best
        return right / list(scores).count(best)


def _accuracy(evidence: Evidence) -> float:
    return evidence.chosen([one.logprob for one in evidence.weighed])


def _per_token(evidence: Evidence) -> float:
    return evidence.chosen([one.logprob / max(1, len(one.logprobs)) for one in evidence.weighed])


def _per_byte(evidence: Evidence) -> float:
    sizes = [max(1, len(text.encode())) for text in evidence.texts]
    return evidence.chosen([one.logprob / size for one, size in zip(evidence.weighed, sizes, strict=True)])


def _unconditional(evidence: Evidence) -> float:
    pairs = zip(evidence.weighed, evidence.alone, strict=True)
    return evidence.chosen([one.logprob - alone.logprob for one, alone in pairs])


def _choice_probability(evidence: Evidence) -> float:
    logprobs = [one.logprob for one in evidence.weighed]
    best = max(logprobs)
    return math.exp(evidence.right.logprob - best) / math.fsum(math.exp(one - best) for one in logprobs)


def _exact_match(evidence: Evidence) -> float:
    assert evidence.written is not None
    return float(evidence.written.text.strip() == evidence.question.solved.strip())


def _f1(evidence: Evidence) -> float:
    assert evidence.written is not None
    return words_f1(evidence.written.text, evidence.question.solved)


def _nll(evidence: Evidence) -> float:
    return -evidence.right.logprob / max(1, len(evidence.right.logprobs))


MARKS: dict[str, Callable[[Evidence], float]] = {
    "accuracy": _accuracy,
    "accuracy_per_token": _per_token,
    "accuracy_per_byte": _per_byte,
    "accuracy_unconditional": _unconditional,
    "choice_probability": _choice_probability,
    "exact_match": _exact_match,
    "token_edit_distance": lambda evidence: evidence.edits,
    "f1": _f1,
    "last_word_accuracy": lambda evidence: float(evidence.right.greedy),
    "answer_probability": lambda evidence: math.exp(evidence.right.logprob),
    "token_probability": lambda evidence: math.exp(-_nll(evidence)),
    "answer_nll": _nll,
}
"""Of one question, by metric; consistency is of two."""


def words_f1(written: str, answer: str) -> float:
    """The harmonic mean of the shares of words that each has of the other (Rajpurkar et al. 2016, arXiv 1606.05250).

    Case, punctuation and articles do not count, unless the answer has nothing else: then its words are those between
    spaces.

    >>> words_f1("The red fox!", "a fox"), words_f1("", "fox"), words_f1("red", "Red."), words_f1("])", ")]")
    (0.6666666666666666, 0.0, 1.0, 0.0)
    """
    ours, theirs = _plain_words(written), _plain_words(answer)
    if not theirs:
        ours, theirs = written.split(), answer.split()
    shared = (Counter(ours) & Counter(theirs)).total()
    if not shared:
        return float(ours == theirs)
    # The harmonic mean of shared / ours and shared / theirs.
    return 2 * shared / (len(ours) + len(theirs))


def _plain_words(text: str) -> list[str]:
    plain = text.lower().translate(str.maketrans("", "", string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def edit_distance(first: Sequence[int], second: Sequence[int]) -> float:
    """Insertions, deletions and exchanges from one sequence to the other, over the length of the longer (Levenshtein).

    >>> edit_distance([1, 2, 3], [1, 3]), edit_distance([], []), edit_distance([1], [2])
    (0.3333333333333333, 0.0, 1.0)
    """
    edits = list(range(len(second) + 1))
    for row, one in enumerate(first, 1):
        before, edits[0] = edits[0], row
        for column, other in enumerate(second, 1):
            before, edits[column] = (
                edits[column],
                min(edits[column] + 1, edits[column - 1] + 1, before + (one != other)),
            )
    return edits[-1] / max(len(first), len(second), 1)


class Mean(NamedTuple):
    """A mean over questions."""

    score: float
    se: float | None
    """Its standard error; None where one cluster or one question has none."""
    n: int


def mean_over_questions(values_SN: Floats, clusters: Sequence[Hashable]) -> Mean:
    """The mean of all, with the standard error that questions and seeds leave together.

    Questions of one cluster move together, so the error is that of a mean over clusters; where there are several seeds,
    theirs is added, and what both count is taken off (Cameron, Gelbach and Miller 2011, two-way clustering).

    >>> mean = mean_over_questions(np.array([[1.0, 0.0, 1.0, 1.0]]), "abcd")
    >>> mean.score, mean.se, mean_over_questions(np.array([[1.0, 0.0, 1.0, 1.0]]), "aabb").se
    (0.75, 0.25, 0.25)
    >>> mean_over_questions(np.array([[1.0, 1.0], [0.0, 0.0]]), "ab")
    Mean(score=0.5, se=0.5, n=2)
    """
    seeds, questions = values_SN.shape
    score = float(values_SN.mean())
    left_SN = (values_SN - score) / values_SN.size
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    of_question = np.array([numbers[cluster] for cluster in clusters])
    left_SC: Floats = np.stack([np.bincount(of_question, row, minlength=len(numbers)) for row in left_SN])
    by_cluster, by_seed = _variance(np.sum(left_SC, axis=0)), _variance(np.sum(left_SC, axis=1))
    if by_cluster is None:
        return Mean(score, None, questions)
    if seeds == 1 or by_seed is None:
        return Mean(score, float(np.sqrt(by_cluster)), questions)
    both = _variance(left_SC.ravel()) or 0.0
    # The difference may be below either part by chance, and the error is below neither.
    variance = max(by_cluster + by_seed - both, by_cluster, by_seed)
    return Mean(score, float(np.sqrt(variance)), questions)


def _variance(sums: NDArray[Any]) -> float | None:
    """Variance of a sum of independent parts, from what each part is off."""
    parts = len(sums)
    return float(np.sum(sums**2)) * parts / (parts - 1) if parts > 1 else None
