"""What runs that are only planned already show: what they leave to lose, and whether a law can be fitted to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from foretoken.fits.check import Check
from foretoken.fits.fit_checks import design_checks
from foretoken.fits.parts import Range, WeighedLaw
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, refusals
from foretoken.forecasts.predict import law_values, predict
from foretoken.ladders.exchange import Candidates
from foretoken.ladders.information import Criterion, geometric_mean
from foretoken.ladders.prior import Prior
from foretoken.ladders.target import Target, posterior_variance
from foretoken.laws import find_law
from foretoken.laws.law import Array, Law

LEVEL_90 = 1.6449
"""Half width of a 90 % interval in standard deviations: the 95 % point of the normal distribution."""

MOVES = 4
"""How often a law is moved towards what it is to say."""


@dataclass(frozen=True)
class PlannedLadder:
    """One answer: how often each candidate is trained, and what is left to lose."""

    prior: Prior
    target: Target
    candidates: Candidates
    criterion: Criterion
    counts: Array
    """Seeds of each candidate [m]."""
    known: Fit | None
    budget: float
    """FLOP that it was chosen for."""

    @property
    def cost(self) -> float:
        """FLOP of all its runs."""
        return float(self.counts @ self.candidates.cost)

    @cached_property
    def half_width(self) -> float:
        """Of the target's 90 % interval, as a share of its loss: with a fit, what `predict` says of the fit to come."""
        if self.known is None:
            return _half_width(self.prior, self.target, self.criterion, self.counts)
        return forecast_width(_planned_fit(self.known, self), self.target)

    @cached_property
    def regret_flops(self) -> float:
        """What the target's decision still loses."""
        if self.known is None:
            return float(geometric_mean(self.criterion.loss(self.counts))) * self.target.flops
        # Sizes err in proportion to the loss: the linear law says in what, the forecast's interval how far.
        loss, counted = (float(geometric_mean(part)) for part in self.left_open(self.counts))
        error = max(0.0, (self.half_width / LEVEL_90) ** 2 - _own_variance(self.prior, self.target))
        return counted * error / loss * self.target.flops

    def left_open(self, counts: Array) -> tuple[Array, Array]:
        """Variance of ln loss at the target, and of all that counts, after so many runs of each candidate: [s] each."""
        here = counts > 0
        x = np.concatenate([self.prior.past_runs, self.candidates.x[here]])
        variance = np.append(self.prior.past_variance, 1 / self.criterion.precision(counts)[here])
        return posterior_variance(self.prior, self.target, x, variance)


def _half_width(prior: Prior, target: Target, criterion: Criterion, counts: Array) -> float:
    """Of a new run at the target: what the law leaves open, and the run's own noise."""
    squared = criterion.squared_error(target.loss, target.loss_discrepancy, counts)[:, 0]
    return LEVEL_90 * math.sqrt(float(geometric_mean(squared)) + _own_variance(prior, target))


def _own_variance(prior: Prior, target: Target) -> float:
    """Of one run's ln loss about the law, at the target."""
    return float(prior.noise.of(np.array(target.tokens))) ** 2 + prior.noise.cell_sd**2


def forecast_width(fit: Fit, target: Target) -> float:
    """Half of `predict`'s 90 % interval at the target, as a share of the loss."""
    return predict(fit, params=target.params, tokens=target.tokens, level=0.9).half_width


def _planned_fit(fit: Fit, ladder: PlannedLadder) -> Fit:
    """The fit that the runs are expected to give: draws that lie closer, laws that agree more, data that reach farther.

    So `predict` asks both the same question, of noise, of misfit with the distance that is left, and of parameters.
    """
    # How surely the law holds stays as it is: as a probability it is as likely to rise with the runs as to fall.
    counts = ladder.counts
    if not counts.any():
        return fit
    (after, _), (before, _) = ladder.left_open(counts), ladder.left_open(np.zeros(len(counts)))
    share = float(geometric_mean(after / before))
    here, ranges = counts > 0, fit.ranges
    reach = {
        name: Range(float(min(known.low, planned.min())), float(max(known.high, planned.max())))
        for name, known, planned in (
            ("params", ranges.params, ladder.candidates.params[here]),
            ("tokens", ranges.tokens, ladder.candidates.tokens[here]),
            ("flops", ranges.flops, ladder.candidates.flops[here]),
        )
    }
    agreed = agreeing(fit, ladder.target.params, ladder.target.tokens, math.sqrt(share))
    laws = [replace(entry, draws=_nearer(find_law(entry.law), entry.draws, share)) for entry in agreed]
    nearer = _nearer(find_law(fit.law), fit.map_draws, share)
    return replace(fit, map_draws=nearer, laws=laws, ranges=replace(ranges, **reach))


def agreeing(fit: Fit, params: float, tokens: float, share: float) -> list[WeighedLaw]:
    """The laws of a fit, whose forecasts of a run differ from their mean by this share of what they do now."""
    # What laws say differs by what each errs in its own parameters, and these errors shrink with the runs.
    said = law_values(fit, params=params, tokens=tokens)
    usable = [entry.weight if np.isfinite(values).all() else 0.0 for entry, values in zip(fit.laws, said, strict=True)]
    if not any(usable):
        return fit.laws
    centre = sum(weight * values[0] for weight, values in zip(usable, said, strict=True) if weight) / sum(usable)
    aims = [float(centre + share * (values[0] - centre)) for values in said]
    laws = fit.laws
    # A law is not linear in its parameters, so that one move comes near to its aim, and the next ones there.
    for _ in range(MOVES):
        said = law_values(replace(fit, laws=laws), params=params, tokens=tokens)
        laws = [
            _moved(entry, values, aim - values[0]) if weight else entry
            for entry, values, aim, weight in zip(laws, said, aims, usable, strict=True)
        ]
    return laws


def _moved(entry: WeighedLaw, said: Array, by: float) -> WeighedLaw:
    """A law that says so much more of a run, of which it says `said`: by its parameters, then by each draw."""
    # Of all parameters that say so its draws make those likeliest: by linear regression theta moves by
    # cov(theta, said) / var(said) for each unit of what is said.
    law = find_law(entry.law)
    apart, thetas = said[1:] - said[1:].mean(), law.thetas(np.array(entry.draws))
    slope = apart @ (thetas - thetas.mean(axis=0)) / max(float(apart @ apart), 1e-300)
    return replace(entry, parameters=law.named(law.theta(entry.parameters) + by * slope))


def _nearer(law: Law, draws: list[list[float]], share: float) -> list[list[float]]:
    """Draws [draws, p] so near to their median that the variance of ln loss falls to this share."""
    # Where theta shrinks to its median by sqrt(s), the variance of ln loss = c theta falls to the share s.
    theta = law.thetas(np.array(draws))
    middle = np.median(theta, axis=0)
    nearer: list[list[float]] = law.values(middle + math.sqrt(share) * (theta - middle)).tolist()
    return nearer


def check_planned_runs(law: Law, params: Array, tokens: Array, flops: Array, loss: Array) -> list[Check]:
    """What a fit of `law` to these runs would refuse or doubt; `loss` is what they may give, roughly.

    Too few runs for the parameters, one size, one length, and size and length that move together are known before
    anything is trained.

    >>> import numpy as np
    >>> from foretoken.laws import CHINCHILLA
    >>> n, d = np.geomspace(1e6, 1e7, 4), np.geomspace(1e8, 1e9, 4)
    >>> [check.code for check in check_planned_runs(CHINCHILLA, n, d, 6 * n * d, 5.0 - np.arange(4))]
    ['too_few_runs', 'collinear', 'few_runs', 'nearly_collinear']
    """
    unknown: Sequence[None] = [None] * len(params)
    rows = Rows(
        run=[""] * len(params),
        group=[*unknown],
        parent=[*unknown],
        params=params,
        tokens=tokens,
        flops=flops,
        y=loss,
        params_column="params_total",
        dropped=[],
        repeated=0,
        skipped=0,
        assumed=[],
    )
    refused = [Check.of_refusal(reason) for reason in refusals(rows, law)]
    return refused + (list(design_checks(rows)) if len(rows) > 2 else [])
