"""The page of a ledger: forecasts that were frozen before their runs, what the runs reached, and points on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from foretoken.forecasts.scores import summary
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, element, figure, section, table
from foretoken.reports.numbers import count, factor, number, percent
from foretoken.reports.summary import Page, lead
from foretoken.reports.svg import ACCENT, BAND, INK, drawing, log_axis, padded, short_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

Entries = Mapping[str, Mapping[str, Any]]
Places = Mapping[str, Sequence[Mapping[str, Any]]]


def ledger_page(entries: Entries, source: str = "", places: Places | None = None) -> Page:
    """All forecasts of a ledger, as `ledger.read` gives them.

    `places` are points of running targets, by the name of the forecast, as `scores.during` gives them.
    """
    told = summary(entries)
    sentence = _sentence(told)
    return Page(
        title=source or "Ledger",
        kicker="foretoken ledger",
        sentence=sentence,
        parts=[
            lead(sentence, _facts(told)),
            section("entries", "Forecast and outcome", *_entries(told)),
            *_bands(entries, places or {}),
        ],
    )


def _sentence(told: Mapping[str, Any]) -> str:
    frozen, scored = told["frozen"], told["scored"]
    many = f"{frozen} forecast{'s' * (frozen != 1)}"
    if not scored:
        return f"{many} frozen; none is scored yet."
    inside = round(told["coverage"] * scored)
    return (
        f"{inside} of {scored} scored forecasts fell inside their interval; the mean error is "
        f"{percent(told['mean_error'], 2)}."
    )


def _facts(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "Frozen", str(told["frozen"]), f"{told['scored']} scored"
    if told["scored"]:
        yield "Mean error", percent(told["mean_error"], 2), f"bias {percent(told['bias'], 2, signed=True)}"
        for name, error in told["rivals"].items():
            yield name.replace("_", " "), percent(error, 2), "mean error of this plain rival"


def _entries(told: Mapping[str, Any]) -> list[Html]:
    """Each interval as a share of its forecast, with the outcome in it or beside it."""
    rows = told["entries"]
    if not rows:
        return [element("p", "The ledger is empty.")]
    caption = (
        "Each line is a frozen forecast: its interval, as a share of the forecast. Filled: what the run reached, "
        "coloured where that is outside; a forecast that is still open has its interval alone."
    )
    title = _sentence(told)
    panels = forest("ledger", [_line(row) for row in rows], "against the forecast (%)", title=title, described=caption,
                    marks=[(0.0, "forecast")])  # fmt: skip
    heads = ["forecast", "frozen", "N", "D", "compute beyond", "loss", "interval", "outcome", "error", ""]
    data = [[write(row) for write in CELLS] for row in rows]
    return [figure("ledger", title, panels, caption, table(heads, data, class_="numbers"))]


def _line(row: Mapping[str, Any]) -> Line:
    band = [100 * (row[name] / row["loss"] - 1) for name in ("low", "high")]
    outcome = row["outcome"]
    if outcome is None:
        said = f"{number(row['loss'])} ({number(row['low'])} to {number(row['high'])}), open"
        return Line(row["name"], None, band, said=said)
    where = "inside" if outcome["inside"] else "outside"
    return Line(
        row["name"],
        100 * (outcome["loss"] / row["loss"] - 1),
        band,
        said=f"forecast {number(row['loss'])}, reached {number(outcome['loss'])}: {where}",
        strong=not outcome["inside"],
    )


def _outcome(write: Callable[[Mapping[str, Any]], str], row: Mapping[str, Any]) -> str:
    return write(row["outcome"]) if row["outcome"] else "open"


CELLS: list[Callable[[Mapping[str, Any]], str]] = [
    lambda row: str(row["name"]),
    lambda row: str(row["frozen_at"])[:16].replace("T", " "),
    lambda row: count(row["params"]),
    lambda row: count(row["tokens"]),
    lambda row: factor(row["compute_factor"]),
    lambda row: number(row["loss"], 4),
    lambda row: f"{number(row['low'], 4)} to {number(row['high'], 4)}",
    partial(_outcome, lambda outcome: number(outcome["loss"], 4)),
    partial(_outcome, lambda outcome: percent(outcome["error"], 2, signed=True)),
    partial(_outcome, lambda outcome: "inside" if outcome["inside"] else "outside"),
]


def _bands(entries: Entries, places: Places) -> list[Html]:
    """One section per forecast that has a band along its run."""
    return [
        section(
            f"run-{place}",
            f"{name}, along the run",
            band_figure(entry["forecast"], entry["outcome"], places.get(name, ()), key=f"band-{place}"),
        )
        for place, (name, entry) in enumerate(entries.items())
        if (entry["forecast"].get("target") or {}).get("band")
    ]


def band_figure(
    forecast: Mapping[str, Any],
    outcome: Mapping[str, Any] | None,
    places: Sequence[Mapping[str, Any]],
    *,
    key: str = "band",
) -> Html:
    """Loss against tokens seen: the frozen band, points of the run while it trains, and its outcome."""
    band = forecast["target"]["band"]
    title = _band_title(forecast, outcome, places)
    caption = (
        f"Line and band ({percent(forecast['level'], 0)}): the forecast for a run of this size that ends at so many "
        "tokens, frozen with the forecast. It is that of annealed runs: before the learning rate comes down, a loss "
        "lies above it."
        + (" Open circles: the run so far." if places else "")
        + (" Star: its outcome." if outcome else "")
    )
    draw = partial(_draw_band, forecast=forecast, band=band, outcome=outcome, places=places)
    panels = [
        drawing(f"{key}-{kind}", size, draw, title=title, described=caption, class_=kind)
        for kind, size in (("wide", (760, 340)), ("narrow", (380, 320)))
    ]
    rows = [
        [
            percent(p["share"], 1),
            count(p["tokens"]),
            *(number(p[name], 4) for name in ("loss", "low", "high")),
            "frozen",
        ]
        for p in band
    ]
    rows += [
        [
            percent(p["share"], 1),
            count(p["tokens"]),
            *(number(p[name], 4) for name in ("loss", "low", "high")),
            f"the run: {p['place']}",
        ]
        for p in places
    ]
    return figure(
        key, title, panels, caption, table(["of the run", "tokens", "loss", "low", "high", ""], rows, class_="numbers")
    )


def _band_title(
    forecast: Mapping[str, Any], outcome: Mapping[str, Any] | None, places: Sequence[Mapping[str, Any]]
) -> str:
    if outcome is not None:
        where = "inside" if outcome["inside"] else "outside"
        band = f"{number(forecast['low'])} to {number(forecast['high'])}"
        return f"It reached {number(outcome['loss'])}, {where} the {band} that was frozen before"
    if places:
        return f"So far: {places[-1]['text']}"
    return (
        f"Forecast {number(forecast['loss'])} at {count(forecast['tokens'])} tokens; no point of the run is given yet"
    )


def _draw_band(
    axes: Axes,
    *,
    forecast: Mapping[str, Any],
    band: Sequence[Mapping[str, float]],
    outcome: Mapping[str, Any] | None,
    places: Sequence[Mapping[str, Any]],
) -> None:
    tokens = [point["tokens"] for point in band]
    log_axis(axes, "x", *padded(tokens, 0.03), short_count)
    axes.fill_between(tokens, [p["low"] for p in band], [p["high"] for p in band], color=BAND, linewidth=0, zorder=1)
    axes.plot(tokens, [p["loss"] for p in band], color=INK, linewidth=1.3, linestyle=(0, (4, 3)), zorder=2)
    bar = [[forecast["loss"] - forecast["low"]], [forecast["high"] - forecast["loss"]]]
    axes.errorbar(forecast["tokens"], forecast["loss"], bar, color=ACCENT, linewidth=2, capsize=6, capthick=2, zorder=4)
    for point in places:
        filled = "none" if point["place"] == "inside" else ACCENT
        axes.plot(point["tokens"], point["loss"], "o", color=ACCENT, markerfacecolor=filled, markersize=7,
                  markeredgewidth=1.5, zorder=5)  # fmt: skip
    if outcome is not None:
        axes.plot(forecast["tokens"], outcome["loss"], "*", color=INK, markersize=13, markeredgewidth=0, zorder=6)
    axes.set_xlabel("tokens seen")
    axes.set_ylabel("loss (nats per token)")
