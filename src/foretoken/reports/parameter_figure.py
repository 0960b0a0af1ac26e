"""Figure: each parameter by the plain estimate and by the one that forecasts use, with both intervals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import interval, percent, significant
from foretoken.reports.svg import ACCENT, INK, PAPER, drawing, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 4.0
"""Intervals wider than this factor are drawn on a log axis."""
Estimate = tuple[float, list[float] | None]


def parameter_figure(fit: Fit) -> Html:
    """One panel per parameter, plain above, pooled below."""
    found = _both(fit)
    apart = [name for name, (plain, pooled) in found.items() if _outside(plain, pooled)]
    names = ", ".join(apart)
    title = f"Forecasts use other values of {names} than the plain fit" if apart else "Both estimates agree"
    caption = (
        f"Above, in ink: the plain estimate ({fit.objective.get('name', 'huber')}). Below, coloured: the estimate that "
        f"forecasts use, each run by its noise and with weak prior knowledge. Bars: {percent(fit.level, 0)} intervals."
    )
    panels = [
        drawing(
            f"parameter-{place}",
            (290, 140),
            partial(_draw, name=name, plain=pair[0], pooled=pair[1]),
            title=f"{name}, plain and pooled",
            described=caption,
        )
        for place, (name, pair) in enumerate(found.items())
    ]
    rows = [
        [name, significant(plain[0], 4), interval(plain[1]), significant(pooled[0], 4), interval(pooled[1])]
        for name, (plain, pooled) in found.items()
    ]
    heads = ["parameter", "plain", "interval", "used by forecasts", "interval"]
    return figure("parameters", title, panels, caption, table(heads, rows, class_="numbers"), columns=3)


def _both(fit: Fit) -> dict[str, tuple[Estimate, Estimate]]:
    """By parameter: the plain estimate and the pooled one, each with its interval."""
    import numpy as np

    ends = [(1 - fit.level) / 2, (1 + fit.level) / 2]
    bands = np.quantile(np.array(fit.draws), ends, axis=0).T.tolist() if fit.draws else []
    pooled = dict(zip(fit.forecast_parameters, bands, strict=False))
    return {
        name: ((fit.estimates[name], fit.intervals.get(name)), (fit.forecast_parameters[name], pooled.get(name)))
        for name in fit.forecast_parameters
    }


def _outside(plain: Estimate, pooled: Estimate) -> bool:
    return bool(plain[1] and not plain[1][0] <= pooled[0] <= plain[1][1])


def _draw(axes: Axes, *, name: str, plain: Estimate, pooled: Estimate) -> None:
    values = [value for estimate in (plain, pooled) for value in (estimate[0], *(estimate[1] or []))]
    low, high = min(values), max(values)
    if low > 0 and high > WIDE * low:
        log_axis(axes, "x", low / (high / low) ** 0.06, high * (high / low) ** 0.06, significant_tick)
    for height, (value, band), colour in ((1, plain, INK), (0, pooled, ACCENT)):
        if band:
            axes.plot(band, [height, height], color=colour, linewidth=2.2, zorder=2)
        axes.plot(value, height, "o", color=colour, markersize=7.5, markeredgecolor=PAPER, zorder=3)
    axes.set_ylim(-0.7, 1.7)
    axes.set_yticks([0, 1], ["forecasts", "plain"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(name)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=4)


def significant_tick(value: float) -> str:
    """A tick of a parameter's axis: 0.2, 500, 2·10⁵."""
    return f"{value:g}" if 1e-3 <= value < 1e5 else significant(value, 1)
