"""Figures of matplotlib: labelled, in real colours, and nothing of matplotlib's own state is changed."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba_array

import foretoken as ft
from foretoken.errors import ForetokenError
from foretoken.reports.plots import PROPERTIES


@pytest.fixture(scope="module")
def fit() -> ft.Fit:
    return ft.fit("sample", "chinchilla", draws=50)


def assert_real_colours(figure: object) -> None:
    """No placeholder of the pages (svg.py) is left: their red is 1 of 255."""
    for artist in figure.findobj():  # type: ignore[attr-defined]
        for name in PROPERTIES:
            value = getattr(artist, f"get_{name}", lambda: None)()
            if value is not None and not (isinstance(value, str) and value in ("none", "auto")):
                assert not (np.rint(255 * to_rgba_array(value)[:, 0]) == 1).any(), (artist, name)


def test_the_runs_stand_beside_the_law(fit: ft.Fit) -> None:
    before = dict(matplotlib.rcParams)
    figure = fit.plot()
    assert dict(matplotlib.rcParams) == before
    left, right = figure.axes
    assert left.get_ylabel() == "loss (nats per token)"
    assert (left.get_xlabel(), right.get_xlabel()) == ("N (params_total)", "D (training tokens)")
    assert sum(len(line.get_xdata()) for line in left.lines if line.get_marker() == "o") == 28
    assert_real_colours(figure)
    assert fit.plot() is not figure


def test_the_loss_has_its_unit() -> None:
    bits = ft.read_table("sample").to_frame().assign(loss_unit="bits per byte")
    (axes,) = ft.fit(bits, "power", draws=50).plot().axes
    assert axes.get_ylabel() == "loss (bits per byte)"


def test_a_forecast_stands_at_the_end_of_its_law(fit: ft.Fit) -> None:
    forecast = ft.predict(fit, params="200k", tokens="8M")
    figure = forecast.plot(fit)
    assert figure.axes[0].get_ylabel() == "validation loss (nats per token)"
    assert_real_colours(figure)


def test_a_law_of_something_else_has_no_way_in_compute() -> None:
    frame = ft.read_table("sample").to_frame().assign(deep=1 + np.arange(28) % 5)
    fit = ft.fit(frame, ft.law("deep", "E + A / N**a + B / deep**b", columns=["deep"]), draws=50)
    assert fit.plot().axes[0].get_xlabel() == "fitted loss (nats per token)"
    with pytest.raises(ForetokenError, match="cannot be drawn against compute"):
        ft.predict(fit, params="200k", tokens="8M", at={"deep": 4}).plot(fit)
