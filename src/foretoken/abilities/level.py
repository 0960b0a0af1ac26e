"""The size at which a curve reaches a level, from the curves drawn from its weighed shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.abilities.curve import FARTHEST, Curve
from foretoken.abilities.curve_fit import CurveDraws
from foretoken.abilities.verdict import Verdict
from foretoken.laws.law import Array

FEWEST = 0.25
"""Where fewer of the drawn curves reach a level, no size is said."""
INSIDE, BEYOND = 121, 240
"""Places at which curves are looked at within the data, and beyond."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Where a curve reaches a level."""

    name: str
    value: float
    """A fraction, or as the score stands."""
    size: float
    """In the unit of the axis: the median of the drawn curves that reach it."""
    factor: float
    """Times the largest size; below 1 where the level lies within the data."""
    low: float
    """Of the factor."""
    high: float | None
    """Of the factor; None where too many of the curves never reach the level."""
    size_low: float
    size_high: float | None
    reached: float
    """The share of the drawn curves that reach it at all."""
    line_factor: float | None
    """The factor by a straight line in the log of size through all scores, by least squares."""


def level_reached(
    curve: Curve, draws: CurveDraws, verdict: Verdict, name: str, value: float, probability: float
) -> tuple[Level | None, str | None]:
    """Where the curve reaches `value`, and the reason where that, or the end of its interval, cannot be said."""
    target = float(curve.good(np.array([value]))[0])
    if reason := _refusal(curve, verdict, name, value, target):
        return None, reason
    places = np.concatenate([np.linspace(0.0, 1.0, INSIDE), np.linspace(1.0, curve.place_of(FARTHEST), BEYOND)[1:]])
    crossing = first_crossing(places, curve.good(curve.score_of(draws.at(places))), target)
    # Curves that never get there cross at infinity, so that the quantiles count them.
    reached = float(np.isfinite(crossing).mean())
    tail = (1.0 - probability) / 2.0
    if reached < FEWEST:
        return None, (
            f"only {100 * reached:.0f} % of the curves that fit the scores reach {value:.3g} within {FARTHEST:g} times"
            " the largest size"
        )
    # Curves that level off below are in the interval, whose end they open; a middle of them and the others would jump
    # from one to the other where half of them reach the level, and a lower end of both would pass over sizes at which
    # those reach it that do.
    low, middle = np.quantile(crossing[np.isfinite(crossing)], [tail, 0.5])
    # Inverted, so that no infinite place is averaged with a finite one.
    high = float(np.quantile(crossing, 1.0 - tail, method="inverted_cdf"))
    size, size_low = (float(curve.size_at(np.array(place))) for place in (middle, low))
    size_high = float(curve.size_at(np.array(high))) if np.isfinite(high) else None
    reason = (
        None
        if size_high is not None
        else (
            f"the interval is open above: {100 * (1 - reached):.0f} % of the curves that fit the scores never reach"
            f" {value:.3g}"
        )
    )
    return Level(
        name=name,
        value=value,
        size=size,
        factor=_factor(curve, size),
        low=_factor(curve, size_low),
        high=None if size_high is None else _factor(curve, size_high),
        size_low=size_low,
        size_high=size_high,
        reached=reached,
        line_factor=_by_a_line(curve, target),
    ), reason


def _factor(curve: Curve, size: float) -> float:
    """A size in units of the largest; of losses, how many times lower it is."""
    return curve.largest / size if curve.axis == "loss" else size / curve.largest


def _refusal(curve: Curve, verdict: Verdict, name: str, value: float, target: float) -> str | None:
    top = curve.ceiling
    if top is not None and (value > top if curve.better == "up" else value < top):
        return f"{name} ({value:.3g}) lies beyond the ceiling ({top:.3g})"
    if curve.is_bounded and not 0.0 <= value <= 1.0:
        return f"{name} ({value:.3g}) lies outside the bounds of the score"
    if verdict == "not_enough_data":
        return "the data do not say what the curve does"
    if verdict == "flat" and target > float(curve.good(curve.score).max()):
        return "the curve is flat: no size reaches a level that it has not"
    if verdict == "u_shaped":
        return "the curve turns back: what it does beyond the data is not said by what it does within"
    return None


def first_crossing(places: Array, good: Array, target: float) -> Array:
    """The first place at which each curve [s, g] reaches the target [s]; infinite where it does not.

    >>> first_crossing(np.array([0.0, 1.0, 2.0]), np.array([[0.0, 0.5, 1.0], [0.0, 0.1, 0.2]]), 0.75).tolist()
    [1.5, inf]
    """
    above = good >= target
    place = above.argmax(axis=1)
    rows = np.arange(len(good))
    before = np.maximum(place - 1, 0)
    low, high = good[rows, before], good[rows, place]
    share = np.where(place > 0, (target - low) / np.maximum(high - low, 1e-300), 0.0)
    crossing = places[before] + np.clip(share, 0.0, 1.0) * (places[place] - places[before])
    return np.where(above.any(axis=1), crossing, np.inf)


def _by_a_line(curve: Curve, target: float) -> float | None:
    """The factor at which the least-squares line through the scores reaches the target; None where it falls."""
    slope, start = np.polyfit(curve.place, curve.good(curve.score), 1)
    if slope <= 0:
        return None
    size = float(curve.size_at(np.array((target - start) / slope)))
    return _factor(curve, size) if size > 0 else None
