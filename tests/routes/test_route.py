"""Routes to the best size: lines with their draws, when a bias is large, and minima of curves of any form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.fits.parts import Range, interval_about
from foretoken.routes.minimum import MINIMA, distinct, local_noise
from foretoken.routes.route import BIASED, BIASED_SIZE, Bias, PathDraws, exp_range, points_of, route_of

SIZES = np.linspace(10.0, 14.0, 9)


@given(st.floats(0.3, 0.7), st.floats(-5.0, 5.0), st.floats(1e15, 1e20))
@settings(max_examples=25, deadline=None)
def test_the_numbers_of_a_route_lie_on_its_line(slope: float, intercept: float, largest: float) -> None:
    path = PathDraws(np.full(11, slope), np.full(11, intercept))
    route = route_of("a", "b", path, level=0.9, largest=largest, params_column="params")
    assert route.largest is not None
    assert route.prefactor is not None
    assert route.exponent == slope
    assert route.largest.params == pytest.approx(route.prefactor * largest**slope, rel=1e-9)
    assert route.largest.interval.low == pytest.approx(route.largest.params)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.99])
def test_an_interval_is_the_middle_of_the_draws_and_holds_the_estimate(level: float) -> None:
    draws = np.linspace(0.0, 1.0, 1001)
    ends = ((1 - level) / 2, (1 + level) / 2)
    assert interval_about(0.5, draws, level) == pytest.approx(ends)
    path = PathDraws(np.concatenate([[5.0], draws]), np.zeros(1002))
    route = route_of("a", "b", path, level=level, largest=np.e, params_column="params")
    assert route.exponent == 5.0
    assert route.exponent_interval == pytest.approx((ends[0], 5.0))
    assert route.prefactor_interval == Range(1.0, 1.0)
    assert exp_range(Range(0.0, np.log(3.0))) == pytest.approx((1.0, 3.0))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_bias_is_large_beyond_either_limit(sign: float) -> None:
    assert not Bias(sign * 0.99 * BIASED, BIASED_SIZE ** (0.99 * sign)).is_large
    assert Bias(sign * 1.01 * BIASED, 1.0).is_large
    assert Bias(0.0, BIASED_SIZE ** (1.01 * sign)).is_large
    assert f"{sign * 0.03:+.3f} off" in str(Bias(sign * 0.03, 1.1))


def test_points_are_given_in_flop_and_parameters() -> None:
    (point,) = points_of([1e18], np.log([1e9]))
    assert (point.flops, point.params) == pytest.approx((1e18, 1e9))


@pytest.mark.parametrize("name", MINIMA)
@pytest.mark.parametrize("centre", [11.0, 12.0, 12.3, 13.2])
def test_each_way_finds_the_least_of_a_parabola_and_its_loss(name: str, centre: float) -> None:
    loss = 2.0 + 0.1 * (SIZES - centre) ** 2
    assert MINIMA[name].judge(SIZES, loss) == "interior"
    at = MINIMA[name].locate(SIZES, loss[:, None])[0]
    assert at == pytest.approx(centre, abs=0.02)
    assert MINIMA[name].loss(SIZES, loss, at) == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("name", MINIMA)
@pytest.mark.parametrize(("slope", "status"), [(0.5, "edge_small"), (-0.5, "edge_large")])
def test_a_curve_that_only_falls_or_rises_has_its_least_at_an_end(name: str, slope: float, status: str) -> None:
    loss = 3.0 + slope * (SIZES - 12.0) + 0.01 * (SIZES - 12.0) ** 2
    assert MINIMA[name].judge(SIZES, loss) == status
    at = MINIMA[name].locate(SIZES, loss[:, None])[0]
    step = SIZES[1] - SIZES[0]
    assert at <= SIZES[0] + step if slope > 0 else at >= SIZES[-1] - step


@pytest.mark.parametrize("name", MINIMA)
def test_curves_of_a_batch_do_not_touch_each_other(name: str) -> None:
    losses = np.stack([2.0 + 0.1 * (SIZES - centre) ** 2 for centre in (11.0, 12.5, 13.0)], axis=1)
    together = MINIMA[name].locate(SIZES, losses)
    apart = [MINIMA[name].locate(SIZES, losses[:, [curve]])[0] for curve in range(3)]
    np.testing.assert_allclose(together, apart, rtol=1e-9)


def test_runs_of_one_size_count_as_their_mean() -> None:
    sizes, losses = distinct(np.array([2.0, 1.0, 2.0]), np.array([4.0, 3.0, 6.0]))
    assert (sizes.tolist(), losses.tolist()) == ([1.0, 2.0], [3.0, 5.0])
    sizes, losses = distinct(np.array([2.0, 1.0]), np.array([4.0, 3.0]))
    assert (sizes.tolist(), losses.tolist()) == ([1.0, 2.0], [3.0, 4.0])


def test_a_smooth_curve_has_no_noise_and_four_sizes_tell_none() -> None:
    smooth = np.exp(1.0 + 0.1 * (SIZES - 12) ** 3)
    assert local_noise([(SIZES, smooth)]) == pytest.approx(0.0, abs=1e-9)
    assert local_noise([(SIZES[:4], smooth[:4])]) is None
    assert local_noise([]) is None
