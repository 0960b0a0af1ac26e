"""Forecast: a fit applied beyond its data, with its interval and its distance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from foretoken.fits.result import Check


@dataclass(frozen=True)
class Forecast:
    """The loss that a run of this size and length will reach."""

    params: float
    tokens: float
    flops: float
    loss: float
    """Nats per token."""
    low: float
    high: float
    level: float
    kind: str
    """`new-run` (where one more run will fall) or `mean` (where the law lies)."""
    extrapolation: dict[str, float]
    """Factors beyond the data in params, tokens and flops; 1 inside them."""
    checks: list[Check]
    estimator: str = "pooled"
    """Which parameters of the fit were used: `pooled` or `plain`."""

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the forecast."""
        return (self.high - self.low) / 2 / self.loss

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
