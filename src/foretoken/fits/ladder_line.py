"""Runs whose size and length move together: the line in ln N and ln D along which they lie."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from foretoken.fits.check import Check
from foretoken.laws.law import Array

TOGETHER = 0.12
"""Largest standard deviation of the runs across their line, on logarithms, in a ladder: tokens per parameter that vary
by 17 % from run to run. Below it the loss hardly shows what the split does, and the law of compute forecasts better."""
COLLINEAR = "collinear"
"""Code of what is said of such runs."""
CORRELATED = 0.98
"""Correlation of ln N and ln D above which their terms trade off."""
FAR_OFF, LEAST_OFF = 3.0, 0.1
"""A run is off the ladder if its tokens are this many standard deviations of the ladder's own, and 10 %, away."""


@dataclass(frozen=True)
class LadderLine:
    """ln D = `at_origin` + `power` x ln N, through runs that lie near it."""

    power: float
    """1 at a fixed number of tokens per parameter."""
    at_origin: float
    spread: float
    """Standard deviation of ln D about the line."""

    def tokens(self, params: float) -> float:
        """Tokens of a run of this size."""
        return math.exp(self.at_origin + self.power * math.log(params))

    def params(self, tokens: float) -> float:
        """Parameters of a run of this length."""
        return math.exp((math.log(tokens) - self.at_origin) / self.power)

    def split(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """Parameters and tokens of a run of this compute."""
        # ln C = ln k + ln N + ln D, with ln D on the line.
        params = math.exp((math.log(flops / flops_per_param_token) - self.at_origin) / (1 + self.power))
        return params, flops / flops_per_param_token / params

    def tokens_off(self, params: float, tokens: float) -> float | None:
        """The factor between a run's tokens and those of its size on the line; None where that is no more than usual.

        >>> line = LadderLine(power=1.0, at_origin=math.log(20.0), spread=0.0)
        >>> line.tokens_off(1e9, 2e10), line.tokens_off(1e9, 8e10)
        (None, 4.0)
        """
        factor = tokens / self.tokens(params)
        return None if abs(math.log(factor)) <= max(FAR_OFF * self.spread, LEAST_OFF) else round(factor, 9)

    def checks(self, params: float, tokens: float) -> list[Check]:
        """The doubt about a run that splits its compute otherwise than the ladder does; nothing along it."""
        factor = self.tokens_off(params, tokens)
        if factor is None:
            return []
        evidence = (
            f"{tokens / params:.3g} tokens per parameter, {factor:.3g} times those of the ladder at this size: its law"
            " of compute takes no notice of the split, and the interval does not allow for it"
        )
        cure = f"take {self.tokens(params) / params:.3g} tokens per parameter, or train runs of other splits"
        return [Check("off_ladder", "doubt", evidence, cure)]


def with_ladder_check(checks: Iterable[Check], params: Array, tokens: Array) -> list[Check]:
    """What runs [r] at one ratio of tokens to parameters do not say, in place of their near collinearity."""
    ratios = tokens / params
    evidence = (
        f"size and tokens move together ({ratios.min():.3g} to {ratios.max():.3g} tokens per parameter): N* unknown"
    )
    cure = "read forecasts along this ladder alone; vary tokens at a fixed size to learn the best split"
    others = [check for check in checks if check.code != "nearly_collinear"]
    return [Check(COLLINEAR, "doubt", evidence, cure), *others]


def ladder_line(params: Array, tokens: Array) -> LadderLine | None:
    """The line of runs whose tokens grow with their size, nearly alike in all; None for every other table.

    >>> sizes = np.geomspace(1e8, 1e9, 5)
    >>> line = ladder_line(sizes, 20 * sizes)
    >>> round(line.power, 6), round(line.tokens(1e9) / 1e9, 6)
    (1.0, 20.0)
    >>> ladder_line(sizes, 1e18 / sizes)
    """
    n, d = np.log(params), np.log(tokens)
    # Not `<`: a correlation of one size, or one length, is NaN.
    with np.errstate(all="ignore"):
        if len(n) < 2 or not np.corrcoef(n, d)[0, 1] > CORRELATED:
            return None
    cloud = np.stack([n - n.mean(), d - d.mean()])
    axes, size, _ = np.linalg.svd(cloud, full_matrices=False)
    if size[1] / math.sqrt(len(n)) > TOGETHER:
        return None
    power = float(axes[1, 0] / axes[0, 0])
    off = cloud[1] - power * cloud[0]
    return LadderLine(power, float(d.mean() - power * n.mean()), float(np.sqrt((off**2).mean())))
