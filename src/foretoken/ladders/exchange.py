"""Which runs: those that a ladder could hold (budgets in octaves, sizes around the best of each), a greedy choice of
them, then exchange of a few at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from foretoken.errors import DesignError
from foretoken.ladders.information import Criterion, geometric_mean
from foretoken.ladders.prior import Prior
from foretoken.laws.law import Array, Indices

OCTAVES = 9
"""The smallest budget is this many factors of 2 below the largest."""
WIDEST, STEP = 8.0, 2**0.5
"""Sizes are within a factor of 8 of the best of their budget, as in a wide IsoFLOP grid, and in half octaves."""
GRID_BUDGETS, GRID_SPAN, GRID_SIZES = 5, 100.0, 7
"""The plain IsoFLOP grid: budgets, the factor between the ends, sizes per budget (over the same range)."""
SMALLEST = 1000.0
"""Parameters, and tokens, of the smallest run that makes sense."""
LEARNING_RATES = 3
"""Learning rates of a run whose rate is tuned."""
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
class Candidates:
    """Sizes, lengths, FLOP of one run, and how many learning rates are tried; each [m]."""

    params: Array
    tokens: Array
    flops: Array
    learning_rates: Array
    configuration: Indices
    """Number of the size and length, which candidates share that differ in their learning rates alone [m]."""

    @property
    def x(self) -> Array:
        """Logarithms of N and D [m, 2]."""
        return np.log(np.stack([self.params, self.tokens], axis=1))

    @property
    def cost(self) -> Array:
        """FLOP with every learning rate [m]."""
        return np.asarray(self.flops * self.learning_rates)


def possible_runs(
    prior: Prior, largest: float, sizes: tuple[float, ...], *, tuned: bool, smallest: float = 0.0
) -> Candidates:
    """Every run of `smallest` to `largest` FLOP that a ladder may hold; `tuned` also offers those with several rates.

    Raises DesignError when no size fits.
    """
    budgets: Array = largest * 2.0 ** -np.arange(OCTAVES + 1.0)
    best = prior.best_size(budgets)
    steps = np.arange(np.floor(np.log(best.min() / WIDEST) / np.log(STEP)), np.log(best.max() * WIDEST) / np.log(STEP))
    series = np.array(sizes) if sizes else round_down(STEP**steps)
    budget, size = (part.ravel() for part in np.meshgrid(budgets, series, indexing="ij"))
    # The end of the range belongs to it: without the 1e-9 rounding of logarithms would decide.
    inside = np.abs(np.log(size / np.repeat(best, len(series)))) <= np.log(WIDEST) * (1 + 1e-9)
    inside &= (budget >= smallest) & (size >= SMALLEST) & (budget / prior.per_token / size >= SMALLEST)
    if not inside.any():
        raise DesignError(
            "no size suits a ladder of these FLOPs",
            expected=f"sizes within a factor {WIDEST:g} of the best, which are {best.min():.3g} to {best.max():.3g}"
            f" parameters; {SMALLEST:g} parameters and tokens at least",
            got=", ".join(f"{size:.3g}" for size in series[-8:]),
        )
    rates = (1, LEARNING_RATES) if tuned else (1,)
    return _candidates(prior, np.tile(size[inside], len(rates)), np.tile(budget[inside], len(rates)), rates)


def isoflop_runs(prior: Prior, spend: float) -> Candidates:
    """The plain grid that costs `spend`: every size once at every budget."""
    shares = np.geomspace(1 / GRID_SPAN, 1.0, GRID_BUDGETS)
    # All sizes of a budget cost the same, so the grid costs 7 x the sum of its budgets.
    budgets: Array = shares * spend / (GRID_SIZES * shares.sum())
    around = np.geomspace(1 / WIDEST, WIDEST, GRID_SIZES)
    size = (prior.best_size(budgets)[:, None] * around).ravel()
    return _candidates(prior, size, np.repeat(budgets, GRID_SIZES), (1,))


def round_down(values: Array) -> Array:
    """To three digits, never up, so that a run costs no more than its budget.

    >>> round_down(np.array([1234.0, 0.98765])).tolist()
    [1230.0, 0.987]
    """
    scale = 10.0 ** (np.floor(np.log10(values)) - 2)
    return np.asarray(np.floor(values / scale) * scale)


def _candidates(prior: Prior, size: Array, budget: Array, rates: tuple[int, ...]) -> Candidates:
    tokens = round_down(budget / prior.per_token / size)
    count = len(size) // len(rates)
    learning_rates = np.repeat(np.array(rates, dtype=np.float64), count)
    return Candidates(size, tokens, prior.per_token * size * tokens, learning_rates, np.arange(len(size)) % count)


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
        # Ten runs of a tenth must fit, though their sum in floating point may pass the whole.
        room = (self.spend - counts @ self.cost) * (1 + BETTER)
        seeds = np.bincount(self.configuration, counts)[self.configuration]
        trainings_left = self.max_trainings - counts @ self.trainings
        return np.asarray((seeds < self.max_seeds) & (self.cost <= room) & (self.trainings <= trainings_left))


def choose_runs(criterion: Criterion, limits: LadderLimits, seed: int, rounds: int) -> Array:
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
    while len(allowed := np.flatnonzero(limits.allow(counts))):
        now, after = (geometric_mean(loss) for loss in (criterion.loss(counts), criterion.loss_after(counts, allowed)))
        counts[allowed[(np.log(now / after) / (limits.cost[allowed] + offset)).argmax()]] += 1
    return counts
