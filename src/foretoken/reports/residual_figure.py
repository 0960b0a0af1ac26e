"""Figure: how far each run lies from the law, against its size, its tokens and its compute."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit
from foretoken.reports.drawing import INK, MUTED, Budget, drawing, log_axis, padded, short_count, short_power
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.wording import count, number, percent, power

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "params": ("parameters N", short_count),
    "tokens": ("training tokens D", short_count),
    "flops": ("compute C (FLOP)", short_power),
}


def residual_figure(fit: Fit, budgets: dict[str, Budget]) -> Html | None:
    """Three panels with one scale; None without residuals."""
    if not fit.residuals:
        return None
    errors = [row.loss / row.fitted - 1 for row in fit.residuals]
    spread = math.sqrt(sum(error * error for error in errors) / len(errors))
    title = f"The law passes within {percent(max(map(abs, errors)), 2)} of every run it was fitted to"
    caption = (
        f"Loss over fitted loss, less 1, for each of the {len(errors)} runs (root mean square {percent(spread, 2)}), "
        "coloured by compute budget. A bend or a slope here would mean that the law has the wrong form."
    )
    panels = [
        drawing(
            f"residuals-{name}",
            (290, 230),
            partial(_draw, fit=fit, errors=errors, budgets=budgets, name=name),
            title=f"Residuals against {AXES[name][0]}",
            described=caption,
        )
        for name in AXES
    ]
    rows = [
        [
            row.run[:8],
            count(row.params),
            count(row.tokens),
            power(row.flops),
            number(row.loss, 4),
            number(row.fitted, 4),
            percent(error, 2, signed=True),
        ]
        for row, error in zip(fit.residuals, errors, strict=True)
    ]
    data = table(["run", "N", "D", "C (FLOP)", "loss", "fitted", "residual"], rows, class_="numbers")
    return figure("residuals", title, panels, caption, data, columns=3)


def _draw(axes: Axes, *, fit: Fit, errors: list[float], budgets: dict[str, Budget], name: str) -> None:
    words, write = AXES[name]
    places = [getattr(row, name) for row in fit.residuals]
    log_axis(axes, "x", *padded(places), write)
    axes.axhline(0, color=MUTED, linewidth=1)
    for row, place, error in zip(fit.residuals, places, errors, strict=True):
        budget = budgets.get(row.group or "")
        colour = budget.colour if budget else INK
        axes.plot(place, 100 * error, "o", markerfacecolor="none", color=colour, markersize=5.5, markeredgewidth=1.3)
    reach = 125 * max(*map(abs, errors), 1e-4)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(words)
    axes.set_ylabel("residual (%)" if name == "params" else "")
