"""Ladders at one ratio of tokens to parameters: the forecast along them, and what they do not tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.errors import RefusedError
from foretoken.fits import Fit, fit
from foretoken.fits.ladder_line import ladder_line
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.table import RunTable

BESIROGLU = PUBLISHED["besiroglu_2024"].parameters
KRAJEWSKI = {"E": 0.47, "A": 16.3, "B": 26.7, "alpha": 0.126, "beta": 0.127}


def rungs(truth: dict[str, float], seed: int, jitter: float = 0.0, runs: int = 10) -> RunTable:
    """Ten sizes over 2.5 decades of compute, 20 tokens per parameter, 0.3 % noise."""
    generator = np.random.default_rng(seed)
    flops = np.geomspace(3e17, 1e20, runs)
    ratio = 20 * np.exp(jitter * generator.standard_normal(runs))
    n, d = np.sqrt(flops / 6 / ratio), np.sqrt(flops / 6 * ratio)
    loss = CHINCHILLA.evaluate(truth, params=n, tokens=d) * np.exp(0.003 * generator.standard_normal(runs))
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "flops": flops, "loss": loss}), "a test")


@pytest.fixture(scope="module")
def ladder() -> Fit:
    return fit(rungs(BESIROGLU, 1, jitter=0.05), draws=100)


@pytest.mark.parametrize("truth", [BESIROGLU, KRAJEWSKI], ids=["besiroglu", "krajewski"])
def test_a_ladder_forecasts_its_continuation_whatever_its_floor(truth: dict[str, float]) -> None:
    """100 times beyond: mean error at most 2 %, where published floors lie at 0.17 and 0.75 of the loss."""
    n = float(np.sqrt(1e22 / 120))
    loss = float(CHINCHILLA.evaluate(truth, params=n, tokens=20 * n))
    told = [predict(fit(rungs(truth, seed), draws=50), params=n, tokens=20 * n) for seed in range(6)]
    assert np.mean([abs(one.loss / loss - 1) for one in told]) < 0.02
    assert all(one.low < loss < one.high for one in told)


@pytest.mark.parametrize("jitter", [0.0, 0.03, 0.1])
def test_ratios_that_vary_a_little_are_a_ladder_still(jitter: float) -> None:
    found = fit(rungs(BESIROGLU, 2, jitter), draws=50)
    assert (found.law, found.checks[0].code) == ("saturating_flops", "collinear")
    assert "nearly_collinear" not in {check.code for check in found.checks}


def test_ratios_that_vary_much_and_single_budgets_are_none(ladder: Fit) -> None:
    n = np.geomspace(1e8, 1e9, 10)
    assert ladder_line(n, 20 * n * np.tile([0.7, 1.4], 5)) is None
    assert ladder_line(n, 1e20 / n) is None
    assert ladder_line(np.full(10, 1e8), 20 * n) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(0.4, 2.5), st.floats(-3, 6), st.floats(18, 24))
def test_the_line_holds_its_own_runs(power: float, at: float, flops: float) -> None:
    n = np.geomspace(1e8, 1e9, 6)
    line = ladder_line(n, np.exp(at) * n**power)
    assert line is not None
    params, tokens = line.split(10**flops, 6.0)
    assert 6 * params * tokens == pytest.approx(10**flops, rel=1e-6)
    assert line.tokens(params) == pytest.approx(tokens, rel=1e-6)
    assert line.params(tokens) == pytest.approx(params, rel=1e-6)
    assert line.tokens_off(params, tokens) is None
    assert line.tokens_off(params, 2 * tokens) == pytest.approx(2, rel=1e-6)


def test_another_ratio_is_doubted(ladder: Fit) -> None:
    along, off = (predict(ladder, params=3e9, tokens=ratio * 3e9) for ratio in (20, 100))
    assert "off_ladder" not in {check.code for check in along.checks}
    assert "off_ladder" in {check.code for check in off.checks}


def test_a_plan_goes_along_the_ladder_and_says_that_it_knows_no_other_split(ladder: Fit) -> None:
    planned = ft.plan(1e22, fit=ladder)
    told = predict(ladder, params=planned.params, tokens=planned.tokens, flops=1e22)
    assert planned.tokens / planned.params == pytest.approx(20, rel=0.1)
    assert (planned.loss, planned.interval.loss) == (told.loss, [told.low, told.high])
    assert planned.checks[0].code == "collinear"
    assert planned.band is None
    assert "another split" in (planned.band_reason or "")
    assert "along the ladder" in ft.page_of(planned)
    for half in ({"params": planned.params}, {"tokens": planned.tokens}):
        assert ft.plan(fit=ladder, **half).flops == pytest.approx(1e22, rel=1e-6)
    assert "off_ladder" in {check.code for check in ft.plan(fit=ladder, params=1e9, tokens=1e12).checks}
    with pytest.raises(RefusedError, match="another split"):
        ft.plan(fit=ladder, loss=2.0)


def test_a_law_of_size_and_length_is_refused() -> None:
    with pytest.raises(RefusedError, match="collinear"):
        fit(rungs(BESIROGLU, 1), "coupled")


def test_one_budget_is_refused_with_the_best_size_that_it_does_tell() -> None:
    assert CHINCHILLA.optimum is not None
    n = CHINCHILLA.optimum(BESIROGLU, 1e19)[0]
    sizes = n * np.geomspace(1 / 4, 4, 9)
    loss = CHINCHILLA.evaluate(BESIROGLU, params=sizes, tokens=1e19 / 6 / sizes)
    frame = pd.DataFrame({"params_total": sizes, "tokens": 1e19 / 6 / sizes, "flops": 1e19, "loss": loss})
    table = RunTable(frame, "a test")
    route = ft.approaches(table, draws=50).routes[1]
    assert route.largest is not None
    told = f"N* is {route.largest.params:.3g}"
    for law in ("weighed", "coupled"):
        with pytest.raises(RefusedError, match="one budget") as refused:
            fit(table, law)
        assert told in str(refused.value)
        assert "no forecast along compute" in str(refused.value)
    with pytest.raises(RefusedError, match="no minimum among its sizes"):
        fit(RunTable(frame.assign(loss=4.0 - 0.01 * frame.index), "a test"))
