"""Figure: how much worse the best fit becomes when one parameter is held, and which of its values that leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from foretoken.fits.result import Fit
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import percent, significant
from foretoken.reports.parameter_figure import significant_tick
from foretoken.reports.svg import ACCENT, BAND, INK, PAPER, drawing, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOP = 3.0
"""The figure reaches this many times the rise at the interval's ends."""


def profile_figure(fit: Fit) -> Html | None:
    """One panel per profile; None for a fit without any."""
    if not fit.profiles:
        return None
    caption = (
        "The parameter is held at each value and all others are fitted again. Height: by how much the objective then "
        f"lies above its least. Shaded: the values inside the {percent(fit.level, 0)} profile interval; shade that "
        "reaches an end of the axis means that the runs set no bound there. Filled: the plain estimate."
    )
    title = "; ".join(_finding(name, told) for name, told in fit.profiles.items())
    panels = [
        drawing(
            f"profile-{place}",
            (430, 260),
            partial(_draw, name=name, told=told, estimate=fit.estimates.get(name)),
            title=_finding(name, told),
            described=caption,
        )
        for place, (name, told) in enumerate(fit.profiles.items())
    ]
    rows = [
        [name, significant(value, 4), percent(rise, 3)]
        for name, told in fit.profiles.items()
        for value, rise in zip(told["values"], told["rise"], strict=True)
    ]
    data = table(["parameter", "held at", "objective above its least"], rows, class_="numbers")
    return figure("profiles", title, panels, caption, data, columns=2)


def _finding(name: str, told: Mapping[str, Any]) -> str:
    low, high = (significant(end) for end in told["interval"])
    if told["identified"]:
        return f"The runs say what {name} is: {low} to {high}"
    return f"The runs do not say what {name} is: anything from {low} to {high} fits"


def _draw(axes: Axes, *, name: str, told: Mapping[str, Any], estimate: float | None) -> None:
    import numpy as np

    values, rise = np.array(told["values"]), 100 * np.array(told["rise"])
    low, high = told["interval"]
    limit = max(float(np.interp([low, high], values, rise).max()), 0.1)
    near = rise <= TOP * limit
    air = (high / low) ** 0.15 if low > 0 else 1.0
    left, right = min(values[near].min(), low / air), max(values[near].max(), high * air)
    if left > 0 and right > 4 * left:
        log_axis(axes, "x", left, right, significant_tick)
    else:
        axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
        axes.locator_params(axis="x", nbins=5)
    axes.axvspan(low, high, color=BAND, linewidth=0, zorder=0)
    axes.plot(values, rise, color=INK, linewidth=1.6, zorder=2)
    if estimate is not None:
        axes.plot(estimate, 0, "o", color=ACCENT, markersize=8, markeredgecolor=PAPER, clip_on=False, zorder=4)
    axes.set_ylim(0, TOP * limit)
    axes.set_xlabel(name)
    axes.set_ylabel("objective above its least (%)")
