"""Figure of a plan's whole life: training and serving of three sizes against the tokens served."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from foretoken.laws.law import Array
from foretoken.plans.lifetime import SERVING
from foretoken.plans.plan import Plan
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import MISSING, count, number, percent, power
from foretoken.reports.plan_curves import LifeCurves
from foretoken.reports.svg import ACCENT, INK, MUTED, PAPER, apart, drawing, log_axis, short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL = 118
"""Pixels for the names at the right."""
Line = tuple[str, Array, str, str]
"""Name, share of the plan's whole-life compute [demands], colour, dashes."""


def served_tokens(plan: Plan) -> float | None:
    """Tokens of the demand that the plan was given."""
    life = plan.lifetime
    return None if life is None or life.unit != "FLOP" else life.serving / (SERVING * life.params)


def life_figure(plan: Plan, curves: LifeCurves) -> Html:
    """Whole-life compute against demand, in that of the plan's size."""
    title = _title(plan, curves)
    caption = (
        f"Training and serving together ({SERVING:g} FLOP per parameter and token served), in those of the plan's "
        f"size, for models trained to its loss of {number(plan.loss, 3)}. Solid: the size that is cheapest at each "
        "demand."
        + (" Dashed: the smallest size of the band, trained longer." if curves.smallest is not None else "")
        + (" Upright: the demand that was given." if plan.lifetime else "")
    )
    served = served_tokens(plan)
    draw = partial(_draw, lines=_lines(plan, curves), curves=curves, served=served)
    panels = [
        drawing(f"life-{kind}", size, draw, title=title, described=caption, class_=kind)
        for kind, size in (("wide", (760, 330)), ("narrow", (380, 320)))
    ]
    small = curves.smallest if curves.smallest is not None else [None] * len(curves.demand)
    rows = [
        [count(demand), power(chosen), power(optimal), MISSING if least is None else power(least)]
        for demand, chosen, optimal, least in zip(curves.demand, curves.chosen, curves.optimal, small, strict=True)
    ]
    heads = ["tokens served", "the plan's size (FLOP)", "the cheapest size", "smallest in the band"]
    return figure("life", title, panels, caption, table(heads, rows, class_="numbers"))


def _title(plan: Plan, curves: LifeCurves) -> str:
    life = plan.lifetime
    if life is not None:
        return (
            f"For {count(served_tokens(plan))} tokens served, {count(life.params)} on {count(life.tokens)} saves "
            f"{percent(life.saved, 0)} of the whole life"
        )
    if curves.pays_after is not None:
        size = count(curves.smallest_params)
        return f"Served more than {count(curves.pays_after)} tokens, {size} costs less than the plan's size"
    return "The more is served, the more a smaller model saves"


def _lines(plan: Plan, curves: LifeCurves) -> list[Line]:
    found = [
        (f"the plan's {count(plan.params)}", np.ones(len(curves.demand)), ACCENT, "-"),
        ("cheapest size", curves.optimal / curves.chosen, INK, "-"),
    ]
    if curves.smallest is not None:
        found.append((f"smallest, {count(curves.smallest_params)}", curves.smallest / curves.chosen, MUTED, "--"))
    return found


def _draw(axes: Axes, *, lines: Sequence[Line], curves: LifeCurves, served: float | None) -> None:
    width, height = (72 * side for side in axes.figure.get_size_inches())  # type: ignore[union-attr]
    low, high = float(curves.demand[0]), float(curves.demand[-1])
    room = (high / low) ** (LABEL / (width - 60 - LABEL))
    log_axis(axes, "x", low, high * room, lambda value: short_count(value) if value <= high else "")
    values = [float(value) for _, shares, _, _ in lines for value in shares[np.isfinite(shares)]]
    bottom, top = min(0.0, *values), max(values) * 1.08
    axes.set_ylim(bottom, top)
    for _, shares, colour, dashes in lines:
        axes.plot(curves.demand, shares, color=colour, linestyle=dashes, linewidth=1.8)
    if served is not None:
        axes.axvline(served, color=MUTED, linestyle=":", linewidth=1.2)
        axes.annotate(count(served), (served, 1), (4, -10), xycoords=("data", "axes fraction"), color=MUTED,
                      textcoords="offset points", fontsize=11)  # fmt: skip
        nearest = float(np.interp(np.log(served), np.log(curves.demand), curves.optimal / curves.chosen))
        axes.plot(served, nearest, "o", color=INK, markersize=7, markeredgecolor=PAPER, zorder=4)
    places = apart([float(shares[-1]) for _, shares, _, _ in lines], (top - bottom) * 17 / (height - 60))
    for (name, _, colour, _), place in zip(lines, places, strict=True):
        axes.annotate(name, (high, place), (6, 0), textcoords="offset points", va="center", fontsize=11, color=colour)
    axes.set_xlabel("tokens served over its life")
    axes.set_ylabel("share of the plan's whole life")
