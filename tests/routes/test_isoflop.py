from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import RefusedError
from foretoken.laws import CHINCHILLA
from foretoken.routes import isoflop
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]


def parabolas(centres: list[float], bend: float = 0.1, sizes: int = 5) -> RunTable:
    rows = []
    for step, centre in enumerate(centres):
        flops = 1e12 * 4**step
        for N in np.geomspace(1e4 * 2**step, 1e5 * 2**step, sizes):
            rows.append((f"b{step}", N, flops / 6 / N, flops, 2.0 - 0.1 * step + bend * np.log(N / centre) ** 2))
    return RunTable(pd.DataFrame(rows, columns=["group", "params_total", "tokens", "flops", "loss"]), "a test")


def test_exact_parabolas_give_their_vertices_and_their_power_law() -> None:
    found = isoflop(parabolas([3e4, 6e4, 1.2e5]))
    assert [budget.params for budget in found.budgets] == pytest.approx([3e4, 6e4, 1.2e5])
    assert [budget.loss for budget in found.budgets] == pytest.approx([2.0, 1.9, 1.8])
    assert found.params_exponent == pytest.approx(0.5)
    assert found.tokens_exponent == pytest.approx(0.5)
    assert found.params_prefactor == pytest.approx(3e4 / 1e12**0.5)
    assert [budget.tokens for budget in found.budgets] == pytest.approx(
        [1e12 * 4**k / 6 / 3e4 / 2**k for k in range(3)]
    )
    assert not found.checks


@pytest.mark.parametrize(
    ("centre", "bend", "status"),
    [(2e3, 0.1, "edge_small"), (2e6, 0.1, "edge_large"), (3e4, -0.1, "no_minimum"), (3e4, 0.1, "interior")],
)
def test_a_minimum_is_given_only_inside_the_sizes(centre: float, bend: float, status: str) -> None:
    found = isoflop(parabolas([centre], bend))
    assert found.budgets[0].status == status
    assert (found.budgets[0].params is not None) == (status == "interior")
    assert found.params_exponent is None


def test_a_smallest_loss_at_the_edge_is_no_interior_minimum_even_with_a_vertex_inside() -> None:
    table = parabolas([2e4])
    frame = table.frame.copy()
    frame.loc[0, "loss"] = 1.9
    found = isoflop(replace(table, frame=frame))
    assert found.budgets[0].status == "edge_small"
    assert "smaller" in found.checks[0].cure


def test_three_sizes_are_too_few() -> None:
    found = isoflop(parabolas([3e4, 6e4], sizes=3))
    assert {budget.status for budget in found.budgets} == {"too_few"}
    assert {check.code for check in found.checks} == {"isoflop_too_few", "isoflop_no_exponent"}


def test_budgets_are_found_by_their_flops_when_there_are_no_groups() -> None:
    table = parabolas([3e4, 6e4, 1.2e5])
    named, found = isoflop(table), isoflop(replace(table, frame=table.frame.drop(columns="group")))
    assert [budget.params for budget in found.budgets] == pytest.approx([budget.params for budget in named.budgets])


def test_runs_without_a_shared_budget_are_refused() -> None:
    frame = pd.DataFrame({"params": [1e4, 2e4], "tokens": [1e6, 5e6], "flops": [6e10, 6e11], "loss": [2.0, 1.9]})
    with pytest.raises(RefusedError, match="no_isoflop_budget"):
        isoflop(RunTable(frame, "a test"))


def surface(truth: dict[str, float], noise: float) -> RunTable:
    """6 sizes at each of 4 budgets, in the middle of each the best of Chinchilla's law."""
    assert CHINCHILLA.optimum is not None
    flops, step = (part.ravel() for part in np.meshgrid(3e11 * 2.0 ** np.arange(4), np.arange(6)))
    params = CHINCHILLA.optimum(truth, flops)[0] * 2 ** (0.75 * (step - 2.5))
    loss = CHINCHILLA.evaluate(truth, params=params, tokens=flops / 6 / params)
    loss = loss * np.exp(noise * np.random.default_rng(0).standard_normal(len(flops)))
    return RunTable(
        pd.DataFrame({"params": params, "tokens": flops / 6 / params, "flops": flops, "loss": loss}), "test"
    )


def test_the_vertex_is_near_the_surface_it_came_from() -> None:
    truth = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}
    assert CHINCHILLA.optimum is not None
    found = isoflop(surface(truth, noise=0.001))
    assert len(found.interior) == len(found.budgets) == 4
    for budget in found.interior:
        assert budget.params == pytest.approx(CHINCHILLA.optimum(truth, budget.flops)[0], rel=0.35)


def test_more_noise_widens_the_interval_of_the_exponent() -> None:
    def width(noise: float) -> float:
        table = parabolas([3e4, 6e4, 1.2e5], sizes=7)
        shaken = table.frame["loss"] * np.exp(noise * np.random.default_rng(0).standard_normal(len(table)))
        low, high = isoflop(replace(table, frame=table.frame.assign(loss=shaken))).params_exponent_interval or [0, 0]
        return high - low

    assert 0 < width(0.001) < width(0.004)
