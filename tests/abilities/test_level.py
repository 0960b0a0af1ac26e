from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretoken.abilities.axes import CurveName
from foretoken.abilities.classify import fitted_curve, level_of_curve, scores
from foretoken.abilities.curve import Curve
from foretoken.abilities.level import Level

LINE = lambda u: 0.3 + 0.3 * u  # noqa: E731


def reached(curve: Curve, target: str | float) -> tuple[Level | None, str | None]:
    return level_of_curve(curve, fitted_curve(curve, np.random.default_rng(0))[0], target, 0.9)


def test_a_line_reaches_its_level_where_it_does(measured: Callable[..., Curve]) -> None:
    level, _ = reached(measured(LINE, sizes=20, items=20000), 66)
    assert level
    truth = 1000.0**0.2
    assert level.low < truth < (level.high or np.inf)
    assert level.line_factor == pytest.approx(truth, rel=0.1)
    assert level.size == pytest.approx(level.factor * 1e11)


def test_a_level_within_the_data_has_a_factor_below_one(measured: Callable[..., Curve]) -> None:
    level, reason = reached(measured(LINE, items=20000), 0.45)
    assert level
    assert reason is None
    assert level.high
    assert level.factor == pytest.approx(1000.0**-0.5, rel=0.1)


def test_an_open_end_is_null_with_its_reason(measured: Callable[..., Curve]) -> None:
    level, reason = reached(measured(LINE, sizes=8, items=500), 90)
    assert level
    assert level.high is None
    assert level.size_high is None
    assert reason
    assert "open above" in reason


@pytest.mark.parametrize(
    ("mean", "target", "levels", "reason"),
    [
        (lambda u: 0.5 + 0.0 * u, 0.9, {}, "flat"),
        (lambda u: 0.3 + (u - 0.5) ** 2, 0.9, {}, "turns back"),
        (LINE, 0.9, {"ceiling": 0.8}, "ceiling"),
        (LINE, "human", {}, "no human level"),
        (lambda u: 0.5 - 0.3 * u, 0.9, {}, "only 0 %"),
    ],
)
def test_a_level_that_cannot_be_said_is_refused(
    measured: Callable[..., Curve], mean: Callable[..., np.ndarray], target: str | float, levels: dict[str, float],
    reason: str,
) -> None:  # fmt: skip
    level, why = reached(measured(mean, **levels), target)
    assert level is None
    assert why
    assert reason in why


def test_an_error_that_falls_is_the_accuracy_that_rises(measured: Callable[..., Curve]) -> None:
    curve = measured(LINE, items=5000)
    assert curve.n is not None
    error = replace(curve, score=1.0 - curve.score, better="down")
    up, down = reached(curve, 0.65)[0], reached(error, 0.35)[0]
    assert up
    assert down
    assert down.factor == pytest.approx(up.factor, rel=1e-6)


def test_of_losses_the_factor_is_how_many_times_lower() -> None:
    losses = np.linspace(4.0, 2.0, 12)
    score = 0.2 + 0.2 * (4.0 - losses)
    name = CurveName("", "task", "acc", "")
    curve = Curve(name, "loss", losses, score, np.full(12, 1e5), "up", "fraction", None, None, None)
    level, _ = reached(curve, 0.64)
    assert level
    assert level.size == pytest.approx(1.8, abs=0.05)
    assert level.factor == pytest.approx(2.0 / 1.8, rel=0.05)


@pytest.mark.parametrize(("asked", "value"), [("60%", 0.6), ("60", 0.6), (0.6, 0.6), ("0.6", 0.6), ("0.5 %", 0.005)])
def test_a_level_in_percent_is_that_share(frame: Callable[..., pd.DataFrame], asked: str | float, value: float) -> None:
    errors = frame(a=0.9 - 0.05 * np.arange(12)).assign(metric="err")
    (curve,) = scores(errors, level_of=asked).curves
    if curve.level:
        assert curve.level.value == pytest.approx(value)
    else:
        assert f"{value:.3g}" in str(curve.level_reason)


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.5, 0.7])
def test_a_narrow_interval_holds_its_own_size(measured: Callable[..., Curve], probability: float) -> None:
    curve = measured(lambda u: 0.2 + 0.35 * (1.0 - np.exp(-3.0 * u)), items=300)
    one = fitted_curve(curve, np.random.default_rng(0))[0]
    for target in (0.55, 0.58, 0.6, 0.65):
        level, _ = level_of_curve(curve, one, target, probability)
        if level:
            assert level.low <= level.factor
            assert level.high is None or level.factor <= level.high
