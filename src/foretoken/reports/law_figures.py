"""Figures of a law and its runs: losses against size and tokens, and the residuals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.parts import FittedRun
from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.laws.law import FEATURES, Array, Law
from foretoken.reports.html import Html, element, figure, table
from foretoken.reports.numbers import count, number, percent, power
from foretoken.reports.palette import Budget, Budgets, colour_key, draw_marks, drawn_words, mark_noun, thinned
from foretoken.reports.svg import INK, MUTED, apart, drawing, log_axis, padded, short_count, short_power, write_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = (430, 340)
POINTS = 40


def law_figure(fit: Fit, budgets: Budgets) -> Html:
    """Loss against N and against D with the law at each budget; for other laws against their feature, or the fitted."""
    title = law_title(fit)
    words, views = law_views(fit, budgets)
    panels = [drawing(f"law-{name}", PANEL, draw, title=title, described=words) for name, draw in views.items()]
    caption, runs = words, [fit.runs[i] for i in thinned(fit.runs)]
    shown = figure("runs-and-law", title, panels, caption, _data(runs), columns=2)
    return element("div", colour_key(budgets), shown)


def law_views(fit: Fit, budgets: Budgets) -> tuple[str, dict[str, Callable[[Axes], None]]]:
    """What is drawn of a law and its runs, in words, and a function of axes for each panel, by name."""
    law = find_law(fit.law)
    runs = [fit.runs[i] for i in thinned(fit.runs)]
    words, views = _views(law)
    said = drawn_words(len(runs), len(fit.runs), mark_noun(fit)) + words
    return said, {name: partial(draw, fit=fit, law=law, runs=runs, budgets=budgets) for name, draw in views.items()}


def law_title(fit: Fit) -> str:
    """How the best size moves over the runs' compute; for laws without one, what is held against what."""
    law = find_law(fit.law)
    if law.optimum is None or set(law.features) != {"params", "tokens"}:
        return f"The law in {law.features[0]} and its runs" if len(law.features) == 1 else "The runs against the law"
    each = fit.flops_per_param_token
    ends = fit.ranges.flops
    sizes = [float(law.optimum(fit.map_parameters, end, each)[0]) for end in ends]
    small, large = (f"{count(size)} at {power(end, 1)} FLOP" for size, end in zip(sizes, ends, strict=True))
    return f"The best size grows from {small} to {large}"


def _views(law: Law) -> tuple[str, dict[str, Callable[..., None]]]:
    """Caption and panels, by what the law reads."""
    if set(law.features) == {"params", "tokens"}:
        words = (
            "Open circles: runs, coloured by training compute. Lines: the law that forecasts use, at the compute of "
            "each colour; left against parameters, right against tokens. A circle stands as far off its line as the "
            "law misses the run at its own size and length."
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


def _draw_budgets(axes: Axes, *, fit: Fit, law: Law, runs: Sequence[FittedRun], budgets: Budgets, name: str) -> None:
    write = short_count
    curves = {group: _Curve.of(fit, law, budget) for group, budget in budgets.items()}
    marks = [(*curves[run.group or ""].beside(run, name), run.group or "") for run in runs]
    low, high = padded([x for x, _, _ in marks])
    log_axis(axes, "x", low, high * (high / low) ** 0.1, write)
    draw_marks(axes, marks, budgets)
    axes.set_ylim(*_heights([loss for _, loss, _ in marks]))
    ends = [_draw_curve(axes, curves[group], budget, name) for group, budget in budgets.items()]
    _name_curves(axes, [end for end in ends if end is not None])
    axes.set_xlabel(f"{FEATURES[name].symbol} ({_unit(fit, name)})")
    axes.set_ylabel(f"{law.column} ({fit.unit})" if name == "params" else "")


@dataclass(frozen=True)
class _Curve:
    """The law at the compute of one colour, over the sizes of its runs."""

    loss: Callable[[Array, Array], Array]
    product: float
    """Parameters x tokens, by the FLOP per parameter and token of its own runs and not by 6 N D."""
    sizes: tuple[float, float]

    @classmethod
    def of(cls, fit: Fit, law: Law, budget: Budget) -> _Curve:
        """From the runs of a colour."""
        import numpy as np

        members = [run for run in fit.runs if run.group == budget.group]
        each = float(np.median([run.flops / (run.params * run.tokens) for run in members]))
        sizes = [run.params for run in members]
        return cls(partial(_loss, fit, law), budget.flops / each, (min(sizes), max(sizes)))

    def at(self, params: Array) -> tuple[Array, Array]:
        """Tokens and losses of sizes at this compute."""
        tokens = self.product / params
        return tokens, self.loss(params, tokens)

    def beside(self, run: FittedRun, name: str) -> tuple[float, float]:
        """Where a run is drawn: at its size and this compute, as far off the law as it is at its own length.

        Runs of one colour need not be of one compute: where they stand, a law that fits them goes through them.
        """
        import numpy as np

        tokens, loss = self.at(np.array([run.params]))
        return run.params if name == "params" else float(tokens[0]), float(loss[0]) * run.loss / run.fitted


def _loss(fit: Fit, law: Law, params: Array, tokens: Array) -> Array:
    return law.evaluate(fit.map_parameters, params=params, tokens=tokens)


def _draw_curve(axes: Axes, curve: _Curve, budget: Budget, name: str) -> tuple[float, float, str] | None:
    """The line of one colour, where its runs are of several sizes; returns its end and its name."""
    import numpy as np

    if curve.sizes[1] < 1.05 * curve.sizes[0]:
        return None
    params = np.geomspace(*curve.sizes, POINTS)
    tokens, loss = curve.at(params)
    x = params if name == "params" else tokens
    axes.plot(x, loss, color=budget.colour, linewidth=1.5, zorder=2)
    end = int(x.argmax())
    return float(x[end]), float(loss[end]), power(budget.flops, 0)


def _name_curves(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """The compute of each curve at its right end; where they crowd, the key above says it."""
    bottom, top = axes.get_ylim()
    shown = [end for end in ends if bottom < end[1] < top]
    # More than eight names on 340 pixels run into each other.
    if not shown or len(shown) > 8:
        return
    heights = apart([loss for _, loss, _ in shown], (top - bottom) * 0.052)
    for (x, _, words), height in zip(shown, heights, strict=True):
        write_label(axes, words, (x, height), (5, 0), colour=MUTED, size=10)


def _draw_one(axes: Axes, *, fit: Fit, law: Law, runs: Sequence[FittedRun], budgets: Budgets) -> None:
    import numpy as np

    (name,) = law.features
    values = [getattr(run, name) for run in runs]
    log_axis(axes, "x", *padded(values), short_power if name == "flops" else short_count)
    draw_marks(axes, [(x, run.loss, run.group or "") for x, run in zip(values, runs, strict=True)], budgets)
    grid = np.geomspace(min(values), max(values), POINTS)
    axes.plot(grid, law.evaluate(fit.map_parameters, **{name: grid}), color=INK, linewidth=1.4, zorder=2)
    axes.set_xlabel(f"{FEATURES[name].symbol} ({_unit(fit, name)})")
    axes.set_ylabel(f"{law.column} ({fit.unit})")


def _draw_fitted(axes: Axes, *, fit: Fit, law: Law, runs: Sequence[FittedRun], budgets: Budgets) -> None:
    values = [value for run in runs for value in (run.loss, run.fitted)]
    axes.plot([min(values), max(values)], [min(values), max(values)], color=INK, linewidth=1.2, zorder=2)
    draw_marks(axes, [(run.fitted, run.loss, run.group or "") for run in runs], budgets)
    axes.set_xlabel(f"fitted {law.column} ({fit.unit})")
    axes.set_ylabel(f"measured {law.column} ({fit.unit})")


def _heights(losses: Sequence[float]) -> tuple[float, float]:
    """The loss axis: all runs, with some air."""
    low, high = min(losses), max(losses)
    air = 0.06 * (high - low) or 0.01 * abs(high)
    return low - air, high + air


def _unit(fit: Fit, name: str) -> str:
    return {"params": fit.params_column, "tokens": "training tokens", "flops": "FLOP"}[name]


def _data(runs: Sequence[FittedRun]) -> Html:
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


RESIDUAL_AXES = {
    "params": ("parameters N", short_count),
    "tokens": ("training tokens D", short_count),
    "flops": ("compute C (FLOP)", short_power),
}
FAR = 3.0
"""The farthest run is told on its own from so many times what nine of ten keep within."""


def residual_figure(fit: Fit, budgets: Budgets) -> Html | None:
    """Three panels with one scale; None without residuals."""
    if not fit.runs:
        return None
    errors, relative = residuals_of(fit)
    spread = math.sqrt(sum(error * error for error in errors) / len(errors))
    write = _residual_writer(relative)
    title = residual_title(fit)
    noun = mark_noun(fit)
    drawn = thinned(fit.runs)
    caption = (
        f"{'Loss over fitted loss, less 1,' if relative else 'Measured less fitted'} for each of the {len(errors)} "
        f"{noun} (root mean square {write(spread)}), coloured by compute budget. "
        f"{drawn_words(len(drawn), len(errors), noun)}A bend or a slope here means that the law has the wrong form."
    )
    panels = [
        drawing(
            f"residuals-{name}",
            (290, 230),
            partial(
                _draw_residuals, fit=fit, drawn=drawn, errors=errors, budgets=budgets, name=name, relative=relative
            ),
            title=f"Residuals against {RESIDUAL_AXES[name][0]}",
            described=caption,
        )
        for name in RESIDUAL_AXES
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
        for row, error in ((fit.runs[i], errors[i]) for i in drawn)
    ]
    data = table(["run", "N", "D", "C (FLOP)", "loss", "fitted", "residual"], rows, class_="numbers")
    return figure("residuals", title, panels, caption, data, columns=3)


def residuals_of(fit: Fit) -> tuple[list[float], bool]:
    """Loss over fitted loss less 1; differences, and False, for a law that is not fitted on logarithms."""
    relative = find_law(fit.law).target == "log"
    return [row.loss / row.fitted - 1 if relative else row.loss - row.fitted for row in fit.runs], relative


def _residual_writer(relative: bool) -> Callable[[float], str]:
    return partial(percent, digits=2) if relative else partial(number, digits=4)


def residual_title(fit: Fit) -> str:
    """How far the law is from its runs."""
    errors, relative = residuals_of(fit)
    sizes, write = sorted(map(abs, errors)), _residual_writer(relative)
    # The 90 % quantile as the smallest size that nine of ten runs do not exceed.
    most = sizes[math.ceil(0.9 * len(sizes)) - 1]
    if sizes[-1] <= FAR * most:
        return f"The law passes within {write(sizes[-1])} of every run it was fitted to"
    return f"Nine of ten runs lie within {write(most)} of the law; the farthest is {write(sizes[-1])} off"


def _draw_residuals(
    axes: Axes,
    *,
    fit: Fit,
    drawn: list[int],
    errors: list[float],
    budgets: Budgets,
    name: str,
    relative: bool,
) -> None:
    words, write = RESIDUAL_AXES[name]
    scale = 100 if relative else 1
    runs = [fit.runs[i] for i in drawn]
    values = [getattr(run, name) for run in runs]
    log_axis(axes, "x", *padded(values), write)
    axes.axhline(0, color=MUTED, linewidth=1)
    heights = [scale * errors[i] for i in drawn]
    draw_marks(axes, zip(values, heights, (run.group or "" for run in runs), strict=True), budgets)
    reach = 1.25 * scale * max(*map(abs, errors), 1e-4)
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(words)
    axes.set_ylabel(("residual (%)" if relative else "residual") if name == "params" else "")
