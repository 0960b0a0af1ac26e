"""A reason beside every null of plain values."""

from __future__ import annotations

from typing import Any

REASONS = {
    "regret_loss_interval": "interval_reason",
    "regret_flops_interval": "interval_reason",
    "loss_interval": "interval_reason",
    "usd_low": "usd_reason",
    "usd_high": "usd_reason",
    "usd_per_million": "usd_reason",
    "tco2e": "kwh_reason",
    "days": "hours_reason",
    "serving": "recipe_reason",
}
"""Where the reason of a null stands, if not in `reason` beside it; for those in an interval, in `interval_reason`."""
FIXED = {
    "turning_flops": "within a factor of a million of this budget the same one of the two always helps more",
    "count": "no number of accelerators was given",
    "pays_after": "it is not smaller",
    "memory": "not known",
    "budget": "no budget was given (--compute)",
    "year": "the trend does not reach it",
    "low": "at this end of the interval the trend does not reach it",
    "high": "at this end of the interval the trend does not reach it",
}
"""Reasons that are always the same."""
INTERVALS = ("interval", "intervals")
GIVEN = "it was given, or follows from what was"
"""Why there is no interval although there are draws."""


def with_reasons(values: dict[str, Any]) -> dict[str, Any]:
    """The values with a key NAME_reason beside each null called NAME that has none yet.

    >>> with_reasons({"usd": None, "usd_reason": "no price", "cost": {"usd_low": None}})["cost"]
    {'usd_low': None, 'usd_low_reason': 'no price'}
    """
    found: dict[str, Any] = _explained(values, {}, "")
    return found


def _explained(value: Any, above: dict[str, Any], place: str) -> Any:
    """`above` are the reasons that stand farther out, `place` the key of this value."""
    if isinstance(value, list):
        return [_explained(one, above, place) for one in value]
    if not isinstance(value, dict):
        return value
    near = above | {name: one for name, one in value.items() if name.endswith("reason") and one is not None}
    found = {name: _explained(one, near, name) for name, one in value.items()}
    for name, one in value.items():
        if one is None and not name.endswith("reason") and value.get(f"{name}_reason") is None:
            found[f"{name}_reason"] = _reason(name, near, place)
    return found


def _reason(name: str, near: dict[str, Any], place: str) -> str:
    if place in INTERVALS:
        return str(near.get("interval_reason", GIVEN))
    return str(FIXED.get(name) or near.get(REASONS.get(name, "reason")) or near.get("reason") or "not known")
