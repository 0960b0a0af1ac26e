from __future__ import annotations

from collections.abc import Callable

import pytest

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.forecasts import optimum
from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

Ladder = Callable[..., RunTable]
TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


def test_the_best_size_is_inside_its_interval_and_spends_the_budget(ladder: Ladder) -> None:
    found = optimum(fit(ladder(noise=0.002), draws=100), 1e13)
    assert 6 * found.params * found.tokens == pytest.approx(1e13)
    assert CHINCHILLA.optimum is not None
    n, d = CHINCHILLA.optimum(TRUTH, 1e13)
    assert found.params_interval[0] < float(n) < found.params_interval[1]
    assert found.tokens_interval[0] < float(d) < found.tokens_interval[1]
    assert found.loss_interval[0] < found.loss < found.loss_interval[1]


def test_both_estimators_have_draws_of_their_own(ladder: Ladder) -> None:
    one = fit(ladder(noise=0.003), draws=50)
    assert optimum(one, 1e13).params_interval != optimum(one, 1e13, estimator="plain").params_interval


def test_a_law_in_compute_alone_has_no_best_size(ladder: Ladder) -> None:
    with pytest.raises(ForetokenError, match="best size"):
        optimum(fit(ladder(), "power", draws=50), 1e13)
