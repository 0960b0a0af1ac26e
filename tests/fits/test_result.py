from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import ForetokenError, StoreError
from foretoken.fits import Fit, fit
from foretoken.fits.parts import Dropped, Noise, Range, RowCounts
from foretoken.runs.table import RunTable


@pytest.fixture(scope="module")
def fitted() -> Fit:
    from foretoken.laws import LAWS

    generator = np.random.default_rng(0)
    import pandas as pd

    flops = np.geomspace(1e15, 1e18, 12)
    loss = LAWS["power"].evaluate({"a": 30.0, "b": 0.07}, flops=flops) * np.exp(0.003 * generator.standard_normal(12))
    size = np.sqrt(flops / 120)
    frame = pd.DataFrame({"params": size, "tokens": flops / 6 / size, "flops": flops, "loss": loss})
    return fit(RunTable(frame, "a test"), "power", draws=50)


def test_a_fit_comes_back_from_its_file_as_it_was(fitted: Fit, tmp_path: Path) -> None:
    fitted.save(tmp_path / "fit.json")
    assert Fit.load(tmp_path / "fit.json") == fitted


def test_json_keeps_the_name_of_the_contract_for_the_map_estimate(fitted: Fit) -> None:
    values = json.loads(json.dumps(fitted.to_json()))
    assert values["forecast_parameters"] == fitted.map_parameters
    assert "map_parameters" not in values
    assert values["intervals"]["a"] == list(fitted.intervals["a"])
    assert values["rows"] == {"used": 12, "dropped": []}


LATER = ("eval_set", "tokenizer", "loss_column")
"""Parts that fits of earlier versions do not have."""
NOT_NEEDED = ("format", "guessing", "loss_unit", "map_parameters", *LATER)


@pytest.mark.parametrize("name", [part.name for part in fields(Fit) if part.name not in NOT_NEEDED])
def test_a_fit_without_one_of_its_parts_or_with_a_wrong_type_is_no_fit(fitted: Fit, name: str) -> None:
    values = fitted.to_json()
    with pytest.raises(ValueError, match=name):
        Fit.from_json({key: value for key, value in values.items() if key != name})
    with pytest.raises(ValueError, match=name):
        Fit.from_json(values | {name: object()})


@pytest.mark.parametrize("name", LATER)
def test_a_part_that_earlier_fits_do_not_have_may_be_missing_and_of_no_wrong_type(fitted: Fit, name: str) -> None:
    values = fitted.to_json()
    assert getattr(Fit.from_json({key: value for key, value in values.items() if key != name}), name) == ""
    with pytest.raises(ValueError, match=name):
        Fit.from_json(values | {name: object()})


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("noise", {"run_sd": "oops"}),
        ("noise", {"unknown": 1.0}),
        ("starts", {"tried": 1.5}),
        ("objective", {"huber_sum": math.nan}),
        ("ranges", {"flops": [1.0]}),
    ],
    ids=str,
)
def test_a_part_of_another_type_is_refused(fitted: Fit, part: str, change: dict[str, Any]) -> None:
    values = fitted.to_json()
    with pytest.raises(ValueError, match=part):
        Fit.from_json(values | {part: values[part] | change})


def test_each_estimate_is_given_by_its_name(fitted: Fit) -> None:
    assert fitted.estimators == ("map", "huber")
    assert fitted.estimate("map").parameters == fitted.map_parameters
    assert fitted.estimate("huber").draws.tolist() == fitted.unpenalised_draws
    with pytest.raises(ForetokenError, match="now called 'map'"):
        fitted.estimate("pooled")
    other = replace(fitted, objective=replace(fitted.objective, name="student_t"))
    assert other.estimate("student_t").parameters == fitted.unpenalised_parameters
    with pytest.raises(ForetokenError, match="map, student_t"):
        other.estimate("huber")


def test_residuals_are_those_of_the_logarithm(fitted: Fit) -> None:
    run = fitted.runs[3]
    assert fitted.residuals[3] == pytest.approx(math.log(run.loss / run.fitted))
    assert abs(fitted.residuals).max() < 0.02


def test_what_is_no_file_of_a_fit_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text('{"law": "power"}')
    with pytest.raises(StoreError, match="foretoken fit TABLE"):
        Fit.load(tmp_path / "fit.json")


def spoiled(path: Path, fit_json: dict[str, Any], **changes: Any) -> Path:
    """A file of the fit with some of its parts changed."""
    path.write_text(json.dumps(fit_json | changes))
    return path


BY_PARAMETER = ("parameters", "intervals", "unpenalised_parameters", "forecast_parameters")


@pytest.mark.parametrize("name", BY_PARAMETER)
def test_a_file_that_lacks_a_parameter_or_has_one_too_many_is_damaged(fitted: Fit, tmp_path: Path, name: str) -> None:
    values = fitted.to_json()
    for part in ({"a": values[name]["a"]}, values[name] | {"tau": values[name]["a"]}, {}):
        with pytest.raises(StoreError, match=r"is damaged(.|\n)*parameters other than a, b"):
            Fit.load(spoiled(tmp_path / "fit.json", values, **{name: part}))


@pytest.mark.parametrize("features", [{}, {"tokens": [1.0, 2.0]}, {"flops": [1.0, 2.0], "params": [1.0, 2.0]}])
def test_a_file_with_the_ranges_of_another_law_is_damaged(
    fitted: Fit, tmp_path: Path, features: dict[str, list[float]]
) -> None:
    with pytest.raises(StoreError, match=r"is damaged(.|\n)*features other than flops"):
        Fit.load(spoiled(tmp_path / "fit.json", fitted.to_json(), features=features))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"law": "powre"}, "unknown law 'powre'"),
        ({"map_draws": []}, "no draws"),
        ({"unpenalised_draws": [[1.0]]}, "one number per parameter"),
        ({"map_draws": [[1.0, 2.0, 3.0]]}, "one number per parameter"),
        ({"runs": []}, "0 or below"),
        ({"unpenalised_draws": [[1.0, 0.0]]}, "0 or below"),
        ({"map_draws": [[-1.0, 1.0]]}, "0 or below"),
        ({"features": {"flops": [0.0, 1.0]}}, "0 or below"),
        ({"level": 1.0}, "no fit has"),
        ({"level": 0.0}, "no fit has"),
        ({"held_out": [{"distance": 200.0, "error": 0.0, "square": 0.0, "explained": 0.1}]}, "no fit has"),
    ],
    ids=str,
)
def test_parts_that_do_not_belong_together_are_a_damaged_file(
    fitted: Fit, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(StoreError, match=rf"is damaged(.|\n)*{reason}"):
        Fit.load(spoiled(tmp_path / "fit.json", fitted.to_json(), **changes))


@pytest.mark.parametrize("name", ["run_sd", "cluster_sd", "misfit_growth", "tokens_power"])
@pytest.mark.parametrize(("number", "reason"), [(-1e-3, "0 or below"), (1e3, "no fit has")])
def test_noise_that_no_fit_has_is_a_damaged_file(
    fitted: Fit, tmp_path: Path, name: str, number: float, reason: str
) -> None:
    values = fitted.to_json()
    path = spoiled(tmp_path / "fit.json", values, noise=values["noise"] | {name: number})
    with pytest.raises(StoreError, match=rf"is damaged(.|\n)*{reason}"):
        Fit.load(path)


@pytest.mark.parametrize("column", ["params", "tokens", "flops", "loss"])
@pytest.mark.parametrize("ends", [[0.0, 1.0], [-1.0, 1.0], [math.nan, 1.0]])
def test_ranges_of_sizes_and_losses_are_above_zero(fitted: Fit, tmp_path: Path, column: str, ends: list[float]) -> None:
    values = fitted.to_json()
    with pytest.raises(StoreError, match="is damaged"):
        Fit.load(spoiled(tmp_path / "fit.json", values, ranges=values["ranges"] | {column: ends}))


NOISE = Noise(0.01, 1.0, 1e9, 0.02, 5.0, 0.0, 0.5)


@given(st.floats(1e3, 1e15))
@settings(max_examples=30, deadline=None)
def test_shorter_runs_scatter_more_and_longer_ones_as_the_longest(tokens: float) -> None:
    spread = NOISE.new_run_sd(tokens)
    assert spread >= NOISE.new_run_sd(None) == pytest.approx(math.hypot(0.01, 0.02))
    expected = 0.01 * max(1.0, 1e9 / tokens) ** 0.5
    assert spread == pytest.approx(math.hypot(expected, 0.02))


def test_rows_that_were_left_out_are_counted() -> None:
    assert RowCounts(3, [Dropped("loss is missing", 2), Dropped("not annealed", 1)]).left_out == 3


def test_a_range_is_a_pair_with_names() -> None:
    low, high = Range(1.0, 2.0)
    assert (low, high) == (1.0, 2.0) == (Range(1.0, 2.0).low, Range(1.0, 2.0).high)
