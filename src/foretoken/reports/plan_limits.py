"""Limits of a plan on its figures: sizes that are not allowed, and where tokens begin to repeat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foretoken.plans.constraints import Limits
from foretoken.plans.result import Plan
from foretoken.reports.numbers import count
from foretoken.reports.svg import INK, MUTED, PAPER, SHADE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def limits_of(plan: Plan) -> Limits:
    """The plan's limits on size and tokens."""
    return plan.limits.limits


def limited(plan: Plan) -> bool:
    """Whether there are limits other than few distinct tokens."""
    return plan.limits.bind


def allowed_sizes(plan: Plan, flops: float) -> tuple[float, float]:
    """Smallest and largest size that the limits allow at a compute that is spent whole."""
    limits = limits_of(plan)
    per_token = plan.flops / plan.params / plan.tokens
    # At C = k N D the most tokens D allow no size below N = C / (k D).
    return max(limits.min_params, flops / per_token / limits.max_tokens), limits.max_params


def single_pass(plan: Plan, flops: float) -> float | None:
    """The size below which distinct tokens are seen again; None where they are not limited."""
    unique = plan.limits.unique_tokens
    # D = C / (k N) falls with N: to the left of N = C / (k U) it is above the U distinct tokens.
    return None if unique is None else flops * plan.params * plan.tokens / plan.flops / unique


def limits_words(plan: Plan) -> str:
    """The caption's sentences on limits that a figure over size shows."""
    sentences = []
    if plan.limits.rule_out_sizes:
        sentences.append("Grey: sizes that the limits rule out.")
    if plan.limits.sizes:
        sentences.append("Squares: the only sizes allowed.")
    if plan.limits.unique_tokens:
        sentences.append(f"Dotted: left of it, {count(plan.limits.unique_tokens)} distinct tokens are seen again.")
    return " ".join(sentences)


def draw_limits(axes: Axes, plan: Plan) -> None:
    """The limits at the plan's compute, over a logarithmic axis of sizes whose ends are set."""
    left, right = axes.get_xlim()
    low, high = allowed_sizes(plan, plan.flops)
    # A hair inside the limits, so that a mark that stands on one is not in the grey.
    for start, end in ((left, min(low * (1 - 1e-9), right)), (max(high * (1 + 1e-9), left), right)):
        if start < end:
            axes.axvspan(start, end, color=SHADE, linewidth=0, zorder=0)
    _draw_sizes(axes, plan)
    once = single_pass(plan, plan.flops)
    if once is not None and left < once < right:
        axes.axvline(once, color=MUTED, linestyle=":", linewidth=1.2, zorder=1)


def draw_family_limits(axes: Axes, plan: Plan, flops: list[float], losses: list[float]) -> None:
    """The cap on size, the only sizes, and the line along which each distinct token is seen once."""
    left, right = axes.get_xlim()
    most = limits_of(plan).max_params
    if left < most < right:
        axes.axvspan(most, right, color=SHADE, linewidth=0, zorder=0)
    _draw_sizes(axes, plan)
    sizes = [single_pass(plan, budget) or math.nan for budget in flops]
    axes.plot(sizes, losses, color=MUTED, linestyle=":", linewidth=1.2, zorder=2)


def _draw_sizes(axes: Axes, plan: Plan) -> None:
    """The only sizes allowed, on the lower edge."""
    left, right = axes.get_xlim()
    sizes = [size for size in plan.limits.sizes if left <= size <= right]
    edge = [axes.get_ylim()[0]] * len(sizes)
    axes.plot(sizes, edge, "s", color=INK, markerfacecolor=PAPER, markersize=6, clip_on=False, zorder=5)
