"""The interval of a forecast by its parts: noise of a run, spread of the law, misfit with distance; plain rivals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, t

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits import Fit, fit
from foretoken.forecasts import plain_loss, predict, rival_forecasts
from foretoken.forecasts.predict import error_quantiles
from foretoken.forecasts.sense import FAR
from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

from .test_predict import TARGET

LEVELS = st.floats(0.05, 0.98)
NO_SPREAD = np.zeros(50)


@pytest.fixture(scope="module")
def fitted() -> Fit:
    """One fit for all tests of this file: they change nothing of it."""
    N, D = (part.ravel() for part in np.meshgrid(np.geomspace(1e4, 1e5, 5), np.geomspace(1e6, 1e7, 5)))
    loss = 0.7 + 30 * N**-0.4 + 200 * D**-0.38
    shaken = loss * np.exp(0.004 * np.random.default_rng(3).standard_normal(25))
    return fit(
        RunTable(pd.DataFrame({"params_total": N, "tokens": D, "loss": shaken}), "a test"), "chinchilla", draws=50
    )


@settings(max_examples=30, deadline=None)
@given(level=LEVELS, run=st.floats(1e-3, 0.1), freedom=st.floats(3.0, 200.0))
def test_noise_alone_gives_quantiles_of_students_t(level: float, run: float, freedom: float) -> None:
    low, high = error_quantiles(NO_SPREAD, run, freedom, 0.0, level)
    exact = run * t.ppf((1 + level) / 2, freedom)
    assert (low, high) == pytest.approx((-exact, exact), rel=0.1)


@settings(max_examples=30, deadline=None)
@given(level=LEVELS, misfit=st.floats(1e-3, 0.5))
def test_misfit_alone_gives_quantiles_of_the_normal(level: float, misfit: float) -> None:
    low, high = error_quantiles(NO_SPREAD, 0.0, 10.0, misfit, level)
    exact = misfit * norm.ppf((1 + level) / 2)
    assert (low, high) == pytest.approx((-exact, exact), rel=0.1)


def test_noise_and_misfit_add_as_squares() -> None:
    low, high = error_quantiles(NO_SPREAD, 0.03, 1e6, 0.04, 0.9)
    assert (high - low) / 2 == pytest.approx(0.05 * norm.ppf(0.95), rel=0.05)


@settings(max_examples=30, deadline=None)
@given(level=LEVELS, seed=st.integers(0, 99))
def test_without_noise_the_draws_of_the_law_are_the_interval(level: float, seed: int) -> None:
    draws = 0.02 * np.random.default_rng(seed).standard_normal(80)
    expected = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    assert error_quantiles(draws, 0.0, 10.0, 0.0, level) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("kind", ["new-run", "mean"])
def test_intervals_are_nested_in_their_level(fitted: Fit, kind: str) -> None:
    forecasts = [predict(fitted, **TARGET, level=level, kind=kind) for level in (0.1, 0.5, 0.8, 0.9, 0.95, 0.99)]
    for inner, outer in pairwise(forecasts):
        assert outer.low <= inner.low <= inner.loss == outer.loss <= inner.high <= outer.high
        assert inner.half_width < outer.half_width
        assert outer.contains(inner.low)
        assert outer.contains(inner.high)


def test_a_new_run_lies_farther_off_than_the_law(fitted: Fit) -> None:
    law, run = (predict(fitted, **TARGET, kind=kind) for kind in ("mean", "new-run"))
    assert run.low < law.low < law.high < run.high


def test_more_noise_and_more_misfit_widen_it(fitted: Fit) -> None:
    far = {"params": 1e7, "tokens": 1e9}
    widths = [
        predict(replace(fitted, noise=replace(fitted.noise, misfit_growth=growth)), **far).half_width
        for growth in (0.0, 0.01, 0.05)
    ]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    inside = {"params": 3e4, "tokens": 3e6}
    same = [
        predict(replace(fitted, noise=replace(fitted.noise, misfit_growth=growth)), **inside).half_width
        for growth in (0.0, 0.05)
    ]
    assert same[0] == same[1]  # inside the runs the logarithm of the distance is 0


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_forecast_is_marked_beyond_ten_times_in_any_direction(fitted: Fit, factor: float) -> None:
    largest = fitted.ranges.tokens.high
    forecast = predict(fitted, params=3e4, tokens=factor * FAR * largest, flops=1e12, strict=False)
    assert forecast.extrapolation.farthest == "tokens"
    assert ("far_extrapolation" in {check.code for check in forecast.checks}) == (factor > 1)


@pytest.mark.parametrize("name", ["params", "tokens"])
def test_below_the_runs_is_as_far_as_above(fitted: Fit, name: str) -> None:
    ranges = fitted.ranges.by_name()
    low, high = ranges[name]
    base = {"params": 3e4, "tokens": 3e6, "flops": 1e12}
    below = predict(fitted, **{**base, name: low / 4}, strict=False)
    above = predict(fitted, **{**base, name: high * 4}, strict=False)
    assert below.extrapolation[name] == pytest.approx(4.0)
    assert above.extrapolation[name] == pytest.approx(4.0)


@settings(max_examples=25, deadline=None)
@given(params=st.floats(1e4, 1e7), tokens=st.floats(1e6, 1e9))
def test_more_of_either_never_raises_the_loss(fitted: Fit, params: float, tokens: float) -> None:
    here = predict(fitted, params=params, tokens=tokens).loss
    assert predict(fitted, params=2 * params, tokens=tokens).loss <= here
    assert predict(fitted, params=params, tokens=2 * tokens).loss <= here
    assert here > fitted.map_parameters["E"]


def test_the_plain_loss_is_that_of_the_unpenalised_parameters(fitted: Fit) -> None:
    expected = CHINCHILLA.evaluate(fitted.unpenalised_parameters, params=2e5, tokens=1.6e7)
    assert plain_loss(fitted, 2e5, 1.6e7) == pytest.approx(float(expected))


@pytest.mark.parametrize("missing", ["params", "tokens"])
def test_what_the_law_needs_is_asked_for_by_name(fitted: Fit, missing: str) -> None:
    sizes = {name: value for name, value in TARGET.items() if name != missing}
    with pytest.raises(ForetokenError, match=f"(?s)needs more than it was given.*say {missing}"):
        predict(fitted, **sizes)


def test_what_no_law_can_say_is_refused(fitted: Fit) -> None:
    with pytest.raises(RefusedError, match="no finite loss"):
        predict(fitted, params=1e300, tokens=1e6, flops=1.0, strict=False)
    with pytest.raises(ForetokenError, match="does not read 'size'"):
        predict(fitted, **TARGET, at={"size": 3.0})


def test_rivals_by_hand(fitted: Fit) -> None:
    found = rival_forecasts(fitted, flops=1e14)
    flops = np.log([run.flops for run in fitted.runs])
    loss = np.log([run.loss for run in fitted.runs])
    slope, level = np.polyfit(flops, loss, 1)
    assert found["power_law_all_runs"] == pytest.approx(np.exp(level + slope * np.log(1e14)))
    # sizes and lengths in equal ratios: the products of the grid are nine budgets
    budgets = np.round(flops, 6)
    assert len(set(budgets)) == 9
    best = [(budget, loss[budgets == budget].min()) for budget in sorted(set(budgets))]
    slope, level = np.polyfit(*zip(*best, strict=True), 1)
    assert found["power_law"] == pytest.approx(np.exp(level + slope * np.log(1e14)))
    assert found["largest_run"] == pytest.approx(np.exp(best[-1][1]))
