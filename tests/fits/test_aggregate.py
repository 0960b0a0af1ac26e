from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits import fit
from foretoken.fits.aggregate import MOST_ROWS, aggregate
from foretoken.fits.rows import clean_rows
from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

TRUTH = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}


def many(runs: int) -> RunTable:
    generator = np.random.default_rng(0)
    n, d = (
        np.exp(generator.uniform(np.log(1e7), np.log(1e10), runs)),
        np.exp(generator.uniform(np.log(1e8), np.log(1e12), runs)),
    )
    loss = CHINCHILLA.evaluate(TRUTH, params=n, tokens=d) * np.exp(0.005 * generator.standard_normal(runs))
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "loss": loss}), "simulated")


def test_few_runs_stay_as_they_are() -> None:
    rows = clean_rows(many(100))
    kept, count, inside = aggregate(rows, CHINCHILLA)
    assert kept is rows
    assert count.sum() == 100
    assert inside == 0.0


def test_many_runs_are_taken_together_and_give_the_same_law() -> None:
    table = many(20_000)
    kept, count, inside = aggregate(clean_rows(table), CHINCHILLA)
    assert len(kept) <= MOST_ROWS
    assert count.sum() == 20_000
    assert inside == pytest.approx(0.005, rel=0.2)
    found = fit(table, "chinchilla", draws=50)
    assert found.unpenalised_parameters == pytest.approx(TRUTH, rel=0.05)
    assert found.rows.used == 20_000
    assert any("taken together" in sentence for sentence in found.assumed)
