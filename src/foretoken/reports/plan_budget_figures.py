"""Figures of a plan at other budgets and demands: IsoFLOP curves, the least loss that money buys, the whole life."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from foretoken.laws import PUBLISHED
from foretoken.laws.law import Array
from foretoken.plans.lifetime import SERVING
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.html import Html, figure, table
from foretoken.reports.numbers import MISSING, count, number, percent, power
from foretoken.reports.palette import Budgets, ranked
from foretoken.reports.plan_curves import Frontier, Isoflop, LifeCurves
from foretoken.reports.plan_limits import draw_family_limits, limited, limits_words
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    PAPER,
    SHADE,
    apart,
    figure_size,
    log_axis,
    responsive,
    short_count,
    short_power,
    write_label,
)
from foretoken.runs.loss_units import short_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEN = 0.002
"""Regret, as a share of the plan's loss, below which a mark would lie on the plan's."""
WIDE, NARROW = (760, 400), 360
"""Sizes of both figures, in CSS pixels: on a wide page, and the height on a phone."""


def colours(curves: Sequence[Isoflop]) -> Budgets:
    """A colour for each budget of the family."""
    return ranked((str(rank), curve.flops) for rank, curve in enumerate(curves))


def family_figure(plan: Plan, curves: Sequence[Isoflop], budgets: Budgets) -> Html:
    """Loss over N at five budgets, with the line of optima."""
    first, last = curves[0], curves[-1]
    title = (
        f"{last.flops / first.flops:.0f} times the compute asks for {last.best[0] / first.best[0]:.3g} times the size "
        f"and lowers the loss by {number(first.best[2] - last.best[2], 2)} {short_unit(plan.loss_unit)}"
    )
    caption = (
        "Loss over size at budgets from a hundredth to ten times the plan's, by the law. Filled: each budget's least "
        "loss, joined by the line of best sizes. Larger mark: the plan. "
        + (
            "Dashed: budgets beyond every run behind the law."
            if any(curve.beyond for curve in curves)
            else "No budget is known to lie beyond the runs behind the law."
        )
        + (" Hollow: the best that the limits allow. " if limited(plan) else " ")
        + limits_words(plan)
    ).strip()
    draw = partial(_draw_family, plan=plan, curves=curves, budgets=budgets)
    panels = responsive("family", draw, title=title, described=caption, wide=WIDE, narrow=NARROW)
    heads = ["budget (FLOP)", "N*", "D*", "D*/N*", f"loss ({plan.loss_unit})", "beyond the runs"]
    heads += ["N within the limits", "its loss"] if limited(plan) else []
    rows = [
        [
            power(curve.flops),
            *(count(curve.best[0]), count(curve.best[1]), number(curve.best[1] / curve.best[0], 1)),
            *(number(curve.best[2], 4), "yes" if curve.beyond else "no"),
            *_within(plan, curve),
        ]
        for curve in curves
    ]
    return figure("family", title, panels, caption, table(heads, rows, class_="numbers"))


def _within(plan: Plan, curve: Isoflop) -> list[str]:
    if not limited(plan):
        return []
    return [MISSING] * 2 if curve.allowed is None else [count(curve.allowed[0]), number(curve.allowed[1], 4)]


def _draw_family(axes: Axes, *, plan: Plan, curves: Sequence[Isoflop], budgets: Budgets) -> None:
    width = figure_size(axes)[0]
    low, high = float(curves[0].params[0]) / 1.2, float(curves[-1].params[-1])
    # 75 pixels at the right for the budgets' names, of what the axis at the left (60) leaves.
    room = (high / low) ** (75 / (width - 135))
    log_axis(axes, "x", low, high * room, short_count)
    for curve, budget in zip(curves, budgets.values(), strict=True):
        style = "--" if curve.beyond else "-"
        axes.plot(curve.params, curve.losses, color=budget.colour, linewidth=1.5, linestyle=style)
        axes.plot(curve.best[0], curve.best[2], "o", color=budget.colour, markersize=6, markeredgecolor=PAPER, zorder=4)
    sizes, least = [curve.best[0] for curve in curves], [curve.best[2] for curve in curves]
    axes.plot(sizes, least, color=MUTED, linewidth=1, zorder=3)
    axes.plot(plan.params, plan.loss or math.nan, "o", color=ACCENT, markersize=9, markeredgecolor=PAPER, zorder=5)
    losses = [float(curve.losses[-1]) for curve in curves]
    bottom = min(least)
    top = max(losses)
    axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.05 * (top - bottom))
    draw_family_limits(axes, plan, [curve.flops for curve in curves], [curve.once or math.nan for curve in curves])
    for curve, budget in zip(curves, budgets.values(), strict=True):
        if curve.allowed is not None and abs(curve.allowed[0] / curve.best[0] - 1) > 0.01:
            axes.plot(*curve.allowed, "o", color=budget.colour, markerfacecolor=PAPER, markersize=6, zorder=4)
    height = figure_size(axes)[1]
    heights = apart(losses, 1.1 * (top - bottom) * 16 / (height - 70))
    for curve, label_height in zip(curves, heights, strict=True):
        write_label(axes, power(curve.flops, 1), (float(curve.params[-1]), label_height), (6, 0))
    axes.set_xlabel("parameters N")
    axes.set_ylabel(f"loss ({plan.loss_unit})")


def frontier_figure(plan: Plan, curve: Frontier, near: tuple[float, float, float]) -> Html:
    """Least loss over money, or compute where no price is known; `near`: half, all and twice the plan's."""
    usd = plan.cost.usd
    priced = usd is not None
    rate, unit = (1.0, "FLOP") if usd is None else (usd / plan.flops, "USD")
    # Both differences are of least losses at any size, so that a plan within limits is not blamed for its budget.
    half, least, double = near
    what, above = "money" if priced else "compute", (plan.loss or math.nan) - least
    in_short = short_unit(plan.loss_unit)
    title = (
        f"With half the {what} the loss is {number(half - least, 3)} {in_short} higher; with twice, "
        f"{number(least - double, 3)} lower"
    )
    if above > SEEN * least:
        title = f"The plan lies {number(above, 3)} {in_short} above what its {what} could buy at another size"
    caption = (
        f"Line: the least loss that each {'price' if priced else 'compute'} buys, at any size"
        + (f"; band: {percent(plan.level, 0)} of the law's draws" if curve.low is not None else "")
        + (". Dollars at the plan's utilisation and price" if priced else "")
        + (". Dotted: the least that the limits allow" if curve.within is not None else "")
        + ". Filled: the plan. Hollow: choices that cost as much; the thin line leads to what would have bought their "
        "loss. " + ("Shaded and dashed: beyond every run behind the law." if curve.known else "")
    )
    marks = _worst(plan)
    draw = partial(_draw_frontier, plan=plan, curve=curve, rate=rate, marks=marks, unit=unit)
    panels = responsive("frontier", draw, title=title, described=caption, wide=WIDE, narrow=NARROW)
    within = [None] * len(curve.flops) if curve.within is None else curve.within
    points = list(zip(curve.flops, curve.losses, within, strict=True))[::3]
    rows = [
        [
            power(flops),
            _money(flops * rate) if priced else MISSING,
            number(loss, 4),
            *([] if curve.within is None else [number(allowed, 4)]),
        ]
        for flops, loss, allowed in points
    ]
    heads = ["compute (FLOP)", "price", f"least loss ({plan.loss_unit})"]
    heads += [] if curve.within is None else ["within the limits"]
    return figure("frontier", title, panels, caption, table(heads, rows, class_="numbers"))


def _worst(plan: Plan) -> list[Alternative]:
    """The choices worth a mark: the user's own, the rule of thumb, the published law that loses most."""
    known = [choice for choice in plan.alternatives if choice.loss is not None and choice.regret_flops is not None]
    laws = [choice for choice in known if choice.name in PUBLISHED]
    named = [choice for choice in known if choice.name in ("reference size", "20 tokens per parameter")]
    worst = [max(laws, key=lambda choice: choice.loss or 0.0)] if laws else []
    return [choice for choice in named + worst if (choice.regret_loss or 0.0) > SEEN * (plan.loss or 0.0)]


def _money(usd: float) -> str:
    return f"${short_count(float(f'{usd:.3g}'))}"


def _draw_frontier(
    axes: Axes, *, plan: Plan, curve: Frontier, rate: float, marks: Sequence[Alternative], unit: str
) -> None:
    x = curve.flops * rate
    log_axis(axes, "x", float(x[0]), float(x[-1]), _money if unit == "USD" else short_power)
    if curve.low is not None and curve.high is not None:
        axes.fill_between(x, curve.low, curve.high, color=BAND, linewidth=0, zorder=1)
    if curve.within is not None:
        axes.plot(x, curve.within, color=ACCENT, linewidth=1.4, linestyle=":", zorder=2)
    known = curve.known or float(curve.flops[-1])
    inside = curve.flops <= known
    axes.plot(x[inside], curve.losses[inside], color=INK, linewidth=1.8, zorder=2)
    outside = curve.flops >= known
    axes.plot(x[outside], curve.losses[outside], color=INK, linewidth=1.8, linestyle=(0, (5, 2.5)), zorder=2)
    if known < curve.flops[-1]:
        axes.axvspan(max(known, float(curve.flops[0])) * rate, float(x[-1]), color=SHADE, linewidth=0, zorder=0)
    here = plan.flops * rate
    axes.plot(here, plan.loss or math.nan, "o", color=ACCENT, markersize=9, markeredgecolor=PAPER, zorder=5)
    bottom, top = axes.get_ylim()
    height = figure_size(axes)[1]
    ends = [choice.loss or math.nan for choice in marks]
    heights = apart(ends, (top - bottom) * 17 / (height - 60))
    write_label(axes, "the plan", (here, plan.loss or math.nan), (-10, -12), colour=ACCENT, ha="right")
    for choice, end, label_height in zip(marks, ends, heights, strict=True):
        write_label(axes, choice.name, (here, label_height), (12, 0))
        axes.plot(here, end, "o", color=INK, markerfacecolor=PAPER, markersize=6.5, zorder=4)
        cheaper = (plan.flops - (choice.regret_flops or 0.0)) * rate
        axes.plot([max(cheaper, float(x[0])), here], [end, end], color=MUTED, linewidth=0.8, zorder=2)
    axes.set_xlabel("price of the training (USD)" if unit == "USD" else "compute C (FLOP)")
    axes.set_ylabel(f"loss ({plan.loss_unit})")


LIFE_LABEL = 118
"""Pixels for the names at the right."""
LifeLine = tuple[str, Array, str, str]
"""Name, share of the plan's whole-life compute [demands], colour, dashes."""


def served_tokens(plan: Plan) -> float | None:
    """Tokens of the demand that the plan was given."""
    life = plan.lifetime
    return None if life is None or life.unit != "FLOP" else life.serving / (SERVING * life.params)


def life_figure(plan: Plan, curves: LifeCurves) -> Html:
    """Whole-life compute against demand, in that of the plan's size."""
    title = _life_title(plan, curves)
    caption = (
        f"Training and serving together ({SERVING:g} FLOP per parameter and token served), in those of the plan's "
        f"size, for models trained to its loss of {number(plan.loss, 3)}. Solid: the size that is cheapest at each "
        "demand."
        + (" Dashed: the smallest size of the band, trained longer." if curves.smallest is not None else "")
        + (" Upright: the demand that was given." if plan.lifetime else "")
    )
    served = served_tokens(plan)
    draw = partial(_draw_life, lines=_life_lines(plan, curves), curves=curves, served=served)
    panels = responsive("life", draw, title=title, described=caption, wide=(760, 330))
    small = curves.smallest if curves.smallest is not None else [None] * len(curves.demand)
    rows = [
        [count(demand), power(chosen), power(optimal), MISSING if least is None else power(least)]
        for demand, chosen, optimal, least in zip(curves.demand, curves.chosen, curves.optimal, small, strict=True)
    ]
    heads = ["tokens served", "the plan's size (FLOP)", "the cheapest size", "smallest in the band"]
    return figure("life", title, panels, caption, table(heads, rows, class_="numbers"))


def _life_title(plan: Plan, curves: LifeCurves) -> str:
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


def _life_lines(plan: Plan, curves: LifeCurves) -> list[LifeLine]:
    lines = [
        (f"the plan's {count(plan.params)}", np.ones(len(curves.demand)), ACCENT, "-"),
        ("cheapest size", curves.optimal / curves.chosen, INK, "-"),
    ]
    if curves.smallest is not None:
        lines.append((f"smallest, {count(curves.smallest_params)}", curves.smallest / curves.chosen, MUTED, "--"))
    return lines


def _draw_life(axes: Axes, *, lines: Sequence[LifeLine], curves: LifeCurves, served: float | None) -> None:
    width, height = figure_size(axes)
    low, high = float(curves.demand[0]), float(curves.demand[-1])
    # The names at the right take LIFE_LABEL pixels: the log axis is longer by their share of the rest.
    room = (high / low) ** (LIFE_LABEL / (width - 60 - LIFE_LABEL))
    log_axis(axes, "x", low, high * room, lambda value: short_count(value) if value <= high else "")
    values = [float(value) for _, shares, _, _ in lines for value in shares[np.isfinite(shares)]]
    bottom, top = min(0.0, *values), max(values) * 1.08
    axes.set_ylim(bottom, top)
    for _, shares, colour, dashes in lines:
        axes.plot(curves.demand, shares, color=colour, linestyle=dashes, linewidth=1.8)
    if served is not None:
        axes.axvline(served, color=MUTED, linestyle=":", linewidth=1.2)
        write_label(axes, count(served), (served, 1), (4, -10), colour=MUTED, va="baseline", above=True)
        # Linear in the share and logarithmic in the demand, as the line is drawn.
        nearest = float(np.interp(np.log(served), np.log(curves.demand), curves.optimal / curves.chosen))
        axes.plot(served, nearest, "o", color=INK, markersize=7, markeredgecolor=PAPER, zorder=4)
    heights = apart([float(shares[-1]) for _, shares, _, _ in lines], (top - bottom) * 17 / (height - 60))
    for (name, _, colour, _), label_height in zip(lines, heights, strict=True):
        write_label(axes, name, (high, label_height), (6, 0), colour=colour)
    axes.set_xlabel("tokens served over its life")
    axes.set_ylabel("share of the plan's whole life")
