"""Figure: what leaving out a few runs does to the exponent of N*."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.influence import ORDERS, Influence
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import count, number, percent
from foretoken.reports.svg import ACCENT, BAND, INK, MUTED, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES = {"highest_loss": (ACCENT, "o", "-"), "lowering": (INK, "v", "--"), "raising": (MUTED, "^", "--")}


def influence_sentence(found: Influence) -> str:
    """By how much the few runs of highest loss move the exponent."""
    after = found.after("highest_loss", found.few)
    runs = f"The {found.few} runs of highest loss move" if found.few > 1 else "The run of highest loss moves"
    return f"{runs} the exponent of N* from {number(after, 3)} to {number(found.exponent, 3)}"


def influence_figure(found: Influence) -> Html:
    """The exponent against the number of runs left out, for three orders."""
    title = influence_sentence(found)
    caption = (
        "Exponent a of N* ~ C^a, fitted again without 1, 2, ... runs: "
        + "; ".join(f"{words} ({_mark(name)})" for name, words in ORDERS.items())
        + f". Shaded: the {percent(found.level, 0)} interval with all runs. A mark outside it means that the answer "
        "rests on those few runs: look at each of them before you trust it."
    )
    panels = [
        drawing(f"influence-{kind}", size, partial(_draw, found=found), title=title, described=caption, class_=kind)
        for kind, size in (("wide", (760, 300)), ("narrow", (380, 300)))
    ]
    rows = [
        [
            _mark(name),
            str(place + 1),
            run.run[:24],
            count(run.params),
            count(run.tokens),
            number(run.loss, 4),
            number(a, 4),
        ]
        for name in ORDERS
        for place, (run, a) in enumerate(zip(found.left_out[name], found.exponents[name], strict=True))
    ]
    heads = ["order", "left out", "run", "N", "D", "loss", "exponent without these"]
    return figure("influence", title, panels, caption, table(heads, rows, class_="numbers"))


def _mark(order: str) -> str:
    return {"highest_loss": "circles", "lowering": "triangles down", "raising": "triangles up"}[order]


def _draw(axes: Axes, *, found: Influence) -> None:
    if found.interval:
        axes.axhspan(*found.interval, color=BAND, linewidth=0, zorder=0)
    axes.axhline(found.exponent, color=MUTED, linewidth=1, zorder=1)
    for name, values in found.exponents.items():
        colour, marker, style = STYLES[name]
        places = range(len(values) + 1)
        axes.plot(places, [found.exponent, *values], marker, color=colour, linestyle=style, linewidth=1.3, markersize=6)
    axes.set_xticks(range(len(found.exponents["highest_loss"]) + 1))
    axes.set_xlabel("runs left out")
    axes.set_ylabel("exponent a of N* ~ C^a")
