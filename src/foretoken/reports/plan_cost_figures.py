"""Figures of what a plan costs: training and serving over its whole life, memory by part, and the time of a step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from foretoken.compute.layout import Layout
from foretoken.laws.law import Array
from foretoken.plans.lifetime import SERVING
from foretoken.plans.result import Plan
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, figure, table
from foretoken.reports.numbers import MISSING, count, number, percent, power, significant
from foretoken.reports.plan_curves import LifeCurves
from foretoken.reports.svg import (
    ACCENT,
    INK,
    MUTED,
    PAPER,
    apart,
    figure_size,
    log_axis,
    responsive,
    short_count,
    write_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


GB = 1e9
MEMORY = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer state",
    "activations": "activations",
}
STEP = (
    ("compute_seconds", "compute"),
    ("tensor_seconds", "tensor communication"),
    ("pipeline_seconds", "pipeline communication"),
    ("data_seconds", "data communication, what nothing hides"),
    ("bubble_seconds", "waiting of pipeline stages"),
)


def machine_figures(plan: Plan) -> list[Html]:
    """Memory and step time of the plan's layout; none without one."""
    return [] if plan.layout is None else [_memory(plan, plan.layout), _step(plan.layout)]


def _memory(plan: Plan, layout: Layout) -> Html:
    room, total = plan.cost.memory, layout.memory.total / GB
    name = plan.cost.accelerator
    parts = [(words, getattr(layout.memory, key) / GB) for key, words in MEMORY.items()]
    share = f", {percent(layout.memory.total / room, 0)} of a {name}" if room else ""
    title = f"The fullest accelerator holds {number(total, 1)} GB{share}"
    caption = (
        "Bytes of training on the fullest accelerator, each part after the one above it; without buffers of "
        "communication and what the allocator wastes." + (f" Dotted: the memory of a {name}." if room else "")
    )
    marks = [(room / GB, f"{room / GB:.3g} GB")] if room else []
    lines = _waterfall(parts, "GB")
    panels = forest("memory", lines, "memory (GB)", title=title, described=caption, marks=marks)
    rows = [[words, f"{value:.2f}", percent(value / total, 0)] for words, value in [*parts, ("together", total)]]
    return figure("memory", title, panels, caption, table(["part", "GB", "share"], rows, class_="numbers"))


def _step(layout: Layout) -> Html:
    parts = [(words, getattr(layout, key)) for key, words in STEP]
    total = layout.step_seconds
    title = f"Of the {significant(total)} s of a step, {percent(layout.compute_seconds / total, 0)} are compute"
    caption = (
        "Seconds of one optimizer step by arithmetic, each part after the one above it: a first estimate, to be "
        f"measured before money is spent. Utilisation of the model's own FLOP: {number(layout.mfu, 2)}."
    )
    lines = _waterfall([part for part in parts if part[1] > 0], "s")
    panels = forest("step", lines, "seconds of a step", title=title, described=caption)
    rows = [[words, significant(value), percent(value / total, 1)] for words, value in [*parts, ("together", total)]]
    return figure("step", title, panels, caption, table(["part", "seconds", "share"], rows, class_="numbers"))


def _waterfall(parts: Sequence[tuple[str, float]], unit: str) -> list[Line]:
    """Each part begins where the one before ends; its size stands beside its name."""
    ends = list(accumulate(value for _, value in parts))
    starts = [0.0, *ends[:-1]]
    return [
        Line(f"{name}: {significant(value)} {unit}", end, text=" ", start=start)
        for (name, value), end, start in zip(parts, ends, starts, strict=True)
    ]


def layout_table(plan: Plan) -> Html:
    """How the training is split over the accelerators."""
    layout = plan.layout
    assert layout is not None
    split = layout.split
    rows: list[list[object]] = [
        ["tensor parallel", split.tensor],
        ["pipeline stages", split.pipeline],
        ["groups of blocks in each", split.interleave],
        ["data parallel", split.data],
        ["ZeRO stage", split.zero],
        ["recomputation", split.recompute],
        ["micro-batches", f"{layout.micro_batches} a step, sequences in each: {layout.micro_batch}"],
        ["by this arithmetic", f"{number(layout.hours(plan.tokens) / 24, 1)} days at MFU {number(layout.mfu, 2)}"],
        ["by usual utilisation", f"{number(plan.cost.days, 1)} days at MFU {number(plan.cost.mfu, 2)}"],
    ]
    return table(["", ""], rows, class_="plain")
