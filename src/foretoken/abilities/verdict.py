"""What a curve does, told by its features: the definitions of the verdicts, and how sure the data make one.

The definitions are of a curve without noise, on the range of sizes that was measured; `rise` is its change from one end
to the other, and a curve that falls is turned over first:

    flat        it changes by less than one point (0.01) in all
    u_shaped    it turns back: from its turning point both ends are at least a quarter of its whole range away
    sharp       at least 70 % of the rise lie within a third of the (log) range, and at most a tenth of it in the first
                tenth: there is a level before the jump
    saturating  over the last fifth of the range its slope is at most a third of that of its steepest fifth
    steady      it rises, and is none of these

The verdict is the one that most of the curves drawn from the weighed shapes have, if enough of them do; `steady`, which
says that nothing else is seen, must be twice as likely as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from foretoken.laws.law import Array

Verdict = Literal["flat", "steady", "saturating", "sharp", "u_shaped", "not_enough_data"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SMALLEST = 0.01
"""A change below one point is none."""
TURN = 0.25
SHARP_SHARE, SHARP_WINDOW, LEVEL_BEFORE = 0.7, 1 / 3, 0.1
LAST, LEVELLED = 0.2, 1 / 3
PLACES = np.linspace(0.0, 1.0, 61)
"""Places between the smallest and the largest size at which curves are looked at."""
FEWEST = 5
"""Sizes below which nothing is told."""
MANY = 10
"""Sizes from which on the likeliest verdict is told unless it is doubtful itself."""
SURE, SURER = 1 / 3, 0.75
"""Shares of the draws that a verdict needs with many sizes, and with few."""
LAST_RESORT = 2.0
"""`steady`, which says that nothing else is seen, must be so many times as likely as any other; with few sizes the
doubt that is left of it may be so many times less."""


@dataclass(frozen=True)
class Features:
    """What curves do on the measured range; one value per curve [s]."""

    change: Array
    """The largest less the smallest value."""
    rise: Array
    """The last less the first value."""
    turn: Array
    """How far both ends are from a turning point, as a share of `change`."""
    steepest_third: Array
    """The share of the rise within a third of the range, where it is largest."""
    first_tenth: Array
    """The share of the rise within the first tenth."""
    last_slope: Array
    """The slope of the last fifth over that of the steepest fifth."""

    def verdicts(self, smallest: float = SMALLEST, *, leeway: float = 1.0) -> Array:
        """The verdict on each curve, as its number in VERDICTS [s]; `leeway` multiplies the limits of a jump."""
        number = {name: VERDICTS.index(name) for name in VERDICTS}
        return np.select(
            [
                self.change < smallest,
                self.turn >= TURN * leeway,
                (self.steepest_third >= SHARP_SHARE * leeway) & (self.first_tenth <= LEVEL_BEFORE),
                self.last_slope <= LEVELLED * leeway,
            ],
            [number["flat"], number["u_shaped"], number["sharp"], number["saturating"]],
            number["steady"],
        )


def features(curves: Array) -> Features:
    """The features of curves at PLACES [s, g].

    >>> line, jump = PLACES, (PLACES > 0.6) * 1.0
    >>> [VERDICTS[number] for number in features(np.stack([line, jump, (line - 0.5) ** 2, 0.0 * line])).verdicts()]
    ['steady', 'sharp', 'u_shaped', 'flat']
    """
    first, last = curves[:, 0], curves[:, -1]
    high, low = curves.max(axis=1), curves.min(axis=1)
    change = high - low
    # A flat curve has no shares of its change: it is told by `change` alone, so any divisor will do.
    safe = np.maximum(change, 1e-12)
    turn = np.maximum(np.minimum(first, last) - low, high - np.maximum(first, last)) / safe
    # A curve that falls is turned over, so that its fall is a rise.
    up = np.where(last >= first, 1.0, -1.0)[:, None] * curves
    rise = np.maximum(np.abs(last - first), 1e-12)
    third = _largest_step(up, SHARP_WINDOW) / rise
    fifth = _largest_step(up, LAST)
    tenth = round(LEVEL_BEFORE * (len(PLACES) - 1))
    end = up[:, -1] - up[:, -1 - round(LAST * (len(PLACES) - 1))]
    return Features(change, last - first, turn, third, (up[:, tenth] - up[:, 0]) / rise, end / np.maximum(fifth, 1e-12))


def _largest_step(up: Array, share: float) -> Array:
    """The largest rise within a share of the range [s]."""
    width = round(share * (len(PLACES) - 1))
    return np.asarray((up[:, width:] - up[:, :-width]).max(axis=1))


@dataclass(frozen=True)
class Judgement:
    """The verdict on a curve, and the share of the draws that have each."""

    verdict: Verdict
    shares: dict[Verdict, float]


def judge(numbers: Array, sizes: int) -> Judgement:
    """The verdict from those of the drawn curves (numbers in VERDICTS) [s], for a curve of so many sizes.

    >>> judge(np.array([1, 1, 1, 2]), sizes=12).verdict, judge(np.array([1, 1, 2, 2, 2]), sizes=6).verdict
    ('steady', 'not_enough_data')
    """
    shares = {name: float((numbers == place).mean()) for place, name in enumerate(VERDICTS[:-1])}
    best = max(shares, key=lambda name: shares[name] / (LAST_RESORT if name == "steady" else 1.0))
    needed = SURE if sizes >= MANY else 1.0 - (1.0 - SURER) / (LAST_RESORT if best == "steady" else 1.0)
    return Judgement(best if sizes >= FEWEST and shares[best] >= needed else "not_enough_data", shares)
