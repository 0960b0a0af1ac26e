from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.checks.waterfall import Step, draw_waterfall, with_changes

exponents = st.lists(st.none() | st.floats(0.1, 1.0), max_size=8)


@given(exponents)
def test_changes_add_up_to_the_way_from_the_first_to_the_last(values: list[float | None]) -> None:
    steps = with_changes([Step(f"s{k}", value, None, None) for k, value in enumerate(values)])
    known = [value for value in values if value is not None]
    assert [step.exponent for step in steps] == values
    assert sum(step.change or 0.0 for step in steps) == pytest.approx(known[-1] - known[0] if known else 0.0)
    assert all(step.change is None for step in steps if step.exponent is None)


@given(exponents)
def test_every_step_is_one_line_and_the_longest_bar_the_largest(values: list[float | None]) -> None:
    steps = with_changes([Step(f"s{k}", value, None, None) for k, value in enumerate(values)])
    lines = draw_waterfall(steps, width=20)
    assert len(lines) == len(values)
    bars = [line.count("█") for line, value in zip(lines, values, strict=True) if value is not None]
    assert max(bars, default=20) == 20
    assert sum("no exponent" in line for line in lines) == values.count(None)
