"""Table checks: cells, doubles, mixtures, budgets without a minimum. They go with every result made from the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from foretoken.fits import unit_checks
from foretoken.fits.check import Check, Severity, listed, plural, worst_first
from foretoken.fits.fit_checks import design_checks, outlying_runs, row_checks
from foretoken.fits.groups import sets_apart, sweeps
from foretoken.fits.mixtures import mixtures
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, by_budget, refusals
from foretoken.fits.table_rows import TableCheck, TableRows
from foretoken.fits.trajectories import evenly_spaced
from foretoken.laws import CHINCHILLA
from foretoken.runs.loss_units import NATS_PER_TOKEN
from foretoken.runs.table import COLUMNS, SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd

MAY_BE_EQUAL = (
    {"tokens", "unique_tokens"},
    {"flops", "flops_6nd"},
    {"params", "params_total", "params_active"},
    {"params_total", "params_active", "params_non_embedding"},
)
MIXED = {
    "corpus": ("mixed_corpora", "a law is of one corpus; keep the rows of one with --where"),
    "family": ("mixed_families", "fit each family of models alone"),
    "objective": ("mixed_objectives", "fit each objective alone"),
}
COUNTS = ("loss", "params_total", "params", "params_active", "params_non_embedding", "tokens", "flops")
LEAST_SIZES = 3
"""Sizes of a budget among which the best can be one in the middle."""
MANY_DIGITS = 5
"""Digits of a loss that two runs of one size and length share by no accident."""
MANY = 5000
"""Runs of which budgets are no longer looked for one by one."""


def refused(table: TableRows) -> Iterator[Check]:
    """Too few runs, one size, one length, N and D that move together, equal losses."""
    for error in refusals(table.rows, CHINCHILLA):
        yield Check.of_refusal(error)


def doubtful_design(table: TableRows) -> Iterator[Check]:
    """Few runs, N and D nearly collinear."""
    if len(table.rows) > 2:
        yield from design_checks(table.rows)


def doubtful_rows(table: TableRows) -> Iterator[Check]:
    """Shared trajectories, plain `params`, diverged runs, repeated tokens."""
    yield from row_checks(table.rows)


def infinite_values(table: TableRows) -> Iterator[Check]:
    """Infinities in columns of numbers."""
    for name in [name for name in COLUMNS if name in table.frame and COLUMNS[name].kind == "number"]:
        where = np.flatnonzero(np.isinf(table.frame[name].to_numpy(dtype=np.float64))) + 1
        if len(where):
            evidence = f"{name} is infinite in {plural(len(where), 'row')}: {listed(where)}"
            yield Check(
                "infinite_values", "doubt", evidence, "a run without a loss has an empty cell; look for overflow"
            )


def missing_as_zero(table: TableRows) -> Iterator[Check]:
    """A loss or count of 0 or below is a missing value in disguise."""
    for name in COUNTS:
        if name in table.frame and (table.frame[name] <= 0).any():
            where = np.flatnonzero((table.frame[name] <= 0).to_numpy()) + 1
            evidence = f"{name} is 0 or below in {plural(len(where), 'row')}: {listed(where)}"
            yield Check("missing_as_zero", "doubt", evidence, "leave the cell of a missing value empty")


def duplicated_rows(table: TableRows) -> Iterator[Check]:
    """Equal rows, whatever they are called; two runs do not end with one loss to the last of many digits, either."""
    names = [name for name in table.frame if name != "run" and not (name in COLUMNS and not COLUMNS[name].determined)]
    cells = table.frame[names]
    words = [name for name in names if cells[name].dtype == object]
    doubles = cells.astype(dict.fromkeys(words, str)).duplicated() | _same_result(table.frame)
    if doubles.any():
        repeat = "repeats" if doubles.sum() == 1 else "repeat"
        evidence = f"{plural(int(doubles.sum()), 'row')} {repeat} another: {listed(np.flatnonzero(doubles) + 1)}"
        yield Check("duplicated_rows", "doubt", evidence, "leave them out: they count the same evidence twice")


def _same_result(frame: pd.DataFrame) -> pd.Series | bool:
    """Rows of the size, length and loss of another, with too many digits of the loss for chance."""
    if "loss" not in frame:
        return False
    names = [name for name in ("loss", "tokens", *SIZES) if name in frame]
    long = frame["loss"].map(lambda loss: len(f"{loss:.12g}".replace(".", "").strip("-0")) >= MANY_DIGITS)
    return frame[names].duplicated() & long & frame["loss"].notna()


def duplicated_columns(table: TableRows) -> Iterator[Check]:
    """Two columns of numbers with the same values, one of them canonical."""
    numbers, equal = table.frame.select_dtypes("number"), dict[bytes, list[str]]()
    for name in numbers:
        values = numbers[name].to_numpy(dtype=np.float64, na_value=np.nan)
        if np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf):
            equal.setdefault(values.tobytes(), []).append(str(name))
    for first, second in (pair for names in equal.values() for pair in pairwise(names)):
        known = {first, second} & set(COLUMNS)
        if known and not any({first, second} <= pair for pair in MAY_BE_EQUAL):
            evidence = f"`{first}` and `{second}` are equal in every row"
            severity: Severity = "doubt" if len(known) == 2 else "note"
            yield Check("duplicated_columns", severity, evidence, "check which was meant; name the other with --map")


def more_unique_than_seen(table: TableRows) -> Iterator[Check]:
    """More distinct tokens than tokens: a run sees each of its distinct tokens once at least."""
    unique = table.used("unique_tokens")
    if unique is None:
        return
    more = unique > 1.001 * table.rows.tokens
    if more.any():
        where = table.rows.row_index[more] + 1
        evidence = (
            f"{plural(int(more.sum()), 'run')} of {len(more)} saw more distinct tokens than tokens, up to"
            f" {(unique / table.rows.tokens).max():.3g} times (rows {listed(where)})"
        )
        cure = "give the distinct tokens that a run saw, at most its `tokens`: not the size of the corpus, nor in bytes"
        yield Check("more_unique_than_seen", "doubt", evidence, cure)


def mixed(table: TableRows) -> Iterator[Check]:
    """Several evaluation sets, tokenizers, corpora, families or objectives in one table."""
    for error in mixtures(table.frame.iloc[table.rows.row_index]):
        yield Check.of_refusal(error)
    for name, (code, cure) in MIXED.items():
        words = table.words(name)
        if len(words) > 1:
            yield Check(code, "doubt", f"{len(words)} values of {name}: {listed(words)}", cure)


def no_interior_minimum(table: TableRows) -> Iterator[Check]:
    """Most budgets have their lowest loss at their smallest or largest size: N* is not among the runs."""
    rows = table.rows
    if not 0 < len(rows) <= MANY:
        return
    budgets = [runs for runs in by_budget(rows.group, rows.flops) if len(set(rows.params[runs])) >= LEAST_SIZES]
    if sum(map(len, budgets)) <= len(rows) / 2:
        return  # no IsoFLOP design
    best = [(rows.params[runs], rows.params[runs][rows.y[runs].argmin()]) for runs in budgets]
    edges = [(size == sizes.min(), size == sizes.max()) for sizes, size in best]
    smallest, largest = (sum(side) for side in zip(*edges, strict=True))
    if smallest + largest > len(budgets) / 2:
        evidence = (
            f"of {len(budgets)} budgets {smallest} have their lowest loss at the smallest size and {largest} at the"
            " largest"
        )
        cure = "add sizes beyond that end: the best size is guessed by the law, not seen"
        yield Check("no_interior_minimum", "doubt", evidence, cure)


TABLE: list[TableCheck] = [
    infinite_values,
    missing_as_zero,
    duplicated_rows,
    duplicated_columns,
    more_unique_than_seen,
    mixed,
    no_interior_minimum,
    evenly_spaced,
    sweeps,
]
"""What concerns every number that is made from the table."""
CHECKS: list[TableCheck] = [refused, doubtful_design, doubtful_rows, *TABLE]


def doubts(table: RunTable, rows: Rows, unit: str = NATS_PER_TOKEN) -> list[Check]:
    """Every check of a table and its usable rows that fires, worst first; those of units only for a law of the loss."""
    units = unit_checks.TABLE if unit == NATS_PER_TOKEN else []
    table_rows = TableRows.of(table, rows)
    return worst_first(check for checks in [*TABLE, *units] for check in checks(table_rows))


def with_doubts(fit: Fit, table: RunTable, rows: Rows, unit: str) -> Fit:
    """The fit, with the checks of its table beside its own."""
    told = [*outlying_runs(fit), *sets_apart(fit, TableRows.of(table, rows)), *doubts(table, rows, unit)]
    return replace(fit, checks=worst_first([*fit.checks, *told]))
