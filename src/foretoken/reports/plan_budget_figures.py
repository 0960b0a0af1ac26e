"""Figures of a plan at other budgets: the IsoFLOP family with its optima, and the least loss that money buys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.laws import PUBLISHED
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.html import Html, figure, table
from foretoken.reports.numbers import MISSING, count, number, percent, power
from foretoken.reports.palette import Budgets, ranked
from foretoken.reports.plan_curves import Frontier, Isoflop
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SEEN = 0.004
"""Regret, in nats per token, below which a mark would lie on the plan's."""
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
        f"and takes {number(first.best[2] - last.best[2], 2)} nats off"
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
    heads = ["budget (FLOP)", "N*", "D*", "D*/N*", "loss (nats per token)", "beyond the runs"]
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
    axes.set_ylabel("loss (nats per token)")


def frontier_figure(plan: Plan, curve: Frontier, near: tuple[float, float, float]) -> Html:
    """Least loss over money, or compute where no price is known; `near`: half, all and twice the plan's."""
    usd = plan.cost.usd
    priced = usd is not None
    rate, unit = (1.0, "FLOP") if usd is None else (usd / plan.flops, "USD")
    half, least, double = near
    what, above = "money" if priced else "compute", (plan.loss or math.nan) - least
    title = f"Half the {what} costs {number(half - least, 3)} nats, twice takes {number(least - double, 3)} off"
    if above > SEEN:
        title = f"The plan lies {number(above, 3)} nats above what its {what} could buy at another size"
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
    heads = ["compute (FLOP)", "price", "least loss (nats per token)"]
    heads += [] if curve.within is None else ["within the limits"]
    return figure("frontier", title, panels, caption, table(heads, rows, class_="numbers"))


def _worst(plan: Plan) -> list[Alternative]:
    """The choices worth a mark: the user's own, the rule of thumb, the published law that loses most."""
    known = [choice for choice in plan.alternatives if choice.loss is not None and choice.regret_flops is not None]
    laws = [choice for choice in known if choice.name in PUBLISHED]
    named = [choice for choice in known if choice.name in ("reference size", "20 tokens per parameter")]
    worst = [max(laws, key=lambda choice: choice.loss or 0.0)] if laws else []
    return [choice for choice in named + worst if (choice.regret_loss or 0.0) > SEEN]


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
    axes.set_ylabel("loss (nats per token)")
