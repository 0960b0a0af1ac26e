"""Forecast: a fit applied beyond its data, with its interval and its distance."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from foretoken.fits.result import Check


@dataclass(frozen=True)
class Forecast:
    """The loss that a run of this size and length will reach."""

    params: float
    tokens: float
    flops: float
    """Each is NaN (null in JSON) where the law does not read it and nobody said it."""
    loss: float
    """What the law predicts, in `unit`."""
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
    at: dict[str, float] = field(default_factory=dict)
    """What else the law read."""
    unit: str = "nats per token"

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the forecast."""
        return (self.high - self.low) / 2 / self.loss

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        unsaid = {name: None for name in ("params", "tokens", "flops") if math.isnan(getattr(self, name))}
        return asdict(self) | unsaid
