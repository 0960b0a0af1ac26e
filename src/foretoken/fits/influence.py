"""Influence: how far the exponent of N* moves when the few runs that matter most are left out, computed by refitting.

Shapes: r runs, b refits, s starts, p parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from foretoken.fits.estimate import DELTA, Sample
from foretoken.fits.noise import spread
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.parts import FittedRun, Range, interval_about
from foretoken.fits.result import Fit
from foretoken.fits.solvers import Problem, solve
from foretoken.laws import find_law
from foretoken.laws.law import Array, Indices, Law

MOST = 10
"""Runs that are left out at most ..."""
SHARE = 0.1
"""... and never more than this share of the table."""
FEW = 5
"""`few` in a sentence: so many runs, or as many as were left out."""
FEWEST_RUNS = 20
CANDIDATES, WORK = 200, 100_000
"""Runs that are tried one by one: those farthest from the law; fewer where the table is long."""
STARTS, FEW_RUNS = 5, 500
"""Starts of a refit besides the whole table's estimate, which alone is enough for a table of more runs."""
ENDS = np.array([1e18, 1e24])
ORDERS = {
    "highest_loss": "the runs of highest loss",
    "lowering": "the runs that, each on its own, hold the exponent up most",
    "raising": "the runs that, each on its own, hold it down most",
}


@dataclass(frozen=True)
class Influence:
    """The exponent a of N* ~ C^a under the unpenalised objective, with the first k runs of an order left out."""

    exponent: float
    """With all runs."""
    interval: Range
    """Of that, from the fit's unpenalised draws, at `level`."""
    level: float
    exponents: dict[str, list[float]]
    """By order (`highest_loss`, `lowering`, `raising`): a with 1, 2, ... runs left out."""
    left_out: dict[str, list[FittedRun]]
    """The runs in the order in which they are left out."""

    @property
    def few(self) -> int:
        """How many runs `few` are here."""
        return min(FEW, len(self.exponents["highest_loss"]))

    def after(self, order: str, count: int) -> float:
        """The exponent with the first `count` runs of an order left out."""
        return self.exponents[order][count - 1]

    def to_json(self) -> dict[str, Any]:
        """Unpenalised values."""
        return asdict(self)


def influence(fit: Fit) -> Influence | None:
    """What a few runs do to the exponent of N*; None for a law without one, below 20 runs, and for binned tables.

    Left out are the runs of highest loss, and those whose removal, one at a time, moves the exponent most in either
    direction (Broderick, Giordano and Meager 2020, arXiv 2011.14999; here by refitting instead of a first-order step).
    Every value is a refit of the unpenalised objective.
    """
    law = find_law(fit.law)
    few = min(MOST, int(SHARE * len(fit.runs)))
    if law.optimum is None or law.column != "loss" or set(law.features) != {"params", "tokens"}:
        return None
    if len(fit.runs) < FEWEST_RUNS or fit.is_aggregated:
        return None
    sample = sample_of(fit)
    start = law.shift(law.theta(fit.unpenalised_parameters), -sample.origin)
    problem = _problem(fit, sample, start)
    orders = _orders(fit, sample, problem, start, few)
    exponents = {name: _refitted(sample, problem, start, order) for name, order in orders.items()}
    own = [exponent(law, law.named(theta)) for theta in law.thetas(np.array(fit.unpenalised_draws))]
    estimate = exponent(law, fit.unpenalised_parameters)
    return Influence(
        exponent=estimate,
        interval=interval_about(estimate, np.array(own), fit.level),
        level=fit.level,
        exponents=exponents,
        left_out={name: [fit.runs[i] for i in order] for name, order in orders.items()},
    )


def exponent(law: Law, parameters: Mapping[str, float]) -> float:
    """The exponent a of N* ~ C^a, between 1e18 and 1e24 FLOP.

    >>> from foretoken.laws import CHINCHILLA, PUBLISHED
    >>> round(exponent(CHINCHILLA, PUBLISHED["besiroglu_2024"].parameters), 3)
    0.513
    """
    assert law.optimum is not None
    # The mean slope of ln N* over ln C between the computes of published models: N* need not be a pure power.
    small, large = law.optimum(parameters, ENDS, 6.0)[0]
    return float(np.log(large / small) / np.log(ENDS[1] / ENDS[0]))


def sample_of(fit: Fit) -> Sample:
    """The law and the runs that a fit used."""
    law = find_law(fit.law)
    columns = [np.array([getattr(run, name) for run in fit.runs]) for name in law.features]
    return Sample.of(law, np.log(np.stack(columns, axis=1)), np.array([run.loss for run in fit.runs]))


def _problem(fit: Fit, sample: Sample, start: Array) -> Problem:
    """The unpenalised objective of the fit, on all runs."""
    objective = OBJECTIVES[fit.objective.name]
    scale = spread(sample.residual(start), len(start)) if objective.from_spread else DELTA
    return sample.unpenalised_problem(sample.y[None], np.ones((1, len(sample.y))), objective, scale)


def _orders(fit: Fit, sample: Sample, problem: Problem, start: Array, few: int) -> dict[str, Indices]:
    """Numbers of the runs in the order in which they are left out."""
    far = np.argsort(-abs(sample.residual(start)), kind="stable")[: min(CANDIDATES, WORK // len(sample.y))]
    keep = np.ones((len(far), len(sample.y)))
    keep[np.arange(len(far)), far] = 0.0
    theta = solve(replace(problem, weight=keep), np.repeat(start[None], len(far), axis=0), 1e-8)[0]
    alone = np.array([exponent(sample.law, sample.law.named(sample.law.shift(t, sample.origin))) for t in theta])
    rising = far[np.argsort(alone, kind="stable")]
    loss = np.array([run.loss for run in fit.runs])
    return {
        "highest_loss": np.argsort(-loss, kind="stable")[:few],
        "lowering": rising[:few],
        "raising": rising[::-1][:few],
    }


def _refitted(sample: Sample, problem: Problem, start: Array, order: Indices) -> list[float]:
    """The exponent with the first 1, 2, ... runs of an order left out; the best of a few starts each."""
    law = sample.law
    keep = np.ones((len(order), len(sample.y)))
    for count in range(len(order)):
        keep[count:, order[count]] = 0.0
    others = STARTS if len(sample.y) <= FEW_RUNS else 0
    starts = np.concatenate([start[None], law.starts(sample.x, sample.y)[:others]])
    every = replace(problem, weight=np.repeat(keep, len(starts), axis=0))
    theta, value = solve(every, np.tile(starts, (len(order), 1)), 1e-9, steps=200)
    best = value.reshape(len(order), -1).argmin(axis=1) + np.arange(len(order)) * len(starts)
    return [exponent(law, law.named(law.shift(theta[i], sample.origin))) for i in best]
