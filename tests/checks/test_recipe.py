"""Checks of how runs were trained: a table with one defect, and the clean one beside it; no fit is needed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.checks import recipe
from foretoken.checks.table_view import TableCheck, TableView
from foretoken.fits import groups
from foretoken.fits.check import Check
from foretoken.fits.rows import clean_rows
from foretoken.runs.table import RunTable


def runs(**changes: object) -> pd.DataFrame:
    """Twelve runs: four sizes by three lengths, each well trained."""
    N, D = (part.ravel() for part in np.meshgrid([1e6, 3e6, 1e7, 3e7], [1e8, 2e8, 4e8], indexing="ij"))
    frame = pd.DataFrame(
        {
            "run": [f"r{k}" for k in range(12)],
            "params_total": N,
            "tokens": D,
            "flops": 6 * N * D,
            "loss": 2 + (1e5 / N) ** 0.3 + (1e6 / D) ** 0.3,
            "schedule": "wsd",
            "annealed": True,
            "warmup_tokens": 0.02 * D,
            "learning_rate": 1e-2 * (N / 1e6) ** -0.3,
            "metric": "nll",
        }
    )
    return frame.assign(**changes)


def view(frame: pd.DataFrame) -> TableView:
    table = RunTable(frame, "a test")
    return TableView(frame=frame, rows=clean_rows(table), curves=[], fit=None, refusal="not fitted", table=table)


def found(check: TableCheck, frame: pd.DataFrame) -> list[Check]:
    return list(check(view(frame)))


def swept(name: str, factors: tuple[float, ...], losses: tuple[float, ...], cells: int = 12) -> pd.DataFrame:
    """The first runs with several settings each, their loss moved by the factor beside."""
    base = runs(batch_tokens=1e5)
    parts = [
        base.head(cells).assign(
            **{name: base[name] * factor, "loss": base["loss"] * loss, "run": [f"s{factor}{k}" for k in range(cells)]}
        )
        for factor, loss in zip(factors, losses, strict=True)
    ]
    return pd.concat([*parts, base.iloc[cells:]], ignore_index=True)


def half_way(frame: pd.DataFrame, rows: int = 12) -> pd.DataFrame:
    """The frame, and a point half-way of its first runs under the same names."""
    half = frame.head(rows)
    half = half.assign(tokens=half["tokens"] / 2, flops=half["flops"] / 2, loss=half["loss"] * 1.02)
    return pd.concat([frame, half], ignore_index=True)


@pytest.mark.parametrize("check", recipe.CHECKS, ids=lambda check: check.__name__)
def test_runs_that_were_trained_well_are_not_doubted(check: TableCheck) -> None:
    assert found(check, runs()) == []


@pytest.mark.parametrize("check", recipe.CHECKS, ids=lambda check: check.__name__)
def test_a_table_of_numbers_alone_is_not_doubted(check: TableCheck) -> None:
    assert found(check, runs()[["params_total", "tokens", "loss"]]) == []


@pytest.mark.parametrize("check", recipe.CHECKS, ids=lambda check: check.__name__)
def test_no_usable_row_is_no_error(check: TableCheck) -> None:
    assert found(check, runs(status="failed")) == []


DEFECTS: list[tuple[TableCheck, Callable[[], pd.DataFrame], Check]] = [
    (
        recipe.points_of_one_run,
        lambda: half_way(runs(), 3),
        Check("undeclared_trajectories", "doubt", "6 rows are points of 3 runs (equal `run` and size)", "parent=run"),
    ),
    (
        recipe.unannealed_points,
        lambda: runs(annealed=[False] * 2 + [True] * 10),
        Check("unannealed_points", "doubt", "2 runs of 12 are not annealed and were left out", "learning rate down"),
    ),
    (
        recipe.unannealed_points,
        lambda: runs(annealed=[False] + [True] * 11),
        Check("unannealed_points", "doubt", "1 run of 12 are not annealed and were left out", "learning rate down"),
    ),
    (
        recipe.unannealed_points,
        lambda: runs(schedule="Constant").drop(columns="annealed"),
        Check("unannealed_points", "doubt", "schedule is Constant", "say `annealed`"),
    ),
    (
        recipe.wrong_horizon,
        lambda: half_way(runs(schedule="cosine"), 5),
        Check("wrong_horizon", "doubt", "5 rows are points on the way of a cosine or linear schedule", "last point"),
    ),
    (
        recipe.long_warmup,
        lambda: runs(warmup_tokens=5e7),
        Check("long_warmup", "doubt", "warm-up is up to 50 % of a run; 8 runs above 20 %", "scale the warm-up"),
    ),
    (
        recipe.sweep_edges,
        lambda: swept("learning_rate", (0.5, 1.0, 2.0), (1.02, 1.01, 1.0)),
        Check("learning_rate_edge", "doubt", "12 of 12 sweeps are best at the end of learning_rate", "widen the sweep"),
    ),
    (
        recipe.sweep_edges,
        lambda: swept("batch_tokens", (0.5, 1.0, 2.0), (1.0, 1.01, 1.02), 1),
        Check("batch_edge", "doubt", "1 of 1 sweep are best at the end of batch_tokens", "widen the sweep"),
    ),
    (
        groups.sweeps,
        lambda: swept("learning_rate", (0.5, 1.0), (1.02, 1.0), 4),
        Check(
            "sweep_not_reduced",
            "doubt",
            "4 pairs of N and D were trained with several settings (learning_rate)",
            "best of each",
        ),
    ),
    (
        recipe.one_learning_rate,
        lambda: runs(learning_rate=3e-4),
        Check("one_learning_rate", "note", "learning rate 0.0003 at every size, over a factor 30 in N", "two sizes"),
    ),
    (
        recipe.sharp_metrics,
        lambda: runs(metric=["Accuracy", "rank"] * 6),
        Check("sharp_metric", "note", "metric is Accuracy", "fit the loss"),
    ),
]
"""What is looked for, a table that has it, and what is said, the cure in a few of its words."""


@pytest.mark.parametrize(("check", "make", "said"), DEFECTS, ids=[f"{k}-{d[2].code}" for k, d in enumerate(DEFECTS)])
def test_a_defect_is_told_with_its_numbers(check: TableCheck, make: Callable[[], pd.DataFrame], said: Check) -> None:
    (told,) = found(check, make())
    assert (told.code, told.severity, told.evidence) == (said.code, said.severity, said.evidence)
    assert said.cure in told.cure


@pytest.mark.parametrize(("share", "fires"), [(0.19, False), (0.2, False), (0.21, True)])
def test_warm_up_counts_from_a_fifth_of_a_run(share: float, fires: bool) -> None:
    assert bool(found(recipe.long_warmup, runs(warmup_tokens=share * runs()["tokens"]))) == fires


@pytest.mark.parametrize(("largest", "fires"), [(0.9e7, False), (1.1e7, True)])
def test_one_learning_rate_is_noted_over_a_factor_of_ten_in_size(largest: float, fires: bool) -> None:
    frame = runs(learning_rate=3e-4)
    few = frame.assign(params_total=frame["params_total"].clip(upper=largest))
    assert bool(found(recipe.one_learning_rate, few)) == fires


def test_a_sweep_with_its_best_inside_or_of_two_settings_has_no_edge() -> None:
    assert found(recipe.sweep_edges, swept("learning_rate", (0.5, 1.0, 2.0), (1.01, 1.0, 1.01))) == []
    assert found(recipe.sweep_edges, swept("learning_rate", (0.5, 1.0), (1.01, 1.0))) == []


def test_seeds_of_one_setting_are_no_sweep() -> None:
    assert found(groups.sweeps, swept("learning_rate", (1.0,), (1.0,))) == []
    twice = pd.concat([runs(), runs(run=[f"again{k}" for k in range(12)], loss=runs()["loss"] * 1.001)])
    assert found(groups.sweeps, twice.reset_index(drop=True)) == []


def test_declared_trajectories_and_single_points_are_in_order() -> None:
    assert found(recipe.points_of_one_run, half_way(runs(parent=runs()["run"]))) == []
    assert found(recipe.wrong_horizon, runs(schedule="cosine")) == []
    assert found(recipe.wrong_horizon, half_way(runs(schedule="wsd"))) == []


def test_a_schedule_of_constant_rate_is_fine_where_rows_say_that_they_were_annealed() -> None:
    assert found(recipe.unannealed_points, runs(schedule="constant")) == []
