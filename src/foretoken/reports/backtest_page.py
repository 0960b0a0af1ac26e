"""The page of a back-test: errors of the forecasts, their coverage, and how both change with distance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.forecasts.backtest import BackTest, Origin
from foretoken.forecasts.coverage import HeldOutRun, Step, steps_of
from foretoken.laws import find_law
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, checks_list, figure, section, table
from foretoken.reports.numbers import count, factor, number, percent, power, significant
from foretoken.reports.palette import SAME_BUDGET, colour_groups, drawn_words
from foretoken.reports.summary import ESTIMATORS, Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    PAPER,
    RULE,
    drawing,
    figure_size,
    log_axis,
    padded,
    responsive,
    short_power,
    write_label,
)
from foretoken.runs.loss_units import short_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def backtest_page(backtest: BackTest, options: PageOptions) -> Page:
    """All that a back-test measured."""
    sentence = _sentence(backtest)
    return Page(
        title=options.source or "Back-test",
        kicker="foretoken backtest",
        sentence=sentence,
        parts=_parts(backtest, sentence),
    )


def _parts(backtest: BackTest, sentence: str) -> Iterator[Html | None]:
    yield lead(sentence, _facts(backtest), backtest.checks)
    yield section("outcomes", "Forecast and outcome", held_out_figure(backtest))
    distances = "How does the error grow with distance?"
    yield section("distances", distances, distance_figure(backtest), origin_figure(backtest))
    yield section("checks", "Checks", checks_list(backtest.checks))
    yield assumed_section(backtest.assumed)


def _sentence(backtest: BackTest) -> str:
    runs = f"{backtest.n_test} run{'s' * (backtest.n_test != 1)}"
    return (
        f"Forecasts of {runs} from cheaper ones missed by {percent(backtest.test_error, 2)} on average; "
        f"{percent(backtest.coverage, 0)} of them fell inside their {percent(backtest.level, 0)} interval."
    )


def _facts(backtest: BackTest) -> Iterator[Fact]:
    yield "Mean error", percent(backtest.test_error, 2), f"median {percent(backtest.median_error, 2)}"
    yield "Largest error", percent(backtest.max_error, 2), ""
    yield "Bias", percent(backtest.bias, 2, signed=True), _side(backtest.bias)
    yield "Inside the interval", percent(backtest.coverage, 0), f"nominal {percent(backtest.level, 0)}"
    yield "Half the interval", percent(backtest.median_half_width, 2), "median"
    yield "Interval score", significant(backtest.interval_score), "lower is better"
    yield "Runs", f"{'up to ' * (len(backtest.origins) > 1)}{backtest.n_train} seen", f"{backtest.n_test} forecast"
    yield "Unit", backtest.unit, "of what is forecast"
    yield "Estimator", ESTIMATORS.get(backtest.estimator, backtest.estimator), f"law: {backtest.law}"


def _side(bias: float) -> str:
    """The sign of a bias in words, which are harder to misread; by its digits as the page shows them."""
    shown = round(bias, 4)
    words = "right" if not shown else "too high" if shown > 0 else "too low"
    return f"forecasts are {words} on average"


MOST_RUNS = 300
"""Held-out runs that are drawn: more bars than this cannot be told apart on 760 pixels."""


BUDGET_PIXELS, BESIDE = 90, 0.15
"""Room for the runs of one budget, side by side, and the margin of the axis that it takes."""


def held_out_figure(backtest: BackTest) -> Html:
    """Every held-out run at its compute: the interval that was forecast for it, and what it reached."""
    rows = _chosen(backtest.rows)
    law = find_law(backtest.law)
    inside = sum(row.is_inside for row in backtest.rows)
    level = percent(backtest.level, 0)
    title = f"{inside} of {backtest.n_test} held-out runs fell inside the {level} interval forecast for them"
    caption = drawn_words(len(rows), backtest.n_test) + (
        "Each held-out run at its compute: the bar is the interval for a new run of its size and length, made "
        "from the runs of less compute alone; the circle is what it reached, coloured and filled where outside. "
        "Runs of one compute stand side by side, the smallest first."
    )
    draw = partial(_draw_runs, rows=rows, label=f"{law.column} ({backtest.unit})")
    panels = responsive("held-out", draw, title=title, described=caption, wide=(760, 380), narrow=340)
    heads = ["N", "D", "C (FLOP)", f"forecast ({short_unit(backtest.unit)})", "low", "high", "reached", "error"]
    data = [
        [
            count(row.params),
            count(row.tokens),
            power(row.flops),
            *(number(value, 4) for value in (row.forecast, row.low, row.high, row.loss)),
            percent(row.error(law.is_logarithmic), 2, signed=True),
        ]
        for row in rows
    ]
    return figure("held-out", title, panels, caption, table(heads, data, class_="numbers"))


def distance_figure(backtest: BackTest) -> Html:
    """Signed error, and coverage, against how far each run lies beyond those that were seen."""
    rows = _chosen(backtest.rows)
    relative = find_law(backtest.law).is_logarithmic
    # Of all rows, not of those that are drawn: thinning must not change a mean.
    steps = steps_of(backtest.rows, relative)
    title = _distance_title(steps)
    caption = (
        f"Left: forecast less outcome{', as a share of the outcome,' if relative else ''} against how many times the "
        "run lies beyond the ones that were seen (the largest factor in parameters, tokens or compute); the line joins "
        "the mean of each step. Right: share of the runs inside their interval, with its own 90\u202f% interval; "
        f"dotted: the {percent(backtest.level, 0)} that it should hold."
    )
    views: dict[str, Callable[[Axes], None]] = {
        "error": partial(_draw_errors, rows=rows, steps=steps, relative=relative),
        "coverage": partial(_draw_coverage, steps=steps, level=backtest.level),
    }
    panels = [
        drawing(f"{name}-by-distance", (430, 300), draw, title=title, described=caption) for name, draw in views.items()
    ]
    heads = [
        "beyond the runs seen",
        "runs",
        "mean error",
        "mean absolute error",
        "inside",
        "inside, 90\u202f% interval",
    ]
    data = [
        [
            f"{factor(step.low)} to {factor(step.high)}",
            str(step.runs),
            percent(step.bias, 2, signed=True),
            percent(step.error, 2),
            percent(step.coverage, 0),
            f"{percent(step.ends[0], 0)} to {percent(step.ends[1], 0)}",
        ]
        for step in steps
    ]
    return figure("distance", title, panels, caption, table(heads, data, class_="numbers"), columns=2)


def origin_figure(backtest: BackTest) -> Html | None:
    """The mean error of each rolling origin; None with one origin."""
    if len(backtest.origins) < 2:
        return None
    worst = max(backtest.origins, key=lambda origin: origin.test_error)
    title = f"The largest mean error is {percent(worst.test_error, 2)}, up to the {_quantile(worst)} of compute"
    caption = (
        "Mean absolute error of each fit: it sees the runs up to a quantile of compute, and forecasts those up to "
        "the next."
    )
    lines = [
        Line(
            f"up to the {_quantile(origin)}",
            100 * origin.test_error,
            start=0.0,
            text=f"{percent(origin.test_error, 2)}, bias {percent(origin.bias, 2, signed=True)}, "
            f"{percent(origin.coverage, 0)} inside ({origin.n_train} runs seen, {origin.n_test} forecast)",
        )
        for origin in backtest.origins
    ]
    panels = forest("origins", lines, "mean absolute error (%)", title=title, described=caption)
    heads = ["seen up to the quantile", "runs seen", "forecast", "mean error", "bias", "inside"]
    data = [
        [
            _quantile(origin),
            str(origin.n_train),
            str(origin.n_test),
            percent(origin.test_error, 2),
            percent(origin.bias, 2, signed=True),
            percent(origin.coverage, 0),
        ]
        for origin in backtest.origins
    ]
    return figure("origins", title, panels, caption, table(heads, data, class_="numbers"))


def _quantile(origin: Origin) -> str:
    return f"{percent(origin.train_fraction, 0)} quantile"


def _distance_title(steps: Sequence[Step]) -> str:
    near, far = steps[0], steps[-1]
    if near is far:
        reach = "" if near.high < 1.01 * near.low else "up to "
        return f"The mean error is {percent(near.error, 2)} at {reach}{factor(near.high)} beyond the runs seen"
    return (
        f"The mean error is {percent(near.error, 2)} up to {factor(near.high)} beyond the runs seen, "
        f"and {percent(far.error, 2)} at {factor(far.low)} to {factor(far.high)}"
    )


def _chosen(rows: Sequence[HeldOutRun]) -> list[HeldOutRun]:
    """At most MOST_RUNS of the rows, evenly over compute."""
    order = sorted(rows, key=lambda row: row.flops)
    if len(order) <= MOST_RUNS:
        return order
    return [order[round(k * (len(order) - 1) / (MOST_RUNS - 1))] for k in range(MOST_RUNS)]


def _draw_runs(axes: Axes, *, rows: Sequence[HeldOutRun], label: str) -> None:
    log_axis(axes, "x", *padded([row.flops for row in rows], BESIDE), short_power)
    x = _side_by_side(axes, rows)
    axes.vlines(
        x,
        [row.low for row in rows],
        [row.high for row in rows],
        color=RULE,
        linewidth=2.5,
        zorder=1,
    )
    _draw_outcomes(axes, rows, x, [row.loss for row in rows])
    axes.set_xlabel("training compute (FLOP)")
    axes.set_ylabel(label)


def _side_by_side(axes: Axes, rows: Sequence[HeldOutRun]) -> list[float]:
    """The compute of each run, runs of one budget moved apart by some pixels, or their bars would hide each other."""
    low, high = axes.get_xlim()
    names, _ = colour_groups([row.flops for row in rows])
    x = [row.flops for row in rows]
    for name in set(names):
        members = sorted((i for i, other in enumerate(names) if other == name), key=lambda i: rows[i].params)
        if rows[members[-1]].flops > SAME_BUDGET * rows[members[0]].flops:
            continue  # no budget: runs of one step of compute lie apart by themselves
        pixels = min(8.0, BUDGET_PIXELS / len(members))
        for rank, i in enumerate(members):
            x[i] *= (high / low) ** ((rank - (len(members) - 1) / 2) * pixels / figure_size(axes)[0])
    return x


def _draw_outcomes(axes: Axes, rows: Sequence[HeldOutRun], x: Sequence[float], y: Sequence[float]) -> None:
    """A circle per run at (x, y): open in ink inside its interval, coloured and filled outside."""
    for inside, colour, fill in ((True, INK, "none"), (False, ACCENT, ACCENT)):
        shown = [i for i, row in enumerate(rows) if row.is_inside == inside]
        xs, ys = [x[i] for i in shown], [y[i] for i in shown]
        axes.plot(xs, ys, "o", color=colour, markerfacecolor=fill, markersize=4.5, markeredgewidth=1.2, zorder=3)


def _draw_errors(axes: Axes, *, rows: Sequence[HeldOutRun], steps: Sequence[Step], relative: bool) -> None:
    # A run inside the range of those seen stands at 1, where the log axis begins.
    distances = [max(1.0, row.distance) for row in rows]
    low, high = padded([*distances, 2.0], 0.05)
    log_axis(axes, "x", low, high, lambda value: f"×{value:g}")
    axes.axhline(0, color=MUTED, linewidth=1)
    errors = [100 * row.error(relative) for row in rows]
    _draw_outcomes(axes, rows, distances, errors)
    middles, biases = [step.middle for step in steps], [100 * step.bias for step in steps]
    axes.plot(middles, biases, "o-", color=INK, markeredgecolor=PAPER, markersize=7, linewidth=1.6, zorder=4)
    axes.set_xlabel("times beyond the runs seen")
    axes.set_ylabel("error of the forecast (%)")


def _draw_coverage(axes: Axes, *, steps: Sequence[Step], level: float) -> None:
    low, high = padded([steps[0].low, steps[-1].high], 0.05)
    log_axis(axes, "x", low, high, lambda value: f"×{value:g}")
    axes.axhline(100 * level, color=MUTED, linestyle=":", linewidth=1.4)
    write_label(
        axes, f"nominal: {percent(level, 0)}", (high, 100 * level), (-2, 4), colour=MUTED, ha="right", va="baseline"
    )
    for rank, step in enumerate(steps):
        axes.plot([step.middle] * 2, [100 * end for end in step.ends], color=BAND, linewidth=6, zorder=1)
        axes.plot(step.middle, 100 * step.coverage, "o", color=INK, markersize=7, markeredgecolor=PAPER, zorder=3)
        # Steps of small distances lie close together: every second count stands a line higher.
        write_label(axes, str(step.runs), (step.middle, 4 + 5 * (rank % 2)), colour=MUTED, size=10, ha="center")
    axes.set_ylim(0, 106)
    axes.set_xlabel("times beyond the runs seen (runs below)")
    axes.set_ylabel("inside their interval (%)")
