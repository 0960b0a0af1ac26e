"""The difference of two fits: what they have in common leaves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foretoken.decisions.crossing import crossing, zeros
from foretoken.decisions.pair import SUREST, pair_of, reach_of
from foretoken.decisions.request import Split
from foretoken.fits import Fit, fit

from .pairs import table


@pytest.fixture(scope="module")
def fits() -> tuple[Fit, Fit]:
    """Two recipes with equal noise, the second 5 % worse in its term of size."""
    return fit(table(), draws=100), fit(table(scale=1.05), draws=100)


FAR = {"params": 1e9, "tokens": 3e10, "flops": 1.8e20}


def test_the_difference_is_that_of_the_forecasts(fits: tuple[Fit, Fit]) -> None:
    from foretoken.forecasts import predict

    told = pair_of(*fits, "mean").difference(FAR, FAR)
    one, other = (predict(side, params=1e9, tokens=3e10).loss for side in fits)
    assert told.centre == pytest.approx(np.log(one / other), rel=1e-9)


def test_exchanging_the_two_turns_everything_round(fits: tuple[Fit, Fit]) -> None:
    there, back = (pair_of(*both, "mean").difference(FAR, FAR) for both in (fits, fits[::-1]))
    assert back.centre == pytest.approx(-there.centre)
    assert back.p_first == pytest.approx(1 - there.p_first, abs=0.02)
    assert there.interval(0.9)[0] == pytest.approx(-back.interval(0.9)[1], abs=1e-3)


def test_equal_noise_leaves_the_difference(fits: tuple[Fit, Fit]) -> None:
    paired = pair_of(*fits, "new-run")
    apart = pair_of(fits[0], fit(table(scale=1.05, seed=1), draws=100), "new-run")
    assert paired.alike is not None
    assert paired.alike > 0.9
    assert apart.alike is not None
    assert apart.alike < paired.alike
    widths = [np.ptp(pair.difference(FAR, FAR).interval(0.9)) for pair in (paired, apart)]
    assert widths[0] < 0.7 * widths[1]


def test_other_sizes_are_not_paired(fits: tuple[Fit, Fit]) -> None:
    moved = table(scale=1.05)
    other = fit(moved.assign(params=1.3 * moved["params"], tokens=1.3 * moved["tokens"]), draws=100)
    pair = pair_of(fits[0], other, "mean")
    assert pair.alike is None
    assert sorted(pair.order) == list(range(100))
    assert (pair.order != np.arange(100)).sum() > 90


def test_a_new_run_is_less_sure_than_the_mean(fits: tuple[Fit, Fit]) -> None:
    mean, new = (pair_of(*fits, kind).difference(FAR, FAR) for kind in ("mean", "new-run"))  # type: ignore[arg-type]
    assert np.ptp(new.interval(0.9)) > np.ptp(mean.interval(0.9))
    assert new.p_first <= mean.p_first + 0.01


def test_doubt_grows_with_distance_and_the_probability_is_never_certain(fits: tuple[Fit, Fit]) -> None:
    pair = pair_of(*fits, "mean")
    widths = []
    for factor in (1.0, 10.0, 100.0):
        run = {"params": 3e8 * factor, "tokens": 2.7e10 * factor, "flops": 4.9e19 * factor**2}
        widths.append(np.ptp(pair.difference(run, run).interval(0.9)))
    assert widths == sorted(widths)
    sure = replace(pair.difference(FAR, FAR), centre=-1.0)
    assert sure.p_first == SUREST


def test_reach_is_that_of_the_farthest_direction(fits: tuple[Fit, Fit]) -> None:
    assert reach_of(fits[0], {"params": 6e8, "tokens": 1e9}) == pytest.approx(2.0)
    assert reach_of(fits[0], {"params": 1e8, "tokens": 1e9, "flops": 6e17}) == 1.0


def test_a_crossing_holds_all_computes_at_which_neither_is_better() -> None:
    grid = np.geomspace(1.0, 1e6, 7)
    centre = np.array([3.0, 2.0, 1.0, -1.0, -2.0, -3.0, -4.0])
    found = crossing(centre, centre - 1.5, centre + 1.5, grid, 1e3)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.flops < found.high
    assert found.flops == pytest.approx(10**2.5)
    open_above = crossing(centre, centre - 9, centre + np.arange(7), grid, 1e3)
    assert open_above is not None
    assert open_above.high is None
    assert crossing(centre - 9, centre - 10, centre - 8, grid, 1e3) is None
    assert len(zeros(np.array([1.0, -1.0, 1.0]), np.array([1.0, 10.0, 100.0]))) == 2


def test_runs_stand_where_compute_is_spent(fits: tuple[Fit, Fit]) -> None:
    flops = np.array([1e19, 1e20])
    best = Split().runs(fits[0], flops)
    assert best[1]["params"] > best[0]["params"]
    assert all(run["params"] * run["tokens"] * 6 == pytest.approx(run["flops"]) for run in best)
    assert [run["tokens"] for run in Split(tokens=1e10).runs(fits[0], flops)] == pytest.approx([1e10, 1e10])
    ratios = [run["tokens"] / run["params"] for run in Split(1e9, 2e10).runs(fits[0], flops)]
    assert ratios == pytest.approx([20.0, 20.0])
