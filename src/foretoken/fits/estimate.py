"""Point estimates: the unpenalised fit, and the one that forecasts use."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.noise import NoiseModel, estimate_noise, spread
from foretoken.fits.objectives import HUBER, MAP, OBJECTIVES, Objective, huber
from foretoken.fits.parts import ObjectiveForecast
from foretoken.fits.solvers import TIGHT, Common, Problem, solve
from foretoken.laws.law import Array, Indices, Law

DELTA = 1e-3
"""Huber's delta of the unpenalised fit, on log loss (Hoffmann et al. 2022)."""
ROBUST = 1.5
"""Huber's delta of the forecast fit, in standard deviations of a run."""
FEW_STARTS = 6
AGREE = 0.01
"""Starts agree within this share of the best objective and parameters."""
LOOSER = {"E": 8.0, "alpha": 2.0, "beta": 2.0}
"""The priors of the logarithms of these are as many times as wide for a law that surely holds: published laws have E
from 0 to 0.8 of the smallest loss and exponents from 0.08 to 0.5, and where a law holds a grid of sizes tells them
(docs/backtest.md)."""
REFERENCE_FACTOR = 8.0
"""Forecasts are compared at this many times the compute of the run with the most, shared by all features."""


def assumed(law: Law, y: Array, trust: float) -> tuple[Array, Array]:
    """Centre and scale of what a fit assumes of a law's parameters [p], of runs y [r] that trust it so far (0 to 1)."""
    centre, scale = law.prior(y)
    looser = [LOOSER.get(name, 1.0) ** trust for name in law.parameters]
    return centre, scale * np.array(looser)


@dataclass(frozen=True)
class Sample:
    """A law and the data it is fitted to: x [r, f] as logarithms, centred at `origin` [f]; y [r] is ln loss."""

    law: Law
    x: Array
    origin: Array
    y: Array
    effort: Array = field(default_factory=lambda: np.zeros(0))
    """ln(tokens / most tokens) [r]: how short each run was."""
    count: Array = field(default_factory=lambda: np.zeros(0))
    """How many runs each row stands for [r]."""
    trust: float = 0.0
    """How surely the law holds inside the table, 0 to 1 (fits/misfit.py): as far the runs decide E, not the prior."""

    @property
    def beyond(self) -> Array:
        """Where forecasts are compared [f]: at `REFERENCE_FACTOR` times the compute of the run with the most."""
        return np.asarray(self.x[self.x.sum(axis=1).argmax()] + np.log(REFERENCE_FACTOR) / self.x.shape[1])

    @property
    def unit(self) -> float:
        """What an error of 1 on log loss is in a law of another column: the range of what is fitted."""
        return 1.0 if self.law.is_logarithmic else float(np.ptp(self.y))

    def prior(self) -> tuple[Array, Array]:
        """Centre and scale of what is assumed of the parameters [p]."""
        return assumed(self.law, self.y, self.trust)

    def __post_init__(self) -> None:
        if not len(self.effort):
            object.__setattr__(self, "effort", np.zeros(len(self.y)))
        if not len(self.count):
            object.__setattr__(self, "count", np.ones(len(self.y)))

    @cached_property
    def starts(self) -> Array:
        """Where searches of the unpenalised estimate begin, the likeliest first: theta [starts, p]."""
        return self.law.starts(self.x, self.y)

    @classmethod
    def of(
        cls, law: Law, features: Array, measured: Array, tokens: Array | None = None, count: Array | None = None
    ) -> Sample:
        """Centre the features; a law's parameters are far less entangled there.

        Without `tokens` all runs are taken to be equally near to the law.
        """
        origin = law.origin(features)
        y = np.log(measured) if law.is_logarithmic else np.asarray(measured, dtype=np.float64)
        effort = np.zeros(len(y)) if tokens is None else np.log(tokens / tokens.max())
        return cls(law, features - origin, origin, y, effort, np.ones(len(y)) if count is None else count)

    def check_shift(self, theta: Array) -> None:
        """Raise ForetokenError for a law whose values change when its features are no longer centred.

        Such a law fits well and forecasts wrongly: its parameters are told for other features than it was fitted to.
        """
        centred = self.law.value_and_grad(theta[None], self.x)[0]
        moved = self.law.value_and_grad(self.law.shift(theta[None], self.origin), self.x + self.origin)[0]
        # Loose: at the edge of what a double holds, two ways to one number differ by more than rounding.
        if not np.allclose(centred, moved, rtol=1e-4, atol=1e-4, equal_nan=True):
            raise ForetokenError(
                f"the law {self.law.name!r} gives other values once its features are no longer centred",
                expected="each term names every feature in which it falls, as in term(..., alpha=(0, 1.0))",
                got=f"values that differ by up to {float(np.nanmax(np.abs(centred - moved))):.3g}",
                cure="complete the terms of the law, or name the feature in not_centred",
                code="law_is_not_shifted",
            )

    def residual(self, theta: Array) -> Array:
        """Measured minus fitted ln loss [r]."""
        return np.asarray(self.y - self.law.value_and_grad(theta[None], self.x)[0][0])

    def unpenalised_problem(
        self, y: Array, weight: Array, objective: Objective = HUBER, scale: float | None = None
    ) -> Problem:
        """Hoffmann's objective, or another, for a batch of data: y and weight [b, r] (or [1, r])."""
        nothing = np.zeros((1, len(self.law.parameters)))
        scale = DELTA if scale is None else scale
        weight = weight * self.count
        low, high = self.law.bounds(self.y)
        return Problem(self.law, self.x, y, weight, scale, nothing, nothing[0], low, high, objective)

    def map_problem(
        self, y: Array, weight: Array, sigma: Array | float, mean: Array | None = None, common: Common | None = None
    ) -> Problem:
        """The forecast's objective: each run at its noise sigma (one for all, or [r]), and the law's weak prior."""
        # Minus the log posterior, less a constant: sum over runs of Huber(r / sigma) plus sum over parameters of
        # (theta - centre)^2 / (2 scale^2). An infinite scale is precision 0: nothing is assumed of that parameter.
        centre, scale = self.prior()
        mean = centre[None] if mean is None else mean
        low, high = self.law.bounds(self.y)
        weight = weight * self.count / np.asarray(sigma) ** 2
        return Problem(
            self.law, self.x, y, weight, ROBUST * np.asarray(sigma), mean, scale**-2.0, low, high, common=common
        )


@dataclass(frozen=True)
class Unpenalised:
    """The unpenalised estimate, and how the starts fared."""

    theta: Array
    huber_sum: float
    """Of log loss at delta 0.001, whatever was minimised."""
    tried: int
    agree: int
    objective: str = "huber"
    scale: float = DELTA


def estimate_unpenalised(
    sample: Sample, objective: str = "huber", near: Array | None = None, others: int = FEW_STARTS
) -> Unpenalised:
    """The best of many starts, to the last digits; of a few `others` where an estimate `near` is known."""
    shape = OBJECTIVES[objective]
    scale = DELTA
    if shape.from_spread:
        near = estimate_unpenalised(sample).theta if near is None else near
        scale = spread(sample.residual(near), len(sample.law.parameters))
    starts = sample.starts if near is None else near[None]
    if near is not None and others:
        starts = np.concatenate([starts, sample.starts[:others]])
    problem = sample.unpenalised_problem(sample.y[None], np.ones((1, len(sample.y))), shape, scale)
    theta, value = solve(problem, starts, steps=150)
    best, least = solve(problem, theta[value.argmin()][None], TIGHT, steps=1500)
    agree = (value <= least[0] * (1 + AGREE) + 1e-15) & (np.abs(np.expm1(theta - best)).max(axis=1) <= AGREE)
    huber_sum = float((sample.count * huber(sample.residual(best[0]), DELTA)).sum())
    return Unpenalised(best[0], huber_sum, len(theta), int(agree.sum()), objective, scale)


def estimate_map(sample: Sample, start: Array) -> tuple[Array, NoiseModel]:
    """The estimate that forecasts use, and the noise of one run around it (on log loss).

    Each run counts by its own noise, which falls with its tokens as the residuals say; Huber at 1.5 of its standard
    deviations; the law's weak prior. Where the data say little the exponents stay near values that are known from many
    studies, instead of taking extreme ones that cancel inside the data and explode beyond them.
    """
    weight = np.ones((1, len(sample.y)))
    centre, scale = sample.prior()
    theta = np.where(np.isfinite(scale), centre, start)
    sigma: Array | float = spread(sample.residual(start), len(start))
    # The noise decides how the runs are weighed, and the weighed estimate what the noise is: a few rounds settle both.
    # Two starts each time, since the prior's centre and the unpenalised estimate may lie in different valleys.
    for _ in range(6):
        both = np.stack([theta, start])
        ends, value = solve(sample.map_problem(sample.y[None], weight, sigma), both, 1e-9)
        theta = ends[value.argmin()]
        noise = estimate_noise(sample.residual(theta), sample.effort, len(theta), sample.count)
        sigma = noise.at(sample.effort)
    return theta, noise


def estimate_map_sharing(
    sample: Sample, theta: Array, noise: NoiseModel, of_run: Indices, sd: float
) -> tuple[Array, NoiseModel, Common]:
    """As `estimate_map`, from its estimate, where the runs of a cluster share an error of this standard deviation.

    What budgets share then blurs the law along compute alone: the shape inside a budget still counts at the runs' own
    noise, and tells how much of the loss can still fall.
    """
    for _ in range(3):
        common = Common.of(of_run, sd, noise.at(sample.effort), sample.count)
        weight = np.ones((1, len(sample.y)))
        problem = sample.map_problem(sample.y[None], weight, noise.at(sample.effort), common=common)
        theta = solve(problem, theta[None], 1e-9)[0][0]
        own = common.taken_off(sample.residual(theta)[None])[0]
        noise = estimate_noise(own, sample.effort, len(theta), sample.count)
    return theta, noise, Common.of(of_run, sd, noise.at(sample.effort), sample.count)


def sensitivity(sample: Sample, best: Unpenalised, map_theta: Array) -> list[ObjectiveForecast]:
    """One entry per objective, and the forecast's own.

    `loss` is the law at 8 times the largest compute: numbers that differ by more than the interval are a doubt.
    """
    target = sample.beyond

    def entry(name: str, text: str, theta: Array) -> ObjectiveForecast:
        fitted = float(sample.law.value_and_grad(theta[None], target[None])[0][0, 0])
        return ObjectiveForecast(
            objective=name,
            text=text,
            parameters=sample.law.named(sample.law.shift(theta, sample.origin)),
            loss=float(np.exp(fitted)) if sample.law.is_logarithmic else fitted,
        )

    forecasts = [entry(MAP, "each run by its noise, with the law's weak prior", map_theta)]
    for name, objective in OBJECTIVES.items():
        if objective.raw and not sample.law.is_logarithmic:
            continue
        theta = best.theta if name == best.objective else estimate_unpenalised(sample, name, best.theta).theta
        forecasts.append(entry(name, objective.text, theta))
    return forecasts
