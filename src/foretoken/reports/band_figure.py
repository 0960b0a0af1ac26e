"""Figure: the band that was frozen along a run, and where the run's points lie against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import count, number, percent
from foretoken.reports.svg import ACCENT, BAND, INK, drawing, log_axis, padded, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def band_figure(
    forecast: Mapping[str, Any],
    outcome: Mapping[str, Any] | None,
    places: Sequence[Mapping[str, Any]],
    *,
    key: str = "band",
) -> Html:
    """Loss against tokens seen: the frozen band, points of the run while it trains, and its outcome."""
    band = forecast["target"]["band"]
    title = _title(forecast, outcome, places)
    caption = (
        f"Line and band ({percent(forecast['level'], 0)}): the forecast for a run of this size that ends at so many "
        "tokens, frozen with the forecast. It is that of annealed runs: before the learning rate comes down, a loss "
        "lies above it."
        + (" Open circles: the run so far." if places else "")
        + (" Star: its outcome." if outcome else "")
    )
    draw = partial(_draw, forecast=forecast, band=band, outcome=outcome, places=places)
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


def _title(forecast: Mapping[str, Any], outcome: Mapping[str, Any] | None, places: Sequence[Mapping[str, Any]]) -> str:
    if outcome is not None:
        where = "inside" if outcome["inside"] else "outside"
        band = f"{number(forecast['low'])} to {number(forecast['high'])}"
        return f"It reached {number(outcome['loss'])}, {where} the {band} that was frozen before"
    if places:
        return f"So far: {places[-1]['text']}"
    return (
        f"Forecast {number(forecast['loss'])} at {count(forecast['tokens'])} tokens; no point of the run is given yet"
    )


def _draw(
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
