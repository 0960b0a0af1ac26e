"""Which runs: a greedy choice, then exchange of a few at a time."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from foretoken.ladders.information import Criterion, geometric_mean
from foretoken.laws.law import Array, Indices

GREED = (1.0, 0.1, 0.3, 3.0)
"""What a run costs at least, in shares of an average run, when runs are compared by gain per cost."""
ROUNDS = 200
"""Times a few runs are taken out and others chosen for them."""
TAKEN_OUT = 8
"""Most runs that one exchange takes out."""
BY_COST = (0.0, 0.5, 1.0)
"""Powers of a run's cost in the chance that it is taken out: the few expensive ones must be tried too."""
BETTER = 1e-9
"""Relative difference below which two losses, or two costs, are equal: what rounding leaves."""


@dataclass(frozen=True)
class LadderLimits:
    """What a choice may use."""

    cost: Array
    """FLOP of one seed of a candidate [m]."""
    trainings: Array
    """Trainings that one seed of a candidate takes: one for each learning rate [m]."""
    spend: float
    """FLOP in all."""
    max_trainings: int
    max_seeds: int
    """Of one configuration ..."""
    configuration: Indices
    """... which candidates share that differ in their learning rates alone [m]."""

    def allow(self, counts: Array) -> Array:
        """Whether one seed more of a candidate fits [m]."""
        room = (self.spend - counts @ self.cost) * (1 + BETTER)
        seeds = np.bincount(self.configuration, counts)[self.configuration]
        trainings_left = self.max_trainings - counts @ self.trainings
        return np.asarray((seeds < self.max_seeds) & (self.cost <= room) & (self.trainings <= trainings_left))


def choose_runs(criterion: Criterion, limits: LadderLimits, seed: int, rounds: int = ROUNDS) -> Array:
    """How many seeds of each candidate are trained [m], with the least geometric mean of the loss.

    Greedy choice by gain per cost, then exchange: a few runs are taken out at random and the room is filled anew, as
    long as that lowers the loss. Without `rounds` the first greedy choice is taken.
    """
    generator = np.random.default_rng(seed)

    def judge(counts: Array) -> tuple[float, Array]:
        return float(geometric_mean(criterion.loss(counts))), counts

    # The loss is not submodular in the runs (two runs that fix one exponent are worth little alone), so a greedy choice
    # has no guarantee: several degrees of greed give different starts, and exchange repairs the best of them.
    nothing = np.zeros(len(limits.cost))
    greeds = GREED if rounds else GREED[:1]
    least, best = min((judge(fill(criterion, limits, nothing, greed)) for greed in greeds), key=itemgetter(0))
    for _ in range(rounds if best.any() else 0):
        remaining = _without_some(best, limits.cost, generator)
        loss, counts = judge(fill(criterion, limits, remaining, 10 ** generator.uniform(-1, 1)))
        if loss < least * (1 - BETTER):
            least, best = loss, counts
    return best


def _without_some(counts: Array, cost: Array, generator: np.random.Generator) -> Array:
    runs = np.repeat(np.arange(len(counts)), counts.astype(int))
    chance = cost[runs] ** generator.choice(BY_COST)
    many = min(len(runs), int(generator.integers(1, TAKEN_OUT + 1)))
    remaining = counts.copy()
    np.subtract.at(remaining, generator.choice(runs, many, replace=False, p=chance / chance.sum()), 1)
    return remaining


def fill(criterion: Criterion, limits: LadderLimits, counts: Array, greed: float) -> Array:
    """Add runs, each with the largest fall of ln loss per cost, until trainings or FLOP are used up.

    To the cost of every run `greed` average runs are added: without them the many cheapest runs would win, and use up
    the trainings.
    """
    counts = counts.copy()
    offset = greed * limits.spend / limits.max_trainings
    while (allowed := limits.allow(counts)).any():
        gain = np.log(geometric_mean(criterion.loss(counts)) / geometric_mean(criterion.loss_after(counts)))
        counts[np.where(allowed, gain / (limits.cost + offset), -np.inf).argmax()] += 1
    return counts
