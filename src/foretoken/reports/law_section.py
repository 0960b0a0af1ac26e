"""How well does the law fit? Residuals, parameters, procedure, held-out budgets and checks of a fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

from foretoken.fits.parts import Dropped
from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.reports.html import Html, as_sentence, checks_list, details, element, figure, section, table, with_code
from foretoken.reports.law_figures import residual_figure
from foretoken.reports.numbers import count, factor, interval, number, percent, significant
from foretoken.reports.palette import Budgets
from foretoken.reports.svg import ACCENT, INK, PAPER, drawing, log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_HELD_OUT = 8
"""More rows than these open on demand."""
STRONG = 0.9
"""Correlations of at least this are named."""


def no_law_section(refusal: str | None) -> Html:
    """The section where there is no fit: why it was refused, or that the small runs are not finished."""
    why = refusal or "There is no fit yet: it is made when the small runs are finished."
    return section("law", "How well does the law fit?", element("p", why, class_="doubt" if refusal else None))


def law_section(fit: Fit, budgets: Budgets, entropy_rate: float | None = None, approach3: Fit | None = None) -> Html:
    """Residuals, parameters, procedure, held-out budgets and checks of a fit.

    Args:
        fit: the fit behind the page.
        budgets: colours of its runs.
        entropy_rate: nats per token that no model can go below, where the source is synthetic.
        approach3: Chinchilla's own form on the same runs, where the fit is of another law.

    """
    return section(
        "law",
        "How well does the law fit?",
        element("p", _introduction(fit)),
        residual_figure(fit, budgets),
        element("h3", "Parameters"),
        _parameters(fit, entropy_rate),
        element("p", _correlations(fit)),
        *_approach3(fit, approach3, entropy_rate),
        element("h3", "How it was fitted"),
        element("ul", *(element("li", with_code(line)) for line in _procedure(fit))),
        _held_out(fit),
        element("h3", "Checks"),
        checks_list(fit.checks),
    )


def _introduction(fit: Fit) -> Html:
    law = find_law(fit.law)
    words = element("code", law.formula)
    source = f" {as_sentence(law.citation)}"
    return element("span", "The law is ", words, f", fitted to {fit.rows.used} runs.{source}")


def _parameters(fit: Fit, entropy_rate: float | None) -> Html:
    # Why a parameter is missing matters more than what it means.
    rows = []
    for name, value in fit.parameters.items():
        bounds = fit.intervals.get(name)
        why = fit.reasons.get(name, "")
        rows.append(
            [
                name,
                significant(value, 4),
                interval(bounds),
                as_sentence(why) if why else _meaning(name, fit.unit, entropy_rate),
            ]
        )
    return table(["", "estimate", f"{percent(fit.level, 0)} interval", ""], rows, class_="numbers words-4")


def _approach3(fit: Fit, other: Fit | None, entropy_rate: float | None) -> list[Html]:
    """The parameters of Chinchilla's own form, where the forecast is by another law."""
    if other is None or other.law == fit.law:
        return []
    words = (
        f"Approach 3 of Hoffmann et al. 2022 on the same runs, {find_law(other.law).formula}: Huber sum "
        f"{significant(other.objective.huber_sum)} against {significant(fit.objective.huber_sum)}."
    )
    return [element("h3", "For comparison: approach 3"), element("p", words), _parameters(other, entropy_rate)]


def _meaning(name: str, unit: str, entropy_rate: float | None) -> str:
    meanings = {
        "E": f"irreducible loss ({unit})"
        + (f"; the source's entropy rate is {number(entropy_rate, 4)}" if entropy_rate else ""),
        "alpha": "how fast the loss falls with parameters",
        "beta": "how fast the loss falls with tokens",
        "gamma": "how much parameters and tokens stand in for each other; 1 is Chinchilla's plain sum",
    }
    return meanings.get(name, "")


def _correlations(fit: Fit) -> str:
    """Which parameters the runs cannot tell apart."""
    if len(fit.map_draws) < 3:
        return ""
    import numpy as np

    names = list(fit.unpenalised_parameters)
    # Parameters span decades, so their logarithms are correlated; the tiny shift keeps a draw of exactly 0 finite.
    with np.errstate(invalid="ignore"):
        matrix = np.nan_to_num(np.corrcoef(np.log(np.abs(np.array(fit.map_draws)) + 1e-300).T))
    pairs = [(names[i], names[j], matrix[i, j]) for i, j in combinations(range(len(names)), 2)]
    strong = [f"{a} and {b} ({number(r, 2)})" for a, b, r in pairs if abs(r) >= STRONG]
    if not strong:
        return f"No two parameters are strongly correlated: all are below {STRONG} in the {len(fit.map_draws)} draws."
    return f"Strongly correlated in the {len(fit.map_draws)} draws, so known only together: {', '.join(strong)}."


def _procedure(fit: Fit) -> list[str]:
    lines = [
        f"Status: {fit.status_words}. {fit.starts.agree} of {fit.starts.tried} starts "
        f"agree; condition number {significant(fit.conditioning)}.",
        f"Objective: Huber on log loss, delta {significant(fit.objective.delta)}; sum at the optimum "
        f"{significant(fit.objective.huber_sum)}.",
        f"Rows: {fit.rows.used} used, {_dropped(fit.rows.dropped)}.",
        f"N is the column {fit.params_column}.",
    ]
    if fit.bootstrap:
        lines.append(f"Draws: {len(fit.map_draws)}, {as_sentence(fit.bootstrap, capital=False)}")
    ranges = {"params": fit.ranges.params, "tokens": fit.ranges.tokens}
    lines += [
        f"Fitted from {count(low)} to {count(high)} {name.replace('params', 'parameters')}."
        for name, (low, high) in ranges.items()
    ]
    return lines + [f"Assumed: {as_sentence(assumption, capital=False)}" for assumption in fit.assumed]


def _dropped(dropped: list[Dropped]) -> str:
    if not dropped:
        return "none left out"
    return "left out: " + "; ".join(f"{row.count} ({row.reason})" for row in dropped)


def _held_out(fit: Fit) -> Html | None:
    """What the fit learned about its own form by leaving out the budgets of most compute."""
    if not fit.held_out:
        return None
    rows = [
        [
            # Distances and errors are kept on logarithms.
            factor(math.exp(row.distance)),
            percent(math.expm1(row.error), 2, signed=True),
            percent(row.explained, 2),
        ]
        for row in sorted(fit.held_out, key=lambda row: row.distance)
    ]
    words = (
        "Budgets that were held out, and by how much the law fitted to the cheaper ones missed them. Every interval "
        "beyond the data allows for an error of the law that grows by "
        f"{percent(fit.noise.misfit_growth, 2)} per e-fold: what laws that fit like this one show in general, and for "
        "a fifth what these budgets do."
    )
    headers = ["compute beyond the data", "mean error", "explained by parameter uncertainty"]
    budgets_table = table(headers, rows, class_="numbers")
    shown = budgets_table if len(rows) <= MOST_HELD_OUT else details(f"The {len(rows)} held-out budgets", budgets_table)
    return element("div", element("h3", "Held-out budgets"), element("p", words), shown)


WIDE = 4.0
"""Intervals wider than this factor are drawn on a log axis."""
Estimate = tuple[float, Sequence[float] | None]


def parameter_figure(fit: Fit) -> Html:
    """One panel per parameter, unpenalised above, MAP below."""
    estimates = _both_estimates(fit)
    apart = [name for name, (unpenalised, map_estimate) in estimates.items() if _outside(unpenalised, map_estimate)]
    names = ", ".join(apart)
    title = f"Forecasts use other values of {names} than the unpenalised fit" if apart else "Both estimates agree"
    caption = (
        f"Above, in ink: the unpenalised estimate ({fit.objective.name}). Below, coloured: the estimate that "
        f"forecasts use, MAP: runs weighted by their noise, with a weak prior. Bars: {percent(fit.level, 0)} intervals."
    )
    panels = [
        drawing(
            f"parameter-{rank}",
            (290, 140),
            partial(_draw_parameter, name=name, unpenalised=pair[0], map_estimate=pair[1]),
            title=f"{name}, unpenalised and MAP" + (": not identified" if name in fit.reasons else ""),
            described=caption,
        )
        for rank, (name, pair) in enumerate(estimates.items())
    ]
    rows = [
        [
            name,
            significant(unpenalised[0], 4),
            interval(unpenalised[1]),
            significant(map_estimate[0], 4),
            interval(map_estimate[1]),
        ]
        for name, (unpenalised, map_estimate) in estimates.items()
    ]
    rows = [[f"{name} (not identified)" if name in fit.reasons else name, *cells] for name, *cells in rows]
    heads = ["parameter", "unpenalised", "interval", "used by forecasts", "interval"]
    return figure("parameters", title, panels, caption, table(heads, rows, class_="numbers"), columns=3)


def _both_estimates(fit: Fit) -> dict[str, tuple[Estimate, Estimate]]:
    """By parameter: the unpenalised estimate and the MAP one, each with its interval."""
    import numpy as np

    # Equal tails: level 0.9 is the quantiles 0.05 and 0.95 of the draws.
    ends = [(1 - fit.level) / 2, (1 + fit.level) / 2]
    bands = np.quantile(np.array(fit.map_draws), ends, axis=0).T.tolist()
    map_estimate = dict(zip(fit.map_parameters, bands, strict=False))
    return {
        name: (
            (fit.unpenalised_parameters[name], fit.intervals.get(name)),
            (fit.map_parameters[name], map_estimate.get(name)),
        )
        for name in fit.map_parameters
    }


def _outside(unpenalised: Estimate, map_estimate: Estimate) -> bool:
    return bool(unpenalised[1] and not unpenalised[1][0] <= map_estimate[0] <= unpenalised[1][1])


def _draw_parameter(axes: Axes, *, name: str, unpenalised: Estimate, map_estimate: Estimate) -> None:
    values = [value for estimate in (unpenalised, map_estimate) for value in (estimate[0], *(estimate[1] or []))]
    low, high = min(values), max(values)
    # A few per cent are equal steps on either axis; factors are so on a log axis alone.
    if low > 0 and high > WIDE * low:
        log_axis(axes, "x", low / (high / low) ** 0.06, high * (high / low) ** 0.06, significant_tick)
    for height, (value, band), colour in ((1, unpenalised, INK), (0, map_estimate, ACCENT)):
        if band:
            axes.plot(band, [height, height], color=colour, linewidth=2.2, zorder=2)
        axes.plot(value, height, "o", color=colour, markersize=7.5, markeredgecolor=PAPER, zorder=3)
    axes.set_ylim(-0.7, 1.7)
    axes.set_yticks([0, 1], ["forecasts", "unpenalised"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(name)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=4)


def significant_tick(value: float) -> str:
    """A tick of a parameter's axis: 0.2, 500, 2·10⁵."""
    return f"{value:g}" if 1e-3 <= value < 1e5 else significant(value, 1)
