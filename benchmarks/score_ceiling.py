"""The best that any classifier could do on the simulated curves of `score_curves.py`: it knows how they are made.

    python benchmarks/score_curves.py --parts ceiling --each 100

Truths are drawn from the simulation with their right verdicts; a simulated curve's likelihood under each, summed by
verdict, is the verdict's posterior probability, and the largest is chosen (the Bayes classifier). `told the kind` sums
over truths of the curve's own kind alone: no classifier can be right more often on curves of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom

from foretoken.abilities.verdict import PLACES, VERDICTS, features
from foretoken.laws.law import Array

FINE = np.linspace(0.0, 1.0, 1001)
"""Places at which the truths are known: those of a curve are rounded to them."""
CHUNK = 20_000
"""Truths that are held at once."""
LOG_ODDS = np.linspace(-9.25, 9.25, 1481)
"""Means at which the likelihood is known."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class Simulated:
    """One simulated curve: the number of its kind, the right verdict's, where it was measured, right answers of `n`."""

    kind: int
    verdict: int
    u: Array
    hits: NDArray[np.int64]
    n: int


def log_likelihood(n: int, noise: float) -> Array:
    """Log probability of each number of right answers [n + 1, means], over the noise between runs."""
    p = expit(LOG_ODDS[:, None] + noise * NODES)
    mass = binom.pmf(np.arange(n + 1)[:, None, None], n, p) @ (WEIGHTS / WEIGHTS.sum())
    return np.asarray(np.log(mass + 1e-300), dtype=np.float32)


def ceilings(
    curves: Sequence[Simulated],
    truth: Callable[[int, np.random.Generator], Callable[[Array], Array]],
    kinds: int,
    chunks: int,
    noise: float,
) -> Iterator[tuple[int, float, float]]:
    """Each kind, how often the Bayes classifier is right on its curves, and how often when it is told the kind."""
    tables = {n: log_likelihood(n, noise) for n in {one.n for one in curves}}
    sums = np.full((len(curves), kinds, len(VERDICTS)), -np.inf)
    for chunk in range(chunks):
        g = np.random.default_rng([chunk, 99])
        made = [(number % kinds, truth(number % kinds, g)) for number in range(CHUNK)]
        kind = np.array([number for number, _ in made])
        verdict = features(np.stack([one(PLACES) for _, one in made])).verdicts()
        mean = np.clip(np.stack([one(FINE) for _, one in made], axis=1), 1e-4, 1.0 - 1e-4)
        # The grid of log odds is even, so a mean's place on it is a division.
        step = LOG_ODDS[1] - LOG_ODDS[0]
        column = np.rint((logit(mean) - LOG_ODDS[0]) / step).astype(np.int32)
        cell = kind * len(VERDICTS) + verdict
        for number, one in enumerate(curves):
            at = np.rint(one.u * (len(FINE) - 1)).astype(int)
            log = sum(tables[one.n][hits][column[place]] for hits, place in zip(one.hits, at, strict=True))
            top = float(np.max(log))
            total = np.bincount(cell, np.exp(log - top), kinds * len(VERDICTS)).reshape(kinds, -1)
            sums[number] = np.logaddexp(sums[number], np.log(total + 1e-300) + top)
    whole = np.logaddexp.reduce(sums, axis=1).argmax(axis=1)
    own = np.array([sums[number, one.kind].argmax() for number, one in enumerate(curves)])
    right = np.array([one.verdict for one in curves])
    for number in range(kinds):
        rows = np.array([one.kind == number for one in curves])
        yield number, float((whole == right)[rows].mean()), float((own == right)[rows].mean())
