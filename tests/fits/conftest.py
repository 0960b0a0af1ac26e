"""Run tables that the tests of fits share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.laws import CHINCHILLA
from foretoken.runs.table import RunTable

TRUTH = {"E": 0.7, "A": 30.0, "B": 200.0, "alpha": 0.4, "beta": 0.38}
"""A text whose small models are far above its entropy: losses of 1.5 to 2.3 nats."""


@pytest.fixture
def ladder() -> Callable[..., RunTable]:
    """ladder(truth, noise=0.003, seed=0, budgets=4): IsoFLOP runs of a law, 6 sizes each, noise on log loss."""

    def make(truth: dict[str, float] = TRUTH, *, noise: float = 0.0, seed: int = 0, budgets: int = 4) -> RunTable:
        generator = np.random.default_rng(seed)
        rows = []
        for budget in range(budgets):
            flops = 3e11 * 2**budget
            for step in range(6):
                N = 8e3 * 2 ** (0.5 * (budget + 1.5 * step))
                loss = float(CHINCHILLA.evaluate(truth, params=N, tokens=flops / 6 / N)) * np.exp(
                    noise * generator.standard_normal()
                )
                rows.append((f"r{budget}{step}", f"b{budget}", N, flops / 6 / N, flops, loss))
        columns = ["run", "group", "params_total", "tokens", "flops", "loss"]
        return RunTable(pd.DataFrame(rows, columns=columns), "a test")

    return make
