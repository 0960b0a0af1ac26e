"""Points of one training curve among the rows of a table: told by names, by smoothness, by even steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from foretoken.fits.check import Check, plural
from foretoken.fits.rows import Rows
from foretoken.fits.table_rows import TableRows
from foretoken.laws.law import Array, Indices

CHECKPOINTS, SMOOTH = 12, 1e-3
"""Lengths of one size from which they can be told to be points of one training curve, and what all such sizes scatter
about a cubic in ln D at most, on log loss. Separate runs that scatter by 0.2 % are taken for a curve in 2 of 100 tables
with one such size, by 0.3 % in 1 of 1,000, and far less often with more sizes; curves of dense models (5 of 24 points)
scatter by 0.05 to 0.12 %, and no separate runs of 24 public tables are found."""
EVEN, EVEN_POINTS = 0.02, 5
"""Points that are this evenly spaced in tokens, and so many of one size, were written on the way of one run."""
HOW_EVEN = "evenly spaced in tokens and with losses that fall at each"


def with_trajectories(rows: Rows) -> Rows:
    """Rows that are points of one training curve share a `parent` where they name none; `assumed` says so.

    They are of one size to the last digit, and of one run name, or many and on one smoothly falling curve.
    """
    by_name: dict[tuple[str, float], list[int]] = {}
    by_size: dict[float, list[int]] = {}
    for i, (parent, run, size) in enumerate(zip(rows.parent, rows.run, rows.params.tolist(), strict=True)):
        if parent is None:
            by_name.setdefault((run, size), []).append(i)
            by_size.setdefault(size, []).append(i)
    named = [here for here in by_name.values() if len(set(rows.tokens[here])) > 1]
    taken = {i for here in named for i in here}
    smooth = _smooth_curves(rows, [here for here in by_size.values() if taken.isdisjoint(here)])
    parents = list(rows.parent)
    for here in (*named, *smooth):
        for i in here:
            parents[i] = f"{rows.run[here[0]]} ({rows.params[i]:.17g} parameters)"
    reasons = {"equal `run` and size": named, "one size, a loss that falls smoothly with tokens": smooth}
    told = [
        f"{sum(map(len, curves))} rows are points of {plural(len(curves), 'trajectory', 'trajectories')} ({why})"
        for why, curves in reasons.items()
        if curves
    ]
    return replace(rows, parent=parents, assumed=[*rows.assumed, *told])


def _smooth_curves(rows: Rows, sizes: Sequence[list[int]]) -> list[list[int]]:
    """Sizes whose loss falls at each length, if they scatter less about smooth curves than separate runs would."""
    found: list[list[int]] = []
    squares, spare = 0.0, 0
    for here in sizes:
        length, loss = np.log(rows.tokens[here]), np.log(rows.y[here])
        order = np.argsort(length, kind="stable")
        falls = (np.diff(length[order]) > 0).all() and (np.diff(loss[order]) < 0).all()
        if len(here) >= CHECKPOINTS and falls:
            x = (length - length.mean()) / np.ptp(length)
            left = loss - np.polyval(np.polyfit(x, loss, 3), x)
            found, squares, spare = [*found, here], squares + float(left @ left), spare + len(here) - 4
    return found if found and np.sqrt(squares / spare) < SMOOTH else []


def evenly_spaced(table: TableRows) -> Iterator[Check]:
    """Checkpoints counted as runs: rows of one size to the last digit, evenly spaced in tokens, of falling loss."""
    rows = table.rows
    even = [here for here in unnamed_sizes(rows, EVEN_POINTS) if _is_even(rows.tokens[here], rows.y[here])]
    if even:
        yield undeclared(even, HOW_EVEN)


def undeclared(sizes: Sequence[Indices], how: str) -> Check:
    """What is said of rows that look like points of one run."""
    count = sum(len(here) for here in sizes)
    evidence = f"{count} rows are of {plural(len(sizes), 'size')} to the last digit, {how}: points of one run each?"
    cure = "keep the last point of each run, or name the trajectory: --map parent=<a column that tells it>"
    return Check("undeclared_trajectories", "doubt", evidence, cure)


def unnamed_sizes(rows: Rows, least: int) -> list[Indices]:
    """Runs of each size that at least `least` have, where no name says already that they belong together."""
    place = np.unique(rows.params, return_inverse=True)[1]
    sizes = [np.flatnonzero(place == size) for size in np.flatnonzero(np.bincount(place) >= max(2, least))]
    return [here for here in sizes if len({rows.run[i] for i in here}) == len(here) and not _has_parent(rows, here)]


def _has_parent(rows: Rows, here: Indices) -> bool:
    return any(rows.parent[i] for i in here)


def _is_even(tokens: Array, loss: Array) -> bool:
    """Whether points are evenly spaced and their losses fall from each to the next."""
    order = np.argsort(tokens)
    steps = np.diff(tokens[order])
    return bool(np.ptp(steps) <= EVEN * steps.mean() and (np.diff(loss[order]) < 0).all() and steps.mean() > 0)
