"""A result prints in a few lines, however many numbers it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.results import Result as Shown

ANY = st.recursive(
    st.none() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@dataclass(frozen=True)
class Result(Shown):
    values: Any
    hidden: int = field(default=7, repr=False)


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_whatever_it_holds_it_is_short(values: Any) -> None:
    told = repr(Result(values))
    assert len(told) < 3000
    assert told.count("\n") <= 20
    assert "hidden" not in told


def test_results_are_read_at_a_glance() -> None:
    table = ft.read_table("sample")
    fit = ft.fit(table, "chinchilla", draws=50)
    forecast = ft.predict(fit, params=1e6, tokens=3e7)
    for result in (
        table,
        fit,
        forecast,
        ft.diagnose(table),
        ft.approaches(table, draws=50),
        ft.plan(fit=fit, compute=1e13),
    ):
        assert len(repr(result)) < 3000
        assert repr(result).count("\n") <= 20
    assert "params=1e+06" in repr(forecast)
    assert "28 rows of run, group" in repr(table)
