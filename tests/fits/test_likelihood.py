from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from foretoken.checks.waterfall import Step, draw_waterfall, with_changes
from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.fits.likelihood import profile
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def test_the_profile_of_e_is_always_there_and_least_at_the_estimate(ladder: Ladder) -> None:
    found = fit(ladder(noise=0.002), draws=50)
    told = found.profiles["E"]
    best = min(zip(told.rise, told.values, strict=True))
    assert best[1] == pytest.approx(found.unpenalised_parameters["E"], rel=1e-6)
    assert best[0] == 0
    low, high = told.interval
    assert low < found.unpenalised_parameters["E"] < high


def test_any_other_parameter_on_request(ladder: Ladder) -> None:
    found = fit(ladder(noise=0.002), draws=50, profile=("alpha", "A"))
    assert set(found.profiles) == {"E", "alpha", "A"}
    for name in ("alpha", "A"):
        low, high = found.profiles[name].interval
        assert low < found.unpenalised_parameters[name] < high


def test_a_profile_rises_on_both_sides_of_what_the_data_say(ladder: Ladder) -> None:
    told = fit(ladder(noise=0.0005), draws=50).profiles["E"]
    assert told.rise[-1] > 0.5
    assert told.rise[0] > 0.05


def test_a_parameter_that_the_law_does_not_have_is_refused(ladder: Ladder) -> None:
    with pytest.raises(ForetokenError, match="gamma"):
        fit(ladder(), "chinchilla", draws=50, profile=("gamma",))


VALUES = np.geomspace(0.1, 1000, 60)


def bowl(best: float, bend: float) -> object:
    return lambda value: 0.01 * np.exp(bend * np.log(value / best) ** 2)


@pytest.mark.parametrize(("bend", "identified"), [(1.0, True), (0.01, False), (1e-5, False)])
def test_a_deep_bowl_identifies_and_a_flat_one_does_not(bend: float, identified: bool) -> None:
    found = profile(bowl(5.0, bend), VALUES, runs=100)  # type: ignore[arg-type]
    assert found.identified is identified
    assert found.interval[0] <= 5.0 <= found.interval[1]


def test_the_interval_ends_at_the_limit_of_normal_noise() -> None:
    found = profile(bowl(5.0, 1.0), VALUES, runs=100)  # type: ignore[arg-type]
    half = np.sqrt(np.pi / 4 * 2.706 / 100)
    assert np.log(np.array(found.interval) / 5.0) == pytest.approx([-half, half], rel=0.15)
    assert found.flat[0] > found.interval[0]


def test_a_minimum_at_an_end_is_an_open_interval() -> None:
    found = profile(bowl(1e6, 0.5), VALUES, runs=100)  # type: ignore[arg-type]
    assert found.interval[1] == pytest.approx(VALUES[-1])
    assert not found.identified


def test_data_without_noise_have_a_profile() -> None:
    found = profile(lambda value: 0.0 if abs(value - VALUES[30]) < 1e-9 else 1.0, VALUES, runs=10)
    assert found.identified


def test_changes_are_against_the_last_step_that_has_an_exponent() -> None:
    steps = with_changes([Step(name, a, None, None) for name, a in (("one", 0.8), ("none", None), ("two", 0.5))])
    assert [step.change for step in steps] == [None, None, pytest.approx(-0.3)]
    lines = draw_waterfall(steps)
    assert "no exponent" in lines[1]
    assert "(-0.300)" in lines[2]
