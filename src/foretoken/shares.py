"""Intervals of shares, inside 0 and 1 however few were counted: of answers that are right, of forecasts that held."""

from __future__ import annotations

import math


def wilson(hits: float, tries: float, z: float) -> tuple[float, float]:
    """The interval of a share that reaches `z` standard deviations of a normal (Wilson 1927): 1.645 for 90 %.

    >>> [round(end, 3) for end in wilson(9, 10, 1.645)]
    [0.652, 0.977]
    """
    # The shares p for which the observed one lies within z standard deviations: (share - p)^2 = z^2 p (1 - p) / tries,
    # a quadratic in p. Unlike share +- z sd it stays between 0 and 1 and has a width where all or none hit.
    share, whole = hits / tries, 1 + z**2 / tries
    centre = (share + z**2 / (2 * tries)) / whole
    reach = z / whole * math.hypot(math.sqrt(share * (1 - share) / tries), z / (2 * tries))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def wilson_of_error(share: float, error: float, tries: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share whose standard error is known, as of as many tries as would give that error.

    Args:
        share: between 0 and 1.
        error: its standard error; 0 where none was seen, as for a share of 0 or 1: then it is that of `tries`.
        tries: what was counted.
        z: standard deviations of a normal.

    >>> [round(end, 3) for end in wilson_of_error(0.9, (0.9 * 0.1 / 10) ** 0.5, 10, 1.645)]
    [0.652, 0.977]
    >>> [round(end, 3) for end in wilson_of_error(1.0, 0.0, 8, 1.96)]
    [0.676, 1.0]

    """
    # An error of almost nothing stands for more tries than a number holds: as many as it does hold say the same.
    counted = min(share * (1 - share) / error / error, 1e300) if error > 0 and 0 < share < 1 else tries
    return wilson(share * counted, counted, z)
