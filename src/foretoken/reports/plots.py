"""Figures of the pages as figures of matplotlib, for a notebook or a paper: the same drawings in colours of their own.

Pages draw in placeholder colours (svg.py) that their style sheet replaces; here each artist gets its colour instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.reports.forecast_figure import draw_forecast, has_way, path_to_target, view_of
from foretoken.reports.law_figures import law_title, law_views
from foretoken.reports.palette import Budgets, coloured, tints
from foretoken.reports.svg import RC, ROLES

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = (430, 360)
"""Width and height of one of several panels, in pixels of 72 to the inch."""
WIDE = (760, 420)
PROPERTIES = ("color", "edgecolor", "facecolor", "markeredgecolor", "markerfacecolor")
"""What artists call their colours."""


def plot_of_fit(fit: Fit) -> Figure:
    """The runs of a fit beside its law: at each budget for a law of N and D, along its feature, or against the fitted.

    >>> import foretoken
    >>> [axes.get_ylabel() for axes in plot_of_fit(foretoken.fit("sample", "power", draws=50)).axes]
    ['loss (nats per token)']
    """
    shown, budgets = coloured(fit)
    _, views = law_views(shown, budgets)
    return _figure(law_title(shown), list(views.values()), budgets, PANEL if len(views) > 1 else WIDE)


def plot_of_forecast(forecast: Forecast, fit: Fit) -> Figure:
    """Loss against compute: the runs of the fit, the law on its way to the forecast, and the forecast's interval.

    Raises ForetokenError where the law reads something besides N, D and C, or predicts no loss.
    """
    if not has_way(forecast, fit):
        cure = "fit.plot() draws the runs beside the law"
        raise ForetokenError("loss cannot be drawn against compute", expected="a law of N, D and C", cure=cure)
    shown, budgets = coloured(fit)
    view, path = view_of(forecast, shown), path_to_target(forecast, shown)
    draw = partial(draw_forecast, view=view, budgets=budgets, path=path)
    return _figure(f"The law of {fit.rows.used} runs on its way to the forecast", [draw], budgets, WIDE)


def _figure(title: str, draws: Sequence[Callable[[Axes], None]], budgets: Budgets, size: tuple[int, int]) -> Figure:
    """A figure of one panel per drawing, its title above and the compute of each colour at its right."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    palette = _palette(budgets)
    settings: Any = {**RC, "figure.facecolor": f"#{palette['paper']}"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(size[0] * len(draws) / 72, size[1] / 72), layout="constrained")
        for axes, draw in zip(np.ravel(figure.subplots(1, len(draws))), draws, strict=True):
            draw(axes)
        figure.suptitle(title, x=0.01, ha="left", fontsize=13)
        marks = [
            Line2D([], [], marker="o", linestyle="", markerfacecolor="none", color=budget.colour, label=budget.label)
            for budget in budgets.values()
        ]
        if len(marks) > 1:
            figure.legend(handles=marks, loc="outside right upper", title="FLOP", frameon=False, fontsize=10)
        # Ticks are made when they are first needed, with the settings of that moment.
        figure.draw_without_rendering()
    for artist in figure.findobj():
        _recolour(artist, palette)
    return figure


@cache
def _roles() -> dict[str, str]:
    """The colour of each role on light paper, as the pages have it."""
    css = files("foretoken.reports").joinpath("page.css").read_text(encoding="utf-8")
    return {role: found[1] for role in ROLES if (found := re.search(rf"--{role}: #(\w{{6}});", css))}


def _palette(budgets: Budgets) -> dict[str, str]:
    """Six hexadecimal digits by role, and by the rank of a budget."""
    return _roles() | {str(rank): tint[1:] for rank, tint in enumerate(tints(budgets) if budgets else [])}


def _recolour(artist: Artist, palette: dict[str, str]) -> None:
    """Replace the placeholders among the colours of an artist."""
    for name in PROPERTIES:
        value = getattr(artist, f"get_{name}", lambda: None)()
        if value is None or (isinstance(value, str) and value in ("none", "auto")):
            continue
        replaced = _replaced(value, palette)
        if replaced is not None:
            getattr(artist, f"set_{name}")(replaced)


def _replaced(value: Any, palette: dict[str, str]) -> Any:
    """The colours with their placeholders replaced, one or many; None where there is none."""
    from matplotlib.colors import to_rgba_array

    colours = to_rgba_array(value)
    changed = False
    for row, (red, green, blue, _) in enumerate(np.rint(255 * colours).astype(int)):
        if red == 1 and green in (1, 2):
            key = ROLES[blue] if green == 1 else str(blue)
            colours[row, :3] = [int(palette[key][k : k + 2], 16) / 255 for k in (0, 2, 4)]
            changed = True
    if not changed:
        return None
    return tuple(colours[0]) if len(colours) == 1 else colours
