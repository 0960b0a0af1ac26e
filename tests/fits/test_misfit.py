from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from foretoken.fits import fit
from foretoken.fits.misfit import RIGHT, WRONG
from foretoken.forecasts import predict
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def bent(table: RunTable, by: float) -> RunTable:
    """Losses that leave the law the further, the larger the run in size."""
    size = np.log(table.frame["params_total"] / table.frame["params_total"].min())
    return replace(table, frame=table.frame.assign(loss=table.frame["loss"] * np.exp(by * size**3)))


def test_a_law_that_holds_has_little_misfit_and_never_none(ladder: Ladder) -> None:
    grown = [
        fit(ladder(noise=0.002, seed=seed, budgets=7), "coupled", draws=50).noise.misfit_growth for seed in range(8)
    ]
    assert min(grown) > 0.5 * RIGHT
    assert np.median(grown) < 0.5 * WRONG


def test_where_no_pattern_would_show_some_misfit_is_assumed(ladder: Ladder) -> None:
    found = fit(ladder(noise=0.002), draws=50)
    assert found.noise.pattern_p_value == 0
    assert found.noise.misfit_growth > RIGHT


def test_a_law_that_is_wrong_inside_its_table_has_one(ladder: Ladder) -> None:
    found = fit(bent(ladder(noise=0.0005, budgets=7), 0.003), draws=50)
    assert 0 < found.noise.pattern_p_value < 1e-3
    assert RIGHT < found.noise.misfit_growth < 10 * WRONG
    assert "pattern_in_residuals" in {check.code for check in found.checks}


def test_a_law_that_bends_over_budgets_widens_the_forecast(ladder: Ladder) -> None:
    table = ladder(noise=0.001)
    compute = np.log(table.frame["flops"] / table.frame["flops"].min())
    away = replace(table, frame=table.frame.assign(loss=table.frame["loss"] * np.exp(0.02 * compute**2)))
    straight, curved = (predict(fit(one, draws=50), params=2e5, tokens=1.6e7) for one in (table, away))
    assert curved.half_width > 1.5 * straight.half_width


def test_held_out_budgets_are_listed_with_their_distance(ladder: Ladder) -> None:
    held_out = fit(ladder(noise=0.002), draws=50).held_out
    assert held_out
    assert all(test.distance > 0.3 for test in held_out)
    assert all(test.square >= test.error**2 and test.explained > 0 for test in held_out)


def test_losses_that_are_all_equal_have_a_chance_that_is_a_number(ladder: Ladder) -> None:
    table = ladder(noise=0.0, budgets=7)
    found = fit(replace(table, frame=table.frame.assign(loss=2.5 + 1e-4 * (table.frame.index == 0))), draws=50)
    assert 0 <= found.noise.pattern_p_value <= 1
    assert np.isfinite(found.noise.misfit_growth)
