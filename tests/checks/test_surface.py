"""Patterns beside a law: what is there is found, what the law takes up is not, and chance is told as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from foretoken.checks.surface import Surface, basis, offset, surface_of
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
RUNS = 60


def plain(noise: Array, columns: Array | None = None, budgets: int = 0) -> Surface:
    """A surface whose law is a plane, without a fit."""
    generator = np.random.default_rng(3)
    n, d = np.exp(generator.uniform(16, 21, len(noise))), np.exp(generator.uniform(20, 25, len(noise)))
    flops = 6 * n * d if not budgets else np.geomspace(1e18, 1e21, budgets)[np.arange(len(noise)) % budgets]
    names: list[str | None] = [None] * len(noise)
    rows = Rows([""] * len(noise), names, names, n, d, flops, np.exp(noise), "params", [], 0, 0, [])
    gradient = np.stack([np.ones(len(noise)), np.log(n), np.log(d)], axis=1) if columns is None else columns
    taken = basis(gradient)
    return Surface(rows, noise - taken @ (taken.T @ noise), gradient, 0.004)


def normal(seed: int, runs: int = RUNS) -> Array:
    return 0.004 * np.random.default_rng(seed).standard_normal(runs)


def test_noise_alone_shows_patterns_and_groups_as_rarely_as_is_said() -> None:
    found = [plain(normal(seed)) for seed in range(100)]
    assert sum(bool(surface.patterns) for surface in found) <= 6
    assert sum(offset(surface) is not None for surface in found[:40]) <= 1


@pytest.mark.parametrize("kind", ["rate", "warmup", "break"])
def test_a_pattern_is_found_with_its_size(kind: str) -> None:
    surface = plain(normal(0))
    shapes = dict(surface._shapes())[kind]
    here = plain(normal(0) + 0.03 * shapes[:, 1] / np.ptp(shapes[:, 1]))
    assert next(iter(here.patterns)) == kind
    pattern = here.patterns[kind]
    assert pattern.slope * np.ptp(pattern.column) == pytest.approx(0.03, rel=0.4)
    assert pattern.chance < 0.001


def test_a_rate_drifts_one_way_only() -> None:
    shapes = dict(plain(normal(0))._shapes())["rate"]
    assert "rate" not in plain(normal(0) - 0.03 * shapes[:, 1] / np.ptp(shapes[:, 1])).patterns


def test_what_the_law_takes_up_is_no_pattern() -> None:
    surface = plain(normal(0))
    shape = dict(surface._shapes())["break"][:, 2]
    columns = np.concatenate([surface.gradient, shape[:, None]], axis=1)
    assert not plain(normal(0) + 0.02 * shape, columns).patterns


def test_errors_of_budgets_are_told_from_patterns() -> None:
    errors = 0.012 * np.random.default_rng(5).standard_normal(10)[np.arange(RUNS) % 10]
    surface = plain(normal(1) + errors, budgets=10)
    assert surface.budget_chance < 1e-4
    assert "rate" not in surface.patterns
    assert surface.taken.shape[1] > plain(normal(1), budgets=10).taken.shape[1]


@pytest.mark.parametrize(("share", "shift"), [(0.33, 0.02), (0.2, -0.025)])
def test_a_group_that_lies_off_is_found_run_by_run(share: float, shift: float) -> None:
    off = np.arange(RUNS) < share * RUNS
    found = offset(plain(normal(2) + shift * off))
    assert found is not None
    assert len(set(found.off) ^ set(np.flatnonzero(off))) <= 2
    assert found.shift == pytest.approx(shift, rel=0.15)
    assert found.noise == pytest.approx(0.004, rel=0.3)


def test_few_runs_have_no_surface_and_many_a_robust_one(ladder: Ladder) -> None:
    frame = ladder(noise=0.003).frame
    assert surface_of(clean_rows(RunTable(frame.head(10), "a test"))) is None
    frame.loc[[4, 5], "loss"] *= 1.2
    surface = surface_of(clean_rows(RunTable(frame, "a test")))
    assert surface is not None
    assert set(range(len(frame))) - set(surface.inner.tolist()) == {4, 5}
