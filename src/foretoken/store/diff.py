"""Why a run is new: which fields moved its key away from that of a run that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from foretoken.runs.spec import NOT_IN_KEY, RunSpec

Change = dict[str, tuple[object, object]]
"""Field (`training.clip`, `shape.width`) -> (old, new)."""
COMPARED = 500
"""Runs that a new one is compared with at most."""


def changes(old_json: Mapping[str, Any], new_json: Mapping[str, Any]) -> Change:
    """Fields of nested plain values that differ.

    >>> changes({"clip": 1.0, "shape": {"width": 64}}, {"clip": 1.0, "shape": {"width": 32}})
    {'shape.width': (64, 32)}
    """
    before, after = dict(_flat(old_json)), dict(_flat(new_json))
    return {name: pair for name in before | after if (pair := (before.get(name), after.get(name)))[0] != pair[1]}


def nearest_change(spec: RunSpec, others: Iterable[RunSpec]) -> Change | None:
    """What differs between a run and the most similar of others; None where there is no other."""
    # Fewest fields that differ: of a sweep over one setting that is the neighbour, and the setting is named.
    mine = _key_json(spec)
    compared = [changes(_key_json(other), mine) for _, other in zip(range(COMPARED), others, strict=False)]
    return min(compared, key=len, default=None)


def _key_json(spec: RunSpec) -> dict[str, Any]:
    """The fields that move a run's key."""
    return {name: value for name, value in spec.to_json().items() if name not in NOT_IN_KEY}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
