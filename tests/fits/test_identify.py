from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits import fit
from foretoken.fits.identify import identify, widened
from foretoken.fits.parts import Range
from foretoken.laws import CHINCHILLA, COUPLED, POWER
from foretoken.runs.table import RunTable


@pytest.mark.parametrize(
    ("low", "high", "stuck", "least", "given"),
    [
        (0.98, 1.02, set(), 1.1, True),
        (0.90, 1.04, set(), 1.1, False),
        (0.98, 1.02, {"E"}, 1.1, False),
        (0.98, 1.02, {"alpha"}, 1.1, False),
        (0.98, 1.02, {"A"}, 1.1, True),
        (0.98, 1.02, set(), 1.4, False),
    ],
)
def test_the_rule_of_the_irreducible_loss(low: float, high: float, stuck: set[str], least: float, given: bool) -> None:
    reasons = identify(CHINCHILLA, {"E": 1.0}, {"E": Range(low, high)}, stuck, least, "bits per byte")
    assert ("E" not in reasons) == given


def test_a_law_without_an_irreducible_loss_is_not_asked_for_one() -> None:
    assert identify(POWER, {"a": 1.0, "b": 0.1}, {}, set(), 1.0, "bits per byte") == {}


def test_an_interval_takes_in_what_the_ends_of_the_table_say() -> None:
    assert widened(Range(1.0, 1.1), {"least compute": 0.9, "most compute": 1.05}) == (0.9, 1.1)
    assert widened(Range(1.0, 1.1), {}) == (1.0, 1.1)


def grid(loss: object) -> RunTable:
    n, d = (a.ravel() for a in np.meshgrid(np.geomspace(1e4, 2e5, 5), np.geomspace(3e5, 6e6, 5)))
    rng = np.random.default_rng(0)
    noisy = loss(n, d) * np.exp(0.001 * rng.standard_normal(n.size))  # type: ignore[operator]
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "flops": 6 * n * d, "loss": noisy}), "simulated")


@pytest.mark.parametrize("law", ["chinchilla", "coupled"])
def test_a_loss_that_is_nearly_reached_is_identified(law: str) -> None:
    table = grid(
        lambda n, d: CHINCHILLA.evaluate({"E": 3.0, "A": 20, "B": 3000, "alpha": 0.6, "beta": 0.8}, params=n, tokens=d)
    )
    found = fit(table, law, draws=100)
    assert found.parameters["E"] == pytest.approx(3.0, rel=0.03)
    low, high = found.intervals["E"]
    assert low < 3.0 < high


@pytest.mark.parametrize("law", ["chinchilla", "coupled"])
def test_a_bend_far_above_the_truth_is_not_taken_for_a_floor(law: str) -> None:
    """Losses of 4.3 and more, which fall ever more slowly towards a floor of 1 that no run comes near."""
    truth = {"E": 1.0, "A": 25.0, "B": 40.0, "alpha": 0.25, "beta": 0.22, "gamma": 0.5}
    found = fit(grid(lambda n, d: COUPLED.evaluate(truth, params=n, tokens=d)), law, draws=100)
    assert found.parameters["E"] is None
    assert found.reasons["E"]
