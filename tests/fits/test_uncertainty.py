from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.fits import fit
from foretoken.fits.estimate import spread
from foretoken.fits.uncertainty import GROWTH
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

    def width(found: object) -> float:
        losses = [p[0] + p[1] / 2e5 ** p[3] + p[2] / 1e7 ** p[4] for p in found.draws]  # type: ignore[attr-defined]
        return float(np.subtract(*np.quantile(losses, [0.95, 0.05])))

    assert width(tied) >= width(apart) * 0.98


def test_misfit_stays_at_what_is_assumed_when_held_out_budgets_fit(ladder: Ladder) -> None:
    assert fit(ladder(noise=0.002), draws=50).noise["growth"] <= GROWTH * 1.2


def test_misfit_grows_when_the_law_bends_away_from_the_runs(ladder: Ladder) -> None:
    table = ladder(noise=0.001)
    compute = np.log(table.frame["flops"] / table.frame["flops"].min())
    bent = replace(table, frame=table.frame.assign(loss=table.frame["loss"] * np.exp(0.02 * compute**2)))
    assert fit(bent, draws=50).noise["growth"] > 1.5 * GROWTH


def test_held_out_budgets_are_listed_with_their_distance(ladder: Ladder) -> None:
    held_out = fit(ladder(noise=0.002), draws=50).held_out
    assert {round(test["distance"] / np.log(2)) for test in held_out} <= {1, 2, 3}
    assert held_out
