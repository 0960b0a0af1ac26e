"""The laws that verbs take unless told otherwise are those of the Python functions behind them."""

from __future__ import annotations

import inspect

import pytest

import foretoken as ft
from foretoken.cli.backtest import backtest
from foretoken.cli.fit import fit
from foretoken.laws import LAW_WEIGHTS, WEIGHED
from foretoken.runs.schema import ForecastSection


def default(function: object, argument: str) -> object:
    return inspect.signature(function).parameters[argument].default  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [fit, ft.fit, backtest, ft.backtest])
def test_every_verb_and_its_function_weigh_the_same_laws(function: object) -> None:
    assert default(function, "law") == WEIGHED


def test_a_study_forecasts_as_back_tests_do() -> None:
    assert ForecastSection().law == WEIGHED
    assert sum(LAW_WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("law", "near"), [("chinchila", "did you mean 'chinchilla'"), ("power", "known: chinchilla")])
def test_a_study_refuses_a_law_that_does_not_read_size_and_data(law: str, near: str) -> None:
    with pytest.raises(ValueError, match=near):
        ForecastSection(law=law)
