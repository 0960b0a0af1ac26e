"""Diverged runs: found wherever the others contradict them, however many they are; clean tables lose nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import RefusedError
from foretoken.fits.fit import fit
from foretoken.fits.outliers import outliers, without
from foretoken.fits.rows import ABOVE_GUESSING, FAR_ABOVE, clean_rows
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.laws.law import Array
from foretoken.runs.filters import filter_rows
from foretoken.runs.table import RunTable

LAW = PUBLISHED["besiroglu_2024"].parameters
Table = tuple[Array, Array, Array]


def isoflop(noise: float, seed: int, tails: bool = False) -> Table:
    """Five budgets of six sizes: params, tokens, loss."""
    assert CHINCHILLA.optimum is not None
    generator = np.random.default_rng(seed)
    flops = np.repeat(np.geomspace(1e18, 2.56e20, 5), 6)
    n = CHINCHILLA.optimum(LAW, flops)[0] * np.tile(np.geomspace(1 / 4, 4, 6), 5)
    error = generator.standard_t(3, 30) if tails else generator.standard_normal(30)
    return n, flops / 6 / n, CHINCHILLA.evaluate(LAW, params=n, tokens=flops / 6 / n) * np.exp(noise * error)


def table(numbers: Table, **columns: object) -> RunTable:
    n, d, loss = numbers
    frame = pd.DataFrame({"params_total": n, "tokens": d, "loss": loss, **columns})
    return RunTable(frame, "a test")


@pytest.mark.parametrize("tails", [False, True])
def test_no_run_of_a_clean_table_is_set_aside(tails: bool) -> None:
    lost = [len(outliers(*isoflop(noise, seed, tails))) for noise in (0.0, 0.002, 0.01) for seed in range(20)]
    assert sum(lost) == 0


@pytest.mark.parametrize("many", [1, 2, 4])
@pytest.mark.parametrize("factor", [1.25, 3.0])
def test_several_diverged_runs_do_not_hide_each_other(many: int, factor: float) -> None:
    found = 0
    for seed in range(10):
        n, d, loss = isoflop(0.005, seed)
        planted = np.random.default_rng(100 + seed).choice(30, many, replace=False)
        loss[planted] *= factor
        told = set(outliers(n, d, loss).tolist())
        assert told <= set(planted.tolist())
        found += len(told)
    assert found >= 0.9 * 10 * many


def test_short_runs_above_the_law_at_an_end_stay() -> None:
    n, d, loss = isoflop(0.003, 0)
    loss[[4, 5]] *= [1.2, 1.4]  # the largest and shortest of the cheapest budget: nothing is shorter
    assert not len(outliers(n, d, loss))


def test_a_sixth_of_the_runs_and_more_are_another_kind() -> None:
    n, d, loss = isoflop(0.003, 0)
    loss[[2, 8, 9, 14, 20, 21]] *= 2
    assert not len(outliers(n, d, loss))


def test_what_is_set_aside_is_counted_named_and_left_out_by_the_where_that_is_told() -> None:
    n, d, loss = isoflop(0.004, 3)
    loss[17], loss[22] = 4.9, 6.2
    runs = table((n, d, loss), run=[f"r{i}" for i in range(30)])
    rows = clean_rows(runs)
    assert [(dropped.reason, dropped.count) for dropped in rows.dropped] == [(FAR_ABOVE, 2)]
    assert [check.code for check in rows.checks] == ["outlying_runs"]
    assert "r17 (4.9), r22 (6.2)" in rows.checks[0].evidence
    assert "--where 'run!=r17|r22'" in rows.checks[0].cure
    assert filter_rows(runs.frame, "run!=r17|r22")[0].equals(runs.frame.drop([17, 22]).reset_index(drop=True))
    assert len(clean_rows(runs, keep_outliers=True)) == 30


def test_runs_above_the_loss_of_guessing_are_set_aside_even_where_no_other_tells() -> None:
    n, d, loss = isoflop(0.004, 3)
    loss[0] = 10.9
    rows = clean_rows(table((n, d, loss), tokenizer="gpt2"))
    assert [(dropped.reason, dropped.count) for dropped in rows.dropped] == [(ABOVE_GUESSING, 1)]
    assert "row 1 (10.9)" in rows.checks[0].evidence
    in_another_unit = clean_rows(table((n, d, 2 * isoflop(0.004, 3)[2]), tokenizer="byte"))
    assert (in_another_unit.y > np.log(256)).sum() > 10
    assert not in_another_unit.checks


@pytest.mark.parametrize(
    ("names", "loss", "told"),
    [
        (["a", "b,c", "d"], [3.0, 7.0, 2.0], "'loss<5'"),
        (["a", "a", "d"], [3.0, 7.0, 2.0], "'loss<5'"),
        ([None] * 3, [8.0, 7.25, 2.0], "'loss!=7.25'"),
    ],
)
def test_rows_that_no_name_tells_apart_go_by_their_loss(names: list[str | None], loss: list[float], told: str) -> None:
    assert without(names, np.array(loss), np.array([False, True, False])) == f"--where {told}"


def test_a_forecast_does_not_move_for_a_diverged_run() -> None:
    n, d, loss = isoflop(0.005, 1)
    kept = np.arange(30) != 14
    clean = predict(fit(table((n[kept], d[kept], loss[kept])), draws=50), params=2e9, tokens=4e10)
    loss[14] *= 1.5
    found = fit(table((n, d, loss)), draws=50)
    told = predict(found, params=2e9, tokens=4e10)
    assert (told.loss, told.low, told.high) == pytest.approx((clean.loss, clean.low, clean.high), rel=1e-6)
    assert "outlying_runs" in [check.code for check in told.checks]
    assert fit(table((n, d, loss)), draws=50, keep_outliers=True).rows.used == 30


def test_a_loss_that_doubled_is_set_aside_where_no_run_bounds_it_too() -> None:
    """The largest size of the dearest budget, on less than one token per parameter."""
    for seed in range(6):
        n, d, _ = isoflop(0.0, seed)
        n, d = 2.5 * n, d / 2.5
        noise = np.exp(0.003 * np.random.default_rng(seed).standard_normal(30))
        loss = CHINCHILLA.evaluate(LAW, params=n, tokens=d) * noise
        loss[29] *= 1.95
        assert d[29] < n[29]
        assert outliers(n, d, loss).tolist() == [29]


def test_a_mixture_is_refused_before_anything_is_set_aside() -> None:
    n, d, loss = isoflop(0.004, 3)
    loss[17] *= 2
    with pytest.raises(RefusedError, match="mixed_eval_sets"):
        clean_rows(table((n, d, loss), eval_set=["a"] * 17 + ["b"] + ["a"] * 12))
