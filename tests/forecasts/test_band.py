from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.forecasts import predict
from foretoken.forecasts.band import SHARES, BandPoint, band_along, place_points
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
BAND = [BandPoint(share, 1e9 * share, 3 / share**0.1, 2.7 / share**0.1, 3.3 / share**0.1) for share in SHARES]
"""Exact power laws in tokens: interpolation on logarithms must give them back between the points."""


def test_the_band_ends_at_the_forecast_and_falls_on_the_way(ladder: Ladder) -> None:
    fitted = fit(ladder(noise=0.003), draws=50)
    band = band_along(fitted, 2e5, 1.6e7, 0.9)
    losses = [point.loss for point in band]
    assert losses == sorted(losses, reverse=True)
    assert all(point.low < point.loss < point.high for point in band)
    assert band[-1].loss == predict(fitted, params=2e5, tokens=1.6e7).loss


@given(share=st.floats(0.01, 1.0), off=st.floats(0.5, 1.5))
def test_a_point_is_placed_against_the_band_at_its_tokens(share: float, off: float) -> None:
    (point,) = place_points(BAND, [(1e9 * share, off * 3 / share**0.1)])
    assert point.expected == pytest.approx(3 / share**0.1)
    assert (point.low, point.high) == pytest.approx((0.9 * point.expected, 1.1 * point.expected))
    assert point.share == pytest.approx(share)
    assert point.is_inside + point.is_above + (point.place == "below") == 1
    if abs(abs(off - 1) - 0.1) > 1e-6:
        assert point.place == ("inside" if 0.9 < off < 1.1 else "above" if off > 1 else "below")


@pytest.mark.parametrize("point", [(1.1e9, 3.0), (9e6, 3.0), (1e8, 0.0), (1e8, math.nan), (math.nan, 3.0)])
def test_a_point_outside_the_run_is_refused_with_the_tokens_it_has(point: tuple[float, float]) -> None:
    with pytest.raises(ForetokenError, match="tokens from 1e\\+07 to 1e\\+09"):
        place_points(BAND, [point])


def test_a_placed_point_says_where_it_lies() -> None:
    (point,) = place_points(BAND, [(1e8, 99.0)])
    assert point.text == "above the band at 10 % of tokens"
    assert set(point.to_json()) == {"tokens", "share", "loss", "low", "expected", "high", "place", "text"}
