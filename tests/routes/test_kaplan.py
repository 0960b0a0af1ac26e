"""Kaplan's route on losses that follow its law exactly, and what an irreducible loss does to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits.rows import Rows, clean_rows
from foretoken.routes.kaplan import kaplan_route
from foretoken.runs.table import RunTable


def made(
    n: float, s: float, *, E: float = 0.0, noise: float = 0.0, seed: int = 0, unit: float = 1.0, each: int = 5
) -> Rows:
    """L = E + (1e12 / N)^n + (1e11 / D)^s on a grid of sizes and lengths; N counted in `unit` parameters."""
    N, D = (part.ravel() for part in np.meshgrid(np.geomspace(1e6, 1e9, each), np.geomspace(1e8, 1e11, each)))
    loss = E + (1e12 / N) ** n + (1e11 / D) ** s
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    frame = pd.DataFrame({"params_non_embedding": N / unit, "tokens": D, "loss": loss, "flops": 6 * N * D})
    return clean_rows(RunTable(frame, "a test"), "params_non_embedding")


@pytest.mark.parametrize(("n", "s"), [(0.076, 0.103), (0.3, 0.3), (0.077, 0.76), (0.5, 0.2)])
def test_exact_losses_give_their_exponent_and_the_size_of_least_loss(n: float, s: float) -> None:
    route = kaplan_route(made(n, s), 1e22, draws=5)
    assert route.exponent == pytest.approx(s / (n + s), abs=1e-5)
    sizes = np.geomspace(1e4, 1e16, 400_001)
    loss = (1e12 / sizes) ** n + (1e11 * 6 * sizes / 1e22) ** s
    assert route.largest is not None
    assert route.largest.params == pytest.approx(sizes[loss.argmin()], rel=1e-3)
    assert route.prefactor is not None
    assert route.exponent is not None
    assert route.prefactor * 1e22**route.exponent == pytest.approx(route.largest.params)


def test_runs_without_noise_leave_no_interval() -> None:
    route = kaplan_route(made(0.2, 0.3), 1e22, draws=10)
    assert route.exponent_interval is not None
    assert route.exponent_interval.high - route.exponent_interval.low < 1e-5


@pytest.mark.parametrize("noise", [0.002, 0.01])
def test_intervals_cover_the_truth(noise: float) -> None:
    held = 0
    for seed in range(8):
        interval = kaplan_route(made(0.2, 0.3, noise=noise, seed=seed), 1e22, draws=25, seed=seed).exponent_interval
        assert interval is not None
        held += interval.low < 0.6 < interval.high
    assert held >= 5  # of 8, at 90 %: fewer are seen once in 200 times


def test_an_irreducible_loss_steepens_the_exponent() -> None:
    """With a term that does not fall, data seem to help the less, and the more the larger it is."""
    exponents = [kaplan_route(made(0.3, 0.3, E=E), 1e22, draws=2).exponent or 0 for E in (0.0, 0.5, 1.5)]
    assert exponents[0] == pytest.approx(0.5, abs=1e-5)
    assert abs(exponents[2] - 0.5) > abs(exponents[1] - 0.5) > 0.005


def test_another_unit_of_parameters_moves_the_size_alone() -> None:
    ones, thousands = (kaplan_route(made(0.2, 0.3, unit=unit), 1e22, draws=2) for unit in (1.0, 1e3))
    assert ones.exponent == pytest.approx(thousands.exponent, abs=1e-6)
    # C is 6 N D of the route's own N, so the same FLOP buy a thousand times the thousands.
    assert ones.largest is not None
    assert thousands.prefactor is not None
    assert thousands.prefactor * (1e22 / 1e3) ** (thousands.exponent or 0) == pytest.approx(
        ones.largest.params / 1e3, rel=1e-3
    )


def test_a_seed_repeats_its_draws() -> None:
    rows = made(0.2, 0.3, noise=0.01)
    first, again, other = (kaplan_route(rows, 1e22, draws=10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.exponent == other.exponent
    assert first.exponent_interval != other.exponent_interval


@pytest.mark.parametrize("keep", [np.arange(5), np.arange(0, 25, 5), np.array([0] * 8)])
def test_too_few_runs_or_none_that_vary_are_refused_with_a_reason(keep: np.ndarray) -> None:
    route = kaplan_route(made(0.2, 0.3).select(keep), 1e22)
    assert route.exponent is None
    assert route.largest is None
    assert "6 runs" in (route.reason or "")
    assert "N and in D" in (route.reason or "")


def test_one_size_of_many_lengths_and_one_length_of_many_sizes_are_refused() -> None:
    rows = made(0.2, 0.3, each=8)
    for column in (rows.params, rows.tokens):
        route = kaplan_route(rows.select(np.flatnonzero(column == column[0])), 1e22)
        assert "vary in N and in D" in (route.reason or "")
