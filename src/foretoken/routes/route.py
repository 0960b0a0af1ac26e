"""Route: one way to the compute-optimal path N* = G C^a, with its doubts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from foretoken.laws.law import Array


@dataclass(frozen=True, kw_only=True)
class Route:
    """What one method says about N* = prefactor x C^exponent."""

    name: str
    method: str
    exponent: float | None = None
    exponent_interval: list[float] | None = None
    prefactor: float | None = None
    """Parameters at C = 1 FLOP, far outside any data: read it together with the exponent."""
    prefactor_interval: list[float] | None = None
    largest: dict[str, Any] | None = None
    """N* at the table's largest compute: {flops, params, interval}."""
    points: list[dict[str, float]] = field(default_factory=list)
    """What the line goes through: {flops, params}."""
    params_column: str = ""
    bias: dict[str, float] | None = None
    """What this method gives for noise-free runs of the fitted surface, less the surface's own answer: `exponent`
    (difference) and `params` (ratio at the largest compute)."""
    reason: str | None = None
    """Why there is no exponent."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def through(compute: Array, sizes: Array) -> list[dict[str, float]]:
    """Points of ln C [c] and ln N* [c], as a Route keeps them."""
    return [{"flops": float(np.exp(c)), "params": float(np.exp(n))} for c, n in zip(compute, sizes, strict=True)]


def power_path(slopes: Array, levels: Array, level: float, largest: float) -> dict[str, Any]:
    """Estimate (first) and draws (the rest) of a and ln G [1 + b], as the fields of a Route."""
    ends = levels + slopes * np.log(largest)
    ranges = {name: _band(values[1:], level) for name, values in (("a", slopes), ("G", levels), ("end", ends))}
    return {
        "exponent": float(slopes[0]),
        "exponent_interval": ranges["a"],
        "prefactor": float(np.exp(levels[0])),
        "prefactor_interval": np.exp(ranges["G"]).tolist(),
        "largest": {
            "flops": float(largest),
            "params": float(np.exp(ends[0])),
            "interval": np.exp(ranges["end"]).tolist(),
        },
    }


def _band(values: Array, level: float) -> list[float]:
    return [float(value) for value in np.quantile(values, [(1 - level) / 2, (1 + level) / 2])]
