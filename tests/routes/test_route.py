"""Routes: lines through minima, their intervals, and when a bias is a doubt."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.fits.parts import Range
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.routes import approaches, isoflop
from foretoken.routes.approaches import _optimal_path
from foretoken.routes.route import Bias, PathDraws, exp_range, points_of, quantile_range, route_of
from foretoken.runs.table import RunTable


@settings(deadline=None)
@given(level=st.floats(0.01, 0.99))
def test_the_middle_of_even_draws(level: float) -> None:
    low, high = quantile_range(np.linspace(-1.0, 1.0, 201), level)
    assert low == pytest.approx(-level)
    assert high == pytest.approx(level)


@settings(deadline=None)
@given(draws=st.lists(st.floats(-50, 50), min_size=2, max_size=30), levels=st.tuples(*[st.floats(0.05, 0.95)] * 2))
def test_a_higher_level_is_never_narrower(draws: list[float], levels: tuple[float, float]) -> None:
    narrow, wide = (quantile_range(np.array(draws), level) for level in sorted(levels))
    assert wide.low <= narrow.low + 1e-9
    assert narrow.high <= wide.high + 1e-9
    assert exp_range(wide).low == pytest.approx(np.exp(wide.low))
    assert exp_range(wide).high == pytest.approx(np.exp(wide.high))


@settings(deadline=None)
@given(slope=st.floats(0.2, 0.9), size=st.floats(1e6, 1e12), flops=st.floats(1e18, 1e26))
def test_a_route_is_its_line(slope: float, size: float, flops: float) -> None:
    intercept = np.log(size) - slope * np.log(flops)
    draws = np.linspace(-0.1, 0.1, 21)
    path = PathDraws(slope + np.array([0.0, *draws]), intercept - np.array([0.0, *draws]) * np.log(flops))
    route = route_of("r", "a line", path, level=0.5, largest=flops, params_column="params", points=())
    assert route.exponent == slope
    assert route.largest is not None
    assert route.largest.params == pytest.approx(size)
    assert route.exponent_interval == pytest.approx(Range(slope - 0.05, slope + 0.05))
    assert route.largest.interval.low == pytest.approx(size)  # every draw turns around this point
    assert route.largest.interval.high == pytest.approx(size)
    assert route.prefactor == pytest.approx(size / flops**slope)
    assert route.reason is None
    assert route.to_json()["largest"]["flops"] == flops


def test_a_path_at_one_compute() -> None:
    path = PathDraws(np.array([0.5, 1.0]), np.array([0.0, -1.0]))
    np.testing.assert_allclose(path.at(np.exp(4.0)), [2.0, 3.0])


def test_points_are_natural_numbers_of_their_logarithms() -> None:
    points = points_of(np.log([1e18, 1e20]), np.log([1e7, 1e8]))
    assert [point.flops for point in points] == pytest.approx([1e18, 1e20])
    assert [point.params for point in points] == pytest.approx([1e7, 1e8])


@pytest.mark.parametrize(
    ("exponent", "params", "large"),
    [(0.0, 1.0, False), (0.019, 1.19, False), (-0.019, 1 / 1.19, False), (0.021, 1.0, True), (-0.021, 1.0, True),
     (0.0, 1.21, True), (0.0, 1 / 1.21, True)],
)  # fmt: skip
def test_a_bias_is_large_either_way(exponent: float, params: float, large: bool) -> None:
    bias = Bias(exponent, params)
    assert bias.is_large == large
    assert f"{exponent:+.3f}" in str(bias)
    assert f"{params:.2f} times" in str(bias)


@pytest.mark.parametrize("name", ["hoffmann_2022_tex", "besiroglu_2024"])
@pytest.mark.parametrize("per", [2.0, 6.0, 6.5])
def test_the_path_of_a_surface_goes_through_its_optima(name: str, per: float) -> None:
    p = PUBLISHED[name].parameters
    path = _optimal_path(CHINCHILLA.theta(p)[None], per)
    assert path.slopes[0] == pytest.approx(p["beta"] / (p["alpha"] + p["beta"]))
    assert CHINCHILLA.optimum is not None
    for flops in (1e16, 1e21, 1e27):
        assert np.exp(path.at(flops)[0]) == pytest.approx(CHINCHILLA.optimum(p, flops, per)[0], rel=1e-8)


def exact(exponent: float = 0.5, noise: float = 0.0, seed: int = 0, per: float = 6.0) -> RunTable:
    """Six budgets of seven sizes, parabolas in ln N around N* = 1e8 (C / 1e20)^exponent."""

    generator, rows = np.random.default_rng(seed), []
    for budget, flops in enumerate(np.geomspace(1e18, 1e21, 6)):
        best = 1e8 * (flops / 1e20) ** exponent
        for step in range(-3, 4):
            N = best * 1.7**step
            loss = (3.0 - 0.1 * budget + 0.05 * np.log(N / best) ** 2) * np.exp(noise * generator.standard_normal())
            rows.append((f"b{budget}", N, flops / per / N, flops, loss))
    return RunTable(pd.DataFrame(rows, columns=["group", "params_total", "tokens", "flops", "loss"]), "a test")


@pytest.mark.parametrize("minimum", ["parabola", "interpolated"])
@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.8])
def test_isoflop_minima_of_exact_parabolas_are_their_power_law(minimum: str, exponent: float) -> None:
    found = isoflop(exact(exponent), minimum=minimum, draws=20)
    assert found.params_exponent == pytest.approx(exponent, abs=1e-3)
    assert found.tokens_exponent == pytest.approx(1 - exponent, abs=1e-3)
    assert found.params_prefactor is not None
    assert found.params_exponent is not None
    assert found.params_prefactor * 1e20**found.params_exponent == pytest.approx(1e8, rel=1e-2)
    for budget in found.budgets:
        assert budget.params is not None
        assert budget.tokens is not None
        assert 6 * budget.params * budget.tokens == pytest.approx(budget.flops)


@pytest.mark.parametrize("per", [2.0, 8.0])
def test_tokens_of_a_minimum_follow_the_flops_of_its_runs(per: float) -> None:
    for budget in isoflop(exact(per=per), draws=5).budgets:
        assert budget.params is not None
        assert budget.tokens == pytest.approx(budget.flops / per / budget.params)


def test_isoflop_intervals_cover_the_truth() -> None:
    held = 0
    for seed in range(24):
        interval = isoflop(exact(noise=0.003, seed=seed), draws=60, seed=seed, level=0.9).params_exponent_interval
        assert interval is not None
        held += interval.low < 0.5 < interval.high
    assert held >= 16  # of 24, at 90 %


def test_one_budget_has_a_size_and_no_exponent() -> None:
    table = exact()
    alone = isoflop(RunTable(table.frame[table.frame["group"] == "b2"], "a test"), draws=20)
    assert len(alone.interior) == 1
    assert alone.budgets[0].params_interval is not None
    assert alone.params_exponent is None
    assert alone.params_exponent_interval is None
    assert alone.tokens_prefactor is None
    assert [(check.code, check.severity) for check in alone.checks] == [("isoflop_no_exponent", "refusal")]
    assert alone.checks[0].evidence == "1 of 1 budgets have an interior minimum"


def test_wrong_words_are_refused_with_the_right_ones() -> None:
    with pytest.raises(ForetokenError, match="did you mean 'level'"):
        isoflop(exact(), levle=0.9)  # type: ignore[call-arg]
    with pytest.raises(ForetokenError, match="did you mean 'curves'"):
        approaches(exact(), curve=exact())  # type: ignore[call-arg]
    with pytest.raises(ForetokenError, match="interpolated"):
        isoflop(exact(), minimum="akima")
    for level in (0.0, 1.0, 90.0):
        with pytest.raises(ForetokenError, match="level"):
            isoflop(exact(), level=level)
        with pytest.raises(ForetokenError, match="level"):
            approaches(exact(), level=level)


def test_a_fit_of_budgets_is_written_as_plain_values() -> None:
    written = isoflop(exact(), draws=5).to_json()
    assert [budget["status"] for budget in written["budgets"]] == ["interior"] * 6
    assert written["budgets"][0]["runs"][0]["params"] == pytest.approx(1e7 / 1.7**3)
    assert written["level"] == 0.9
