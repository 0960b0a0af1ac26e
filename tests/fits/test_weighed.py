"""Several laws weighed: which, their weights, the law of the frontier, and one forecast from all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.fits import Fit, fit
from foretoken.fits.frontier import excess, fit_frontier
from foretoken.fits.rows import clean_rows
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA, COUPLED, LAW_WEIGHTS, LAWS, PUBLISHED, SATURATING_FLOPS
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


@pytest.fixture(scope="module")
def weighed() -> Fit:
    """IsoFLOP runs of a published law, 5 budgets of 7 sizes, with noise."""
    assert CHINCHILLA.optimum is not None
    law, generator = PUBLISHED["besiroglu_2024"].parameters, np.random.default_rng(3)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(law, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)
    loss = CHINCHILLA.evaluate(law, params=n, tokens=flops / 6 / n) * np.exp(0.004 * generator.standard_normal(35))
    frame = pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})
    return fit(RunTable(frame, "a test"), draws=100)


def test_the_heaviest_law_is_that_of_the_fit_and_the_weights_are_told(weighed: Fit) -> None:
    assert [law.law for law in weighed.laws] == ["coupled", "chinchilla", "saturating_flops"]
    assert {law.law: law.weight for law in weighed.laws} == pytest.approx(LAW_WEIGHTS)
    assert weighed.law == weighed.laws[0].law
    assert weighed.map_parameters == weighed.laws[0].parameters


def test_one_law_can_be_asked_for(ladder: Ladder) -> None:
    assert fit(ladder(noise=0.003), "coupled", draws=50).laws == []


def test_the_forecast_is_the_weighed_mean_of_what_the_laws_say(weighed: Fit) -> None:
    run = {"params": 3e9, "tokens": 9e10}
    flops = run["params"] * run["tokens"] * weighed.flops_per_param_token
    said = [np.log(LAWS[law.law].evaluate(law.parameters, **run, flops=flops)) for law in weighed.laws]
    said[2] += excess(COUPLED, weighed.map_parameters, *run.values(), flops, weighed.flops_per_param_token)
    expected = np.exp(np.dot(said, [law.weight for law in weighed.laws]))
    assert predict(weighed, **run).loss == pytest.approx(float(expected))


def test_the_best_split_has_no_excess_and_every_other_has_some() -> None:
    law, flops = PUBLISHED["besiroglu_2024"].parameters, 1e21
    assert CHINCHILLA.optimum is not None
    n, d = CHINCHILLA.optimum(law, flops)
    assert excess(CHINCHILLA, law, n, d, flops, 6.0) == pytest.approx(0.0, abs=1e-12)
    assert excess(CHINCHILLA, law, 3 * n, d / 3, flops, 6.0) > 1e-3


def test_runs_of_a_law_along_its_frontier_give_back_the_law_of_the_frontier() -> None:
    """Exact runs of an additive law with equal exponents: its frontier is E + a C^-(alpha / 2) exactly."""
    truth = {"E": 1.7, "A": 400.0, "B": 400.0, "alpha": 0.34, "beta": 0.34}
    flops = np.repeat(np.geomspace(1e17, 1e20, 7), 5)
    n = np.sqrt(flops / 6) * np.tile(np.geomspace(1 / 4, 4, 5), 7)
    loss = CHINCHILLA.evaluate(truth, params=n, tokens=flops / 6 / n)
    frame = pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})
    frontier = fit_frontier(clean_rows(RunTable(frame, "a test")), CHINCHILLA, truth, 1.0, 50, 0)
    assert frontier is not None
    best = CHINCHILLA.evaluate(truth, params=np.sqrt(1e22 / 6), tokens=np.sqrt(1e22 / 6))
    assert float(SATURATING_FLOPS.evaluate(frontier.parameters, flops=1e22)) == pytest.approx(float(best), rel=1e-3)


def test_runs_of_one_budget_have_no_law_of_the_frontier(weighed: Fit) -> None:
    sizes = np.geomspace(1e7, 1e9, 9)
    frame = pd.DataFrame({"params_total": sizes, "tokens": 1e18 / 6 / sizes, "flops": 1e18, "loss": 3.0})
    rows = clean_rows(RunTable(frame, "a test"))
    assert fit_frontier(rows, COUPLED, weighed.map_parameters, 1.0, 50, 0) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.0, 6.0), st.floats(0.1, 3.0), st.sampled_from(["params", "tokens", "both"]))
def test_an_interval_never_gets_narrower_with_distance(weighed: Fit, far: float, farther: float, way: str) -> None:
    def half_width(distance: float) -> float:
        n, d = (distance if way in (name, "both") else 0.0 for name in ("params", "tokens"))
        told = predict(weighed, params=weighed.ranges.params.high * np.exp(n), tokens=1e10 * np.exp(d))
        return np.log(told.high / told.low)

    assert half_width(far + farther) > half_width(far) * 0.999


def test_a_weighed_fit_comes_back_from_its_file(weighed: Fit, tmp_path: Path) -> None:
    weighed.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == weighed
    assert predict(Fit.load(tmp_path / "fit.json"), params=1e9, tokens=2e10) == predict(
        weighed, params=1e9, tokens=2e10
    )


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(8.5, 11.0), st.floats(10.0, 12.5), st.sampled_from([0.5, 0.9]), st.sampled_from(["map", "huber"]))
def test_a_plan_and_a_forecast_say_one_loss(weighed: Fit, n: float, d: float, level: float, estimator: str) -> None:
    run = {"params": 10**n, "tokens": 10**d}
    planned = ft.plan(fit=weighed, level=level, estimator=estimator, **run)
    told = predict(weighed, **run, flops=planned.flops, level=level, estimator=estimator)
    assert planned.loss == told.loss
    assert planned.interval.loss == [told.low, told.high]


def test_compare_states_the_loss_of_its_split_as_predict_does(weighed: Fit) -> None:
    own = next(row for row in ft.compare(1e22, fit=weighed).laws if row.id == "fit")
    told = predict(weighed, params=own.params, tokens=own.tokens, flops=1e22)
    assert own.loss == pytest.approx(told.loss, rel=1e-12)
    assert own.intervals["loss"] == pytest.approx([told.low, told.high], rel=1e-12)


def test_a_loss_that_was_given_is_the_one_that_is_stated(weighed: Fit) -> None:
    planned = ft.plan(fit=weighed, loss=2.05)
    assert planned.loss == pytest.approx(2.05, rel=1e-5)
    assert ft.plan(planned.flops, fit=weighed).loss == pytest.approx(2.05, rel=1e-4)


def test_a_ladder_at_one_ratio_is_forecast_along_itself_and_gives_no_split() -> None:
    law, n = PUBLISHED["besiroglu_2024"].parameters, np.geomspace(1e8, 1e9, 8)
    loss = CHINCHILLA.evaluate(law, params=n, tokens=20 * n) * np.exp(0.002 * np.random.default_rng(1).normal(size=8))
    frame = pd.DataFrame({"params_total": n, "tokens": 20 * n, "loss": loss})
    ladder = fit(RunTable(frame, "a test"), draws=100)
    assert (ladder.law, ladder.checks[0].code) == ("saturating_flops", "collinear")
    told = predict(ladder, params=3e9, tokens=6e10)
    assert told.low < float(CHINCHILLA.evaluate(law, params=3e9, tokens=6e10)) < told.high
    with pytest.raises(ft.ForetokenError, match="does not give a loss"):
        ft.plan(1e22, fit=ladder)
    with pytest.raises(ft.ForetokenError, match="collinear"):
        fit(RunTable(frame, "a test"), "coupled")
