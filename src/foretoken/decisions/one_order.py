"""Two fits whose runs go together one to one, whatever the order of rows that each was made from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from foretoken.decisions.pair import cell_of, likeness
from foretoken.errors import ForetokenError
from foretoken.fits.fit import fit as fit_table
from foretoken.fits.result import Fit
from foretoken.laws import WEIGHED
from foretoken.runs.table import RunTable

SAME_ESTIMATE = 1e-3
"""Of a fit of the same runs the parameters agree to this share: what differs by more was fitted otherwise."""


def in_one_order(first: Fit, second: Fit) -> tuple[Fit, Fit] | None:
    """Both with their runs by size and length, where each run then goes with one of the other; None where they do not.

    The draws of a fit multiply the residual of each row, so that draws of rows in another order have nothing in common.
    They are made anew from the fit's own runs; its estimates stay as they are.

    >>> import foretoken, pandas as pd
    >>> table = foretoken.read_table("sample").frame
    >>> fits = [foretoken.fit(rows, "chinchilla", draws=50) for rows in (table, table[::-1])]
    >>> likeness(*fits) is None, likeness(*in_one_order(*fits)) > 0.99
    (True, True)
    """
    one, other = _ordered(first), _ordered(second)
    if one is None or other is None or likeness(one, other) is None:
        return None
    again = _drawn_anew(first, one), _drawn_anew(second, other)
    return (again[0], again[1]) if again[0] and again[1] else None


def _ordered(fit: Fit) -> Fit | None:
    """The fit with its runs by size and length, with the draws of another order; None where a run stands for many."""
    if fit.is_aggregated:
        return None
    return replace(fit, runs=sorted(fit.runs, key=lambda run: cell_of(run.params, run.tokens)))


def _drawn_anew(fit: Fit, ordered: Fit) -> Fit | None:
    """The ordered fit with draws of its own order; None where its runs do not give its estimates again."""
    if fit.runs == ordered.runs:
        return fit
    try:
        again = fit_table(
            _table(ordered),
            WEIGHED if fit.laws or fit.ladder else fit.law,
            params=fit.params_column,
            level=fit.level,
            draws=len(fit.map_draws),
            objective=fit.objective.name,
            keep_outliers=True,
        )
    except ForetokenError:
        return None
    if [law.law for law in again.laws] != [law.law for law in fit.laws] or again.law != fit.law:
        return None
    before, after = ([one.map_parameters[name] for name in fit.map_parameters] for one in (fit, again))
    if not np.allclose(before, after, rtol=SAME_ESTIMATE):
        return None
    laws = [replace(law, draws=new.draws) for law, new in zip(fit.laws, again.laws, strict=True)]
    return replace(ordered, laws=laws, map_draws=again.map_draws, unpenalised_draws=again.unpenalised_draws)


def _table(fit: Fit) -> RunTable:
    """The runs of a fit as a table."""
    import pandas as pd

    frame = pd.DataFrame([vars(run) for run in fit.runs]).rename(columns={"params": fit.params_column})
    return RunTable(frame.drop(columns="fitted").dropna(axis=1, how="all"), "a fit")
