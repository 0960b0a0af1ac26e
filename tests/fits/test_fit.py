from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import ForetokenError, StoreError
from foretoken.fits import Fit, fit
from foretoken.fits.parts import Dropped, RowCounts
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

Ladder = Callable[..., RunTable]
TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


def test_noiseless_runs_give_back_their_law(ladder: Ladder) -> None:
    found = fit(ladder(), "chinchilla", draws=50)
    assert found.unpenalised_parameters == pytest.approx(TRUTH, rel=5e-3)
    assert found.rows == RowCounts(24, [])
    assert found.starts.agree >= found.starts.tried / 2


@pytest.mark.parametrize(
    ("outliers", "huber_sum", "expected"),
    [
        (5, 0.00101827407, {"E": 1.8172, "A": 477.8, "B": 2143, "alpha": 0.3473, "beta": 0.3672}),
        (0, 0.0018260105, {"E": 1.8913, "A": 495.7, "B": 12846, "alpha": 0.3493, "beta": 0.4530}),
    ],
)
def test_chinchilla_points_give_the_best_known_optimum(
    scaling_data: Path, outliers: int, huber_sum: float, expected: dict[str, float]
) -> None:
    table = read_table(scaling_data / "chinchilla_epoch.csv")
    table = replace(table, frame=table.frame.sort_values("loss").iloc[: len(table) - outliers])
    found = fit(table, "chinchilla", draws=100)
    assert found.objective.huber_sum <= huber_sum + 1e-9
    assert found.parameters == pytest.approx(expected, rel=2e-3)
    assert found.status == "converged"
    low, high = found.intervals["alpha"]
    assert low < expected["alpha"] < high
    assert high - low < 0.1


def test_the_power_law_is_fitted_through_the_same_door(ladder: Ladder) -> None:
    frame = ladder().frame
    frame["loss"] = 40.0 * frame["flops"] ** -0.11
    found = fit(RunTable(frame, "a test"), "power", draws=50)
    assert found.parameters == pytest.approx({"a": 40.0, "b": 0.11}, rel=1e-3)


def test_a_scaled_loss_scales_the_law(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    doubled = replace(table, frame=table.frame.assign(loss=2 * table.frame["loss"]))
    one, two = fit(table, draws=50), fit(doubled, draws=50)
    for name, factor in (("alpha", 1), ("beta", 1), ("A", 2), ("B", 2)):
        assert two.map_parameters[name] == pytest.approx(factor * one.map_parameters[name], rel=1e-3)


def test_the_order_of_rows_does_not_matter(ladder: Ladder) -> None:
    table = ladder(noise=0.003)
    turned = replace(table, frame=table.frame.iloc[::-1].reset_index(drop=True))
    one, two = fit(table, draws=50), fit(turned, draws=50)
    assert two.objective.huber_sum == pytest.approx(one.objective.huber_sum, rel=1e-6)
    assert two.map_parameters == pytest.approx(one.map_parameters, rel=1e-3)


def test_the_same_seed_gives_the_same_fit_and_another_does_not(ladder: Ladder) -> None:
    table = ladder(noise=0.003)
    one, again, other = fit(table, draws=50), fit(table, draws=50), fit(table, draws=50, seed=1)
    assert again.map_draws == one.map_draws
    assert other.map_draws != one.map_draws
    assert other.map_parameters == one.map_parameters


def test_dropped_rows_are_counted_and_leave_the_rest_as_it_was(ladder: Ladder) -> None:
    table = ladder(noise=0.003)
    broken = pd.concat([table.frame, table.frame.head(2).assign(loss=np.nan, run=["x", "y"])], ignore_index=True)
    found = fit(replace(table, frame=broken), draws=50)
    assert found.rows == RowCounts(24, [Dropped("loss is missing", 2)])
    assert found.unpenalised_parameters == fit(table, draws=50).unpenalised_parameters


def test_the_irreducible_loss_is_a_number_where_small_models_come_near_it(ladder: Ladder) -> None:
    near = {"E": 3.0, "A": 10.0, "B": 60.0, "alpha": 0.5, "beta": 0.5}
    found = fit(ladder(near, noise=0.0005), draws=100)
    assert found.parameters["E"] == pytest.approx(3.0, rel=0.03)
    assert found.status == "converged"


def test_the_irreducible_loss_is_refused_with_a_reason_where_they_do_not(ladder: Ladder) -> None:
    found = fit(ladder(noise=0.003), draws=100)
    assert found.parameters["E"] is None
    assert "nats" in found.reasons["E"]
    assert found.unpenalised_parameters["E"] > 0
    assert found.status == "not_identified"
    assert "irreducible_loss_not_identified" in {check.code for check in found.checks}


def test_a_size_that_does_not_matter_does_not_pass_for_an_irreducible_loss(ladder: Ladder) -> None:
    flat = {"E": 3.0, "A": 1e-9, "B": 60.0, "alpha": 0.5, "beta": 0.5}
    for seed in range(3):
        E = fit(ladder(flat, noise=0.002, seed=seed), draws=100).parameters["E"]
        assert E is None or abs(E / 3.0 - 1) < 0.03


def test_a_saved_fit_comes_back_equal(ladder: Ladder, tmp_path: Path) -> None:
    found = fit(ladder(noise=0.003), draws=50)
    found.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == found


@pytest.mark.parametrize("text", ["{}", "[1]", '{"format": 99}', "{"])
def test_a_damaged_fit_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "fit.json").write_text(text)
    with pytest.raises(StoreError):
        Fit.load(tmp_path / "fit.json")


@pytest.mark.parametrize("options", [{"level": 1.0}, {"draws": 3}, {"law": "nonsense"}])
def test_options_that_make_no_sense_are_refused(ladder: Ladder, options: dict[str, object]) -> None:
    with pytest.raises(ForetokenError):
        fit(ladder(), **options)  # type: ignore[arg-type]
