from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits import Fit, fit
from foretoken.fits.fit import fit_rows
from foretoken.fits.rows import clean_rows
from foretoken.forecasts import predict
from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}
TARGET = {"params": 2e5, "tokens": 1.6e7}


@pytest.fixture
def found(ladder: Ladder) -> Fit:
    return fit(ladder(noise=0.003), "chinchilla", draws=100)


def test_a_forecast_is_the_law_at_its_parameters(found: Fit) -> None:
    told = predict(found, params=2e5, tokens=1.6e7)
    expected = CHINCHILLA.evaluate(found.map_parameters, params=2e5, tokens=1.6e7)
    assert told.loss == pytest.approx(float(expected))
    assert told.low < told.loss < told.high


def test_flops_come_from_the_fits_own_runs(found: Fit) -> None:
    assert predict(found, params=2e5, tokens=1.6e7).flops == pytest.approx(6 * 2e5 * 1.6e7)


def test_extrapolation_is_a_factor_beyond_the_data_and_1_inside(found: Fit) -> None:
    largest = found.ranges.tokens.high
    told = predict(found, params=3e4, tokens=2 * largest)
    assert told.extrapolation == pytest.approx({"params": 1.0, "tokens": 2.0, "flops": told.flops / 2.4e12})
    inside = predict(found, params=3e4, tokens=4e6).extrapolation
    assert dict(inside) == {"params": 1.0, "tokens": 1.0, "flops": 1.0}


def test_a_far_target_is_marked(found: Fit) -> None:
    codes = [check.code for check in predict(found, params=1e7, tokens=1e9).checks]
    assert "far_extrapolation" in codes
    assert "far_extrapolation" not in [check.code for check in predict(found, **TARGET).checks]


def test_intervals_widen_with_level_distance_and_the_noise_of_a_run(found: Fit) -> None:
    def width(**options: object) -> float:
        return predict(found, **{**TARGET, **options}).half_width  # type: ignore[arg-type]

    assert width(level=0.5) < width(level=0.9) < width(level=0.99)
    assert width(kind="mean") < width(kind="new-run")
    assert width() < width(params=2e6, tokens=1.6e8)


def test_nine_of_ten_new_runs_fall_inside(ladder: Ladder) -> None:
    inside, widths = [], []
    for seed in range(40):
        rows = clean_rows(ladder(noise=0.004, seed=seed))
        told = predict(fit_rows(rows, CHINCHILLA, "a test", draws=60, brief=True), **TARGET)
        noise = np.random.default_rng(1000 + seed).standard_normal()
        inside.append(
            told.low < float(CHINCHILLA.evaluate(TRUTH, params=2e5, tokens=1.6e7)) * np.exp(0.004 * noise) < told.high
        )
        widths.append(told.half_width)
    assert sum(inside) >= 34
    assert np.median(widths) < 0.04


def test_the_power_law_forecasts_from_flops_alone(ladder: Ladder) -> None:
    found = fit(ladder(), "power", draws=50)
    one, two = predict(found, params=1e5, tokens=2e7), predict(found, params=2e5, tokens=1e7)
    assert one.loss == pytest.approx(two.loss)


def test_a_wrong_name_shows_the_nearest(found: Fit) -> None:
    with pytest.raises(ForetokenError, match="did you mean 'tokens'"):
        predict(found, params=1e5, tokns=1e6)  # type: ignore[call-arg]
    with pytest.raises(ForetokenError, match="did you mean 'new-run'"):
        predict(found, params=1e5, tokens=1e6, kind="new_run")


def test_an_extrapolation_reads_like_a_mapping_and_a_sentence(found: Fit) -> None:
    reach = predict(found, params=1e7, tokens=1.6e7).extrapolation
    assert reach.farthest == "flops"
    assert reach.largest == max(reach.values())
    assert str(reach).startswith("params ")
    assert predict(found, params=1e7, tokens=1.6e7).to_json()["extrapolation"] == dict(reach)


def test_an_interval_always_holds_its_forecast(found: Fit) -> None:
    for level in (0.01, 0.2):
        told = predict(found, **TARGET, level=level)
        assert told.contains(told.loss)


@pytest.mark.parametrize(
    "options",
    [
        {"params": 0.0, "tokens": 1e6},
        {"params": 1e5, "tokens": float("nan")},
        {"params": 1e5, "tokens": 1e6, "level": 1.5},
        {"params": 1e5, "tokens": 1e6, "kind": "guess"},
        {"params": 1e5, "tokens": 1e6, "flops": -1.0},
    ],
)
def test_what_makes_no_sense_is_refused(found: Fit, options: dict[str, object]) -> None:
    with pytest.raises(ForetokenError, match="got"):
        predict(found, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["params", "tokens"])
def test_a_run_ten_times_below_all_others_is_refused(found: Fit, name: str) -> None:
    least = found.ranges.by_name()[name].low
    assert predict(found, **{**TARGET, name: least / 9}).loss > 0
    with pytest.raises(RefusedError, match=rf"below_the_runs\): {name} of .* are 11 times below"):
        predict(found, **{**TARGET, name: least / 11})
    assert predict(found, **{**TARGET, name: least / 11}, strict=False).loss > 0


@pytest.mark.parametrize(("factor", "refused"), [(0.3, True), (0.7, False), (1.4, False), (3.0, True)])
def test_flops_that_contradict_size_and_length_are_refused(found: Fit, factor: float, refused: bool) -> None:
    flops = factor * 6 * TARGET["params"] * TARGET["tokens"]
    if not refused:
        assert predict(found, **TARGET, flops=flops).flops == flops
        return
    with pytest.raises(RefusedError, match=r"flops_contradict\).* where the fit's runs would have 1.92e\+13"):
        predict(found, **TARGET, flops=flops)


def test_runs_whose_own_flops_per_token_spread_allow_as_much_for_others(found: Fit) -> None:
    runs = [replace(run, flops=run.flops * (2.5 if i % 2 else 1.0)) for i, run in enumerate(found.runs)]
    assert predict(replace(found, runs=runs), **TARGET, flops=30 * TARGET["params"] * TARGET["tokens"]).loss > 0


def test_a_loss_above_that_of_guessing_is_refused(found: Fit) -> None:
    small = {"params": 7e3, "tokens": 1e6}
    known = replace(found, guessing=predict(found, **small).loss - 0.01)
    assert predict(known, **TARGET).loss < known.guessing
    with pytest.raises(RefusedError, match="above_guessing"):
        predict(known, **small)
