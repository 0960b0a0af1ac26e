"""Which runs: a greedy choice, then exchange of a few at a time."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from foretoken.ladders.information import Information, typical
from foretoken.laws.law import Array, Indices

GREED = (1.0, 0.1, 0.3, 3.0)
"""What a run costs at least, in shares of an average run, when runs are compared by gain per cost."""
ROUNDS = 200
"""Times a few runs are taken out and others chosen for them."""
TAKEN_OUT = 8
BY_COST = (0.0, 0.5, 1.0)
"""Powers of a run's cost in the chance that it is taken out: the few dear ones must be tried too."""
BETTER = 1e-9


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
        kept = _without_some(best, limits.cost, generator)
        found, counts = judged(fill(information, limits, kept, 10 ** generator.uniform(-1, 1)))
        if found < least * (1 - BETTER):
            least, best = found, counts
    return best


def _without_some(counts: Array, cost: Array, generator: np.random.Generator) -> Array:
    runs = np.repeat(np.arange(len(counts)), counts.astype(int))
    chance = cost[runs] ** generator.choice(BY_COST)
    many = min(len(runs), int(generator.integers(1, TAKEN_OUT + 1)))
    kept = counts.copy()
    np.subtract.at(kept, generator.choice(runs, many, replace=False, p=chance / chance.sum()), 1)
    return kept


def fill(information: Information, limits: Limits, counts: Array, greed: float) -> Array:
    """Add runs, each with the largest fall of ln loss per cost, until trainings or money are used up."""
    counts = counts.copy()
    offset = greed * limits.spend / limits.most
    while (allowed := limits.allow(counts)).any():
        gain = np.log(typical(information.loss(counts)) / typical(information.loss_after(counts)))
        counts[np.where(allowed, gain / (limits.cost + offset), -np.inf).argmax()] += 1
    return counts
