"""A fit's file of which one part is of a wrong length, order or size: refused before anything is computed from it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foretoken import plan, predict
from foretoken.errors import RefusedError, StoreError
from foretoken.fits import Fit, fit
from foretoken.laws import LAWS


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    return fit("sample", draws=50).to_json()


def load(values: dict[str, Any], change: Callable[[dict[str, Any]], object], folder: Path) -> Fit:
    """The fit of a file that was changed."""
    changed = copy.deepcopy(values)
    change(changed)
    (folder / "fit.json").write_text(json.dumps(changed))
    return Fit.load(folder / "fit.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda fit: fit["features"].update(params=[1, 2, 3]),
        lambda fit: fit["features"].update(params=[1]),
        lambda fit: fit["features"].update(params=[2e9, 1e7]),
        lambda fit: fit["intervals"].update(E=[2.0, 1.0]),
        lambda fit: fit["profiles"]["E"]["rise"].pop(),
        lambda fit: fit["profiles"]["E"]["values"].reverse(),
        lambda fit: fit["profiles"].update(Z=fit["profiles"]["E"]),
        lambda fit: fit["laws"][1]["draws"][0].append(1.0),
        lambda fit: fit["laws"][1]["draws"].clear(),
        lambda fit: fit["laws"][1]["parameters"].pop("E"),
        lambda fit: fit["laws"][1].update(law="no such law"),
        lambda fit: fit["laws"][0].update(weight=0.1),
        lambda fit: fit["laws"].reverse(),
        lambda fit: fit["reasons"].update(Z="no parameter"),
        lambda fit: fit["starts"].update(agree=1000),
        lambda fit: fit["rows"].update(used=1),
        lambda fit: fit["noise"].update(pattern_p_value=2.0),
        lambda fit: fit["noise"].update(most_tokens=5e-324),
        lambda fit: fit["runs"][0].update(tokens=5e-324),
        lambda fit: fit.update(guessing=-1.0),
        lambda fit: fit["map_draws"][0].__setitem__(0, -1.0),
    ],
)
def test_a_part_that_no_fit_has_is_a_damaged_file(
    change: Callable[[dict[str, Any]], object], fitted: dict[str, Any], tmp_path: Path
) -> None:
    assert load(fitted, lambda values: None, tmp_path).laws
    with pytest.raises(StoreError, match="is damaged"):
        load(fitted, change, tmp_path)


@pytest.mark.parametrize("draws", ["map_draws", "unpenalised_draws"])
@pytest.mark.parametrize("number", [1e-308, 1e308])
def test_draws_with_which_nothing_can_be_computed_are_out_of_reach(
    draws: str, number: float, fitted: dict[str, Any], tmp_path: Path
) -> None:
    def change(values: dict[str, Any]) -> None:
        values[draws] = [[number] * len(draw) for draw in values[draws]]

    with pytest.raises(RefusedError, match=r"refused \(out_of_reach\)"):
        load(fitted, change, tmp_path)
    for ask in (lambda path: predict(path, params=7e9, tokens=140e9), lambda path: plan(1e22, fit=path)):
        with pytest.raises(RefusedError, match=r"refused \(out_of_reach\)"):
            ask(tmp_path / "fit.json")


@pytest.mark.parametrize("name", [name for name, law in LAWS.items() if law.optimum])
@pytest.mark.parametrize("number", [1e-308, 1e-100, 1e100, 1e308])
def test_no_parameters_break_an_optimum(name: str, number: float) -> None:
    law = LAWS[name]
    for changed in law.parameters:
        parameters = dict.fromkeys(law.parameters, 1.0) | {changed: number}
        with suppress(RefusedError):
            split = law.best_split(parameters, 1e22, 6.0)
            assert np.isfinite(split).all()
            assert (split > 0).all()
