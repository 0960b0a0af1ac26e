"""The law on the way to the target: what runs of the target's proportions are forecast to reach, compute by compute."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.reports.study_results import StudyResults

POINTS = 40
INNER_LEVEL = 0.5


@dataclass(frozen=True)
class Path:
    """Forecasts for new runs, in order of compute."""

    outer: list[Forecast]
    inner: list[Forecast]
    """The same at level 0.5."""
    tokens_per_param: float

    @property
    def flops(self) -> list[float]:
        """Compute of each point."""
        return [forecast.flops for forecast in self.outer]


def path_to_target(study: StudyResults) -> Path | None:
    """From about the smallest run's compute to the target's; None without a fit and a target.

    All points have the target's tokens per parameter. Small models spend more on attention and head, so the FLOPs per
    parameter and token follow the runs' own power of the size.
    """
    import numpy as np

    told, fit = study.predicted, study.fit
    if fit is None or not fit.residuals or any(told.get(key) is None for key in ("params", "tokens", "flops")):
        return None
    ratio = told["tokens"] / told["params"]
    reach = 0.5 * np.log(told["flops"] / min(row.flops for row in fit.residuals))
    steps = np.linspace(-reach, 0.0, POINTS)
    sizes = told["params"] * np.exp(steps)
    flops = told["flops"] * np.exp((2 + _slope(fit)) * steps)

    def along(level: float) -> list[Forecast]:
        return [
            predict(fit, params=float(n), tokens=float(ratio * n), flops=float(c), level=level)
            for n, c in zip(sizes, flops, strict=True)
        ]

    return Path(along(told.get("level", fit.level)), along(INNER_LEVEL), ratio)


def _slope(fit: Fit) -> float:
    """How the FLOPs per parameter and token change with size: their slope on two log axes."""
    import numpy as np

    sizes = np.log([row.params for row in fit.residuals])
    intensities = np.log([row.flops / row.params / row.tokens for row in fit.residuals])
    return float(np.polyfit(sizes, intensities, 1)[0]) if np.ptp(sizes) else 0.0
