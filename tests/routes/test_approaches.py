from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.checks.conventions import conventions
from foretoken.fits.fit import fit
from foretoken.fits.influence import influence
from foretoken.fits.parts import Range
from foretoken.fits.rows import clean_rows
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.routes import approaches, isoflop
from foretoken.routes.approaches import _disagreements, isoflop_bias
from foretoken.routes.envelope import envelope, trajectories
from foretoken.routes.kaplan import kaplan_route
from foretoken.routes.minimum import local_noise, locate_interpolant, locate_parabola
from foretoken.routes.route import Route
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

LAW = PUBLISHED["besiroglu_2024"].parameters
TRUTH = LAW["beta"] / (LAW["alpha"] + LAW["beta"])


def grid(law: dict[str, float] = LAW, *, noise: float = 0.002, wide: float = 1.6, seed: int = 0) -> RunTable:
    """8 IsoFLOP budgets of 7 sizes around N*."""
    generator = np.random.default_rng(seed)
    rows = []
    for budget, flops in enumerate(np.geomspace(1e17, 1e21, 8)):
        assert CHINCHILLA.optimum is not None
        sizes = CHINCHILLA.optimum(law, flops)[0] * wide ** np.arange(-3.0, 4.0)
        loss = CHINCHILLA.evaluate(law, params=sizes, tokens=flops / 6 / sizes) * np.exp(
            noise * generator.standard_normal(7)
        )
        rows += [(f"b{budget}", N, flops / 6 / N, flops, L) for N, L in zip(sizes, loss, strict=True)]
    return RunTable(pd.DataFrame(rows, columns=["group", "params_total", "tokens", "flops", "loss"]), "a test")


def training_curves(law: dict[str, float] = LAW, sizes: int = 25) -> RunTable:
    """Points of the law along the tokens of each size."""
    rows = [
        (f"N{N:.4g}", N, D, 6 * N * D, float(CHINCHILLA.evaluate(law, params=N, tokens=D)), False)
        for N in np.geomspace(1e6, 1e11, sizes)
        for D in N * np.geomspace(0.3, 300, 30)
    ]
    return RunTable(
        pd.DataFrame(rows, columns=["run", "params_total", "tokens", "flops", "loss", "annealed"]), "a test"
    )


def test_every_route_finds_the_path_of_the_law_it_was_given() -> None:
    found = approaches(grid(), curves=training_curves(), draws=100)
    routes = {route.name: route for route in found.routes}
    assert list(routes) == ["approach 1", "approach 2 (parabola)", "approach 2 (interpolated)", "approach 3", "Kaplan"]
    for name, tolerance in zip(list(routes)[:4], (0.01, 0.01, 0.03, 0.01), strict=True):
        route = routes[name]
        assert route.exponent == pytest.approx(TRUTH, abs=tolerance), name
        assert route.exponent_interval is not None
        assert route.exponent_interval[0] < route.exponent < route.exponent_interval[1]
        assert route.prefactor is not None
        assert route.largest is not None
        assert route.prefactor * 1e21**route.exponent == pytest.approx(route.largest.params)
        assert CHINCHILLA.optimum is not None
        assert route.largest.params == pytest.approx(CHINCHILLA.optimum(LAW, 1e21)[0], rel=0.25)


def test_kaplans_route_is_exact_where_there_is_no_irreducible_loss_and_too_steep_where_there_is() -> None:
    law = {**LAW, "E": 1e-12, "alpha": 0.08, "beta": 0.1, "A": 10.0, "B": 20.0}
    exact = kaplan_route(clean_rows(grid(law, noise=0.0)), 1e21, draws=60)
    assert exact.exponent == pytest.approx(0.1 / 0.18, abs=1e-3)
    curves = clean_rows(RunTable(training_curves().frame.drop(columns="annealed"), "a test"))
    biased = kaplan_route(curves, 1e21, draws=60)
    assert (biased.exponent or 0) > TRUTH + 0.1


def test_the_envelope_leaves_out_where_the_smallest_or_largest_size_leads() -> None:
    frame = training_curves().frame.drop(columns="annealed")
    route = envelope(clean_rows(RunTable(frame, "a test")), 1e21, draws=50)
    sizes = [point.params for point in route.points]
    assert min(sizes) > frame["params_total"].min()
    assert max(sizes) < frame["params_total"].max()


def test_trajectories_are_rows_of_one_size_that_share_a_parent_or_a_run() -> None:
    frame = training_curves(sizes=4).frame.drop(columns="annealed")
    assert [len(here) for here in trajectories(clean_rows(RunTable(frame, "a test")))] == [30] * 4
    parents = frame.assign(parent=frame["run"], run=[f"r{i}" for i in range(len(frame))])
    assert [len(here) for here in trajectories(clean_rows(RunTable(parents, "a test")))] == [30] * 4


def test_a_route_that_the_table_does_not_allow_says_why() -> None:
    table = grid()
    few = approaches(RunTable(table.frame.head(5), "a test"), draws=60)
    reasons = {route.name: route.reason for route in few.routes}
    assert "training curves" in (reasons["approach 1"] or "")
    assert "interior minimum" in (reasons["approach 2 (parabola)"] or "")
    assert "too_few_runs" in (reasons["approach 3"] or "")
    assert few.surface is None


def test_wide_lopsided_curves_bias_the_parabola_and_not_the_interpolant() -> None:
    law = {"E": 1.8, "A": 5000.0, "B": 50.0, "alpha": 0.5, "beta": 0.2}
    found = approaches(grid(law, wide=3.0), draws=60)
    bias = {route.name: route.bias for route in found.routes}
    parabola, interpolated = bias["approach 2 (parabola)"], bias["approach 2 (interpolated)"]
    assert parabola is not None
    assert interpolated is not None
    assert parabola.params > 1.3
    assert interpolated.params == pytest.approx(1, abs=0.1)
    assert {check.code for check in found.checks} == {"isoflop_bias", "routes_disagree"}


def test_the_simulated_bias_is_the_bias_that_noise_free_runs_show() -> None:
    law = {"E": 1.8, "A": 5000.0, "B": 50.0, "alpha": 0.5, "beta": 0.2}
    table = grid(law, noise=0.0, wide=3.0)
    bias = isoflop_bias(clean_rows(table), "parabola", fit(table, draws=50))
    measured = approaches(table, draws=60).routes[1]
    assert bias is not None
    assert measured.exponent is not None
    assert measured.exponent - 0.2 / 0.7 == pytest.approx(bias.exponent, abs=2e-3)


def test_minima_of_exact_curves() -> None:
    size = np.linspace(10.0, 14.0, 9)
    curves = np.stack([2 + 0.1 * (size - centre) ** 2 for centre in (11.3, 12.0, 13.2)], axis=1)
    np.testing.assert_allclose(locate_parabola(size, curves), [11.3, 12.0, 13.2])
    np.testing.assert_allclose(locate_interpolant(size, curves), [11.3, 12.0, 13.2], atol=0.03)
    np.testing.assert_allclose(locate_interpolant(size, np.exp(size)[:, None]), [10.0])


def test_local_noise_is_the_noise_that_was_put_in() -> None:
    generator = np.random.default_rng(0)
    size = np.linspace(10.0, 14.0, 9)
    smooth = 2 + 0.1 * (size - 12) ** 2
    curves = [(size, smooth * np.exp(0.004 * generator.standard_normal(9))) for _ in range(60)]
    assert local_noise(curves) == pytest.approx(0.004, rel=0.2)
    assert local_noise([(size[:4], smooth[:4])]) is None


def test_five_points_move_the_exponent_of_the_public_table(scaling_data: Path) -> None:
    table = read_table(scaling_data / "chinchilla_epoch.csv")
    kept = RunTable(table.frame.sort_values("loss").head(240), "without the 5 highest losses")
    a = [approaches(one, draws=60).routes[3].exponent for one in (kept, table)]
    assert a == pytest.approx([0.514, 0.565], abs=1e-3)


def test_an_estimate_lies_inside_its_own_interval_on_the_public_table(scaling_data: Path) -> None:
    """Akima's minima, drawn anew, lie to one side of those that were measured."""
    found = approaches(read_table(scaling_data / "chinchilla_epoch.csv"), draws=60)
    told = [route for route in found.routes if route.exponent is not None]
    assert len(told) == 4
    for route in told:
        assert route.exponent_interval is not None
        assert route.largest is not None
        assert route.exponent_interval.low <= route.exponent <= route.exponent_interval.high
        assert route.largest.interval.low <= route.largest.params <= route.largest.interval.high


def test_one_budget_tells_its_best_size_and_no_exponent() -> None:
    table = grid()
    alone = RunTable(table.frame[table.frame["group"] == "b4"], "a test")
    found = approaches(alone, draws=60)
    route = found.routes[1]
    assert CHINCHILLA.optimum is not None
    assert all(one.exponent is None and one.reason for one in found.routes)
    assert "an exponent needs two" in (route.reason or "")
    assert route.largest is not None
    assert route.largest.flops == pytest.approx(alone.frame["flops"].iloc[0])
    assert route.largest.interval.low < CHINCHILLA.optimum(LAW, route.largest.flops)[0] < route.largest.interval.high
    (budget,) = isoflop(alone, draws=60).budgets
    assert (budget.params, budget.params_interval) == (route.largest.params, route.largest.interval)


def test_routes_whose_intervals_are_disjoint_are_a_doubt_and_kaplans_is_known() -> None:
    apart = [_told("approach 3", 0.5), _told("approach 2 (parabola)", 0.7), _told("Kaplan", 0.9)]
    doubt, note = _disagreements(apart, 0.9)
    assert (doubt.severity, note.severity) == ("doubt", "note")
    for words in ("approach 3 says 0.500 (0.450 to 0.550)", "approach 2 (parabola) says 0.700 (0.650 to 0.750)"):
        assert words in doubt.evidence
        assert words in note.evidence
    assert "Kaplan says 0.900" in note.evidence
    assert not list(_disagreements([_told("approach 3", 0.5), _told("approach 2 (parabola)", 0.58)], 0.9))


def _told(name: str, exponent: float) -> Route:
    interval = Range(exponent - 0.05, exponent + 0.05)
    return Route(name=name, method="", params_column="params", exponent=exponent, exponent_interval=interval)


def test_one_exponent_has_one_interval_everywhere() -> None:
    """Approach 3 beside the other routes, under the table's own count, and in the fit's influence of few runs."""
    table = grid()
    found = approaches(table, draws=60)
    moved = influence(fit(table, "chinchilla", draws=60))
    counted = next(entry for entry in conventions(table, draws=60).entries if entry.compute == "as recorded")
    assert moved is not None
    assert found.routes[3].exponent_interval == pytest.approx(moved.interval, abs=1e-9)
    assert found.routes[3].exponent_interval == pytest.approx(counted.interval, abs=1e-3)
    assert found.routes[1].exponent_interval == isoflop(table, draws=60).params_exponent_interval
