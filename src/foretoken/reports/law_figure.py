"""Figure: the runs and the law through them, against size and against tokens, coloured by compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit, Residual
from foretoken.laws import find_law
from foretoken.laws.law import FEATURES, Law
from foretoken.reports.elements import Html, element, figure, table
from foretoken.reports.numbers import count, number, power
from foretoken.reports.palette import colour_key, draw_marks, drawn_words, mark_noun, thinned
from foretoken.reports.svg import INK, MUTED, Budget, apart, drawing, log_axis, padded, short_count, short_power

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (430, 340)
POINTS = 40


def law_figure(fit: Fit, budgets: dict[str, Budget]) -> Html:
    """Loss against N and against D with the law at each budget; for other laws against their feature, or the fitted."""
    law = find_law(fit.law)
    kept = thinned(fit.residuals)
    runs = [fit.residuals[i] for i in kept]
    words, views = _views(law)
    title = _title(fit, law)
    caption = drawn_words(len(runs), len(fit.residuals), mark_noun(fit)) + words
    panels = [
        drawing(
            f"law-{name}",
            PANEL,
            partial(draw, fit=fit, law=law, runs=runs, budgets=budgets),
            title=title,
            described=caption,
        )
        for name, draw in views.items()
    ]
    shown = figure("runs-and-law", title, panels, caption, _data(runs), columns=2)
    return element("div", colour_key(budgets), shown)


def _title(fit: Fit, law: Law) -> str:
    """How the best size moves over the runs' compute; for laws without one, what is held against what."""
    if law.optimum is None or set(law.features) != {"params", "tokens"}:
        return f"The law in {law.features[0]} and its runs" if len(law.features) == 1 else "The runs against the law"
    each = fit.flops_per_param_token
    ends = fit.ranges["flops"]
    sizes = [float(law.optimum(fit.forecast_parameters, end, each)[0]) for end in ends]
    small, large = (f"{count(size)} at {power(end, 1)} FLOP" for size, end in zip(sizes, ends, strict=True))
    return f"The best size grows from {small} to {large}"


def _views(law: Law) -> tuple[str, dict[str, Callable[..., None]]]:
    """Caption and panels, by what the law reads."""
    if set(law.features) == {"params", "tokens"}:
        words = (
            "Open circles: runs, coloured by training compute. Lines: the law that forecasts use, at the compute of "
            "each colour; left against parameters, right against tokens."
        )
        return words, {name: partial(_draw_budgets, name=name) for name in ("params", "tokens")}
    if len(law.features) == 1 and law.features[0] in ("params", "tokens", "flops"):
        words = "Open circles: runs. Line: the law that forecasts use."
        return words, {"line": _draw_one}
    words = (
        f"Each run's {law.column} against what the law gives for it, from {', '.join(law.features)}. "
        "On the line the two are equal."
    )
    return words, {"fitted": _draw_fitted}


def _draw_budgets(
    axes: Axes, *, fit: Fit, law: Law, runs: Sequence[Residual], budgets: dict[str, Budget], name: str
) -> None:
    write = short_count
    places = [getattr(run, name) for run in runs]
    low, high = padded(places)
    log_axis(axes, "x", low, high * (high / low) ** 0.1, write)
    draw_marks(axes, [(x, run.loss, run.group or "") for x, run in zip(places, runs, strict=True)], budgets)
    axes.set_ylim(*_heights([run.loss for run in runs]))
    ends = [_curve(axes, fit, law, budget, name) for budget in budgets.values()]
    _name_curves(axes, [end for end in ends if end is not None])
    axes.set_xlabel(f"{FEATURES[name].symbol} ({_unit(fit, name)})")
    axes.set_ylabel(f"{law.column} ({law.unit})" if name == "params" else "")


def _curve(axes: Axes, fit: Fit, law: Law, budget: Budget, name: str) -> tuple[float, float, str] | None:
    """The law at the compute of one colour, over the sizes of its runs; returns its end and its name."""
    import numpy as np

    members = [run for run in fit.residuals if run.group == budget.group]
    sizes = [run.params for run in members]
    if max(sizes) < 1.05 * min(sizes):
        return None
    each = float(np.median([run.flops / (run.params * run.tokens) for run in members]))
    params = np.geomspace(min(sizes), max(sizes), POINTS)
    tokens = budget.flops / (each * params)
    loss = law.evaluate(fit.forecast_parameters, params=params, tokens=tokens)
    x = params if name == "params" else tokens
    axes.plot(x, loss, color=budget.colour, linewidth=1.5, zorder=2)
    place = int(x.argmax())
    return float(x[place]), float(loss[place]), power(budget.flops, 0)


def _name_curves(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """The compute of each curve at its right end; where they crowd, the key above says it."""
    bottom, top = axes.get_ylim()
    shown = [end for end in ends if bottom < end[1] < top]
    if not shown or len(shown) > 8:
        return
    places = apart([loss for _, loss, _ in shown], (top - bottom) * 0.052)
    for (x, _, words), place in zip(shown, places, strict=True):
        axes.annotate(words, (x, place), (5, 0), textcoords="offset points", va="center", fontsize=10, color=MUTED)


def _draw_one(axes: Axes, *, fit: Fit, law: Law, runs: Sequence[Residual], budgets: dict[str, Budget]) -> None:
    import numpy as np

    (name,) = law.features
    places = [getattr(run, name) for run in runs]
    log_axis(axes, "x", *padded(places), short_power if name == "flops" else short_count)
    draw_marks(axes, [(x, run.loss, run.group or "") for x, run in zip(places, runs, strict=True)], budgets)
    grid = np.geomspace(min(places), max(places), POINTS)
    axes.plot(grid, law.evaluate(fit.forecast_parameters, **{name: grid}), color=INK, linewidth=1.4, zorder=2)
    axes.set_xlabel(f"{FEATURES[name].symbol} ({_unit(fit, name)})")
    axes.set_ylabel(f"{law.column} ({law.unit})")


def _draw_fitted(axes: Axes, *, fit: Fit, law: Law, runs: Sequence[Residual], budgets: dict[str, Budget]) -> None:
    values = [value for run in runs for value in (run.loss, run.fitted)]
    axes.plot([min(values), max(values)], [min(values), max(values)], color=INK, linewidth=1.2, zorder=2)
    draw_marks(axes, [(run.fitted, run.loss, run.group or "") for run in runs], budgets)
    axes.set_xlabel(f"fitted {law.column} ({law.unit})")
    axes.set_ylabel(f"measured {law.column} ({law.unit})")


def _heights(losses: Sequence[float]) -> tuple[float, float]:
    """The loss axis: all runs, with some air."""
    low, high = min(losses), max(losses)
    air = 0.06 * (high - low) or 0.01 * abs(high)
    return low - air, high + air


def _unit(fit: Fit, name: str) -> str:
    return {"params": fit.params_column, "tokens": "training tokens", "flops": "FLOP"}[name]


def _data(runs: Sequence[Residual]) -> Html:
    rows = [
        [
            run.run[:24],
            count(run.params),
            count(run.tokens),
            power(run.flops),
            number(run.loss, 4),
            number(run.fitted, 4),
        ]
        for run in runs
    ]
    return table(["run", "N", "D", "C (FLOP)", "measured", "fitted"], rows, class_="numbers")
