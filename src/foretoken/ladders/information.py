"""How far a fit of planned runs will err at a target: linearised Bayesian design of experiments
(Chaloner and Verdinelli 1995), of the estimator that the fit uses.

For each law that may be true three errors are added: what the noise of the runs leaves open; where the fit's weak
assumptions pull it, since they are not that law; and where a truth that bends away from the law drags it.
Shapes: s laws, m cells (runs that could be trained), r runs, q questions, p parameters, b bends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.laws.law import Array


@dataclass(frozen=True)
class Told:
    """What runs tell of a law: sums over them."""

    information: Array
    """Gradient x gradient / variance [s, p, p]."""
    bend: Array
    """Gradient x bend / variance [s, p, b]."""

    @classmethod
    def by(cls, gradient: Array, bend: Array, precision: Array) -> Told:
        """Runs with these gradients [s, r, p], bends [r, b] and 1 / variance [r]."""
        weighted = np.swapaxes(gradient * precision[:, None], 1, 2)
        return cls(weighted @ gradient, weighted @ bend)

    def __add__(self, other: Told) -> Told:
        return Told(self.information + other.information, self.bend + other.bend)


@dataclass(frozen=True)
class Information:
    """How much each cell would tell, and what is asked."""

    gradient: Array
    """Of ln loss in the parameters, at each cell [s, m, p]."""
    bend: Array
    """What bends of one standard deviation add to ln loss at each cell [m, b]."""
    questions: Array
    """What is asked of the parameters, scaled so that the sum of the squared errors is a loss [s, q, p]."""
    bent: Array
    """The same, of the bends [s, q, b]."""
    prior: Array
    """1 / variance that the fit assumes of each parameter [p]."""
    astray: Array
    """The middle of what the fit assumes, less each law [s, p]."""
    known: Told
    """By the runs that there are."""
    run: Array
    """Standard deviation of one run of a cell about its mean [m]: more seeds lower it."""
    cell: Array
    """Standard deviation of a cell's mean about the law [m]: more seeds do not."""

    def precision(self, counts: Array) -> Array:
        """1 / variance of the means of so many runs of each cell [m]; 0 without any."""
        variance = self.cell**2 + self.run**2 / np.maximum(counts, 1.0)
        return np.asarray((counts > 0) / variance)

    def loss(self, counts: Array) -> Array:
        """Sum of the squared errors of the questions, after so many runs of each cell [m]: [s]."""
        return np.asarray(self.square(self.questions, self.bent, counts).sum(axis=-1))

    def square(self, questions: Array, bent: Array, counts: Array) -> Array:
        """Expected squared error of questions [s, q, p] and [s, q, b]: [s, q]."""
        known, covariance = self._after(counts)
        answer = questions @ covariance
        noise = (questions * answer).sum(axis=-1) - (answer**2 * self.prior).sum(axis=-1)
        pull = (answer @ (self.prior * self.astray)[..., None])[..., 0]
        drag = bent - answer @ known.bend
        return np.asarray(noise + pull**2 + (drag**2).sum(axis=-1))

    def loss_after(self, counts: Array) -> Array:
        """`loss`, if one run more of a cell were trained: [s, m] (a rank-one update)."""
        known, covariance = self._after(counts)
        more = self.precision(counts + 1) - self.precision(counts)
        pulled = (self.prior * self.astray)[..., None]
        answer, turned = self.questions @ covariance, self.gradient @ covariance
        across = np.swapaxes(answer, 1, 2)
        asked, own = self.gradient @ across, _dot(turned, self.gradient)
        step = asked * (more / (1 + more * own))[..., None]
        weighted = turned * self.prior
        before = (self.questions * answer).sum(axis=-1) - (answer**2 * self.prior).sum(axis=-1)
        noise = before[:, None] - step * (asked - 2 * weighted @ across + step * _dot(weighted, turned)[..., None])
        pull = (answer @ pulled)[:, None, :, 0] - step * (turned @ pulled)
        left = (asked - step * own[..., None]) * more[:, None]
        return np.asarray((noise + pull**2 + self._drag(known, answer, turned, step, left)).sum(axis=-1))

    def _drag(self, known: Told, answer: Array, turned: Array, step: Array, left: Array) -> Array:
        """Square over bends of: drag before + step x (turned . bend told) - left x (bend of the cell) [s, m, q]."""
        before, told, own = self.bent - answer @ known.bend, turned @ known.bend, self.bend
        mixed = told @ np.swapaxes(before, 1, 2), own @ np.swapaxes(before, 1, 2)
        squares = (before**2).sum(axis=-1)[:, None] + step**2 * _dot(told, told)[..., None]
        squares = squares + left**2 * (own**2).sum(axis=-1)[:, None]
        return np.asarray(
            squares + 2 * (step * mixed[0] - left * mixed[1] - step * left * _dot(told, own[None])[..., None])
        )

    def _after(self, counts: Array) -> tuple[Told, Array]:
        """What is told after so many runs, and the covariance that it leaves [s, p, p]."""
        here = counts > 0
        known = self.known + Told.by(self.gradient[:, here], self.bend[here], self.precision(counts)[here])
        return known, np.asarray(np.linalg.inv(known.information + np.diag(self.prior)), dtype=np.float64)


def _dot(one: Array, other: Array) -> Array:
    """[..., k] x [..., k] -> [...]."""
    return np.asarray(np.einsum("...k,...k->...", one, other))


def typical(losses: Array) -> Array:
    """Geometric mean over laws: [s, ...] -> [...]. No single extreme law decides."""
    return np.asarray(np.exp(np.log(np.maximum(losses, 1e-300)).mean(axis=0)))
