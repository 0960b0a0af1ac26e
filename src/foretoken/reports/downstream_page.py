"""The page of forecast scores: each task against loss and compute, its forecast, and how the routes fared before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from foretoken.abilities.axes import CurveName
from foretoken.abilities.downstream_result import Band, Downstream, TaskCurve, TaskForecast
from foretoken.abilities.held_out_routes import LEVEL as HELD_OUT_LEVEL
from foretoken.fits.check import plural
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table
from foretoken.reports.numbers import count, factor, number, percent, power, significant
from foretoken.reports.score_panels import View, axes, band, bar, chosen, line, mark, panel
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import short_power

MOST_DRAWN, MOST_ROWS = 60, 24
"""Tasks that are drawn, and lines of the first figure; the tables have all."""
ROUTE_WORDS = {
    "two_step_sigmoid": "loss, then a sigmoid",
    "two_step_exponential": "loss, then an exponential",
    "two_step_task_loss": "loss, the task's own loss, then a sigmoid",
    "direct": "straight from size and tokens",
    "observational": "what all models share",
}


def downstream_page(result: Downstream, options: PageOptions) -> Page:
    """All that is known of the scores of runs that were not trained."""
    sentence = _sentence(result)
    return Page(
        title=options.source or "Scores of a new run",
        kicker="foretoken downstream",
        sentence=sentence,
        parts=_parts(result, sentence),
    )


def _parts(result: Downstream, sentence: str) -> Iterator[Html | None]:
    yield lead(sentence, _facts(result), result.checks)
    yield section("forecasts", "What the run will score", _forecast_figure(result))
    drawn = chosen(result.curves, MOST_DRAWN)
    if any(curve.by_loss for curve in drawn):
        yield section("losses", "Does loss tell the score?", _loss_figure(result, drawn))
    yield section("compute", "Score against compute", _compute_figure(result, drawn))
    if any(one.held_out_error is not None for task in result.tasks for one in task.routes):
        yield section("routes", "Which route foretold larger runs?", *_routes(result))
    yield section("checks", "Checks", checks_list(list(result.checks)))
    yield assumed_section(result.assumed)


def _told(result: Downstream) -> list[TaskForecast]:
    return [task for task in result.tasks if task.score is not None]


def _sentence(result: Downstream) -> str:
    told, first = _told(result), result.tasks[0]
    runs = f"{count(first.params)} parameters on {count(first.tokens)} tokens"
    if len(told) == 1 and first.score is not None:
        low, high = percent(first.low or 0.0, 1), percent(first.high or 0.0, 1)
        return f"A run of {runs} is forecast to score {percent(first.score, 1)} on {first.curve} ({low} to {high})."
    flat = sum(bool(task.reason) for task in told)
    words = f"; {flat} of them say little, at chance or flat so far" if flat else ""
    return f"{len(told)} scores of runs such as {runs} are forecast{words}."


def _facts(result: Downstream) -> Iterator[Fact]:
    for loss in result.losses[:3]:
        ends = f"{number(loss.low, 3)} to {number(loss.high, 3)}"
        yield f"Loss{', ' + loss.group if loss.group else ''}", number(loss.loss, 3), ends
    yield "Beyond the largest run", factor(max(task.compute_factor for task in result.tasks)), "in compute"
    if result.held_out:
        inside = sum(score.is_inside for score in result.held_out) / len(result.held_out)
        told = f"of {plural(len(result.held_out), 'held-out score')}, at {percent(HELD_OUT_LEVEL, 0)}"
        yield "Inside before", percent(inside, 0), told
    yield "Interval", percent(result.level, 0), "of one new measurement"


def _forecast_figure(result: Downstream) -> Html:
    told = _told(result)
    several = len({(task.params, task.tokens) for task in told}) > 1
    lines = [
        Line(
            f"{task.curve}{f', {count(task.params)} on {count(task.tokens)}' if several else ''}",
            task.score,
            (task.low or 0.0, task.high or 0.0),
            f"{percent(task.score or 0.0, 1)} ({percent(task.low or 0.0, 1)} to {percent(task.high or 0.0, 1)})",
            short=percent(task.score or 0.0, 1),
            strong=not task.reason,
        )
        for task in told[:MOST_ROWS]
    ]
    left = f" The first {MOST_ROWS} of {len(told)} are drawn." if len(told) > MOST_ROWS else ""
    title = f"{len(told)} forecast{'s' * (len(told) != 1)}, each with the interval of a new measurement"
    caption = f"Dot: the middle; line: {percent(result.level, 0)}. Pale: at chance or flat so far.{left}"
    panels = forest("scores", lines, "score (fraction, as the metric counts)", title=title, described=caption)
    heads = [
        "group",
        "task",
        "metric",
        "shots",
        "N",
        "D",
        "C (FLOP)",
        "score",
        "low",
        "high",
        "route",
        "beyond",
        "note",
    ]
    rows = [
        [
            task.group,
            task.task,
            task.metric,
            task.shots,
            count(task.params),
            count(task.tokens),
            power(task.flops),
            *(number(value, 3) for value in (task.score, task.low, task.high)),
            ROUTE_WORDS.get(task.route, task.route),
            factor(task.compute_factor),
            as_sentence(task.reason),
        ]
        for task in result.tasks
    ]
    return figure("forecast-scores", title, panels, caption, table(heads, rows, class_="sortable words"))


def _loss_figure(result: Downstream, drawn: Sequence[TaskCurve]) -> Html:
    with_loss = [curve for curve in drawn if curve.by_loss]
    title = "Scores against the loss, with the band of the links"
    caption = (
        f"Circles: runs. Line and band: sigmoid and exponential, weighed, with {percent(result.level, 0)} of a new"
        " measurement at a loss that is known. Dotted: chance. Point at a mark for its numbers."
    )
    heads = ["group", "task", "run", "loss", "score"]
    rows = [
        [curve.group, curve.task, one.run, number(one.loss, 3), number(one.score, 3)]
        for curve in with_loss
        for one in curve.measured
    ]
    panels = [_loss_panel(curve) for curve in with_loss]
    return figure("score-by-loss", title, panels, caption, table(heads, rows, class_="sortable"), columns=3)


def _compute_figure(result: Downstream, drawn: Sequence[TaskCurve]) -> Html:
    by_curve: dict[CurveName, list[TaskForecast]] = {}
    for task in result.tasks:
        by_curve.setdefault(task.curve, []).append(task)
    title = "Scores against compute, with their forecasts"
    largest = max(result.tasks, key=lambda task: task.flops)
    ratio = largest.tokens / largest.params
    caption = (
        f"Circles: runs. Line and band: all routes together at {number(ratio, 0)} tokens per parameter, with"
        f" {percent(result.level, 0)} of a new measurement; the runs have ratios of their own. Filled: the forecasts."
    )
    panels = [_compute_panel(curve, by_curve.get(curve.name, ())) for curve in drawn]
    heads = ["group", "task", "C (FLOP)", "middle", "low", "high"]
    rows = [
        [curve.group, curve.task, power(x), number(score, 3), number(low, 3), number(high, 3)]
        for curve in drawn
        for x, score, low, high in zip(
            curve.by_compute.x, curve.by_compute.score, curve.by_compute.low, curve.by_compute.high, strict=True
        )
    ]
    return figure("score-by-compute", title, panels, caption, table(heads, rows, class_="sortable"), columns=3)


def _routes(result: Downstream) -> Iterator[Html]:
    yield element(
        "p",
        "The larger runs of the table were forecast from its smaller ones by every route. The mean error of a score and"
        " the share inside the interval of 90 % count each run once. The weight is by the distance of the forecast"
        " from the scores (the continuous ranked probability score), half of it on the task itself and half on all. The"
        " share at the top of the page is of all routes together, weighed by what they foretold of smaller runs still.",
    )
    heads = ["group", "task", "route", "weight", "score", "low", "high", "error before", "inside before"]
    # Where nothing tells groups apart, their column would be empty.
    first = 0 if any(task.group for task in result.tasks) else 1
    rows = [
        [
            task.group,
            task.task,
            ROUTE_WORDS.get(one.route, one.route),
            percent(one.weight, 0),
            *(number(value, 3) for value in (one.score, one.low, one.high, one.held_out_error)),
            "" if one.held_out_inside is None else percent(one.held_out_inside, 0),
        ][first:]
        for task in result.tasks
        for one in task.routes
    ]
    yield table(heads[first:], rows, class_="sortable words")


def _loss_panel(curve: TaskCurve) -> Html:
    """Score against loss: the runs, and the band of a new measurement at a loss that is known."""
    assert curve.by_loss is not None
    of = curve.by_loss
    view = View((max(of.x), min(of.x)), (0.0, 1.0), False, False, True)
    marks = [(one.loss, one.score, f"{one.run}: loss {significant(one.loss)}") for one in curve.measured if one.loss]
    return _panel(curve, "loss, falling", view, of, marks, ())


def _compute_panel(curve: TaskCurve, forecasts: Sequence[TaskForecast]) -> Html:
    """Score against compute: the runs, the band of a new measurement, and the runs that were asked for."""
    sizes = [*curve.by_compute.x, *(one.flops for one in curve.measured), *(one.flops for one in forecasts)]
    view = View((min(sizes), max(sizes)), (0.0, 1.0), True, False, True)
    marks = [(one.flops, one.score, f"{one.run}: {short_power(one.flops)} FLOP") for one in curve.measured]
    return _panel(curve, "training compute (FLOP)", view, curve.by_compute, marks, forecasts)


def _panel(
    curve: TaskCurve,
    axis: str,
    view: View,
    of: Band,
    marks: Sequence[tuple[float, float, str]],
    forecasts: Sequence[TaskForecast],
) -> Html:
    name = str(curve.name)
    body = [*axes(view, axis, short_power), *band(view, list(zip(of.x, of.score, of.low, of.high, strict=True)))]
    if curve.chance is not None:
        body += bar(view, "chance", curve.chance, [(x, score) for x, score, _ in marks])
    body += [mark(view, *one) for one in marks]
    body += [part for forecast in forecasts for part in _forecast(view, forecast)]
    return panel(name, f"{name} against {axis}", body)


def _forecast(view: View, one: TaskForecast) -> Iterator[Html]:
    if one.score is None or one.low is None or one.high is None:
        return
    x, low, high = view.across(one.flops), view.down(one.low), view.down(one.high)
    ends = f"{view.written(one.low)} to {view.written(one.high)}"
    told = element("title", f"{short_power(one.flops)} FLOP: {view.written(one.score)} ({ends})")
    yield line(x, low, x, high, "stroke:var(--accent);stroke-width:2", told)
    style = "fill:var(--accent);stroke:var(--paper)"
    yield element("circle", told, cx=f"{x:.1f}", cy=f"{view.down(one.score):.1f}", r="4", style=style)
