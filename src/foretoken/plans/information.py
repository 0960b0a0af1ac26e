"""What runs tell of a target: linearised Bayesian design of experiments (Chaloner and Verdinelli 1995).

A run adds gradient x gradient / variance to the information on a law's parameters. What is left unknown at the target
is what the design lowers. Shapes: s draws of the law, m cells (runs that could be trained), q questions, p parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from foretoken.laws.law import Array, Indices

GREED = (1.0, 0.1, 0.3, 3.0)
"""What a run costs at least, in shares of an average run, when runs are compared by gain per cost."""
ROUNDS = 400
"""Times a few runs are taken out and others chosen for them."""
TAKEN_OUT = 5
BETTER = 1e-9


@dataclass(frozen=True)
class Information:
    """How much each cell would tell, and what is asked."""

    gradient: Array
    """Of ln loss in the parameters, at each cell [s, m, p]."""
    questions: Array
    """What is asked of the parameters, scaled so that the sum of the variances is a loss [s, q, p]."""
    known: Array
    """Information before the first run [s, p, p]."""
    run: Array
    """Standard deviation of one run of a cell about its mean [m]: more seeds lower it."""
    cell: Array
    """Standard deviation of a cell's mean about the law [m]: more seeds do not."""

    def _precision(self, counts: Array) -> Array:
        variance = self.cell**2 + self.run**2 / np.maximum(counts, 1.0)
        return np.asarray((counts > 0) / variance)

    def covariance(self, counts: Array) -> Array:
        """Of the parameters, after so many runs of each cell [m]: [s, p, p]."""
        here = counts > 0
        slopes = self.gradient[:, here]
        told = np.swapaxes(slopes * self._precision(counts)[here, None], 1, 2) @ slopes
        return np.asarray(np.linalg.inv(self.known + told), dtype=np.float64)

    def loss(self, counts: Array) -> Array:
        """Sum of the variances of the questions [s]."""
        return self._variance(self.questions, self.covariance(counts))

    def variance(self, question: Array, counts: Array) -> Array:
        """Of one other question [s, p]: [s]."""
        return self._variance(question[:, None], self.covariance(counts))

    @staticmethod
    def _variance(questions: Array, covariance: Array) -> Array:
        return np.asarray(((questions @ covariance) * questions).sum(axis=(1, 2)))

    def loss_after(self, counts: Array) -> Array:
        """The same, if one run more of a cell were trained: [s, m] (a rank-one update)."""
        covariance = self.covariance(counts)
        more = self._precision(counts + 1) - self._precision(counts)
        own = ((self.gradient @ covariance) * self.gradient).sum(axis=-1)
        asked = self.gradient @ covariance @ np.swapaxes(self.questions, 1, 2)
        now = self._variance(self.questions, covariance)
        return np.asarray(now[:, None] - more * (asked**2).sum(axis=-1) / (1 + more * own))


def typical(losses: Array) -> Array:
    """Geometric mean over draws: [s, ...] -> [...]. No single extreme law decides."""
    return np.asarray(np.exp(np.log(np.maximum(losses, 1e-300)).mean(axis=0)))


@dataclass(frozen=True)
class Limits:
    """What a choice may use."""

    cost: Array
    """Of one seed of a cell [m]."""
    runs: Array
    """Trainings that one seed of a cell takes [m]."""
    spend: float
    most: int
    """Trainings in all."""
    seeds: int
    """Of one place ..."""
    place: Indices
    """... which cells share that differ in their learning rates alone [m]."""

    def allow(self, counts: Array) -> Array:
        """Whether one seed more of a cell fits [m]."""
        room = (self.spend - counts @ self.cost) * (1 + BETTER)
        taken = np.bincount(self.place, counts)[self.place]
        return np.asarray((taken < self.seeds) & (self.cost <= room) & (self.runs <= self.most - counts @ self.runs))


def choose(information: Information, limits: Limits, seed: int, rounds: int = ROUNDS) -> Array:
    """How many seeds of each cell are trained [m], with the least typical loss.

    Greedy choice by gain per cost, then exchange: a few runs are taken out at random and the room is filled anew, as
    long as that lowers the loss. Without `rounds` the first greedy choice is taken.
    """
    generator = np.random.default_rng(seed)

    def judged(counts: Array) -> tuple[float, Array]:
        return float(typical(information.loss(counts))), counts

    nothing = np.zeros(len(limits.cost))
    tried = GREED if rounds else GREED[:1]
    least, best = min((judged(fill(information, limits, nothing, greed)) for greed in tried), key=itemgetter(0))
    for _ in range(rounds if best.any() else 0):
        runs = np.repeat(np.arange(len(best)), best.astype(int))
        out = generator.choice(runs, min(len(runs), int(generator.integers(1, TAKEN_OUT + 1))), replace=False)
        kept = best.copy()
        np.subtract.at(kept, out, 1)
        found, counts = judged(fill(information, limits, kept, 10 ** generator.uniform(-1, 1)))
        if found < least * (1 - BETTER):
            least, best = found, counts
    return best


def fill(information: Information, limits: Limits, counts: Array, greed: float) -> Array:
    """Add runs, each with the largest fall of ln loss per cost, until trainings or money are used up."""
    counts = counts.copy()
    offset = greed * limits.spend / limits.most
    while (allowed := limits.allow(counts)).any():
        gain = np.log(typical(information.loss(counts)) / typical(information.loss_after(counts)))
        counts[np.where(allowed, gain / (limits.cost + offset), -np.inf).argmax()] += 1
    return counts
