"""Forecasts of many runs at once, and numbers as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import foretoken as ft
from foretoken.errors import ForetokenError


@pytest.fixture(scope="module")
def fit() -> ft.Fit:
    return ft.fit("sample", "chinchilla", draws=50)


@pytest.mark.parametrize("params", ["0.2M", "200k", 2e5, 200_000, np.float32(2e5), np.int64(200_000), np.array(2e5)])
def test_a_number_is_read_as_people_write_it(params: Any, fit: ft.Fit) -> None:
    assert ft.predict(fit, params=params, tokens="8M") == ft.predict(fit, params=2e5, tokens=8e6)


@pytest.mark.parametrize(
    "tokens", [["4M", 8e6], (4e6, 8e6), np.array([4e6, 8e6]), pd.Series([4e6, 8e6]), np.array([4, 8]) * 10**6]
)
def test_an_array_gives_what_its_numbers_give_alone(tokens: Any, fit: ft.Fit) -> None:
    forecasts = ft.predict(fit, params="200k", tokens=tokens)
    assert isinstance(forecasts, ft.Forecasts)
    assert list(forecasts) == [ft.predict(fit, params=2e5, tokens=each) for each in (4e6, 8e6)]
    assert forecasts.loss.tolist() == [one.loss for one in forecasts]
    assert (forecasts.low < forecasts.high).all()


def test_a_grid_keeps_its_shape(fit: ft.Fit) -> None:
    grid = ft.predict(fit, params=np.array([1e5, 2e5])[:, None], tokens=np.array([4e6, 8e6, 16e6]))
    assert grid.loss.shape == (2, 3)
    assert (np.diff(grid.loss, axis=1) < 0).all()
    assert (grid[4].params, grid[4].tokens) == (2e5, 8e6)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"params": [1e5, 2e5], "tokens": [1e6, 2e6, 3e6]}, "do not belong together"),
        ({"params": [], "tokens": 1e6}, "params is empty"),
        ({"params": [1e5, None], "tokens": 1e6}, "params is not a quantity"),
        ({"params": [1e5, float("nan")], "tokens": 1e6}, "finite number above 0"),
        ({"params": [[1e5], [1e5, 2e5]], "tokens": 1e6}, "params"),
        ({"params": ["7 bears"], "tokens": 1e6}, "params is not a quantity"),
        ({"params": [True], "tokens": 1e6}, "params must be a number"),
        ({"params": {"a": 1}, "tokens": 1e6}, "params"),
        ({"params": [2e5]}, "needs more"),
    ],
)
def test_what_is_no_array_of_runs_is_refused(asked: Any, words: str, fit: ft.Fit) -> None:
    with pytest.raises(ForetokenError, match=words):
        ft.predict(fit, **asked)


def test_a_run_that_is_refused_is_told_by_its_number(fit: ft.Fit) -> None:
    with pytest.raises(ForetokenError, match="below") as refused:
        ft.predict(fit, params=[2e5, 10.0], tokens=8e6)
    assert refused.value.__notes__ == ["of the runs asked for, number 2"]


def test_a_fit_is_given_by_its_file_too(fit: ft.Fit, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    assert ft.predict(tmp_path / "fit.json", params=[2e5], tokens=8e6)[0] == ft.predict(fit, params=2e5, tokens=8e6)
    with pytest.raises(ForetokenError, match="this is no fit"):
        ft.predict({"A": 1.0}, params=2e5, tokens=8e6)  # type: ignore[call-overload]
