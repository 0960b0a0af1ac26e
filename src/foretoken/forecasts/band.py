"""The band along a run: the forecast for a run of one size that ends at each share of its tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.check import PLAIN
from foretoken.fits.result import Fit
from foretoken.forecasts.predict import predict
from foretoken.results import Result

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of the target's tokens at which the band is frozen too."""
LATEST = 1.001
"""A point may lie this factor beyond the run's end: the last step of a run fills its batch."""

Place = Literal["inside", "above", "below"]
"""Where a loss lies against an interval."""


@dataclass(frozen=True)
class BandPoint:
    """The forecast for a run that ends after `share` of the tokens."""

    __pydantic_config__ = PLAIN

    share: float
    tokens: float
    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class PlacedPoint(Result):
    """A point of a running target, and where it lies against the band that was frozen with its forecast."""

    tokens: float
    share: float
    """Tokens seen, as a share of the run's."""
    loss: float
    low: float
    expected: float
    high: float

    @property
    def is_inside(self) -> bool:
        """Whether the loss lies inside the band."""
        return self.low <= self.loss <= self.high

    @property
    def is_above(self) -> bool:
        """Whether the loss is higher than the band."""
        return self.loss > self.high

    @property
    def place(self) -> Place:
        """Where the loss lies against the band."""
        return "inside" if self.is_inside else "above" if self.is_above else "below"

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{self.place} the band at {100 * self.share:.3g} % of tokens"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"place": self.place, "text": self.text}


def band_along(fit: Fit, params: float, tokens: float, level: float, flops: float | None = None) -> list[BandPoint]:
    """The forecast for a run of this size that ends at each share of its tokens.

    Args:
        fit: the fit that forecasts.
        params: parameters of the run, in the fit's own count.
        tokens: training tokens of the whole run.
        level: probability that each interval holds.
        flops: FLOP of the whole run; from the fit's runs unless given.

    """
    band = []
    for share in SHARES:
        part = None if flops is None else share * flops
        forecast = predict(fit, params=params, tokens=share * tokens, flops=part, level=level, strict=False)
        band.append(BandPoint(share, share * tokens, forecast.loss, forecast.low, forecast.high))
    return band


def place_points(band: Sequence[BandPoint], points: Iterable[tuple[float, float]]) -> list[PlacedPoint]:
    """Where points (tokens seen, loss) of a running target lie against a band.

    The band is that of annealed runs: before the learning rate comes down a loss lies above it. Raises ForetokenError
    for a point outside the run.
    """
    return [_placed(band, tokens, loss) for tokens, loss in points]


def _placed(band: Sequence[BandPoint], tokens: float, loss: float) -> PlacedPoint:
    start, end = band[0].tokens, band[-1].tokens
    if not start <= tokens <= end * LATEST or not (math.isfinite(loss) and loss > 0):
        raise ForetokenError(
            "a point outside the run",
            expected=f"tokens from {start:.4g} to {end:.4g}, and a loss above 0",
            got=f"{tokens:.4g} tokens, loss {loss:g}",
        )
    # Laws are near to straight lines in ln L over ln D, so both are interpolated as logarithms.
    along = np.log([point.tokens for point in band])
    low, expected, high = (
        math.exp(float(np.interp(math.log(tokens), along, np.log(values))))
        for values in zip(*((point.low, point.loss, point.high) for point in band), strict=True)
    )
    return PlacedPoint(tokens, tokens / end, loss, low, expected, high)
