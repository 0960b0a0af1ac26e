"""Runs that are far above what runs of like size and length reach: diverged, as a rule; found however many they are.

Two judges must agree. A least-trimmed fit (Rousseeuw 1984) of a law-shaped surface says by how many of its own standard
deviations a run lies above it: no few outliers can pull it to themselves. But runs too short for any law lie
as far above it, and are right. So the others must contradict the run too: near it, runs with more tokens per parameter
and runs with fewer both follow the surface; or, without any surface, at no more compute a smaller and a larger size
both did better.
Shapes: r runs, g pairs of exponents, s starts, p columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from foretoken.escapes import for_shell
from foretoken.laws.law import Array, Indices

COLUMNS, FEWEST = 4, 10
"""Columns of the surface, and runs from which a run can be judged by the rest."""
FAR = ((20.0, 0.05), (12.0, 0.15))
"""Standard deviations above the surface, each widened by the surface's own doubt there, and the least distance on log
loss, from which a run is far off: in one or the other way. With Student's t of 3 degrees of freedom, of a scale of 1 %,
one run in 3,000 is as far. Of 24 public tables in which nothing diverged, the farthest run that others contradict is
10 % and 15 deviations off."""
NEAR, SIDE = 4.0, 2
"""Factor in size and in length within which runs are near (the usual step between budgets), and how many contradict."""
BROKEN, LEAST_BROKEN = 4.0, 0.02
"""The same, from which a bound is broken: a run and the one that bounds it both scatter."""
GROSS, GROSS_RATIO, INSIDE = 30.0, 1.75, 0.5
"""Where no run bounds one (the cheapest, and the ends of the cheapest budget): standard deviations, and a loss this
many times the surface's, inside the others' range (leverage). Short runs at such an end may be 1.5 times above, and
right."""
TRIMMED = 0.25
"""Share of the runs that the surface may leave out."""
MOST = 0.15
"""A larger share of the runs is no accident but another kind of runs, or another unit, which other checks look for."""
EXPONENTS, FINER = (0.1, 0.25, 0.45, 0.8), (0.65, 0.8, 1.0, 1.25, 1.5)
"""Of size and of length; then factors about the best two, which bring the misfit to one law's from 0.8 % to 0.1 %."""
STARTS, STEPS, KEPT = 20, 12, 4
"""Random starts per pair of exponents, concentration steps, and starts that are kept after the third."""
CORE = 4.0
"""Standard deviations within which a run has a say in the last surface."""
SAME = 1.05
"""Sizes, lengths and computes within this factor are the same."""
SHORT = 1.0
"""Tokens per parameter below which a larger model may be behind a smaller one of equal length: warm-up is not over."""
MOST_ROWS = 2000
"""The surface is fitted to so many runs at most, drawn from all, and others are held against these."""
MOST_SUSPECTS = 20_000
FLOOR = 1e-4
"""Least standard deviation on log loss: below it are digits, not noise."""


@dataclass(frozen=True)
class _Surface:
    """A law-shaped surface through most of the runs."""

    above: Array
    """ln(loss / surface) of each run [r]."""
    sd: float
    """Standard deviation of the runs that it is fitted to."""
    leverage: Array
    """What the surface's own variance is at each run, in units of `sd` squared [r]."""
    drawn: Indices
    """Numbers of the runs that it is fitted to [w] ..."""
    core: NDArray[np.bool_]
    """... and which of these follow it [w]."""

    @property
    def deviations(self) -> Array:
        """How far above the surface a run is, in standard deviations of a run and of the surface there [r]."""
        return np.asarray(self.above / (self.sd * np.sqrt(1 + self.leverage)))


def outliers(params: Array, tokens: Array, loss: Array) -> Indices:
    """Numbers of the runs that lie far above what runs of like size and length reach.

    >>> n, d = np.repeat(np.geomspace(1e7, 1e9, 5), 5), np.tile(np.geomspace(1e9, 1e11, 5), 5)
    >>> loss = 1.7 + 400 / n**0.34 + 400 / d**0.28
    >>> loss[[7, 18]] *= 1.4
    >>> outliers(n, d, loss).tolist()
    [7, 18]
    """
    if len(loss) < FEWEST:
        return np.array([], dtype=np.intp)
    surface = _surface(params, tokens, loss)
    deviations = surface.deviations
    far = np.any([(deviations > many) & (surface.above > least) for many, least in FAR], axis=0)
    suspects = np.flatnonzero(far)[:MOST_SUSPECTS]
    drawn = surface.drawn
    witnesses = _Witnesses(drawn, params[drawn], tokens[drawn], loss[drawn], surface.core)
    bounds = np.array([witnesses.bound(params[run], tokens[run], int(run)) for run in suspects])
    broken = loss[suspects] > bounds * np.exp(max(BROKEN * surface.sd, LEAST_BROKEN))
    between = np.array([witnesses.are_around(params[run], tokens[run], int(run)) for run in suspects], dtype=bool)
    gross = (deviations > GROSS) & (surface.above > np.log(GROSS_RATIO)) & (surface.leverage < INSIDE)
    found: Indices = suspects[broken | between | (np.isinf(bounds) & gross[suspects])]
    return found if len(found) <= MOST * len(loss) else found[:0]


@dataclass(frozen=True)
class _Witnesses:
    """Runs that others are held against, as arrays [w]."""

    run: Indices
    params: Array
    tokens: Array
    loss: Array
    core: NDArray[np.bool_]
    """Which follow the surface."""

    def are_around(self, params: float, tokens: float, run: int) -> bool:
        """Whether runs near one follow the surface on both sides: larger and shorter, and smaller and longer."""
        n, d, same = np.log(self.params / params), np.log(self.tokens / tokens), np.log(SAME)
        near = self.core & (np.maximum(abs(n), abs(d)) < np.log(NEAR)) & (self.run != run)
        shorter, longer = near & (n >= -same) & (d <= same), near & (n <= same) & (d >= -same)
        return bool(min(shorter.sum(), longer.sum()) >= SIDE)

    def bound(self, params: float, tokens: float, run: int) -> float:
        """What the loss of a run should not exceed, from others of no more compute; infinite where none tell."""
        # Along one compute the loss falls and then rises with size, and more compute lowers it: with a run j of no more
        # compute and no larger size, and a run k of no more compute and no smaller size, L(run) <= max(L(j), L(k)).
        others = (self.params * self.tokens <= SAME * params * tokens) & (self.run != run)
        smaller, larger = self.params <= SAME * params, self.params >= params / SAME
        between = max(_least(self.loss[others & smaller]), _least(self.loss[others & larger]))
        # And more tokens lower it at one size; more parameters too, once the run is past its warm-up.
        poorer = others & smaller & (self.tokens <= SAME * tokens)
        if tokens < SHORT * params:
            poorer &= larger
        return min(between, _least(self.loss[poorer]))


def _least(losses: Array) -> float:
    return float(losses.min()) if len(losses) else np.inf


def _surface(params: Array, tokens: Array, loss: Array) -> _Surface:
    """The surface through the runs that agree best, then through all that lie within a few deviations of it."""
    generator = np.random.default_rng(0)
    drawn = np.sort(generator.permutation(len(loss))[:MOST_ROWS])
    n, d, y = (values[drawn] for values in (params, tokens, loss))
    pairs = list(product(EXPONENTS, EXPONENTS))
    begun = _random_starts(len(drawn), generator)
    best, kept = _least_trimmed(_columns(n, d, pairs) / y[:, None], begun)[:2]
    finer = [(pairs[best][0] * a, pairs[best][1] * b) for a, b in product(FINER, FINER)]
    best, kept, theta = _least_trimmed(_columns(n, d, finer) / y[:, None], kept[None])
    design: Array = _columns(n, d, finer[best : best + 1])[0] / y[:, None]
    for _ in range(3):
        above = _above(design, theta)
        scale = max(1.4826 * float(np.median(np.sort(abs(above))[COLUMNS:])), FLOOR)
        core = abs(above) < CORE * scale
        theta = _solved(design[None], core[None, None].astype(np.float64))[0, 0]
    above = _above(design, theta)
    sd = max(float(np.sqrt((above[core] ** 2).sum() / max(1, core.sum() - COLUMNS))), FLOOR)
    curvature = design[core].T @ design[core]
    curvature += 1e-12 * np.trace(curvature) * np.eye(COLUMNS)
    every: Array = _columns(params, tokens, finer[best : best + 1])[0] / loss[:, None]
    leverage = ((every @ np.linalg.inv(curvature)) * every).sum(axis=1)
    return _Surface(_above(every, theta), sd, np.maximum(leverage, 0.0), drawn, abs(above) < CORE * sd)


def _columns(params: Array, tokens: Array, pairs: Sequence[tuple[float, float]]) -> Array:
    """1, N^-a, D^-b and their product for each pair of exponents, in units of 1e9: [g, r, p]."""
    n, d = np.log(params / 1e9), np.log(tokens / 1e9)
    whole = np.stack([np.stack([0 * n, -a * n, -b * d, -a * n - b * d], axis=1) for a, b in pairs])
    return np.asarray(np.exp(whole))


def _random_starts(runs: int, generator: np.random.Generator) -> Array:
    """Which runs each start is fitted to: all, and random subsets of a few more than there are columns [s, r]."""
    starts = np.zeros((STARTS, runs))
    np.put_along_axis(starts, np.argsort(generator.random((STARTS, runs)), axis=1)[:, : COLUMNS + 3], 1.0, axis=1)
    starts[0] = 1.0
    return starts


def _least_trimmed(design: Array, starts: Array) -> tuple[int, Array, Array]:
    """The pair of exponents whose least residuals have the smallest sum of squares, which runs [r] they are, theta [p].

    `starts` [s, r] weigh the runs at first.
    """
    # With columns over the loss, f / L = X theta should be 1. Concentration steps (Rousseeuw and Van Driessen 2006):
    # fit the kept runs, keep the ones that then fit best; the sum of their squares never rises.
    runs, count = design.shape[1:]
    keep = max(runs - int(TRIMMED * runs), (runs + count + 1) // 2)
    weight: Array = np.broadcast_to(starts, (len(design), *starts.shape))
    for step in range(STEPS):
        theta = _solved(design, weight)
        size = abs(1 - theta @ design.transpose(0, 2, 1))
        within = size <= np.partition(size, keep - 1, axis=-1)[..., keep - 1 : keep]
        squares = (np.where(within, size, 0.0) ** 2).sum(axis=-1)
        weight = within.astype(np.float64)
        if step == 2 and len(starts) > KEPT:
            best = np.argsort(squares, axis=1)[:, :KEPT]
            weight = np.take_along_axis(weight, best[..., None], axis=1)
    pair, start = np.unravel_index(squares.argmin(), squares.shape)
    return int(pair), np.asarray(weight[pair, start]), np.asarray(theta[pair, start])


def _solved(design: Array, weight: Array) -> Array:
    """Least squares of design [g, r, p] @ theta = 1, for weights [g, s, r]: theta [g, s, p]."""
    pairs, runs, count = design.shape
    products = (design[..., :, None] * design[..., None, :]).reshape(pairs, runs, count**2)
    squares = (weight @ products).reshape(*weight.shape[:2], count, count)
    # A size or a length that is the same in all runs leaves columns alike; a small ridge then splits them.
    ridge = 1e-12 * np.trace(squares, axis1=-2, axis2=-1)[..., None, None] * np.eye(count)
    return np.asarray(np.linalg.solve(squares + ridge, (weight @ design)[..., None])[..., 0])


def _above(design: Array, theta: Array) -> Array:
    """ln(loss / surface) [r]; where the surface is below a twentieth of the loss, that of a twentieth."""
    return np.asarray(-np.log(np.maximum(design @ theta, 0.05)))


def without(names: Sequence[str | None], loss: Array, left_out: NDArray[np.bool_]) -> str:
    """The --where that leaves these rows out: by their names, by a limit of the loss, or by their losses.

    >>> without(["r1", "r2", "r3"], np.array([3.0, 2.5, 7.0]), np.array([False, False, True]))
    "--where 'run!=r3'"
    >>> without([None, None, None], np.array([3.0, 2.5, 7.0]), np.array([False, False, True]))
    "--where 'loss<5'"
    """
    chosen = [name for name, out in zip(names, left_out, strict=True) if out]
    others = {name for name, out in zip(names, left_out, strict=True) if not out}
    if not any(name is None or name in others or set(name) & set(',|"') for name in chosen):
        return for_shell("--where", f"run!={'|'.join(map(str, dict.fromkeys(chosen)))}")
    most, least = float(loss[~left_out].max(initial=0.0)), float(loss[left_out].min())
    if most < least:
        limit = f"{(most + least) / 2:.4g}"
        return for_shell("--where", f"loss<{limit if most < float(limit) <= least else least}")
    return for_shell("--where", f"loss!={'|'.join(str(float(value)) for value in loss[left_out])}")
