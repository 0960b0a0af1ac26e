"""The page of the long tail: accuracy against mentions, a curve for each model, and the price of a decade."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from foretoken.abilities.surface import CEILINGS
from foretoken.abilities.tail_result import ModelTail, Slope, Tail, TaskTail, sentence
from foretoken.reports.html import Html, checks_list, element, figure, section, table
from foretoken.reports.numbers import MISSING, count, number, percent
from foretoken.reports.palette import Budgets, budget_styles, ranked
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import INK, is_wide, log_axis, padded, responsive, short_count, write_label
from foretoken.units import format_count, format_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CURVES = 8
"""Neighbours of more tints are hard to tell apart; the table has all models."""
FAINT = 0.18
"""Opacity of bands that lie over each other."""
HIGHEST_LABEL = 98.0
"""Percent at which the name of a curve stands at most."""
MARKERS = "os^Dv<>P"
"""Besides colours, shapes tell the models apart."""


def tail_page(tail: Tail, options: PageOptions) -> Page:
    """All that was found of the long tail of a table."""
    told = " ".join(sentence(task, tail.level) for task in tail.tasks)
    return Page(
        title=options.source or "The long tail",
        kicker="foretoken tail",
        sentence=told,
        parts=_parts(tail, told),
        styles=tail_styles(tail),
    )


def tail_styles(tail: Tail, scope: str = ":root") -> str:
    """CSS of the models' colours, within `scope`."""
    return budget_styles(_colours(max(tail.tasks, key=lambda task: len(_drawn(task)))), scope)


def tail_section(tail: Tail) -> Html:
    """The tail of each task, for the page of a study; its colours are `tail_styles(tail, "#tail")`."""
    figures = (part for place, task in enumerate(tail.tasks) for part in _figure(tail, task, f"mentions-{place}"))
    return section("tail", "Accuracy by mentions", checks_list(tail.checks) if tail.checks else None, *figures)


def _parts(tail: Tail, told: str) -> Iterator[Html | None]:
    yield lead(told, (fact for task in tail.tasks for fact in _facts(task, tail.level)), tail.checks)
    for number_, task in enumerate(tail.tasks):
        yield section(
            f"tail-{number_}", task.task or "Accuracy by mentions", *_figure(tail, task, f"mentions-{number_}")
        )
    yield section("checks", "Checks", checks_list(tail.checks))
    yield assumed_section(tail.assumed)


def _facts(task: TaskTail, level: float) -> Iterator[Fact]:
    name = f"{task.task}: " if task.task else ""
    if task.price is not None:
        price = task.price
        high = "∞" if price.high is None else format_times(price.high)
        ends = f"{format_times(price.low)} to {high} at {percent(level, 0)}"
        factor = "no bound" if price.factor is None else f"× {format_times(price.factor)}"
        yield f"{name}parameters for a decade of mentions", factor, ends
    yield f"{name}log odds per decade of mentions", *_slope(task.count_slope)
    if task.params_slope is not None:
        yield f"{name}log odds per decade of parameters", *_slope(task.params_slope)


def _slope(slope: Slope) -> tuple[str, str]:
    return number(slope.value, 2), f"{number(slope.low, 2)} to {number(slope.high, 2)}"


def _drawn(task: TaskTail) -> list[ModelTail]:
    """The models that have a curve: all, or so many of them, evenly over size."""
    models = task.models
    if len(models) <= MOST_CURVES:
        return models
    return [models[round(k * (len(models) - 1) / (MOST_CURVES - 1))] for k in range(MOST_CURVES)]


def _colours(task: TaskTail) -> Budgets:
    return ranked((str(place), model.params) for place, model in enumerate(_drawn(task)))


def _figure(tail: Tail, task: TaskTail, key: str) -> Iterator[Html]:
    drawn = _drawn(task)
    left = f" {len(drawn)} of {len(task.models)} models are drawn." if len(drawn) < len(task.models) else ""
    caption = (
        f"Marks: accuracy of each decade of mentions, with Wilson's interval ({percent(tail.level, 0)}); what is never"
        " mentioned is in the table alone. Lines and bands: the fitted surface and its doubt; darker and other marks:"
        f" smaller models. Ceilings of {percent(min(CEILINGS), 0)} and above were tried, unless one was given.{left}"
    )
    title = sentence(task, tail.level)
    panels = responsive(key, partial(_draw, task=task), title=title, described=caption, wide=(760, 380), narrow=340)
    names, heads = _names(task)
    heads += ["mentions from", "questions", "accuracy", percent(tail.level, 0)]
    rows = [
        [
            *names(model),
            count(one.low) if one.low else "never",
            count(one.n),
            percent(one.accuracy, 1),
            f"{percent(one.accuracy_low, 1)} to {percent(one.accuracy_high, 1)}",
        ]
        for model in task.models
        for one in model.bins
    ]
    yield figure(key, title, panels, caption, table(heads, rows, class_="numbers"))
    yield _models(tail, task)


def _names(task: TaskTail) -> tuple[Callable[[ModelTail], list[str]], list[str]]:
    """What stands at the head of a model's row, and the headings: names only where models have some."""
    if any(model.model for model in task.models):
        return lambda model: [model.model or MISSING, count(model.params)], ["model", "parameters"]
    return lambda model: [count(model.params)], ["parameters"]


def _models(tail: Tail, task: TaskTail) -> Html:
    """The slope and the gap of each model."""
    names, heads = _names(task)
    heads += ["accuracy", "log odds per decade of mentions", "commonest less rarest tenth, points"]
    rows = []
    for model in task.models:
        gap = model.gap
        ends = f"{number(100 * gap.gap, 0)} ({number(100 * gap.low, 0)} to {number(100 * gap.high, 0)})" if gap else ""
        slope = f"{number(model.slope.value, 2)} ({number(model.slope.low, 2)} to {number(model.slope.high, 2)})"
        rows.append([*names(model), percent(model.accuracy, 1), slope, ends])
    words = element("p", f"Each model by itself; intervals at {percent(tail.level, 0)}.")
    return element("div", words, table(heads, rows, class_="numbers"))


def _draw(axes: Axes, *, task: TaskTail) -> None:
    colours = list(_colours(task).values())
    seen = [point.count for model in task.models for point in model.curve]
    log_axis(axes, "x", *padded(seen, 0.16 if is_wide(axes) else 0.2), short_count)
    for place, model in enumerate(_drawn(task)):
        colour = colours[place].colour
        x = [point.count for point in model.curve]
        low, high = ([100 * getattr(point, name) for point in model.curve] for name in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=FAINT, linewidth=0)
        axes.plot(x, [100 * point.accuracy for point in model.curve], color=colour, linewidth=1.6)
        bins = [one for one in model.bins if one.middle > 0]
        # Marks of models that share a decade stand side by side.
        middles = [one.middle * 1.05 ** (place - len(colours) / 2) for one in bins]
        axes.vlines(
            middles,
            [100 * one.accuracy_low for one in bins],
            [100 * one.accuracy_high for one in bins],
            color=colour,
            linewidth=1,
        )
        axes.plot(
            middles, [100 * one.accuracy for one in bins], MARKERS[place % len(MARKERS)], color=colour, markersize=5
        )
    _name_ends(axes, task)
    axes.set_ylim(0, 100)
    axes.set_xlabel("mentions in the training text (log scale)")
    axes.set_ylabel("accuracy (%)")


def _name_ends(axes: Axes, task: TaskTail) -> None:
    """The size of each model at the end of its curve, apart from each other."""
    from foretoken.reports.svg import apart

    # In the order of the curves' ends, so that no label crosses another.
    models = sorted(_drawn(task), key=lambda model: model.curve[-1].accuracy)
    heights = apart([100 * model.curve[-1].accuracy for model in models], 5.0 if is_wide(axes) else 6.5)
    # All are moved down together where the highest would leave the axes: each at its own place they would lie on it.
    over = max(0.0, max(heights, default=0.0) - HIGHEST_LABEL)
    for model, height in zip(models, heights, strict=True):
        at = (model.curve[-1].count, height - over)
        write_label(axes, format_count(model.params), at, (5, 0), colour=INK, size=10)
