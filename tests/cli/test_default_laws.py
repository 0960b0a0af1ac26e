"""The laws that verbs take unless told otherwise are those of the Python functions behind them."""

from __future__ import annotations

import inspect

import pytest

import foretoken as ft
from foretoken.cli.backtest import backtest
from foretoken.cli.fit import fit
from foretoken.laws import FIT_LAW, FORECAST_LAW
from foretoken.runs.schema import ForecastSection


def default(function: object, argument: str) -> object:
    return inspect.signature(function).parameters[argument].default  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "argument", "law"),
    [
        (fit, "law", FIT_LAW),
        (ft.fit, "law", FIT_LAW),
        (backtest, "law", FORECAST_LAW),
        (ft.backtest, "law", FORECAST_LAW),
    ],
)
def test_a_verb_and_its_function_take_the_same_law(function: object, argument: str, law: str) -> None:
    assert default(function, argument) == law


def test_a_study_forecasts_with_the_law_that_back_tests_take() -> None:
    assert ForecastSection().law == FORECAST_LAW


@pytest.mark.parametrize(("law", "near"), [("chinchila", "did you mean 'chinchilla'"), ("power", "known: chinchilla")])
def test_a_study_refuses_a_law_that_does_not_read_size_and_data(law: str, near: str) -> None:
    with pytest.raises(ValueError, match=near):
        ForecastSection(law=law)
