"""A decision between recipes in sentences that a lead can act on."""

from __future__ import annotations

from foretoken.decisions.accuracy import Decisions
from foretoken.decisions.result import Versus
from foretoken.forecasts.forecast import NEW_RUN
from foretoken.units import format_times

SURE, LIKELY = 0.95, 0.8
"""Probabilities from which a recipe is taken, and from which it is the better bet."""


def decision(found: Versus) -> str:
    """Which recipe to take, in one sentence.

    The probability is of the winner; 97 % is the most that is ever said.
    """
    where = f"at {found.compute:.3g} FLOP"
    chance = f"{100 * found.sure:.3g} %"
    if found.sure >= SURE:
        return f"Take {found.winner}: {where} it beats {found.loser} with a probability of {chance}."
    if found.sure >= LIKELY:
        return f"{found.winner} is the better bet {where}: it beats {found.loser} with a probability of {chance}."
    return f"Undecided {where}: {found.winner} beats {found.loser} with a probability of {chance} only."


def difference(found: Versus) -> str:
    """The difference of the losses with its interval."""
    of = "of one new run of each" if found.kind == NEW_RUN else "of their expected losses"
    return (
        f"{found.first} less {found.second}: {found.difference:+.4f} {found.unit} ({100 * found.level:g} %:"
        f" {found.low:+.4f} to {found.high:+.4f}), {of}, {found.split}"
    )


def crossing(found: Versus) -> str:
    """Where the two cross, or why nothing is said of it."""
    at = found.crossing
    if at is None:
        return f"No crossing: {found.crossing_reason}."
    low = "the smallest runs or below" if at.low is None else f"{at.low:.3g}"
    high = "beyond what was looked at" if at.high is None else f"{at.high:.3g} FLOP"
    rising = next((point for point in found.points if point.flops > at.flops), found.points[-1]).difference
    after = found.first if rising < 0 else found.second
    return f"They cross at {at.flops:.3g} FLOP ({100 * found.level:g} %: {low} to {high}); {after} is ahead above it."


def saved(found: Versus) -> str:
    """What the first saves to reach the second's loss, or why nothing is said of it."""
    one = found.compute_saved
    if one is None:
        return f"Compute saved: unknown; {found.compute_saved_reason}."
    low, high = ("no bound" if end is None else f"{end:.3g}" for end in (one.low, one.high))
    share = f"{100 * one.share:.3g} % less" if one.share >= 0 else f"{-100 * one.share:.3g} % more"
    return (
        f"{found.first} reaches the loss of {found.second} there with {one.flops:.3g} FLOP, {share} compute: a factor"
        f" of {one.factor:.3g} ({100 * found.level:g} %: {low} to {high})."
    )


def ranking(found: Decisions) -> str:
    """How well the ladder decides, in one sentence.

    The size told is the cheapest that orders 9 of 10 pairs as the target does, or else the best one.
    """
    size = next((one for one in found.sizes if one.ranking.share >= 0.9), None)
    size = size or max(found.sizes, key=lambda one: one.ranking.share)
    share = size.ranking
    return (
        f"Runs of {format_times(100 * size.spent)} % of the target's compute order {100 * share.share:.0f} % of"
        f" {share.pairs} pairs of recipes as the target does ({100 * found.level:g} %: {100 * share.low:.0f} to"
        f" {100 * share.high:.0f} %)."
    )
