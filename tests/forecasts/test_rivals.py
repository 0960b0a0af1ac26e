from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foretoken.fits import Fit, fit
from foretoken.forecasts import rival_forecasts
from foretoken.runs.table import RunTable


def power_runs(*, groups: bool) -> Fit:
    """Three budgets; the best run of each lies on 50 C^-0.12, the others 5 and 10 % above."""
    rows = []
    for step in range(3):
        flops = 1e12 * 4**step
        for N, above in ((2e4, 1.05), (5e4, 1.0), (1.2e5, 1.1)):
            rows.append((f"b{step}", N, flops / 6 / N, flops, 50 * flops**-0.12 * above))
    frame = pd.DataFrame(rows, columns=["group", "params_total", "tokens", "flops", "loss"])
    return fit(RunTable(frame if groups else frame.drop(columns="group"), "a test"), draws=50)


@pytest.mark.parametrize("groups", [True, False])
def test_rivals_of_an_exact_power_law(groups: bool) -> None:
    rivals = rival_forecasts(power_runs(groups=groups), flops=1e15)
    assert rivals["largest_run"] == pytest.approx(50 * 1.6e13**-0.12)
    assert rivals["power_law"] == pytest.approx(50 * 1e15**-0.12)
    above = np.exp(np.log([1.05, 1.0, 1.1]).mean())
    assert rivals["power_law_all_runs"] == pytest.approx(50 * 1e15**-0.12 * above)
