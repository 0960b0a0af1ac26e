"""Checks of a fitted law: what is said of one fit after one thing about it was changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretoken.checks import fit as fit_room
from foretoken.checks.table_view import TableView, view_table
from foretoken.fits.result import Fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.table import RunTable

LAW = PUBLISHED["besiroglu_2024"].parameters


@pytest.fixture(scope="module")
def seen() -> TableView:
    """24 runs of Besiroglu's law with 0.3 % of noise, six sizes at four lengths per parameter."""
    N, ratio = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 3e9, 6), [5.0, 20.0, 80.0, 320.0]))
    noise = np.exp(0.003 * np.random.default_rng(3).standard_normal(24))
    frame = pd.DataFrame({"params_total": N, "tokens": ratio * N, "flops": 6 * ratio * N**2})
    frame["loss"] = CHINCHILLA.evaluate(LAW, params=N, tokens=ratio * N) * noise
    return view_table(RunTable(frame.assign(run=[f"r{k}" for k in range(24)]), "a test"))


def fitted(view: TableView) -> Fit:
    assert view.fit is not None
    return view.fit


def moved(view: TableView, factor: Callable[[int, int], float]) -> TableView:
    """The view, each residual (numbered by compute, of so many) multiplied."""
    fit = fitted(view)
    order = np.argsort([run.flops for run in fit.runs])
    runs = list(fit.runs)
    for place, i in enumerate(order):
        residual = np.log(runs[i].loss / runs[i].fitted)
        runs[i] = replace(runs[i], loss=float(runs[i].fitted * np.exp(factor(place, len(runs)) * residual)))
    return replace(view, fit=replace(fit, runs=runs))


def test_an_ordinary_fit_is_not_doubted(seen: TableView) -> None:
    for check in fit_room.CHECKS[1:]:
        assert list(check(seen)) == [], check


def test_without_a_fit_there_is_nothing_to_check(seen: TableView) -> None:
    for check in fit_room.CHECKS:
        assert list(check(replace(seen, fit=None))) == []


def test_the_doubts_of_the_fit_are_passed_on(seen: TableView) -> None:
    assert list(fit_room.doubts_of_the_fit(seen)) == fitted(seen).checks


@pytest.mark.parametrize(("conditioning", "fires"), [(0.9e4, False), (1.1e4, True)])
def test_a_condition_number_is_noted_from_ten_thousand(seen: TableView, conditioning: float, fires: bool) -> None:
    found = list(fit_room.ill_conditioned(replace(seen, fit=replace(fitted(seen), conditioning=conditioning))))
    assert [(check.code, check.severity) for check in found] == [("ill_conditioned", "note")] * fires
    if fires:
        assert f"{conditioning:.2g}" in found[0].evidence


@pytest.mark.parametrize("wide_end", ["least", "most"])
def test_noise_that_changes_with_compute_is_told_with_both_spreads(seen: TableView, wide_end: str) -> None:
    small_wide = moved(seen, lambda k, n: 30.0 if (k < n // 3) == (wide_end == "least") else 1.0)
    (check,) = fit_room.noise_changes(small_wide)
    assert (check.code, check.severity) == ("noise_changes", "note")
    fit = fitted(small_wide)
    residual = fit.residuals[np.argsort([run.flops for run in fit.runs])]
    for part in (residual[:8], residual[-8:]):
        assert f"{100 * np.sqrt(np.mean(part**2)):.2f} %" in check.evidence


def test_noise_that_is_the_same_everywhere_is_not_told(seen: TableView) -> None:
    assert list(fit_room.noise_changes(moved(seen, lambda k, n: 5.0))) == []
    few = replace(seen, rows=seen.rows.select(np.arange(17)))
    assert list(fit_room.noise_changes(moved(few, lambda k, n: 12.0 if k < n // 3 else 1.0))) == []


def test_runs_are_left_out_one_at_a_time_the_farthest_first(seen: TableView) -> None:
    fit = fitted(seen)
    order, shift = fit_room.leave_one_out(fit)
    assert sorted(order.tolist()) == list(range(24))
    residual = abs(fit.residuals)[order]
    assert (np.diff(residual) <= 0).all()
    assert shift.shape == (24,)
    assert np.isfinite(shift).all()
    assert 0 < abs(shift).max() < 0.05  # runs with 0.3 % of noise move a forecast by little


def test_the_law_without_its_worst_run_is_the_law_of_a_table_without_it(seen: TableView) -> None:
    fit = fitted(seen)
    keep = np.ones((2, 24), dtype=bool)
    keep[1, 0] = False
    shift = fit_room._forecasts(fit, keep)
    assert shift[0] == pytest.approx(0.0, abs=1e-5)  # nothing left out, nothing moved
    assert abs(shift[1]) > 0
    whole, part = fit_room._exponents(fit, keep)
    p = fit.unpenalised_parameters
    assert whole == pytest.approx(p["beta"] / (p["alpha"] + p["beta"]), abs=2e-3)
    assert abs(part - whole) < 0.1


def test_the_forecast_point_shares_its_compute_between_size_and_data(seen: TableView) -> None:
    fit = fitted(seen)
    largest = max(fit.runs, key=lambda run: run.flops)
    theta = CHINCHILLA.theta(LAW)[None]
    ahead = CHINCHILLA.evaluate(LAW, params=largest.params * 8**0.5, tokens=largest.tokens * 8**0.5)
    assert np.exp(fit_room._at_target(fit, theta)[0]) == pytest.approx(float(ahead))


def test_a_run_that_moves_the_forecast_far_more_than_others_is_named(
    seen: TableView, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = np.arange(24)
    cases = {(0.02, 0.004): True, (0.02, 0.006): False, (0.002, 0.0001): False, (-0.02, 0.004): True}
    for (first, others), fires in cases.items():
        shift = np.full(24, others)
        shift[5] = first
        monkeypatch.setattr(fit_room, "leave_one_out", lambda fit, shift=shift: (order, shift))
        found = list(fit_room.influential_run(seen))
        assert [check.code for check in found] == ["influential_run"] * fires
        if fires:
            assert "without run r5 " in found[0].evidence
            assert f"{100 * np.expm1(first):+.2f} %" in found[0].evidence
            assert f"more than {100 * others:.2f} %" in found[0].evidence
