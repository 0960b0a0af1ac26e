"""Curves of a score that stay within its bounds: from a floor to a top along a loss, or along size and tokens.

g point of a grid of shapes, r run, k task, b draw.

A curve is score(x) = floor + (top - floor) h(x), with h between 0 and 1 and 0 <= floor <= top <= ceiling. Where its
shape h is held, it is linear in floor and top, so that the best of both has a closed form; the shapes are a grid, the
same for all tasks, by the formulas of `laws.downstream`, and each point counts by its profile likelihood. A task that
the runs do not decide (still at chance, say) so keeps every curve that agrees with them, and its forecast is as wide as
they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from foretoken.laws.downstream import error, sigmoid
from foretoken.laws.law import Array

STEEPNESS = (1.0, 60.0)
"""Of a sigmoid, over the span of the runs: from all but a line to all but a step."""
BEYOND_LOSS, BEYOND_COMPUTE = 0.6, 1.0
"""How far beyond the runs the middle of a sigmoid may lie, in spans of theirs."""
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Of size in ln(size^share tokens^(1 - share)); one half is compute."""
LARGEST, LARGEST_GROWTH = 60.0, 3.0
"""Beyond this logarithm a sigmoid has ended; below the least loss an exponential grows no further than that many
e-folds, since it is cut at the ceiling anyhow."""
PARAMETERS = 4
OF_CEILING = 0.02
"""Weight, in scores, of the guess that a sigmoid in loss ends at its ceiling. Without it tops that the runs do not tell
lie below the ceiling on average, since none can lie above: the mean error over tasks of openlm's smaller runs was
forecast 1.4 points too high."""
LEAST_SQUARES = 1e-10


class Shape(Protocol):
    """A grid of shapes."""

    @property
    def of_ceiling(self) -> float:
        """Weight of the guess that a curve ends at its ceiling."""
        ...

    def heights(self, x: Array) -> Array:
        """H [g, r] of x [r], losses, or [r, 2], ln of params and tokens."""
        ...

    def edge(self, x: Array) -> Array:
        """The end of the runs x towards larger scores, as one more x [1] or [1, 2]."""
        ...


@dataclass(frozen=True)
class Sigmoid:
    """h falls with the loss as the law `accuracy_sigmoid` does, from 1 to 0."""

    steepness: Array
    middle: Array
    lowest: float
    span: float
    of_ceiling: float = OF_CEILING

    @classmethod
    def over(cls, loss: Array) -> Sigmoid:
        """The grid for runs of these losses [r]."""
        k, middle = np.meshgrid(np.geomspace(*STEEPNESS, 14), np.linspace(-BEYOND_LOSS, 1.0, 24), indexing="ij")
        return cls(k.ravel(), middle.ravel(), float(loss.min()), _span(loss))

    def heights(self, x: Array) -> Array:
        """See Shape."""
        place = (x - self.lowest) / self.span
        return _falling(self.steepness[:, None] * (place - self.middle[:, None]))

    def edge(self, x: Array) -> Array:
        """See Shape."""
        return np.asarray(x.min(keepdims=True))


@dataclass(frozen=True)
class Exponential:
    """h falls with the loss as the law `error_exponential` rises, to 0, and is 1 at the least loss of the runs."""

    rate: Array
    lowest: float
    span: float
    of_ceiling: float = 0.0

    @classmethod
    def over(cls, loss: Array) -> Exponential:
        """The grid for runs of these losses [r]."""
        return cls(np.geomspace(0.5, 40.0, 40), float(loss.min()), _span(loss))

    def heights(self, x: Array) -> Array:
        """See Shape; above 1 below the least loss."""
        rate = self.rate[:, None]
        place = np.maximum((x - self.lowest) / self.span, -LARGEST_GROWTH / rate)
        return np.asarray(error(place, epsilon=0.0, k=-1.0, gamma=rate))

    def edge(self, x: Array) -> Array:
        """See Shape."""
        return np.asarray(x.min(keepdims=True))


@dataclass(frozen=True)
class SizeAndTokens:
    """h rises as the law `accuracy_flops` does, in X = N^share D^(1 - share): straight from size and tokens."""

    share: Array
    steepness: Array
    middle: Array
    highest: Array
    span: Array
    of_ceiling: float = 0.0

    @classmethod
    def over(cls, size: Array) -> SizeAndTokens:
        """The grid for runs of these ln params and ln tokens [r, 2]."""
        share, k, middle = np.meshgrid(
            SHARES, np.geomspace(*STEEPNESS, 12), np.linspace(-1.0, BEYOND_COMPUTE, 24), indexing="ij"
        )
        along = size[:, :1] * share.ravel() + size[:, 1:] * (1 - share.ravel())
        return cls(share.ravel(), k.ravel(), middle.ravel(), along.max(axis=0), np.maximum(np.ptp(along, axis=0), 1e-9))

    def heights(self, x: Array) -> Array:
        """See Shape."""
        along = x[:, :1] * self.share + x[:, 1:] * (1 - self.share)
        place = ((along - self.highest) / self.span).T
        return _falling(self.steepness[:, None] * (self.middle[:, None] - place))

    def edge(self, x: Array) -> Array:
        """See Shape."""
        return np.asarray(x[[int(x.sum(axis=1).argmax())]])


def _span(loss: Array) -> float:
    return max(float(np.ptp(loss)), 1e-9)


def _falling(logit: Array) -> Array:
    """From 1 to 0; of a logarithm `climb` is a sigmoid too."""
    return np.asarray(sigmoid(np.clip(logit, -LARGEST, LARGEST), a=1.0, b=0.0, k=-1.0, L_0=0.0))


class Levels(NamedTuple):
    """Floors and tops of curves [g, k], what they leave of the scores, and how well the runs tell them."""

    floor: Array
    top: Array
    squares: Array
    """Of the residuals, summed."""
    covariance: tuple[Array, Array, Array]
    """Of floor and top, for noise of variance 1: var(floor), cov, var(top), each [g, k]."""


def best_levels(heights: Array, score: Array, weight: Array, ceiling: Array) -> Levels:
    """The floor and the top with the least squares, 0 <= floor <= top <= ceiling, for each shape and task.

    Args:
        heights: h [g, r].
        score: scores, better upwards, fractions [r, k].
        weight: of each score, 0 where it is missing [r, k].
        ceiling: the best score that there can be [k].

    >>> score = np.array([[0.25], [0.5], [0.75]])
    >>> levels = best_levels(np.array([[0.0, 0.5, 1.0]]), score, np.ones((3, 1)), np.ones(1))
    >>> levels.floor.round(3).tolist(), levels.top.round(3).tolist()
    ([[0.25]], [[0.75]])

    """
    # The curve is floor (1 - h) + top h, linear in both, so that their normal equations are two.
    low, high = 1.0 - heights, heights
    ll, lh, hh = (low * low) @ weight + 1e-9, (low * high) @ weight, (high * high) @ weight + 1e-9
    weighted = weight * score
    ly, hy, yy = low @ weighted, high @ weighted, (weighted * score).sum(axis=0)

    def left(floor: Array, top: Array) -> Array:
        return np.asarray(yy - 2 * (floor * ly + top * hy) + floor**2 * ll + top**2 * hh + 2 * floor * top * lh)

    determinant = ll * hh - lh**2
    told = determinant > 1e-8 * ll * hh
    determinant = np.where(told, determinant, 1.0)
    floor, top = (ly * hh - hy * lh) / determinant, (hy * ll - ly * lh) / determinant
    inside = told & (floor >= 0) & (floor <= top) & (top <= ceiling)
    # The squares are a bowl over a triangle: their least lies inside it, or else on one of its three sides.
    at_ceiling = np.clip((ly - ceiling * lh) / ll, 0.0, ceiling)
    at_zero = np.clip(hy / hh, 0.0, ceiling)
    constant = np.clip((ly + hy) / (ll + hh + 2 * lh), 0.0, ceiling)
    sides = [(at_ceiling, ceiling + 0 * at_ceiling), (0 * at_zero, at_zero), (constant, constant)]
    corners = [(floor, top), *sides]
    squares = np.stack([np.where(inside, left(floor, top), np.inf), *(left(*side) for side in sides)])
    best = squares.argmin(axis=0)[None]
    chosen = [np.take_along_axis(np.stack(ends), best, axis=0)[0] for ends in zip(*corners, strict=True)]
    var_floor, cov, var_top = (np.where(told, part / determinant, 0.0) for part in (hh, -lh, ll))
    squares = np.maximum(squares.min(axis=0), LEAST_SQUARES)
    return Levels(chosen[0], chosen[1], squares, (var_floor, cov, var_top))


@dataclass(frozen=True)
class BoundedCurves:
    """The curves of many tasks that agree with their runs, and how much each counts."""

    shape: Shape
    levels: Levels
    weight: Array
    """Of each shape, of all together 1 [g, k]."""
    sd: Array
    """Noise of a score about its curve, a fraction [k]."""
    angle_sd: Array
    """The same of arcsin sqrt(score), where its size does not depend on the score [k]."""
    edge: Array
    """The best curve at the end of the runs [k]."""
    ceiling: Array
    count: Array
    """Scores of each task [k]."""

    @classmethod
    def fitted(cls, shape: Shape, x: Array, score: Array, chance: Array, ceiling: Array) -> BoundedCurves:
        """The curves of scores [r, k], better upwards, NaN where missing, at x.

        What guessing gives, chance [k], where it is known, counts as one score of a run that has learned nothing.
        """
        runs, along = len(score), shape.heights(x)
        heights = np.concatenate([along, np.zeros((len(along), 1)), np.ones((len(along), 1))], axis=1)
        given = np.concatenate([score, chance[None], ceiling[None]])
        weight = np.isfinite(given).astype(np.float64)
        weight[-1] = shape.of_ceiling
        given = np.where(weight > 0, given, 0.0)
        levels = best_levels(heights, given, weight, ceiling)
        count = weight[:runs].sum(axis=0)
        freedom = np.maximum(count - PARAMETERS, 1.0)
        # Normal noise of unknown variance, which is profiled out: the likelihood goes as squares^(-freedom / 2).
        likelihood = (levels.squares / levels.squares.min(axis=0)) ** (-freedom / 2)
        tasks, best = np.arange(score.shape[1]), levels.squares.argmin(axis=0)
        floor, top = levels.floor[best, tasks], levels.top[best, tasks]
        curve = floor + (top - floor) * along[best].T
        residual = np.where(weight[:runs] > 0, angle(given[:runs]) - angle(curve), 0.0)
        end = shape.heights(shape.edge(x))[best, 0]
        return cls(
            shape=shape,
            levels=levels,
            weight=likelihood / likelihood.sum(axis=0),
            sd=np.sqrt(levels.squares.min(axis=0) / freedom),
            angle_sd=np.sqrt((residual**2).sum(axis=0) / freedom),
            edge=np.clip(floor + (top - floor) * end, 0.0, ceiling),
            ceiling=ceiling,
            count=count,
        )

    def best(self, x: Array) -> Array:
        """The best curve of each task at x [r, k]."""
        tasks, best = np.arange(len(self.ceiling)), self.levels.squares.argmin(axis=0)
        floor, top = self.levels.floor[best, tasks], self.levels.top[best, tasks]
        return np.asarray(np.clip(floor + (top - floor) * self.shape.heights(x)[best].T, 0.0, self.ceiling))

    def drawn(self, x: Array, random: np.random.Generator) -> Array:
        """A curve for each x, drawn as often as it counts, at that x [b, k]."""
        draws = len(x)
        heights = self.shape.heights(x)
        share = (np.arange(draws) + 0.5) / draws
        found = np.empty((draws, len(self.ceiling)))
        for task, ceiling in enumerate(self.ceiling):
            # Stratified: each shape is drawn as often as it counts, to the nearest draw.
            summed = np.cumsum(self.weight[:, task])
            g = random.permutation(np.minimum(np.searchsorted(summed, share * summed[-1]), len(summed) - 1))
            var_floor, cov, var_top = (np.maximum(part[g, task], -9.0) for part in self.levels.covariance)
            # Runs of one kind tell one of both levels alone; the other is then free within the bounds.
            sd_floor, sd_top = np.minimum(np.sqrt(var_floor), 3.0), np.minimum(np.sqrt(var_top), 3.0)
            tie = np.clip(cov / np.maximum(np.sqrt(var_floor * var_top), 1e-300), -1.0, 1.0)
            one, other = random.standard_normal((2, draws))
            floor = self.levels.floor[g, task] + self.sd[task] * sd_floor * one
            top = self.levels.top[g, task] + self.sd[task] * sd_top * (tie * one + np.sqrt(1 - tie**2) * other)
            floor = np.clip(floor, 0.0, ceiling)
            top = np.clip(top, floor, ceiling)
            found[:, task] = np.clip(floor + (top - floor) * heights[g, np.arange(draws)], 0.0, ceiling)
        return found


def angle(score: Array) -> Array:
    """Arcsin sqrt(score): the noise of a proportion of n items is there 1 / (2 sqrt(n)), whatever the score.

    >>> angle(np.array([0.0, 0.5, 1.0])).round(4).tolist()
    [0.0, 0.7854, 1.5708]
    """
    return np.asarray(np.arcsin(np.sqrt(np.clip(score, 0.0, 1.0))))


def score_of(angle: Array) -> Array:
    """The inverse of `angle`; beyond its ends the score stays at 0 or 1."""
    return np.asarray(np.sin(np.clip(angle, 0.0, np.pi / 2)) ** 2)
