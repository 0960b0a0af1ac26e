"""What a forecast is compared with: simpler ways from the same runs, which it must beat to be worth its name."""

from __future__ import annotations

import numpy as np

from foretoken.fits.parts import FittedRun
from foretoken.fits.result import Fit
from foretoken.fits.rows import by_budget
from foretoken.laws import find_law


def rival_forecasts(fit: Fit, *, flops: float) -> dict[str, float]:
    """Loss at `flops`, forecast without a law in N and D, from the runs that the fit used.

    `largest_run` is the loss of the run with the most compute (the best of its budget); `power_law` the line in
    log loss over log compute through the best run of each budget; `power_law_all_runs` the same through all runs.
    """
    best = _best_of_budgets(fit.runs)
    return {
        "largest_run": max(best, key=lambda run: run.flops).loss,
        "power_law": _line(best, flops),
        "power_law_all_runs": _line(fit.runs, flops),
    }


def plain_loss(fit: Fit, params: float, tokens: float) -> float:
    """What the plain Huber estimate of a fit gives for a run, without the forecast's assumptions."""
    return float(find_law(fit.law).evaluate(fit.unpenalised_parameters, params=params, tokens=tokens))


def _best_of_budgets(runs: list[FittedRun]) -> list[FittedRun]:
    members = by_budget([run.group for run in runs], np.array([run.flops for run in runs]))
    return [min((runs[i] for i in here), key=lambda run: run.loss) for here in members]


def _line(runs: list[FittedRun], flops: float) -> float:
    # One run has no slope: its loss then stands for the line.
    if len(runs) < 2:
        return runs[0].loss
    # L = e^level C^slope is a straight line in logarithms: least squares on them weighs relative errors alike.
    slope, level = np.polyfit(np.log([run.flops for run in runs]), np.log([run.loss for run in runs]), 1)
    return float(np.exp(level + slope * np.log(flops)))
