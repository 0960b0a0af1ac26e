"""The page of a ledger: forecasts that were frozen before their runs, what the runs reached, and points on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.forecasts.band import BandPoint, PlacedPoint
from foretoken.forecasts.entry import Entry, Outcome
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.ledger import Ledger, LedgerLine, LedgerSummary
from foretoken.forecasts.scores import ScoreLine
from foretoken.reports.forecast_figure import RIVAL_NAMES
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, section, table
from foretoken.reports.numbers import count, factor, number, percent
from foretoken.reports.summary import Fact, Page, PageOptions, lead
from foretoken.reports.svg import ACCENT, BAND, INK, log_axis, padded, responsive, short_count
from foretoken.runs.loss_units import short_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

Points = Mapping[str, Sequence[PlacedPoint]]


def ledger_page(ledger: Ledger, options: PageOptions) -> Page:
    """All forecasts of a ledger, with points of the targets that are running."""
    summary = ledger.summary()
    sentence = _sentence(summary)
    return Page(
        title=options.source or "Ledger",
        kicker="foretoken ledger",
        sentence=sentence,
        parts=[
            lead(sentence, _facts(summary)),
            section("entries", "Forecast and outcome", *_entries(summary)),
            *_scores(summary),
            *_bands(ledger, options.points),
        ],
    )


def _sentence(summary: LedgerSummary) -> str:
    frozen, scored = summary.frozen, summary.scored
    many = f"{frozen} forecast{'s' * (frozen != 1)}"
    if summary.coverage is None:
        return f"{many} frozen; none is scored yet."
    inside = round(summary.coverage * scored)
    if scored == 1:
        side = "inside" if inside else "outside"
        return f"The one scored forecast fell {side} its interval; its error is {percent(summary.mean_error, 2)}."
    return (
        f"{inside} of {scored} scored forecasts fell inside their interval; the mean error is "
        f"{percent(summary.mean_error, 2)}."
    )


def _facts(summary: LedgerSummary) -> Iterator[Fact]:
    scored = f"{summary.scored} scored"
    yield "Frozen", str(summary.frozen), f"{scored}, {summary.order}" if summary.order else scored
    if summary.scored:
        yield "Mean error", percent(summary.mean_error, 2), f"bias {percent(summary.bias, 2, signed=True)}"
        for name, error in summary.rivals.items():
            words = RIVAL_NAMES.get(name, name.replace("_", " "))
            yield words[:1].upper() + words[1:], percent(error, 2), "mean error of this plain rival"


def _entries(summary: LedgerSummary) -> list[Html]:
    """Each interval as a share of its forecast, with the outcome in it or beside it."""
    told = [element("p", f"{sentence[:1].upper()}{sentence[1:]}.") for sentence in summary.told]
    if not summary.entries:
        return [*told, element("p", "The ledger is empty.")]
    caption = (
        "Each line is a frozen forecast: its interval, as a share of the forecast. Filled: what the run reached, "
        "coloured where that is outside; a forecast that is still open has its interval alone."
    )
    title = _sentence(summary).rstrip(".")
    lines, marks = [_line(line) for line in summary.entries], [(0.0, "forecast")]
    panels = forest("ledger", lines, "against the forecast (%)", title=title, described=caption, marks=marks)
    results = ["unit", "outcome", "error", "", "frozen"]
    heads = ["forecast", "frozen", "N", "D", "compute beyond", "loss", "interval", *results]
    data = [[write(line) for write in CELLS] for line in summary.entries]
    return [*told, figure("ledger", title, panels, caption, table(heads, data, class_="numbers"))]


def _line(line: LedgerLine) -> Line:
    forecast, outcome = line.entry.forecast, line.outcome
    # Losses of different runs do not share a scale; shares of their own forecast do.
    band = [100 * (end / forecast.loss - 1) for end in (forecast.low, forecast.high)]
    if outcome is None:
        text = f"{number(forecast.loss)} ({number(forecast.low)} to {number(forecast.high)}), open"
        return Line(line.name, None, band, text=text)
    return Line(
        line.name,
        100 * (outcome.loss / forecast.loss - 1),
        band,
        text=f"forecast {number(forecast.loss)}, reached {number(outcome.loss)}: {outcome.verdict}",
        strong=not outcome.inside,
    )


def _outcome(write: Callable[[Outcome], str], line: LedgerLine) -> str:
    return write(line.outcome) if line.outcome else "open"


CELLS: list[Callable[[LedgerLine], str]] = [
    lambda line: line.name,
    lambda line: line.entry.frozen_at[:16].replace("T", " "),
    lambda line: count(line.entry.forecast.params),
    lambda line: count(line.entry.forecast.tokens),
    lambda line: factor(line.entry.compute_factor),
    lambda line: number(line.entry.forecast.loss, 4),
    lambda line: f"{number(line.entry.forecast.low, 4)} to {number(line.entry.forecast.high, 4)}",
    lambda line: short_unit(line.entry.forecast.unit),
    partial(_outcome, lambda outcome: number(outcome.loss, 4)),
    partial(_outcome, lambda outcome: percent(outcome.error, 2, signed=True)),
    partial(_outcome, lambda outcome: outcome.verdict),
    lambda line: line.outcome.order if line.outcome else "",
]


def _scores(summary: LedgerSummary) -> Iterator[Html]:
    """A table for each forecast with scores on tasks beside its loss, and the doubts about them."""
    heads = ["task", "metric", "shots", "forecast", "interval", "outcome", "verdict", "± (s.e.)", "n", "remark"]
    for position, line in enumerate(summary.entries):
        doubts = [checks_list(line.entry.score_checks)] if line.entry.score_checks else []
        if line.scores or doubts:
            cells = [_score_cells(one) for one in line.scores]
            told = [table(heads, cells, class_="sortable words")] if cells else []
            yield section(f"scores-{position}", f"{line.name}, scores on tasks", *told, *doubts)


def _score_cells(one: ScoreLine) -> list[str]:
    forecast, outcome = one.forecast, one.outcome
    interval = "" if forecast.low is None else f"{number(forecast.low, 3)} to {number(forecast.high, 3)}"
    reached = number(outcome.score, 3) if outcome else ""
    error = [number(outcome.score_se, 3), str(outcome.n)] if outcome else ["", ""]
    reason = as_sentence(forecast.reason) if forecast.reason else ""
    asked = [forecast.task, forecast.metric, str(forecast.shots)]
    return [*asked, number(forecast.score, 3), interval, reached, one.verdict, *error, reason]


def _bands(ledger: Ledger, points: Points) -> list[Html]:
    """One section per forecast that has a band along its run."""
    return [
        section(
            f"run-{position}",
            f"{line.name}, along the run",
            band_figure(line.entry, line.outcome, points.get(line.name, ()), key=f"band-{position}"),
        )
        for position, line in enumerate(ledger.lines)
        if line.entry.band
    ]


def band_figure(
    entry: Entry,
    outcome: Outcome | None,
    points: Sequence[PlacedPoint],
    *,
    key: str = "band",
) -> Html:
    """Loss against tokens seen: the frozen band, points of the run while it trains, and its outcome."""
    forecast, band = entry.forecast, entry.band
    title = _band_title(forecast, outcome, points)
    caption = (
        f"Line and band ({percent(forecast.level, 0)}): the forecast for a run of this size that ends at so many "
        "tokens, frozen with the forecast. It is that of annealed runs: before the learning rate comes down, a loss "
        "lies above it."
        + (" Open circles: the run so far." if points else "")
        + (" Star: its outcome." if outcome else "")
    )
    draw = partial(_draw_band, forecast=forecast, band=band, outcome=outcome, points=points)
    panels = responsive(key, draw, title=title, described=caption)
    rows = [
        [
            percent(point.share, 1),
            count(point.tokens),
            *(number(value, 4) for value in (point.loss, point.low, point.high)),
            "frozen",
        ]
        for point in band
    ]
    rows += [
        [
            percent(point.share, 1),
            count(point.tokens),
            *(number(value, 4) for value in (point.loss, point.low, point.high)),
            f"the run: {point.place}",
        ]
        for point in points
    ]
    return figure(
        key, title, panels, caption, table(["of the run", "tokens", "loss", "low", "high", ""], rows, class_="numbers")
    )


def _band_title(forecast: Forecast, outcome: Outcome | None, points: Sequence[PlacedPoint]) -> str:
    if outcome is not None:
        band = f"{number(forecast.low)} to {number(forecast.high)}"
        return f"It reached {number(outcome.loss)}, {outcome.verdict} the forecast's {band}; {outcome.order}"
    if points:
        return f"So far: {points[-1].text}"
    return f"Forecast {number(forecast.loss)} at {count(forecast.tokens)} tokens; no point of the run is given yet"


def _draw_band(
    axes: Axes,
    *,
    forecast: Forecast,
    band: Sequence[BandPoint],
    outcome: Outcome | None,
    points: Sequence[PlacedPoint],
) -> None:
    tokens = [point.tokens for point in band]
    log_axis(axes, "x", *padded(tokens, 0.03), short_count)
    axes.fill_between(
        tokens, [point.low for point in band], [point.high for point in band], color=BAND, linewidth=0, zorder=1
    )
    axes.plot(tokens, [point.loss for point in band], color=INK, linewidth=1.3, linestyle=(0, (4, 3)), zorder=2)
    bar = [[forecast.loss - forecast.low], [forecast.high - forecast.loss]]
    axes.errorbar(forecast.tokens, forecast.loss, bar, color=ACCENT, linewidth=2, capsize=6, capthick=2, zorder=4)
    for point in points:
        (mark,) = axes.plot(point.tokens, point.loss, "o", color=ACCENT, markersize=7, markeredgewidth=1.5, zorder=5)
        mark.set_markerfacecolor("none" if point.is_inside else ACCENT)
    if outcome is not None:
        axes.plot(forecast.tokens, outcome.loss, "*", color=INK, markersize=13, markeredgewidth=0, zorder=6)
    axes.set_xlabel("tokens seen")
    axes.set_ylabel(f"loss ({forecast.unit})")
