"""Two fits side by side: by how much their losses differ at a run of each, and how surely.

Errors that both fits have in common leave the difference: those of runs that were trained alike, as far as their
residuals are alike, and a part of what the law has wrong, since it has the same wrong of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import NEW_RUN, IntervalKind
from foretoken.forecasts.predict import (
    ON_THE_WAY,
    LawForecast,
    LawValues,
    error_quantiles,
    other_errors,
    values_by_law,
    weighed_values,
)
from foretoken.laws.law import Array, Indices

OWN_MISFIT, COMMON = 0.6, 0.75
"""The part of its misfit that a law does not have in common for two recipes, as a share of its standard deviation; and
the share of that part's variance which recipes with equal residuals do have in common."""
INSIDE = 0.35
"""Misfit inside the runs, as a share of the standard deviation of one run. This and the shares above were chosen on
simulated pairs that follow the law and that do not (docs/versus.md), never on a published table."""
SAME_RUN = 0.05
"""Sizes and lengths of runs that go together differ by less, on logarithms."""
TEMPERED, SUREST = 0.75, 0.97
"""Factor of the log odds that either wins, and the probability beyond which none is said. On the simulated pairs what
was said as 75, 85, 94 and 99 % without the factor was right 72, 79, 88 and 96 % of the time."""
FEWEST_ALIKE, LARGEST = 6, 0.999
"""Runs from which their residuals can be told to be alike, and the largest correlation that is believed."""


@dataclass(frozen=True)
class Difference:
    """Ln of the first's loss over the second's at a run of each, with its errors."""

    centre: float
    drawn: Array
    """Errors of the parameters of both, one per draw [draws]."""
    misfit: float
    """Standard deviation of what the laws have wrong, less what is common to both."""
    run: float
    """Scale of the noise of one new run of each, together; 0 where the laws themselves are compared."""
    freedom: float

    def interval(self, level: float) -> tuple[float, float]:
        """The middle `level` of it; holds the centre."""
        low, high = error_quantiles(self.drawn, self.run, self.freedom, self.misfit, level)
        return self.centre + min(0.0, low), self.centre + max(0.0, high)

    @property
    def p_first(self) -> float:
        """The probability that the first has the lower loss."""
        others = other_errors(self.run, self.freedom, self.misfit)
        below = float((np.searchsorted(others, -self.centre - self.drawn) / len(others)).mean())
        # Misfit is no normal error: on log odds the probabilities that it gives are too far from one half.
        tempered = expit(TEMPERED * logit(np.clip(below, 1e-6, 1 - 1e-6)))
        return float(np.clip(tempered, 1 - SUREST, SUREST))


@dataclass(frozen=True)
class Pair:
    """Two fits, and which draw of the second goes with each of the first."""

    first: Fit
    second: Fit
    alike: float | None
    """Correlation of the residuals of runs that go together, as far as it is sure, from 0; None where runs do not."""
    order: Indices
    """Of the second's draws: as they are for a share `alike` of them, shuffled for the others."""
    kind: IntervalKind

    @property
    def misfit_growth(self) -> float:
        """What the laws have wrong of the difference, per e-fold beyond the runs."""
        growth = math.hypot(self.first.noise.misfit_growth, self.second.noise.misfit_growth)
        return OWN_MISFIT * math.sqrt(1 - COMMON * (self.alike or 0.0)) * growth

    def difference(self, first: Mapping[str, float], second: Mapping[str, float]) -> Difference:
        """The difference at a run of each; `first` and `second` are what is known of the runs, by feature."""
        here = self._said(first, second)
        reaches = reach_of(self.first, first), reach_of(self.second, second)
        drawn = here.errors
        if max(reaches) > 1:
            # As in `predict`: what is known of a law may shrink again far beyond the runs, what is known of a run does
            # not, so on the way to the target the widest errors count.
            between = (self._said(*self._on_the_way(first, second, share)).errors for share in ON_THE_WAY)
            drawn = max((drawn, *(errors for errors in between if np.isfinite(errors).all())), key=np.std)
        noises = (self.first.noise, self.second.noise)
        # The misfit grows with the distance, so that of two runs at different distances less is in common.
        farther = abs(math.log(reaches[0] / reaches[1])) * min(noise.misfit_growth for noise in noises)
        beyond = self.misfit_growth * math.log(max(reaches))
        inside = INSIDE * self._apart(*(noise.run_sd for noise in noises))
        runs = [noise.new_run_sd(run.get("tokens")) for noise, run in zip(noises, (first, second), strict=True)]
        return Difference(
            centre=here.centre,
            drawn=drawn,
            misfit=math.hypot(beyond, farther, inside, here.disagreement),
            run=self._apart(*runs) if self.kind == NEW_RUN else 0.0,
            freedom=min(noise.degrees_of_freedom for noise in noises),
        )

    def _apart(self, first: float, second: float) -> float:
        """Standard deviation of the difference of two errors that are as alike as the residuals."""
        return math.sqrt(max(0.0, first**2 + second**2 - 2 * (self.alike or 0.0) * first * second))

    def _said(self, first: Mapping[str, float], second: Mapping[str, float]) -> LawForecast:
        """What the laws say of the difference: law by law where both fits have the same, else fit by fit."""
        one, other = values_by_law(self.first, first), values_by_law(self.second, second)
        centre = _centre(one) - _centre(other)
        by_name = {law.law: law for law in other}
        if len(one) == len(other) and all(law.law in by_name for law in one):
            weights = [0.5 * (law.weight + by_name[law.law].weight) for law in one]
            values = [self._less(law.values, by_name[law.law].values) for law in one]
            said = weighed_values(np.array(weights), np.stack(values))
            return LawForecast(centre, said.errors, said.disagreement)
        a, b = (weighed_values(np.array([law.weight for law in laws]), np.stack([law.values for law in laws]))
                for laws in (one, other))  # fmt: skip
        errors = self._less(np.append(0.0, a.errors), np.append(0.0, b.errors))[1:]
        return LawForecast(centre, errors, math.hypot(a.disagreement, b.disagreement))

    def _less(self, first: Array, second: Array) -> Array:
        """The first's values [1 + draws] less the second's, draw by draw."""
        return np.append(first[0] - second[0], first[1 : 1 + len(self.order)] - second[1:][self.order])

    def _on_the_way(
        self, first: Mapping[str, float], second: Mapping[str, float], share: float
    ) -> tuple[dict[str, float], dict[str, float]]:
        return _between(self.first, first, share), _between(self.second, second, share)


def _centre(laws: list[LawValues]) -> float:
    """The forecast of the weighed laws, as `predict` has it."""
    return weighed_values(np.array([law.weight for law in laws]), np.stack([law.values for law in laws])).centre


def reach_of(fit: Fit, run: Mapping[str, float]) -> float:
    """How many times a run lies beyond those of a fit, in whichever of params, tokens and flops it is most."""
    ranges = fit.ranges.by_name()
    return max(max(1.0, run[name] / ranges[name].high, ranges[name].low / run[name]) for name in run)


def _between(fit: Fit, run: Mapping[str, float], share: float) -> dict[str, float]:
    """A run so far on the way from the nearest of the fit's runs, in logarithms."""
    ranges = fit.ranges.by_name()
    nearest = {name: min(max(value, ranges[name].low), ranges[name].high) for name, value in run.items()}
    return {name: nearest[name] ** (1 - share) * value**share for name, value in run.items()}


def pair_of(first: Fit, second: Fit, kind: IntervalKind) -> Pair:
    """Two fits as a pair: a draw of one goes with that of the other as often as the residuals of their runs agree."""
    draws = min(len(first.map_draws), len(second.map_draws))
    alike = likeness(first, second)
    order = np.arange(draws)
    # Fits of equal designs resample their runs by the same random multipliers, draw by draw, so that what is common to
    # the errors of two runs is common to the draws as well. Shuffled draws have nothing in common.
    apart = order[round((alike or 0.0) * draws) :]
    order[draws - len(apart) :] = np.random.default_rng(0).permutation(apart)
    return Pair(first, second, alike, order, kind)


def likeness(first: Fit, second: Fit) -> float | None:
    """How alike the residuals are of runs that go together, 0 to 1; None where the runs do not go together one to one.

    >>> import foretoken
    >>> fit = foretoken.fit("sample", "chinchilla", draws=50)
    >>> likeness(fit, fit) > 0.99
    True
    """
    a, b = _sizes(first), _sizes(second)
    if a.shape != b.shape or len(a) < FEWEST_ALIKE or not bool((np.abs(a - b) < SAME_RUN).all()):
        return None
    with np.errstate(all="ignore"):
        alike = float(np.corrcoef(first.residuals, second.residuals)[0, 1])
    # Fisher's z of a correlation is nearly normal with a standard deviation of 1 / sqrt(n - 3); one of them is taken
    # off, since a likeness that is there by chance would make the difference look surer than it is.
    alike = min(alike, LARGEST)
    return max(0.0, math.tanh(math.atanh(alike) - 1 / math.sqrt(len(a) - 3))) if alike > 0 else 0.0


def cell_of(params: float, tokens: float) -> tuple[float, float]:
    """A size and a length, rounded on logarithms as the steps of a batch round them (1 %)."""
    return round(math.log(params), 2), round(math.log(tokens), 2)


def _sizes(fit: Fit) -> Array:
    """Ln of params and tokens of the runs of a fit, in their order [r, 2]."""
    return np.asarray(np.log([(run.params, run.tokens) for run in fit.runs]))
