"""Why a run is new: each field that moved is named, with its old and its new value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foretoken.runs.spec import RunSpec
from foretoken.store.diff import changes, nearest_change

from ..runs.test_spec import OTHER, SPEC


@pytest.mark.parametrize("name", sorted(OTHER))
def test_each_moved_field_is_named(name: str) -> None:
    moved = replace(SPEC, **{name: OTHER[name]})
    told = nearest_change(moved, [SPEC])
    assert told
    assert {field.partition(".")[0] for field in told} == {name}
    for field, (old, new) in told.items():
        assert (value_at(SPEC, field), value_at(moved, field)) == (old, new)


def value_at(spec: RunSpec, field: str) -> object:
    value: object = spec.to_json()
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None  # later parts are not told at their default
    return value


def test_the_most_similar_is_told_and_labels_do_not_count() -> None:
    far, near = replace(SPEC, seed=5, clip=9.0), replace(SPEC, seed=5, group="another")
    assert nearest_change(SPEC, [far, near]) == {"seed": (5, 0)}
    assert nearest_change(SPEC, [replace(SPEC, group="another")]) == {}
    assert nearest_change(SPEC, []) is None


def test_what_came_and_what_went_differ_from_nothing() -> None:
    assert changes({"a": 1, "gone": 2}, {"a": 1, "new": {"b": 3}}) == {"gone": (2, None), "new.b": (None, 3)}
    assert changes({"a": {"b": 1}}, {"a": {"b": 1}}) == {}
