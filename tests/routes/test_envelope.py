"""Approach 1 on training curves whose envelope is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits.rows import Rows, clean_rows
from foretoken.routes.envelope import envelope, trajectories
from foretoken.routes.route import Route
from foretoken.runs.table import RunTable

SIZES = np.geomspace(1e6, 1e10, 17)


def rows_of(rows: list[tuple[str, float, float, float]]) -> Rows:
    """Rows of (run, N, C, loss)."""
    frame = pd.DataFrame(rows, columns=["run", "params_total", "flops", "loss"])
    return clean_rows(RunTable(frame.assign(tokens=frame["flops"] / 6 / frame["params_total"]), "a test"))


def made(exponent: float, sizes: np.ndarray = SIZES, *, ends: float = 1e23) -> Rows:
    """Curves ln L = 1 - 0.02 ln C + 0.01 (ln N - ln N*(C))^2 with ln N* = ln 1e8 + exponent ln (C / 1e20)."""
    rows = []
    for k, N in enumerate(sizes):
        for flops in np.geomspace(1e17, ends, 40):
            off = np.log(N / 1e8) - exponent * np.log(flops / 1e20)
            rows.append((f"r{k}", N, flops, float(np.exp(1 - 0.02 * np.log(flops / 1e20) + 0.01 * off**2))))
    return rows_of(rows)


def line(route: Route) -> tuple[float, float]:
    assert route.exponent is not None
    assert route.largest is not None
    return route.exponent, route.largest.params


@pytest.mark.parametrize("exponent", [0.35, 0.5, 0.73])
def test_the_envelope_of_known_curves_is_their_line(exponent: float) -> None:
    route = envelope(made(exponent), 1e22, draws=20)
    slope, largest = line(route)
    assert slope == pytest.approx(exponent, abs=0.02)
    assert largest == pytest.approx(1e8 * 100**exponent, rel=0.1)
    assert route.reason is None
    assert route.prefactor == pytest.approx(largest / 1e22**slope)


def test_every_point_is_the_size_nearest_to_the_line_of_minima() -> None:
    for point in envelope(made(0.5), 1e22, draws=5).points:
        best = np.log(1e8) + 0.5 * np.log(point.flops / 1e20)
        nearest = SIZES[np.abs(np.log(SIZES) - best).argmin()]
        other = np.sort(np.abs(np.log(SIZES) - best))[1]
        if other - np.abs(np.log(nearest) - best) > 0.05:  # not at a change of the lead, where the grid decides
            assert point.params == pytest.approx(nearest)


def test_the_smallest_and_the_largest_size_never_lead() -> None:
    led = {round(np.log(point.params), 6) for point in envelope(made(0.5), 1e22, draws=5).points}
    assert min(led) > np.log(SIZES[0])
    assert max(led) < np.log(SIZES[-1])


def test_intervals_of_whole_trajectories_hold_the_line() -> None:
    route = envelope(made(0.5), 1e22, draws=60, level=0.9)
    assert route.exponent_interval is not None
    assert route.exponent_interval.low < 0.5 < route.exponent_interval.high
    assert route.largest is not None
    assert route.largest.interval.low < 1e9 < route.largest.interval.high
    narrow = envelope(made(0.5), 1e22, draws=60, level=0.5).exponent_interval
    assert narrow is not None
    assert route.exponent_interval.low <= narrow.low < narrow.high <= route.exponent_interval.high


def test_a_seed_repeats_its_intervals() -> None:
    first, again, other = (envelope(made(0.5), 1e22, draws=10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.exponent == other.exponent
    assert first.exponent_interval != other.exponent_interval


def test_a_curve_leads_only_where_it_reaches() -> None:
    long = made(0.5)
    short = rows_of([("good", 3e8, flops, 0.5) for flops in np.geomspace(1e17, 1e18, 5)])
    assert short.y.max() < long.y.min()  # better than all, at little compute
    joined = rows_of(
        [
            (run, N, flops, loss)
            for rows in (long, short)
            for run, N, flops, loss in zip(rows.run, rows.params, rows.flops, rows.y, strict=True)
        ]
    )
    points = envelope(joined, 1e22, draws=5).points
    leads = [point.params == pytest.approx(3e8, rel=1e-9) for point in points]
    assert leads == [point.flops <= 1e18 for point in points]
    assert 3 < sum(leads) < len(leads)


def test_three_sizes_are_too_few() -> None:
    route = envelope(made(0.5, SIZES[7:10]), 1e22)
    assert route.exponent is None
    assert "4 sizes" in (route.reason or "")
    assert "`parent` or `run`" in (route.reason or "")


def test_curves_that_never_cross_have_no_envelope() -> None:
    rows = [
        (f"r{k}", N, flops, 3.0 - 0.1 * k - 0.01 * np.log(flops / 1e17))
        for k, N in enumerate(SIZES[:5])
        for flops in np.geomspace(1e17, 1e19, 10)
    ]
    route = envelope(rows_of(rows), 1e19)
    assert route.exponent is None
    assert "middle size" in (route.reason or "")


def test_a_trajectory_has_two_points_or_more_of_one_size_in_order_of_compute() -> None:
    rows = rows_of(
        [
            ("a", 1e6, 3e18, 2.0),
            ("b", 1e6, 1e18, 2.5),
            ("a", 1e6, 1e18, 2.4),
            ("a", 2e6, 1e18, 2.3),
            ("a", 2e6, 2e18, 2.2),
            ("a", 1e6, 2e18, 2.1),
        ]
    )
    assert [here.tolist() for here in trajectories(rows)] == [[2, 5, 0], [3, 4]]
