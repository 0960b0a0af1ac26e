"""Expected error of a fit of planned runs at a target: linearised Bayesian design of experiments
(Chaloner and Verdinelli 1995), for the MAP estimator that the fit uses.

For each draw of the prior three errors are added: the variance that the noise of the runs leaves, the bias from a fit's
own weak prior, and the bias from a discrepancy between the true losses and the law.
Shapes: s draws, m candidates (runs that could be trained), r runs, q quantities, p parameters, b discrepancy terms.
"""

# With truth at 0, gradient g and discrepancy d of a run, precision v^-1, prior precision P and prior offset o, a linear
# law gives ln loss y = d w + noise, w ~ N(0, 1) for each term, and the MAP estimate
#     delta = S (sum g y / v + P o),   S = (I + P)^-1,   I = sum g g' / v.
# A quantity of gradient c and discrepancy e then errs by c delta - e w, whose expected square is
#     c S I S c'                 noise, = c S c' - c S P S c' since I = S^-1 - P
#     + (c S P o)^2              the prior's pull
#     + |c S (sum g d / v) - e|^2  the discrepancy's drag.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.laws.law import Array, Indices


@dataclass(frozen=True)
class FisherInformation:
    """What runs say of a law's parameters: sums over the runs, each weighted by 1 / variance."""

    parameters: Array
    """Gradient x gradient [s, p, p]."""
    discrepancy: Array
    """Gradient x discrepancy [s, p, b]."""

    @classmethod
    def of_runs(cls, gradient: Array, discrepancy: Array, precision: Array) -> FisherInformation:
        """Of runs with these gradients [s, r, p], discrepancies [r, b] and 1 / variance [r]."""
        weighted = np.swapaxes(gradient * precision[:, None], 1, 2)
        return cls(weighted @ gradient, weighted @ discrepancy)

    def __add__(self, other: FisherInformation) -> FisherInformation:
        return FisherInformation(self.parameters + other.parameters, self.discrepancy + other.discrepancy)


@dataclass(frozen=True)
class Criterion:
    """What a choice of runs is judged by: how well a fit of them would know the quantities of interest."""

    gradient: Array
    """Of ln loss in the parameters, at each candidate [s, m, p]."""
    discrepancy: Array
    """What discrepancy terms of one standard deviation add to ln loss at each candidate [m, b]."""
    quantities: Array
    """Gradients of the quantities, scaled so that the sum of the squared errors is a loss [s, q, p]."""
    quantities_discrepancy: Array
    """The same for the discrepancy terms [s, q, b]."""
    prior_precision: Array
    """1 / variance that the fit assumes of each parameter [p]."""
    prior_offset: Array
    """Mean of what the fit assumes, less each draw [s, p]."""
    past: FisherInformation
    """Of the runs that there are."""
    run_sd: Array
    """Standard deviation of one run of a candidate about its mean [m]: more seeds lower it."""
    cell_sd: Array
    """Standard deviation of a candidate's mean about the law [m]: more seeds do not."""

    def precision(self, counts: Array) -> Array:
        """1 / variance of the means of so many runs of each candidate [m]; 0 without any."""
        variance = self.cell_sd**2 + self.run_sd**2 / np.maximum(counts, 1.0)
        return np.asarray((counts > 0) / variance)

    def loss(self, counts: Array) -> Array:
        """Expected sum of the quantities' squared errors after so many runs of each candidate [m]: [s]."""
        return np.asarray(self.squared_error(self.quantities, self.quantities_discrepancy, counts).sum(axis=-1))

    def squared_error(self, quantities: Array, discrepancy: Array, counts: Array) -> Array:
        """Expected squared error of quantities [s, q, p] with discrepancies [s, q, b]: [s, q]."""
        total, covariance = self._after(counts)
        answer = quantities @ covariance
        noise = (quantities * answer).sum(axis=-1) - (answer**2 * self.prior_precision).sum(axis=-1)
        pull = (answer @ (self.prior_precision * self.prior_offset)[..., None])[..., 0]
        drag = discrepancy - answer @ total.discrepancy
        return np.asarray(noise + pull**2 + (drag**2).sum(axis=-1))

    def loss_after(self, counts: Array, among: Indices) -> Array:
        """`loss`, if one run more of a candidate were trained, for each of these candidates: [s, among].

        One run more adds (precision' - precision) g g' to the information, so its inverse follows by a rank-one update
        (Sherman and Morrison) in O(p^2) for each candidate, in place of a new inverse in O(p^3).
        """
        # Candidates come last here, [s, p, m]: their axis is long, the others are short.
        total, covariance = self._after(counts)
        more = (self.precision(counts + 1) - self.precision(counts))[among]
        gradient = np.swapaxes(self.gradient[:, among], 1, 2)
        pulled = self.prior_precision * self.prior_offset
        answer, turned = self.quantities @ covariance, covariance @ gradient
        moved, own = answer @ gradient, _dot(turned, gradient)
        # S' = S - S g g' S more / (1 + more g' S g), so c S' = c S - step (g' S)
        step = moved * (more / (1 + more * own))
        weighted = turned * self.prior_precision[:, None]
        before = (self.quantities * answer).sum(axis=-1) - (answer**2 * self.prior_precision).sum(axis=-1)
        twice = _dot(weighted, turned)
        noise = before[..., None] - step * (moved - 2 * answer @ weighted + step * twice)
        pull = answer @ pulled[..., None] - step * (pulled[:, None] @ turned)
        left = (moved - step * own) * more
        drag = self._drag(total, answer, turned, step, left, self.discrepancy[among].T)
        return np.asarray((noise + pull**2 + drag).sum(axis=1))

    def _drag(
        self, total: FisherInformation, answer: Array, turned: Array, step: Array, left: Array, own: Array
    ) -> Array:
        """Square over the discrepancy terms of the drag after one run more, of discrepancy `own` [b, m]: [s, q, m].

        drag' = drag + step (g' S sum g d / v) - left (d of the candidate); the square is multiplied out, because an
        array [s, q, b, m] would not fit the cache.
        """
        before = self.quantities_discrepancy - answer @ total.discrepancy
        known = np.swapaxes(total.discrepancy, 1, 2) @ turned
        squares = (before**2).sum(axis=-1)[..., None] + step**2 * _dot(known, known)
        squares = squares + left**2 * (own**2).sum(axis=0)
        mixed = step * (before @ known) - left * (before @ own) - step * left * _dot(known, own[None])
        return np.asarray(squares + 2 * mixed)

    def _after(self, counts: Array) -> tuple[FisherInformation, Array]:
        """The information after so many runs, and the covariance of the parameters that it leaves [s, p, p]."""
        here = counts > 0
        planned = FisherInformation.of_runs(
            self.gradient[:, here], self.discrepancy[here], self.precision(counts)[here]
        )
        total = self.past + planned
        return total, np.asarray(np.linalg.inv(total.parameters + np.diag(self.prior_precision)), dtype=np.float64)


def _dot(one: Array, other: Array) -> Array:
    """Products of vectors along the middle axis: [s, k, m] x [s, k, m] -> [s, 1, m]."""
    return np.asarray(np.einsum("skm,skm->sm", one, other))[:, None]


def geometric_mean(losses: Array) -> Array:
    """Geometric mean over draws: [s, ...] -> [...]. No single extreme draw decides."""
    return np.asarray(np.exp(np.log(np.maximum(losses, 1e-300)).mean(axis=0)))
