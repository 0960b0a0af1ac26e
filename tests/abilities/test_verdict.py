from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit

from foretoken.abilities.classify import fitted_curve
from foretoken.abilities.curve import Curve
from foretoken.abilities.verdict import PLACES, VERDICTS, features, judge

TRUTHS = {
    "flat": lambda u: 0.6 + 0.0 * u,
    "steady": lambda u: 0.3 + 0.5 * u,
    "saturating": lambda u: 0.3 + 0.5 * (1.0 - np.exp(-5.0 * u)),
    "sharp": lambda u: 0.05 + 0.8 * expit((u - 0.6) / 0.03),
    "u_shaped": lambda u: 0.4 + 1.2 * (u - 0.5) ** 2,
}


@pytest.mark.parametrize("name", TRUTHS)
def test_the_definitions_tell_the_kinds_apart_either_way_up(name: str) -> None:
    curve = TRUTHS[name](PLACES)[None, :]
    for turned in (curve, 1.0 - curve):
        assert VERDICTS[features(turned).verdicts()[0]] == name


@pytest.mark.parametrize("name", TRUTHS)
def test_noisy_scores_have_the_verdict_of_their_curve(measured: Callable[..., Curve], name: str) -> None:
    found = [
        fitted_curve(measured(TRUTHS[name], seed=seed), np.random.default_rng(0))[0].judged.verdict for seed in range(5)
    ]
    assert found.count(name) >= 4  # type: ignore[arg-type]


def test_few_scores_say_nothing_rather_than_something_wrong(measured: Callable[..., Curve]) -> None:
    for seed in range(5):
        curve = measured(TRUTHS["u_shaped"], sizes=5, items=30, seed=seed)
        assert fitted_curve(curve, np.random.default_rng(0))[0].judged.verdict in ("not_enough_data", "flat")


def test_steady_is_the_last_resort() -> None:
    steady, sharp = VERDICTS.index("steady"), VERDICTS.index("sharp")
    assert judge(np.array([steady] * 55 + [sharp] * 45), sizes=12).verdict == "sharp"
    assert judge(np.array([steady] * 70 + [sharp] * 30), sizes=12).verdict == "steady"
    assert judge(np.array([steady] * 80 + [sharp] * 20), sizes=8).verdict == "not_enough_data"
    assert judge(np.array([sharp] * 80 + [steady] * 20), sizes=8).verdict == "sharp"
