"""Several laws weighed: which, their weights, the law of the frontier, and one forecast from all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.fits import Fit, fit
from foretoken.fits.estimate import Sample
from foretoken.fits.rows import Rows, clean_rows
from foretoken.fits.weighed import excess, fit_frontier, weigh
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA, COUPLED, LAW_WEIGHTS, LAWS, PUBLISHED, SATURATING_FLOPS
from foretoken.laws.law import Law
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def grid(law: Law, truth: Mapping[str, float], seed: int, shared: float = 0.0) -> pd.DataFrame:
    """IsoFLOP runs around the best sizes of a law: 5 budgets of 7 sizes, 0.4 % noise, and what a budget shares."""
    assert law.optimum is not None
    generator = np.random.default_rng(seed)
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = law.optimum(truth, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)
    errors = 0.004 * generator.standard_normal(35) + shared * np.repeat(generator.standard_normal(5), 7)
    loss = law.evaluate(truth, params=n, tokens=flops / 6 / n) * np.exp(errors)
    return pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})


def _sampled(frame: pd.DataFrame, law: Law) -> tuple[Rows, Sample]:
    rows = clean_rows(RunTable(frame, "a test"))
    return rows, Sample.of(law, rows.features(law), rows.y, rows.tokens)


@pytest.fixture(scope="module")
def weighed() -> Fit:
    """IsoFLOP runs of a published law, 5 budgets of 7 sizes, with noise."""
    return fit(RunTable(grid(CHINCHILLA, PUBLISHED["besiroglu_2024"].parameters, seed=3), "a test"), draws=100)


def test_the_heaviest_law_is_that_of_the_fit_and_the_weights_are_told(weighed: Fit) -> None:
    assert [law.law for law in weighed.laws] == ["coupled", "chinchilla", "saturating_flops"]
    assert sum(law.weight for law in weighed.laws) == pytest.approx(1)
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
    frontier = fit_frontier(*_sampled(frame, CHINCHILLA), truth, 50, 0)
    assert frontier is not None
    best = CHINCHILLA.evaluate(truth, params=np.sqrt(1e22 / 6), tokens=np.sqrt(1e22 / 6))
    assert float(SATURATING_FLOPS.evaluate(frontier.parameters, flops=1e22)) == pytest.approx(float(best), rel=1e-3)


def test_runs_of_one_budget_have_no_law_of_the_frontier(weighed: Fit) -> None:
    sizes = np.geomspace(1e7, 1e9, 9)
    frame = pd.DataFrame({"params_total": sizes, "tokens": 1e18 / 6 / sizes, "flops": 1e18, "loss": 3.0})
    assert fit_frontier(*_sampled(frame, COUPLED), weighed.map_parameters, 50, 0) is None


@pytest.fixture(scope="module")
def rows() -> Rows:
    generator = np.random.default_rng(3)
    flops = np.repeat(np.geomspace(1e18, 1e20, 4), 5)
    n = 1e9 * np.tile(np.geomspace(1 / 4, 4, 5), 4)
    loss = 3.0 * np.exp(0.1 * generator.standard_normal(20))
    return clean_rows(RunTable(pd.DataFrame({"params_total": n, "tokens": flops / 6 / n, "loss": loss}), "a test"))


def weights(weighed: Fit, rows: Rows, evidence: list[float], trust: float) -> dict[str, float]:
    *laws, frontier = weighed.laws
    return {law.law: law.weight for law in weigh(laws, frontier, evidence, trust, rows)}


def test_where_no_law_holds_the_weights_are_the_usual_ones(weighed: Fit, rows: Rows) -> None:
    assert weights(weighed, rows, [-900.0, 0.0], 0.0) == pytest.approx(LAW_WEIGHTS)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-50, 50), st.floats(0, 1), st.floats(0, 1e-3))
def test_a_law_weighs_more_the_more_speaks_for_it_and_never_jumps(
    weighed: Fit, rows: Rows, evidence: float, trust: float, little: float
) -> None:
    before = weights(weighed, rows, [evidence, 0.0], trust)
    assert sum(before.values()) == pytest.approx(1)
    after = weights(weighed, rows, [evidence + little, 0.0], min(1.0, trust + little))
    assert all(abs(after[name] - before[name]) < 0.02 for name in before)
    favoured = before["coupled"] / before["chinchilla"]
    usual = LAW_WEIGHTS["coupled"] / LAW_WEIGHTS["chinchilla"]
    assert (favoured - usual) * evidence >= -1e-9


def test_the_evidence_finds_the_law_that_made_the_runs() -> None:
    """IsoFLOP runs of each form: its own law outweighs the other three to one at least."""
    coupled = {"E": 1.7, "A": 482.0, "B": 2085.0, "alpha": 0.35, "beta": 0.37, "gamma": 0.5}
    made: dict[str, tuple[Law, Mapping[str, float]]] = {
        "chinchilla": (CHINCHILLA, PUBLISHED["besiroglu_2024"].parameters),
        "coupled": (COUPLED, coupled),
    }
    for name, (law, truth) in made.items():
        found = fit(RunTable(grid(law, truth, seed=5), "a test"), draws=50)
        weight = {entry.law: entry.weight for entry in found.laws}
        assert weight[name] > 3 * weight[({"chinchilla", "coupled"} - {name}).pop()]


def test_a_small_floor_is_found_where_the_law_holds() -> None:
    """Krajewski's dense law has E at a sixth of the smallest loss, where the prior is centred at half of it."""
    truth = {"E": 0.47, "A": 16.3, "B": 26.7, "alpha": 0.126, "beta": 0.127}
    found = fit(RunTable(grid(CHINCHILLA, truth, seed=1), "a test"), draws=100)
    assert CHINCHILLA.optimum is not None
    n, d = map(float, CHINCHILLA.optimum(truth, 1e22))
    told = predict(found, params=n, tokens=d)
    loss = float(CHINCHILLA.evaluate(truth, params=n, tokens=d))
    assert told.low < loss < told.high
    assert abs(told.loss / loss - 1) < 0.025


def test_intervals_hold_where_budgets_share_an_error() -> None:
    """Six tables with 0.6 % of every budget's own: the law 100 times beyond is held by 9 intervals of 10."""
    truth = PUBLISHED["besiroglu_2024"].parameters
    assert CHINCHILLA.optimum is not None
    n, d = map(float, CHINCHILLA.optimum(truth, 1e22))
    loss = float(CHINCHILLA.evaluate(truth, params=n, tokens=d))
    held = []
    for seed in range(6):
        told = predict(fit(RunTable(grid(CHINCHILLA, truth, seed, 0.006), "a test"), draws=50), params=n, tokens=d)
        held.append(told.low < loss < told.high)
    assert sum(held) >= 5


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


def test_laws_whose_intervals_are_disjoint_are_named_with_their_numbers(weighed: Fit) -> None:
    run = {"params": 3e9, "tokens": 9e10}
    assert "laws_disagree" not in {check.code for check in predict(weighed, **run).checks}
    heaviest, *others = weighed.laws
    E = LAWS[heaviest.law].parameters.index("E")
    moved = [[*draw[:E], draw[E] * 1.3, *draw[E + 1 :]] for draw in heaviest.draws]
    parameters = {**heaviest.parameters, "E": 1.3 * heaviest.parameters["E"]}
    higher = replace(heaviest, parameters=parameters, draws=moved, weight=0.5)
    told = predict(replace(weighed, laws=[higher, *others]), **run)
    (check,) = [check for check in told.checks if check.code == "laws_disagree"]
    said = float(COUPLED.evaluate(higher.parameters, **run))
    assert check.is_doubt
    assert f"coupled says {said:.4g}" in check.evidence
    assert "disjoint" in check.evidence
