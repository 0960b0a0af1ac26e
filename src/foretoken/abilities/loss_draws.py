"""Losses of runs that were not trained, as draws: a law of the loss, fitted once and shared by all tasks."""

from __future__ import annotations

import numpy as np

from foretoken.abilities.group_runs import GroupRuns, Sizes
from foretoken.errors import RefusedError, TableError
from foretoken.fits.fit import fit
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.laws.law import Array, Law

LEVEL = 0.9
"""At which the interval of a loss is read as that of a normal error, with a side for each end."""


def fit_loss(runs: GroupRuns, law: str | Law, draws: int, seed: int = 0) -> Fit | RefusedError | TableError:
    """A law of the loss of these runs; the error where no law can be fitted."""
    import pandas as pd

    frame = pd.DataFrame({**runs.sizes._asdict(), "loss": runs.loss, "run": runs.run})
    frame = frame if len(set(runs.run)) == len(runs) else frame.drop(columns="run")
    try:
        return fit(frame, law, draws=draws, seed=seed)
    except (RefusedError, TableError) as error:
        return error


def loss_forecasts(fitted: Fit, at: Sizes, *, strict: bool) -> list[Forecast]:
    """What a fit says of runs; `strict` as for `predict`."""
    return [
        predict(fitted, params=params, tokens=tokens, flops=flops, level=LEVEL, strict=strict)
        for params, tokens, flops in zip(*(values.tolist() for values in at), strict=True)
    ]


def drawn_losses(forecasts: list[Forecast], draws: int) -> Array:
    """Losses of new runs, evenly spaced in probability [t, b]."""
    from scipy.special import ndtri

    normal = ndtri((np.arange(draws) + 0.5) / draws)
    end = float(ndtri((1 + LEVEL) / 2))
    found = []
    for one in forecasts:
        # Forecasts are skewed on a logarithm too: each side has a spread of its own.
        low, high = np.log(one.loss / one.low) / end, np.log(one.high / one.loss) / end
        found.append(one.loss * np.exp(np.where(normal < 0, low, high) * normal))
    return np.array(found)
