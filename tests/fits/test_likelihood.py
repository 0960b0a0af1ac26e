from __future__ import annotations

from collections.abc import Callable

import pytest

from foretoken.errors import ForetokenError
from foretoken.fits import fit
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
        fit(ladder(), draws=50, profile=("gamma",))
