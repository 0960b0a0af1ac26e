"""What a few runs do to the exponent of N*: nothing on tables that follow a law, much where they do not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from foretoken.fits.fit import fit
from foretoken.fits.influence import FEW, influence
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table

TRUTH = {"E": 1.8, "A": 480.0, "B": 2000.0, "alpha": 0.35, "beta": 0.37}
EXPONENT = TRUTH["beta"] / (TRUTH["alpha"] + TRUTH["beta"])
SHORT = 4
ORDERS = ("highest_loss", "lowering", "raising")


def table_of(lifted: float = 1.0) -> RunTable:
    """Sixty runs of the Chinchilla law; four of them have hardly any tokens, and lie above it by a factor `lifted`."""
    params, ratio = (grid.ravel() for grid in np.meshgrid(np.geomspace(1e8, 5e9, 14), [10.0, 20.0, 40.0, 80.0]))
    params, ratio = np.append(params, [1e9, 2e9, 3e9, 4e9]), np.append(ratio, [0.1] * SHORT)
    tokens = params * ratio
    loss = TRUTH["E"] + TRUTH["A"] / params ** TRUTH["alpha"] + TRUTH["B"] / tokens ** TRUTH["beta"]
    loss *= np.exp(0.002 * np.random.default_rng(3).standard_normal(len(loss)))
    loss[-SHORT:] *= lifted
    return RunTable(pd.DataFrame({"params": params, "tokens": tokens, "loss": loss}), "made up")


@pytest.fixture(scope="module")
def clean():
    return influence(fit(table_of(), "chinchilla", draws=60))


@pytest.fixture(scope="module")
def spoiled():
    return influence(fit(table_of(1.1), "chinchilla", draws=60))


def test_no_few_runs_carry_a_table_that_follows_its_law(clean):
    assert clean.exponent == pytest.approx(EXPONENT, abs=0.02)
    assert clean.interval[0] <= clean.after("highest_loss", clean.few) <= clean.interval[1]


def test_the_few_runs_that_decide_are_found_and_their_pull_is_measured(clean, spoiled):
    """The four short runs alone tell how tokens count, so what is wrong with them is wrong with the exponent."""
    assert abs(spoiled.exponent - clean.exponent) > 0.02
    assert {run.run for run in spoiled.left_out["highest_loss"][:SHORT]} == {"56", "57", "58", "59"}
    assert abs(spoiled.after("highest_loss", SHORT) - EXPONENT) < 0.02
    assert not spoiled.interval[0] <= spoiled.after("highest_loss", SHORT) <= spoiled.interval[1]


def test_orders_go_where_they_say(spoiled):
    assert spoiled.after("lowering", 1) <= spoiled.exponent <= spoiled.after("raising", 1)
    losses = [run.loss for run in spoiled.left_out["highest_loss"]]
    assert losses == sorted(losses, reverse=True)
    assert {len(spoiled.exponents[name]) for name in ORDERS} == {6}  # a tenth of 60 runs
    assert spoiled.few == FEW


def test_every_value_is_that_of_a_fit_without_these_runs(spoiled):
    gone = {run.run for run in spoiled.left_out["highest_loss"][:2]}
    table = table_of(1.1)
    rest = dataclasses.replace(table, frame=table.frame.drop(index=[int(name) for name in gone]))
    again = fit(rest, "chinchilla", draws=50).unpenalised_parameters
    assert spoiled.after("highest_loss", 2) == pytest.approx(again["beta"] / (again["alpha"] + again["beta"]), abs=2e-4)


def test_laws_without_a_best_size_and_small_tables_have_none():
    table = table_of()
    assert influence(fit(table, "power", draws=50)) is None
    few = dataclasses.replace(table, frame=table.frame.iloc[::4].reset_index(drop=True))
    assert influence(fit(few, "chinchilla", draws=50)) is None


def test_five_of_the_chinchilla_points_move_the_exponent_from_514_to_565(scaling_data):
    """Besiroglu et al. 2024 (arXiv 2404.10102) leave out the five points of highest loss."""
    table = read_table(scaling_data / "chinchilla_epoch.csv")
    found = influence(fit(table, "chinchilla", draws=60))
    assert found.exponent == pytest.approx(0.565, abs=5e-4)
    assert found.after("highest_loss", 5) == pytest.approx(0.514, abs=5e-4)
