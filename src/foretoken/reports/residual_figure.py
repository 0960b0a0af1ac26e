"""Figure: how far each run lies from the law, against its size, its tokens and its compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import count, number, percent, power
from foretoken.reports.palette import draw_marks, drawn_words, mark_noun, thinned
from foretoken.reports.svg import INK, MUTED, Budget, drawing, log_axis, padded, short_count, short_power

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES = {
    "params": ("parameters N", short_count),
    "tokens": ("training tokens D", short_count),
    "flops": ("compute C (FLOP)", short_power),
}
FAR = 3.0
"""The farthest run is told on its own from so many times what nine of ten keep within."""
OTHERS = {"": Budget("", 1.0, INK)}


def residual_figure(fit: Fit, budgets: dict[str, Budget]) -> Html | None:
    """Three panels with one scale; None without residuals."""
    if not fit.residuals:
        return None
    errors, relative = residuals_of(fit)
    spread = math.sqrt(sum(error * error for error in errors) / len(errors))
    write = _writer(relative)
    title = residual_title(fit)
    noun = mark_noun(fit)
    kept = thinned(fit.residuals)
    caption = (
        f"{'Loss over fitted loss, less 1,' if relative else 'Measured less fitted'} for each of the {len(errors)} "
        f"{noun} (root mean square {write(spread)}), coloured by compute budget. "
        f"{drawn_words(len(kept), len(errors), noun)}A bend or a slope here would mean that the law has the wrong form."
    )
    panels = [
        drawing(
            f"residuals-{name}",
            (290, 230),
            partial(_draw, fit=fit, kept=kept, errors=errors, budgets=budgets, name=name, relative=relative),
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
            percent(error, 2, signed=True) if relative else number(error, 4),
        ]
        for row, error in ((fit.residuals[i], errors[i]) for i in kept)
    ]
    data = table(["run", "N", "D", "C (FLOP)", "loss", "fitted", "residual"], rows, class_="numbers")
    return figure("residuals", title, panels, caption, data, columns=3)


def residuals_of(fit: Fit) -> tuple[list[float], bool]:
    """Loss over fitted loss less 1; differences, and False, for a law that is not fitted on logarithms."""
    relative = find_law(fit.law).target == "log"
    return [row.loss / row.fitted - 1 if relative else row.loss - row.fitted for row in fit.residuals], relative


def _writer(relative: bool) -> Callable[[float], str]:
    return partial(percent, digits=2) if relative else partial(number, digits=4)


def residual_title(fit: Fit) -> str:
    """How far the law is from its runs."""
    errors, relative = residuals_of(fit)
    sizes, write = sorted(map(abs, errors)), _writer(relative)
    most = sizes[math.ceil(0.9 * len(sizes)) - 1]
    if sizes[-1] <= FAR * most:
        return f"The law passes within {write(sizes[-1])} of every run it was fitted to"
    return f"Nine of ten runs lie within {write(most)} of the law; the farthest is {write(sizes[-1])} off"


def _draw(
    axes: Axes,
    *,
    fit: Fit,
    kept: list[int],
    errors: list[float],
    budgets: dict[str, Budget],
    name: str,
    relative: bool,
) -> None:
    words, write = AXES[name]
    scale = 100 if relative else 1
    runs = [fit.residuals[i] for i in kept]
    places = [getattr(run, name) for run in runs]
    log_axis(axes, "x", *padded(places), write)
    axes.axhline(0, color=MUTED, linewidth=1)
    groups = [run.group if run.group in budgets else "" for run in runs]
    heights = [scale * errors[i] for i in kept]
    draw_marks(axes, zip(places, heights, map(str, groups), strict=True), budgets | OTHERS)
    reach = 1.25 * scale * max(*map(abs, errors), 1e-4)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(words)
    axes.set_ylabel(("residual (%)" if relative else "residual") if name == "params" else "")
