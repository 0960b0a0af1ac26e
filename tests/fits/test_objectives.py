from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.fits.objectives import ASYMMETRY, ESTIMATORS, OBJECTIVES, find_objective
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_the_weight_is_the_derivative_of_the_cost_over_the_residual(name: str) -> None:
    objective = OBJECTIVES[name]
    residual = np.array([-0.02, -0.004, -0.0004, 0.0003, 0.005, 0.03])
    slope = (objective.cost(residual + 1e-8, 1e-3) - objective.cost(residual - 1e-8, 1e-3)) / 2e-8
    np.testing.assert_allclose(objective.weight(residual, 1e-3) * residual, slope, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_objective_finds_a_law_without_noise(ladder: Ladder, name: str) -> None:
    found = fit(ladder(), "chinchilla", objective=name, draws=50)
    assert found.unpenalised_parameters == pytest.approx(TRUTH, rel=2e-2)
    assert found.objective.name == name


def test_the_asymmetric_objective_lies_below_where_runs_lie_above(ladder: Ladder) -> None:
    table = ladder(noise=0.01)
    symmetric, below = (fit(table, "chinchilla", objective=name, draws=50) for name in ("huber", "asymmetric"))

    def above(found: object) -> float:
        runs = found.runs  # type: ignore[attr-defined]
        law = found.unpenalised_parameters  # type: ignore[attr-defined]
        fitted = [law["E"] + law["A"] / r.params ** law["alpha"] + law["B"] / r.tokens ** law["beta"] for r in runs]
        return float(np.mean([r.loss > f for r, f in zip(runs, fitted, strict=True)]))

    assert above(below) > above(symmetric)
    assert above(below) == pytest.approx(ASYMMETRY / (1 + ASYMMETRY), abs=0.15)


def test_the_sensitivity_lists_every_objective_and_the_forecasts_own(ladder: Ladder) -> None:
    entries = fit(ladder(noise=0.003), draws=50).sensitivity
    assert [entry.objective for entry in entries] == list(ESTIMATORS)
    losses = [entry.loss for entry in entries]
    assert max(losses) / min(losses) < 1.2
    assert len(set(losses)) == len(losses)


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(ForetokenError, match="huber"):
        find_objective("nonsense")
