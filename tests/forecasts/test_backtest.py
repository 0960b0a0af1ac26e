from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.errors import ForetokenError, RefusedError
from foretoken.forecasts import backtest
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def test_runs_of_a_law_are_forecast_to_their_noise(ladder: Ladder) -> None:
    found = backtest(ladder(noise=0.002), 0.5, law="chinchilla", draws=100)
    assert (found.n_train, found.n_test) == (12, 12)
    assert found.test_error < 0.01
    assert abs(found.bias) <= found.test_error <= found.max_error
    assert found.coverage >= 0.75
    assert found.estimator == "map"


def test_the_cut_is_the_quantile_of_flops_and_keeps_what_lies_at_it(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    found = backtest(table, 0.75, draws=50)
    edge = np.quantile(table.frame["flops"], 0.75)
    assert found.n_train == int((table.frame["flops"] <= edge * (1 + 1e-9)).sum())
    assert min(run.flops for run in found.rows) > edge


def test_scores_are_those_of_the_listed_runs(ladder: Ladder) -> None:
    found = backtest(ladder(noise=0.004), 0.5, draws=50)
    error = np.array([run.forecast / run.loss - 1 for run in found.rows])
    assert found.test_error == pytest.approx(np.abs(error).mean())
    assert found.bias == pytest.approx(error.mean())
    assert found.median_error == pytest.approx(np.median(np.abs(error)))
    assert found.coverage == np.mean([run.is_inside for run in found.rows])


def test_without_a_fraction_the_origin_rolls_and_no_run_is_scored_twice(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    found = backtest(table, draws=50)
    assert len(found.origins) >= 2
    assert found.n_test == sum(origin.n_test for origin in found.origins)
    assert len({(run.params, run.tokens) for run in found.rows}) == found.n_test
    assert found.n_train + found.n_test > len(table.frame)
    assert (
        f"{found.n_test} runs forecast from those before, {found.n_train} at most, with less compute" in found.summary()
    )


def test_held_out_losses_do_not_change_their_forecast(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    larger = table.frame["flops"] > table.frame["flops"].median()
    spoiled = replace(table, frame=table.frame.assign(loss=table.frame["loss"].where(~larger, 2.0)))
    one, two = (backtest(t, 0.5, draws=50) for t in (table, spoiled))
    assert [run.forecast for run in one.rows] == [run.forecast for run in two.rows]
    assert [run.high for run in one.rows] == [run.high for run in two.rows]


@pytest.mark.parametrize("estimator", ["huber", "least_squares", "student_t", "asymmetric"])
def test_plain_estimators_by_their_objective(ladder: Ladder, estimator: str) -> None:
    found = backtest(ladder(noise=0.002), 0.5, law="chinchilla", estimator=estimator, draws=50)
    assert found.estimator == estimator
    assert found.test_error < 0.1


def test_a_doubtful_table_is_scored_with_a_flag(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    tied = replace(table, frame=table.frame.assign(tokens=20 * table.frame["params_total"]).drop(columns="flops"))
    found = backtest(tied, 0.5, draws=50)
    assert "collinear" in {check.code for check in found.checks}
    assert np.isfinite(found.test_error)


def test_a_wrong_argument_name_shows_the_nearest(ladder: Ladder) -> None:
    with pytest.raises(ForetokenError, match="did you mean 'level'"):
        backtest(ladder(noise=0.002), levle=0.5)  # type: ignore[call-arg]
    with pytest.raises(ForetokenError, match="did you mean 'huber'"):
        backtest(ladder(noise=0.002), estimator="hubre")


def test_plain_values_have_the_keys_of_the_contract(ladder: Ladder) -> None:
    plain = backtest(ladder(noise=0.002), 0.5, law="chinchilla", draws=30).to_json()
    assert set(plain["origins"][0]) == {"train_fraction", "n_train", "n_test", "test_error", "bias", "coverage"}
    row = {"params", "tokens", "flops", "loss", "forecast", "low", "high", "distance", "train_fraction"}
    assert set(plain["rows"][0]) == row


def test_too_few_runs_are_refused(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    with pytest.raises(RefusedError, match="8 and 3"):
        backtest(replace(table, frame=table.frame.head(10)), 0.5)


def test_infinite_numbers_are_refused(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    table.frame.loc[3, "loss"] = np.inf
    with pytest.raises(RefusedError, match="infinite"):
        backtest(table, 0.5)


def test_an_empty_table_is_refused_and_missing_losses_are_counted(ladder: Ladder) -> None:
    table = ladder(noise=0.002)
    with pytest.raises(RefusedError, match="8 and 3"):
        backtest(replace(table, frame=table.frame.assign(loss=np.nan)), 0.5)
    table.frame.loc[3, "loss"] = np.nan
    assert "rows_left_out" in {check.code for check in backtest(table, 0.5, draws=50).checks}


@pytest.mark.parametrize("options", [{"train_fraction": 1.5}, {"estimator": "magic"}, {"level": 0.0}, {"law": "none"}])
def test_what_makes_no_sense_is_refused(ladder: Ladder, options: dict[str, object]) -> None:
    with pytest.raises(ForetokenError):
        backtest(ladder(noise=0.002), **options)  # type: ignore[arg-type]
