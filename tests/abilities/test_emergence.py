from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.abilities.classify import fitted_curve
from foretoken.abilities.curve import Curve
from foretoken.abilities.curve_fit import fit_curve
from foretoken.abilities.emergence import emergence_score, held_out, linearity
from foretoken.abilities.shapes import Family


def test_the_score_of_the_papers() -> None:
    jump, line = np.array([0.0, 0.01, 0.0, 0.01, 0.9]), np.linspace(0.0, 1.0, 5)
    assert emergence_score(jump) == pytest.approx(90.0)
    assert emergence_score(-jump) == pytest.approx(-90.0)
    assert emergence_score(line) == pytest.approx(4.0)
    assert linearity(line) == pytest.approx(0.8)
    assert emergence_score(np.zeros(5)) is None
    assert emergence_score(np.array([0.4])) is None


@pytest.mark.parametrize(("mean", "jumps"), [(lambda u: 0.1 + 0.7 * (u > 0.5), True), (lambda u: 0.1 + 0.7 * u, False)])
def test_held_out_sizes_tell_a_jump_from_a_smooth_rise(
    measured: Callable[..., Curve], mean: Callable[..., np.ndarray], jumps: bool
) -> None:
    curve = measured(mean, sizes=15)
    keep = curve.place < 0.65
    whole = fitted_curve(curve, np.random.default_rng(0))[0].fit
    left = held_out(whole, fit_curve(curve.place[keep], curve.likelihood(keep), whole.shapes))
    assert left.sizes == 5
    assert (left.jump > 0) == jumps
    assert left.nats["linear"] < left.nats["step"] if jumps else left.nats["linear"] > left.nats["step"]


@pytest.mark.parametrize("family", ["step", "sigmoid", "linear"])
def test_what_a_family_says_of_a_size_left_out_is_a_density(measured: Callable[..., Curve], family: Family) -> None:
    """Over all scores that there may be, what the smaller sizes say of the largest one sums to 1."""
    curve = measured(lambda u: 0.3 + 0.4 * (u > 0.5), sizes=8, items=20)
    keep = np.arange(8) < 7
    total = 0.0
    for hits in range(21):
        one = replace(curve, score=np.append(curve.score[:-1], hits / 20))
        whole = fit_curve(one.place, one.likelihood())
        left = held_out(whole, fit_curve(one.place[keep], one.likelihood(keep), whole.shapes))
        total += np.exp(left.nats[family]) / 20
    assert total == pytest.approx(1.0, abs=0.1)
