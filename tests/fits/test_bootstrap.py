from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.fits import fit
from foretoken.fits.estimate import spread
from foretoken.forecasts import predict
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


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
