"""Scores of a study's networks on its tasks: along the ladder with the target's forecast, and along training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from foretoken.abilities.metrics import metric_named
from foretoken.abilities.result import CurveVerdict
from foretoken.forecasts.scores import ScoreForecast, ScoreOutcome
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table
from foretoken.reports.numbers import count, number, percent, significant
from foretoken.reports.score_panels import VERDICT_WORDS, View, axes, band_within, chosen, curve_band, line, mark, panel
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import short_count, short_power

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWN = 60
"""Panels of each figure; the tables have all."""
Key = tuple[str, str, str]
"""Task, metric, shots."""


def task_scores_section(study: StudyResults) -> Html | None:
    """All of it; None where a study was not scored on tasks."""
    rows = study.scores
    if rows is None or rows.empty:
        return None
    ends = rows[rows["annealed"]]
    checks = study.entry.score_checks if study.entry else []
    doubts = element("div", element("h3", "Doubts about these scores"), checks_list(checks)) if checks else None
    parts = [_ladder_figure(study, ends), doubts, _training_figure(rows)]
    return section("scores", "Scores on tasks", _sentence(study), *filter(None, parts))


def _sentence(study: StudyResults) -> Html:
    told = [one for one in study.score_outcomes if one.inside is not None]
    if told:
        inside = sum(bool(one.inside) for one in told)
        words = f"{inside} of {len(told)} scores of the target fell inside the intervals that were frozen before it."
    elif study.score_forecasts:
        words = f"{len(study.score_forecasts)} scores of the target are forecast; it has not been scored yet."
    else:
        words = "No score of the target was forecast before it was trained."
    more = " `foretoken scores` and `foretoken downstream` read them from this folder."
    return element("p", words, more.replace("`", ""))


def _keys(rows: pd.DataFrame) -> list[Key]:
    return list(dict.fromkeys(zip(rows["task"], rows["metric"], rows["shots"], strict=True)))


def _named(key: Key) -> str:
    task, metric, shots = key
    return f"{task}, {metric}" + ("" if shots == "0" else f", {shots} shots")


def _ladder_figure(study: StudyResults, ends: pd.DataFrame) -> Html:
    forecasts = {(one.task, one.metric, str(one.shots)): one for one in study.score_forecasts}
    outcomes = {(one.task, one.metric, str(one.shots)): one for one in study.score_outcomes}
    target = study.entry.forecast.flops if study.entry else None
    found = study.score_curves.curves if study.score_curves else []
    curves = {(one.name.task, one.name.metric, one.name.shots): one for one in found}
    keys = _keys(ends)
    panels = [
        _ladder_panel(key, _of(ends, key), curves.get(key), forecasts.get(key), outcomes.get(key), target)
        for key in chosen(keys, MOST_DRAWN)
    ]
    heads = ["task", "metric", "shots", "curve", "forecast", "low", "high"]
    heads += ["outcome", "± (s.e.)", "n", "target", "remark"]
    cells = [_cells(key, curves.get(key), forecasts.get(key), outcomes.get(key)) for key in keys]
    caption = (
        "Circles: runs, against their training compute. Line and band: the middle of the curves that fit the small"
        " runs, and where a new score falls. Bar and point in colour: the target's forecast with its"
        " interval, frozen before it was trained; diamond: what it scored. Point at a mark for its numbers."
    )
    return figure(
        "scores-by-compute",
        "Every score along the ladder, and the target's",
        panels,
        caption,
        table(heads, cells, class_="sortable words"),
        columns=3,
    )


def _of(rows: pd.DataFrame, key: Key) -> list[dict[str, Any]]:
    task, metric, shots = key
    chosen_rows = rows[(rows["task"] == task) & (rows["metric"] == metric) & (rows["shots"] == shots)]
    return [{str(name): value for name, value in row.items()} for row in chosen_rows.to_dict("records")]


def _cells(
    key: Key, curve: CurveVerdict | None, forecast: ScoreForecast | None, outcome: ScoreOutcome | None
) -> list[str]:
    ends = [number(value, 3) for value in (forecast.score, forecast.low, forecast.high)] if forecast else [""] * 3
    found = [number(outcome.score, 3), number(outcome.score_se, 3), str(outcome.n)] if outcome else [""] * 3
    remark = as_sentence(forecast.reason) if forecast and forecast.reason else ""
    return [*key, _verdict(curve), *ends, *found, outcome.side if outcome else "", remark]


def _verdict(curve: CurveVerdict | None) -> str:
    return VERDICT_WORDS.get(curve.verdict, curve.verdict) if curve else ""


def _view(metric: str, x: Sequence[float], y: Sequence[float]) -> View:
    known = metric_named(metric)
    # One scale for all bounded scores, so that panels beside each other can be compared.
    if known and known.bounded:
        return View((min(x), max(x)), (0.0, 1.0), True, False, True)
    return View((min(x), max(x)), (min(y), max(y)), True, min(y) > 0, False)


def _ladder_panel(
    key: Key,
    rows: Sequence[dict[str, Any]],
    curve: CurveVerdict | None,
    forecast: ScoreForecast | None,
    outcome: ScoreOutcome | None,
    target: float | None,
) -> Html:
    # The target is drawn as a diamond, from its outcome.
    ladder = [row for row in rows if row["group"] != "target"]
    at = [target] if forecast and target else []
    ends = [value for value in (forecast.low, forecast.high) if value is not None] if forecast else []
    found = [outcome.score] if outcome else []
    across = [*(row["flops"] for row in rows), *at]
    inside = band_within(curve, (min(across), max(across))) if curve else []
    ends += [end for point in inside for end in (point.low, point.high)]
    view = _view(key[1], across, [*(row["score"] for row in rows), *ends, *found])
    body = [*axes(view, "training compute (FLOP)", short_power), *(curve_band(view, curve) if curve else ())]
    body += [part for row in ladder for part in _measured(view, row["flops"], row)]
    if forecast and target:
        body += _forecast(view, target, forecast)
    if outcome and target:
        body.append(_diamond(view, target, outcome))
    side = outcome.side if outcome else ""
    words = [*filter(None, [_verdict(curve)]), *([f"target {side}"] if side else [])]
    below = ("; ".join(words), "accent" if side == "outside" else "muted") if words else None
    return panel(_named(key), f"{_named(key)} against training compute", body, below)


def _measured(view: View, x: float, row: dict[str, Any]) -> Iterator[Html]:
    """A score with a bar of one standard error to each side."""
    score, error = row["score"], row["score_se"]
    # NaN is not equal to itself: a score of one question has no error.
    if error is not None and error == error and error > 0:
        ends = view.down(score - error), view.down(score + error)
        yield line(view.across(x), ends[0], view.across(x), ends[1], "stroke:var(--muted);stroke-width:1")
    yield mark(view, x, score, f"{count(row['params_total'])} parameters, {count(row['tokens'])} tokens")


def _forecast(view: View, x: float, one: ScoreForecast) -> Iterator[Html]:
    if one.score is None or one.low is None or one.high is None:
        return
    ends = f"{percent(one.level, 0)}: {view.written(one.low)} to {view.written(one.high)}"
    told = f"forecast {view.written(one.score)} ({ends})"
    title, across = element("title", told), view.across(x)
    yield line(across, view.down(one.low), across, view.down(one.high), "stroke:var(--accent);stroke-width:2", title)
    style = "fill:var(--accent);stroke:var(--paper)"
    yield element("circle", title, cx=f"{across:.1f}", cy=f"{view.down(one.score):.1f}", r="4", style=style)


def _diamond(view: View, x: float, outcome: ScoreOutcome) -> Html:
    across, down = view.across(x), view.down(outcome.score)
    corners = (across, down - 6), (across + 6, down), (across, down + 6), (across - 6, down)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    told = element("title", f"the target scored {view.written(outcome.score)}")
    return element("polygon", told, points=points, style="fill:none;stroke:var(--ink);stroke-width:1.6")


def _training_figure(rows: pd.DataFrame) -> Html | None:
    """Scores along the training of the runs that were scored on the way."""
    on_the_way = rows[~rows["annealed"]]
    if on_the_way.empty:
        return None
    runs = list(dict.fromkeys(on_the_way["run"]))
    whole = rows[rows["run"].isin(runs)].sort_values("tokens", kind="stable")
    keys = _keys(whole)
    panels = [_training_panel(key, _of(whole, key)) for key in chosen(keys, MOST_DRAWN)]
    heads = ["run", "task", "metric", "shots", "tokens", "steps", "score", "± (s.e.)", "n"]
    cells = [
        [
            str(row["run"])[:8],
            row["task"],
            row["metric"],
            row["shots"],
            count(row["tokens"]),
            f"{row['steps']:.0f}",
            number(row["score"], 3),
            number(row["score_se"], 3),
            f"{row['n']:.0f}",
        ]
        for row in whole.to_dict("records")
    ]
    caption = (
        "Each line is one run, from its first tokens to its end, where the learning rate was brought down: the last"
        " step is not like those before it."
    )
    title = "Scores along the training"
    data = table(heads, cells, class_="sortable words")
    return figure("scores-by-tokens", title, panels, caption, data, columns=3)


def _training_panel(key: Key, rows: Sequence[dict[str, Any]]) -> Html:
    view = _view(key[1], [row["tokens"] for row in rows], [row["score"] for row in rows])
    body = [*axes(view, "tokens seen", short_count)]
    for run in dict.fromkeys(row["run"] for row in rows):
        points = [(row["tokens"], row["score"]) for row in rows if row["run"] == run]
        path = " ".join(f"{view.across(x):.1f},{view.down(y):.1f}" for x, y in points)
        body.append(element("polyline", points=path, style="fill:none;stroke:var(--muted);stroke-width:1.2"))
    body += [mark(view, row["tokens"], row["score"], f"{significant(row['tokens'])} tokens") for row in rows]
    return panel(_named(key), f"{_named(key)} against tokens seen", body)
