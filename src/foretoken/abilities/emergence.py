"""How sudden a rise is: the scores of BIG-bench and of Schaeffer et al., and a jump against smooth shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.abilities.curve_fit import CurveFit
from foretoken.abilities.shapes import FAMILIES, Family
from foretoken.laws.law import Array

NARROW = 0.055
"""A sigmoid of this width, in units of the range, does 80 % of its rise within a quarter of the range."""


def emergence_score(good: Array) -> float | None:
    """sign(argmax y - argmin y) (max y - min y) / sqrt(median of the squared steps), of scores [n] by size.

    Schaeffer et al. 2023, arXiv 2304.15004; the breakthroughness of BIG-bench, arXiv 2206.04615. None where half of the
    steps are 0.

    >>> emergence_score(np.array([0.0, 0.01, 0.02, 0.82]))
    82.0
    """
    return _sudden(good, np.median)


def linearity(good: Array) -> float | None:
    """BIG-bench's linearity: the same over the root of the mean squared step, divided by the number of scores.

    >>> linearity(np.array([0.0, 0.25, 0.5, 0.75]))
    0.75
    """
    value = _sudden(good, np.mean)
    return None if value is None else value / len(good)


def _sudden(good: Array, middle: object) -> float | None:
    steps = np.diff(good) ** 2
    scale = float(np.sqrt(middle(steps))) if len(steps) else 0.0  # type: ignore[operator]
    if not scale > 0:
        return None
    sign = float(np.sign(int(good.argmax()) - int(good.argmin())))
    return round(float(sign * (good.max() - good.min()) / scale), 10)


@dataclass(frozen=True)
class HeldOut:
    """What each family says of the larger sizes, given the smaller ones: log densities, in nats."""

    sizes: int
    """Scores that were left out."""
    nats: dict[Family, float]
    jump: float
    """Of jumps (steps and narrow sigmoids) less that of smooth rises; above 0 a jump forecasts better."""


def held_out(whole: CurveFit, smaller: CurveFit) -> HeldOut:
    """The log density of the scores that `smaller` has not, by family: evidence of all less that of the smaller."""
    # The density of the larger scores, given the smaller ones, is that of all over that of the smaller.
    after, before = whole.family_evidence(), smaller.family_evidence()
    jump = _evidence(whole, narrow=True) - _evidence(smaller, narrow=True)
    smooth = _evidence(whole, narrow=False) - _evidence(smaller, narrow=False)
    return HeldOut(
        len(whole.u) - len(smaller.u), {name: after[name] - before[name] for name in FAMILIES}, jump - smooth
    )


def _evidence(fit: CurveFit, *, narrow: bool) -> float:
    names = np.array(fit.shapes.family)
    sudden = (names == "step") | ((names == "sigmoid") & (fit.shapes.second <= np.log(NARROW)))
    chosen = sudden if narrow else ~sudden & (names != "flat")
    # Divided by the prior of those shapes, so that two groups of unlike size can be compared.
    joint = fit.log_evidence + fit.shapes.log_prior[:, None] + fit.likelihood.log_prior
    share = np.logaddexp.reduce(fit.shapes.log_prior[chosen])
    return float(np.logaddexp.reduce(joint[chosen].ravel()) - share)
