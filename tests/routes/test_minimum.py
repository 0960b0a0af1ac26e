"""Minima of curves whose minimum is known, and the noise around curves whose noise is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.routes.isoflop import REFUSALS, find_minimum
from foretoken.routes.minimum import (
    MINIMA,
    Minimum,
    distinct,
    interpolated_loss,
    judge_interpolant,
    judge_parabola,
    local_noise,
    locate_interpolant,
    locate_parabola,
)

SIZE = np.linspace(10.0, 14.0, 9)
every_way = pytest.mark.parametrize("minimum", MINIMA.values(), ids=MINIMA.keys())
centres = st.floats(10.6, 13.4)
bends = st.floats(0.01, 1.0)


def parabola(centre: float, bend: float, size: np.ndarray = SIZE, level: float = 2.0) -> np.ndarray:
    return level + bend * (size - centre) ** 2


@settings(deadline=None)
@given(centre=centres, bend=bends, level=st.floats(0.5, 5.0))
def test_the_vertex_of_a_parabola_is_exact(centre: float, bend: float, level: float) -> None:
    loss = parabola(centre, bend, level=level)
    assert locate_parabola(SIZE, loss[:, None])[0] == pytest.approx(centre, abs=1e-6)
    assert judge_parabola(SIZE, loss) == "interior"
    assert MINIMA["parabola"].loss(SIZE, loss, centre) == pytest.approx(level)


@settings(deadline=None)
@given(centre=st.floats(11.2, 12.8), bend=bends)
def test_the_interpolant_is_near_the_vertex_between_its_points(centre: float, bend: float) -> None:
    loss = parabola(centre, bend)
    at = locate_interpolant(SIZE, loss[:, None])[0]
    assert at == pytest.approx(centre, abs=0.1)  # a fifth of the step between sizes
    assert interpolated_loss(SIZE, loss, at) == pytest.approx(2.0, abs=0.02 * bend)
    assert judge_interpolant(SIZE, loss) == "interior"


@every_way
@settings(max_examples=30, deadline=None)
@given(centre=centres, bend=bends, move=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_a_minimum_moves_with_its_sizes_and_not_with_the_units_of_loss(
    minimum: Minimum, centre: float, bend: float, move: float, scale: float
) -> None:
    locate = minimum.locate
    loss = parabola(centre, bend)[:, None]
    at = locate(SIZE, loss)[0]
    assert locate(SIZE + move, loss)[0] == pytest.approx(at + move, abs=1e-5)
    assert locate(SIZE, scale * loss + 1.0)[0] == pytest.approx(at, abs=1e-5)
    assert locate(-SIZE[::-1], loss[::-1])[0] == pytest.approx(-at, abs=1e-5)


@every_way
def test_several_curves_are_as_each_alone(minimum: Minimum) -> None:
    locate = minimum.locate
    curves = np.stack([parabola(c, 0.1) for c in (9.0, 11.0, 12.3, 15.0)], axis=1)
    alone = [locate(SIZE, curves[:, [k]])[0] for k in range(4)]
    np.testing.assert_allclose(locate(SIZE, curves), alone)


@pytest.mark.parametrize(
    ("loss", "parabolic", "interpolated"),
    [
        (parabola(12.0, 0.1), "interior", "interior"),
        (parabola(9.0, 0.1), "edge_small", "edge_small"),
        (parabola(15.0, 0.1), "edge_large", "edge_large"),
        (parabola(10.0, 0.1), "edge_small", "edge_small"),
        (parabola(14.0, 0.1), "edge_large", "edge_large"),
        (parabola(11.0, -0.1), "no_minimum", "edge_large"),
        (np.where(SIZE == 10.0, 1.9, parabola(12.0, 0.1)), "edge_small", "edge_small"),
        (np.where(SIZE == 14.0, 1.9, parabola(12.0, 0.1)), "edge_large", "edge_large"),
    ],
)
def test_where_a_minimum_lies(loss: np.ndarray, parabolic: str, interpolated: str) -> None:
    assert judge_parabola(SIZE, loss) == parabolic
    assert judge_interpolant(SIZE, loss) == interpolated


def test_a_vertex_outside_is_kept_one_step_beyond_the_sizes() -> None:
    curves = np.stack([parabola(0.0, 0.1), parabola(99.0, 0.1), -parabola(11.0, 0.1), -parabola(13.0, 0.1)], axis=1)
    np.testing.assert_allclose(locate_parabola(SIZE, curves), [9.5, 14.5, 14.5, 9.5])  # upside down: the lower end
    for unit in (-20.0, -12.0, 5.0):  # N in thousands, millions, ... moves ln N
        np.testing.assert_allclose(locate_parabola(SIZE + unit, curves) - unit, [9.5, 14.5, 14.5, 9.5])


def test_each_status_without_a_minimum_has_evidence_and_a_cure() -> None:
    assert set(REFUSALS) == {"edge_small", "edge_large", "no_minimum", "too_few"}
    assert "smaller" in REFUSALS["edge_small"][1]
    assert "larger" in REFUSALS["edge_large"][1]


def test_an_unknown_way_shows_the_known_ones() -> None:
    with pytest.raises(ForetokenError, match="parabola, interpolated"):
        find_minimum("parabolas")
    assert find_minimum("interpolated") is MINIMA["interpolated"]


# sizes that were trained twice


def test_runs_of_one_size_count_as_their_mean() -> None:
    size, loss = distinct(np.array([3.0, 1.0, 3.0, 2.0]), np.array([5.0, 1.0, 7.0, 4.0]))
    np.testing.assert_array_equal(size, [1, 2, 3])
    np.testing.assert_array_equal(loss, [1, 4, 6])
    several = distinct(np.array([2.0, 2.0, 1.0]), np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 50.0]]))[1]
    np.testing.assert_array_equal(several, [[5, 50], [2, 20]])


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_distinct_sizes_are_put_in_order(order: list[int]) -> None:
    size, loss = distinct(np.array(order, dtype=float), 10.0 * np.array(order))
    np.testing.assert_array_equal(size, np.arange(5))
    np.testing.assert_array_equal(loss, 10.0 * np.arange(5))


def test_the_interpolant_passes_through_the_mean_of_each_size() -> None:
    size = np.concatenate([SIZE, SIZE])
    loss = np.concatenate([parabola(12.0, 0.1) + 0.01, parabola(12.0, 0.1) - 0.01])
    for at in SIZE:
        assert interpolated_loss(size, loss, at) == pytest.approx(2 + 0.1 * (at - 12) ** 2)
    assert locate_interpolant(size, loss[:, None])[0] == pytest.approx(12.0, abs=1e-3)


# noise


@settings(deadline=None)
@given(
    cubic=st.tuples(*[st.floats(-0.02, 0.02)] * 4),
    gaps=st.lists(st.floats(0.3, 1.0), min_size=6, max_size=9),
)
def test_a_cubic_has_no_noise_at_any_spacing(cubic: tuple[float, ...], gaps: list[float]) -> None:
    size = np.cumsum(gaps)
    assert local_noise([(size, np.exp(np.polyval(cubic, size - size.mean())))]) == pytest.approx(0.0, abs=1e-9)


def test_the_deviation_of_one_point_is_weighed_by_the_cubic_through_its_neighbours() -> None:
    size = np.arange(5.0)
    loss = np.exp([0.0, 0.0, 0.01, 0.0, 0.0])
    # At equal steps the weights are -1/6, 4/6, 4/6, -1/6, whose squares add up to 34/36.
    assert local_noise([(size, loss)]) == pytest.approx(1.4826 * 0.01 / np.sqrt(1 + 34 / 36))


def test_noise_is_relative_and_one_bad_run_does_not_count() -> None:
    generator = np.random.default_rng(0)
    curves = [(SIZE, parabola(12.0, 0.1) * np.exp(0.003 * generator.standard_normal(9))) for _ in range(30)]
    noise = local_noise(curves)
    assert noise == pytest.approx(0.003, rel=0.25)
    assert local_noise([(size, 7 * loss) for size, loss in curves]) == pytest.approx(noise)
    broken = [(SIZE, np.where(SIZE == 12.0, 3 * curves[0][1], curves[0][1])), *curves[1:]]
    assert local_noise(broken) == pytest.approx(noise, rel=0.15)


def test_four_sizes_tell_no_noise() -> None:
    assert local_noise([]) is None
    assert local_noise([(SIZE[:4], parabola(12.0, 0.1)[:4])]) is None
    twice = np.concatenate([SIZE[:4], SIZE[:4]])  # eight runs of four sizes
    assert local_noise([(twice, parabola(12.0, 0.1, twice))]) is None
