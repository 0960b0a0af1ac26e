"""The parts of a fit: through JSON and back whatever they hold, and refused by name where one field is spoiled."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from foretoken.fits.check import SEVERITIES, Check, Severity
from foretoken.fits.parts import (
    Dropped,
    Estimate,
    FittedRun,
    HeldOut,
    Noise,
    ObjectiveForecast,
    ObjectiveValue,
    ParameterProfile,
    Range,
    Ranges,
    RowCounts,
    Starts,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=6)
RANGES = st.builds(Range, NUMBERS, NUMBERS)
COUNTS = st.integers(0, 10**12)
BY_HINT: dict[Any, st.SearchStrategy[Any]] = {
    float: NUMBERS,
    int: COUNTS,
    bool: st.booleans(),
    str: TEXTS,
    str | None: st.none() | TEXTS,
    Range: RANGES,
    Severity: st.sampled_from(SEVERITIES),
    list[float]: st.lists(NUMBERS, max_size=4),
    dict[str, float]: st.dictionaries(TEXTS, NUMBERS, max_size=3),
    list[Dropped]: st.lists(st.builds(Dropped, TEXTS, COUNTS), max_size=3),
}
PARTS: tuple[type[Any], ...] = (
    Check,
    Dropped,
    FittedRun,
    HeldOut,
    Noise,
    ObjectiveForecast,
    ObjectiveValue,
    ParameterProfile,
    Ranges,
    RowCounts,
    Starts,
)
FIELDS = [(part, field.name) for part in PARTS for field in fields(part)]
NUMERIC = [(part, name) for part, name in FIELDS if get_type_hints(part)[name] is float]


def any_of(part: type[Any]) -> st.SearchStrategy[Any]:
    """Any value of a part, each field of its own type."""
    return st.builds(part, **{name: BY_HINT[hint] for name, hint in get_type_hints(part).items() if name[0] != "_"})


def example_json(part: type[Any]) -> dict[str, Any]:
    """The JSON of one value whose fields all hold something."""
    plain = {float: 1.5, int: 2, bool: True, str: "a", str | None: "b", Range: [1.0, 2.0], Severity: "note"}
    several: dict[Any, Any] = {list[float]: [1.0], dict[str, float]: {"E": 1.0}}
    several[list[Dropped]] = [{"reason": "not annealed", "count": 1}]
    hints = get_type_hints(part)
    return {field.name: (plain | several)[hints[field.name]] for field in fields(part)}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_part_comes_back_from_json_as_it_was(part: type[Any]) -> None:
    @given(any_of(part))
    @settings(max_examples=15, deadline=None)
    def check(value: Any) -> None:
        assert TypeAdapter(part).validate_python(json.loads(json.dumps(asdict(value)))) == value

    check()


@pytest.mark.parametrize(("part", "name"), FIELDS, ids=str)
def test_a_field_that_is_missing_or_of_another_type_is_named(part: type[Any], name: str) -> None:
    adapter, values = TypeAdapter(part), example_json(part)
    adapter.validate_python(values)
    for spoiled in (
        {key: value for key, value in values.items() if key != name},
        values | {name: object()},
        values | {name: {"low": [None]}},
    ):
        with pytest.raises(ValidationError) as refused:
            adapter.validate_python(spoiled)
        assert refused.value.errors()[0]["loc"][0] == name


@pytest.mark.parametrize(("part", "name"), NUMERIC, ids=str)
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_named(part: type[Any], name: str, number: float) -> None:
    with pytest.raises(ValidationError, match=rf"{name}\n.*finite number"):
        TypeAdapter(part).validate_python(example_json(part) | {name: number})


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_field_that_no_version_has_is_refused(part: type[Any]) -> None:
    with pytest.raises(ValidationError, match="tau"):
        TypeAdapter(part).validate_python(example_json(part) | {"tau": 1.0})


@given(RANGES, RANGES, RANGES, RANGES)
@settings(max_examples=10, deadline=None)
def test_ranges_are_found_by_their_columns(params: Range, tokens: Range, flops: Range, loss: Range) -> None:
    ranges = Ranges(params, tokens, flops, loss)
    assert list(ranges.by_name()) == [field.name for field in fields(Ranges)]
    assert all(interval is getattr(ranges, name) for name, interval in ranges.by_name().items())


@given(st.integers(0, 1000), st.lists(st.builds(Dropped, TEXTS, st.integers(0, 50)), max_size=5))
@settings(max_examples=20, deadline=None)
def test_rows_left_out_are_the_sum_of_their_reasons(used: int, dropped: list[Dropped]) -> None:
    assert RowCounts(used, dropped).left_out == sum(reason.count for reason in dropped)


@given(st.floats(0.0, 0.1), st.floats(0.0, 3.0), st.floats(1.0, 1e6))
@settings(max_examples=30, deadline=None)
def test_a_shorter_run_is_never_less_noisy(sd: float, power: float, shorter: float) -> None:
    noise = Noise(sd, power, 1e9, 0.0, 5.0, 0.0, 0.5)
    assert noise.new_run_sd(1e9 / shorter) == pytest.approx(sd * shorter ** (power / 2))
    assert noise.new_run_sd(1e9 * shorter) == noise.new_run_sd(None) == pytest.approx(sd)


def test_an_estimate_has_a_column_of_draws_for_each_parameter() -> None:
    parameters, draws = Estimate({"a": 1.0, "b": 2.0}, np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert draws.shape[1] == len(parameters)
