"""Run tables that the tests of forecasts share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}


@pytest.fixture
def ladder() -> Callable[..., RunTable]:
    """ladder(noise=0.003, seed=0): 24 runs of 4 budgets, with noise on log loss."""

    def make(noise: float = 0.0, seed: int = 0) -> RunTable:
        budget, step = (part.ravel() for part in np.mgrid[:4, :6])
        flops, N = 3e11 * 2.0**budget, 8e3 * 2 ** (0.5 * budget + 0.75 * step)
        D = flops / 6 / N
        shaken = np.exp(noise * np.random.default_rng(seed).standard_normal(24))
        columns = {"params_total": N, "tokens": D, "flops": flops, "loss": CHINCHILLA.predict(TRUTH, N, D) * shaken}
        return RunTable(pd.DataFrame({"group": [f"b{k}" for k in budget], **columns}), "a test")

    return make
