from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.fits import fit
from foretoken.fits.bootstrap import clusters, shared_error
from foretoken.fits.estimate import Sample, estimate_map, estimate_unpenalised
from foretoken.fits.misfit import pattern_p_value
from foretoken.fits.noise import spread
from foretoken.fits.rows import clean_rows
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


@pytest.mark.parametrize("count", [12, 24, 200])
def test_spread_is_the_standard_deviation_of_a_fit_of_five_parameters(count: int) -> None:
    generator = np.random.default_rng(0)
    design = generator.standard_normal((count, 5))
    hat = np.eye(count) - design @ np.linalg.pinv(design)
    found = [spread(hat @ generator.standard_normal(count), 5) for _ in range(300)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.12)


def test_an_outlier_hardly_moves_the_spread() -> None:
    residual = np.random.default_rng(0).standard_normal(50)
    spoiled = np.append(residual, 100.0)
    assert spread(spoiled, 5) < 1.3 * spread(residual, 5)


def test_runs_of_one_trajectory_are_not_taken_for_independent_evidence(ladder: Ladder) -> None:
    table = ladder()
    sizes = table.frame["params_total"].map(lambda n: f"{n:.0f}")
    together = dict(zip(sizes.unique(), np.random.default_rng(4).normal(0, 0.01, sizes.nunique()), strict=True))
    frame = table.frame.assign(loss=table.frame["loss"] * np.exp(sizes.map(together)))
    apart = fit(replace(table, frame=frame), draws=200)
    tied = fit(replace(table, frame=frame.assign(parent=sizes)), draws=200)
    assert "trajectories" in tied.bootstrap
    assert "trajectories" not in apart.bootstrap
    wide, narrow = (predict(found, params=2e5, tokens=1e7).half_width for found in (tied, apart))
    assert wide > 0.02
    assert wide > 0.9 * narrow


def looked_at(table: RunTable) -> tuple[float, float]:
    """The error that budgets share, and the chance of a pattern as strong."""
    rows = clean_rows(table)
    sample = Sample.of(CHINCHILLA, rows.features(CHINCHILLA), rows.y, rows.tokens)
    theta, noise = estimate_map(sample, estimate_unpenalised(sample).theta)
    sigma, budget = noise.at(sample.effort), clusters(rows)["budgets"]
    return shared_error(sample, theta, sigma, budget), pattern_p_value(sample, theta, sigma, budget)


def with_shared(table: RunTable, size: float, seed: int) -> RunTable:
    names = table.frame["group"].unique()
    common = dict(zip(names, np.random.default_rng(seed).normal(0, size, len(names)), strict=True))
    return replace(table, frame=table.frame.assign(loss=table.frame["loss"] * np.exp(table.frame["group"].map(common))))


def test_budgets_are_found_with_and_without_names(ladder: Ladder) -> None:
    named = ladder(noise=0.002)
    bare = replace(named, frame=named.frame.drop(columns="group"))
    one, two = (clusters(clean_rows(table))["budgets"] for table in (named, bare))
    assert (one == two).all()
    assert "trajectories" not in clusters(clean_rows(named))


def test_an_error_that_budgets_share_is_measured() -> None:
    """Sixteen budgets, so that the law cannot take the shared error up."""
    found = [looked_at(with_shared(many(seed), 0.01, seed))[0] for seed in range(12)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(0.01, rel=0.25)


def many(seed: int) -> RunTable:
    import pandas as pd

    generator = np.random.default_rng(100 + seed)
    flops = np.repeat(np.geomspace(1e12, 1e15, 16), 6)
    n = 0.01 * np.sqrt(flops) * np.tile(np.geomspace(1 / 6, 6, 6), 16)
    loss = CHINCHILLA.evaluate(TRUTH, params=n, tokens=flops / 6 / n)
    loss = loss * np.exp(0.003 * generator.standard_normal(96))
    group = [f"b{k // 6}" for k in range(96)]
    frame = pd.DataFrame({"group": group, "params_total": n, "tokens": flops / 6 / n, "flops": flops, "loss": loss})
    return RunTable(frame, "simulated")


def test_independent_errors_are_not_taken_for_shared_ones() -> None:
    found = [looked_at(many(seed))[0] for seed in range(12)]
    assert np.median(found) < 0.001


def test_a_right_law_shows_a_pattern_as_often_as_chance_says() -> None:
    chances = [looked_at(many(seed))[1] for seed in range(40)]
    assert np.mean(np.array(chances) < 0.25) == pytest.approx(0.25, abs=0.2)
    assert min(chances) > 1e-4


def test_a_law_that_is_wrong_shows_a_pattern() -> None:
    table = many(0)
    n = np.log(table.frame["params_total"] / table.frame["params_total"].median())
    bent = replace(table, frame=table.frame.assign(loss=table.frame["loss"] * np.exp(0.004 * n**3)))
    assert looked_at(bent)[1] < 1e-4
