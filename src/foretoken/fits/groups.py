"""What columns that no law reads say of the runs: sets that lie apart, and settings that were tried at one size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from foretoken.escapes import for_shell
from foretoken.fits.check import Check, by_chance, listed, plural
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows
from foretoken.fits.table_rows import TableRows
from foretoken.laws.law import Array, Indices
from foretoken.runs.table import SIZES

if TYPE_CHECKING:
    import pandas as pd

MOST_SETS, FEWEST = 12, 3
"""Words of a column that may name sets of runs, and the runs that each has."""
APART, SURELY = 0.5, 1e-4
"""Share of the residuals' squares that lies between sets from which they are told, if it is rarer by chance."""
LEAST_APART = 0.01
"""The same as a standard deviation of log loss."""
FEWEST_TRIED, MOST_TRIED = 3, 30
"""Runs of one size and length from which they are a sweep, and values of a setting that was tried."""
SETTINGS = ("learning_rate", "batch_tokens")
"""Of which two at one size and length are a sweep already."""
NO_SETTINGS = {
    *("run", "loss", "loss_se", "seed", "seconds", "kwh", "mfu", "tokens_per_second", "score", "flops", "steps"),
    *(*SIZES, "tokens", "status", "group", "parent", "finished_at"),
}
"""Columns that differ between equal trainings."""


def sets_apart(fit: Fit, table: TableRows) -> Iterator[Check]:
    """Runs that a column of words tells apart, such as a data set, lie above and below the law by their word."""
    frame = table.frame.iloc[table.rows.row_index]
    if fit.is_aggregated or len(frame) != len(fit.residuals):
        return
    found = []
    for name in map(str, frame.columns):
        words = np.array(list(map(str, frame[name])))
        sets, place, counts = np.unique(words, return_inverse=True, return_counts=True)
        if _is_number(frame[name]) or name == "run" or not 2 <= len(sets) <= MOST_SETS or counts.min() < FEWEST:
            continue
        means = np.bincount(place, fit.residuals) / counts
        share, chance = _between(fit.residuals, means[place], len(sets))
        if share > APART and chance < SURELY and float((means[place]).std()) > LEAST_APART:
            found.append((share, name, sets[np.argsort(means)], np.sort(means), chance))
    for _, name, sets, means, chance in sorted(found, key=lambda one: -one[0])[:1]:
        parts = listed(f"{word} {100 * mean:+.1f} %" for word, mean in zip(sets, means, strict=True))
        evidence = f"the column `{name}` tells apart what lies above and below the law: {parts} ({by_chance(chance)})"
        cure = f"fit one kind alone: {for_shell('--where', f'{name}={sets[0]}')}"
        yield Check("sets_apart", "doubt", evidence, cure)


def _between(residual: Array, mean: Array, sets: int) -> tuple[float, float]:
    """The share of the squares that lies between sets, and how likely so much is by chance (an F test)."""
    from scipy.special import fdtrc

    between, within = float(((mean - residual.mean()) ** 2).sum()), float(((residual - mean) ** 2).sum())
    spare = len(residual) - sets
    if between + within <= 0 or spare < 1:
        return 0.0, 1.0
    ratio = between / (sets - 1) / max(within / spare, 1e-300)
    return between / (between + within), float(fdtrc(sets - 1, spare, ratio))


def sweeps(table: TableRows) -> Iterator[Check]:
    """Several settings at one N and D: the law should see the best of each, not all."""
    frame, cells = table.frame.iloc[table.rows.row_index], cells_of(table.rows)
    large = [here for here in cells if len(here) >= FEWEST_TRIED]
    most = 2 * sum(map(len, large)) >= len(frame)
    swept: dict[str, list[Indices]] = {}
    for name in map(str, frame.columns):
        if name in SETTINGS and table.used(name) is not None:
            swept[name] = [here for here in cells if _values(frame, name, here) > 1]
        elif most and large and name not in NO_SETTINGS and len(set(map(str, frame[name]))) <= MOST_TRIED:
            tried = [here for here in large if _values(frame, name, here) >= FEWEST_TRIED]
            swept[name] = tried if 2 * len(tried) > len(large) else []
    names = [name for name, tried in swept.items() if tried]
    if names:
        pairs = len({int(here[0]) for name in names for here in swept[name]})
        evidence = f"{plural(pairs, 'pair')} of N and D were trained with several settings ({listed(names)})"
        cure = (
            "keep the best of each, or smooth over the sweep: the others raise the law; in pandas"
            " frame.loc[frame.groupby([N, D])[loss].idxmin()]"
        )
        yield Check("sweep_not_reduced", "doubt", evidence, cure)


def cells_of(rows: Rows) -> list[Indices]:
    """Runs of equal N and D, where there are several."""
    members: dict[tuple[float, float], list[int]] = {}
    # Sizes agree to 0.1 % and lengths to 1 %: steps of a batch round lengths, not sizes.
    sizes, lengths = np.round(np.log(rows.params), 3), np.round(np.log(rows.tokens), 2)
    for i, cell in enumerate(zip(sizes.tolist(), lengths.tolist(), strict=True)):
        members.setdefault(cell, []).append(i)
    return [np.array(here) for here in members.values() if len(here) > 1]


def _values(frame: pd.DataFrame, name: str, here: Indices) -> int:
    """How many values a column has in some rows."""
    return len(set(map(str, frame[name].iloc[here])))


def _is_number(column: pd.Series) -> bool:
    from pandas.api.types import is_numeric_dtype

    return bool(is_numeric_dtype(column.dtype))
