"""The two sides of a comparison: their fits, and whether the losses of the two can be compared at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foretoken.arguments import did_you_mean
from foretoken.decisions.pair import cell_of, likeness
from foretoken.decisions.request import VersusRequest
from foretoken.errors import ForetokenError, RefusedError, StoreError, TableError
from foretoken.fits.check import Check, listed, plural
from foretoken.fits.fit import fit as fit_table
from foretoken.fits.law_columns import needed
from foretoken.fits.result import AnyFit, Fit
from foretoken.laws import WEIGHED, find_law, law_or_heaviest
from foretoken.runs.cells import as_word
from foretoken.runs.reading import AnyTable, as_table
from foretoken.runs.table import SIZES, RunTable
from foretoken.store.atomic import read_json

if TYPE_CHECKING:
    import pandas as pd

COUNTED_ALIKE = 1.1
"""FLOP per parameter and token of two fits that differ by more are counted otherwise."""
MOST_RUNS_KEPT, LEAST_REACH_KEPT = 0.8, 0.5
"""Runs that go with none of the other recipe are left out where at least this share of the runs is kept, and this share
of the largest compute: what runs that go together have in common tells more than the runs left out."""
DRAWN_ANEW = "its draws are made anew, with its runs in the order of the other's"
"""What is told of a saved fit of rows in another order."""
SAME_ESTIMATE = 1e-3
"""Of a fit of the same runs the parameters agree to this share: what differs by more was fitted otherwise."""
READ = {"params", "tokens", "flops"}
"""What a law may read of a run for a decision at a compute."""


@dataclass(frozen=True)
class Side:
    """One recipe: its name and its fit."""

    name: str
    fit: Fit
    told: str = ""
    """What was done so that each of its runs goes with one of the other's."""


def open_sides(request: VersusRequest) -> tuple[Side, Side]:
    """Both recipes, fitted where they are tables. Raises ForetokenError as `read_table`, `fit` and `Fit.load`."""
    if request.b is None:
        sources: tuple[Fit | RunTable, Fit | RunTable] = chosen(request)
        names = tuple(one.source for one in sources if isinstance(one, RunTable))
    else:
        names = _names(request.a, request.b, request.first, request.second)
        sources = _opened(request.a, request), _opened(request.b, request)
    fits = [_fit(one, request) for one in sources]
    sides = Side(names[0], fits[0]), Side(names[1], fits[1])
    refuse_incomparable(*sides)
    tables = [one for one in sources if isinstance(one, RunTable)]
    if len(tables) == 2 and likeness(*fits) is None and (both := in_both(*fits)):
        kept = [replace(table, frame=_rows_in(table, fit, both)) for table, fit in zip(tables, fits, strict=True)]
        told = [_left_out(table, other) for table, other in zip(tables, kept, strict=True)]
        sides = Side(names[0], _fit(kept[0], request), told[0]), Side(names[1], _fit(kept[1], request), told[1])
    elif len(tables) < 2 and likeness(*fits) is None and (ordered := in_one_order(*fits)):
        told = ["" if one is fit else DRAWN_ANEW for one, fit in zip(ordered, fits, strict=True)]
        sides = Side(names[0], ordered[0], told[0]), Side(names[1], ordered[1], told[1])
    return sides


def chosen(request: VersusRequest) -> tuple[RunTable, RunTable]:
    """The runs of the two recipes of one table, each with its recipe's name as its source."""
    table = read_runs(request.a, request)
    words = recipes_of(table, request.by)
    names = [request.first, request.second]
    for name in filter(None, names):
        if name not in words:
            cure = did_you_mean(name, words)
            raise ForetokenError(f"no recipe {name!r} in {request.by!r}", expected=listed(words, 12), cure=cure)
    left = [word for word in words if word not in names]
    if "" in names and len(left) != names.count(""):
        raise ForetokenError(
            f"{len(words)} recipes in {request.by!r}, and a comparison is of two",
            expected=listed(words, 12),
            got=", ".join(filter(None, names)) or "no choice",
            cure="name two: --first X --second Y",
        )
    names = [name or left.pop(0) for name in names]
    told = table.frame[request.by].map(as_word)
    first, second = (
        RunTable(table.frame[told == name].reset_index(drop=True), name, table.assumed, table.loss_column)
        for name in names
    )
    return first, second


def read_runs(table: AnyFit | AnyTable, request: VersusRequest) -> RunTable:
    """A table of runs. Raises ForetokenError for a fit, whose runs have no columns."""
    if isinstance(table, Fit):
        cure = "give the table itself; two fits need no --by"
        raise ForetokenError("a fit has no columns that tell recipes apart", got="a fit", cure=cure)
    law = law_or_heaviest(request.law)
    return as_table(table, needed(law), request.loss_unit, request.rename, request.where)


def recipes_of(table: RunTable, by: str) -> list[str]:
    """The words of a column, in order of appearance. Raises ForetokenError where they are fewer than two."""
    table.require_rows()
    known = list(map(str, table.frame.columns))
    if by not in known:
        raise TableError(f"no column {by!r}", expected=listed(known, 20), cure=did_you_mean(by, known))
    words = [word for word in dict.fromkeys(table.frame[by].map(as_word)) if word]
    if len(words) < 2:
        evidence = f"the column {by!r} names {listed(words) or 'nothing'}"
        raise RefusedError("one_recipe", evidence, "give a table of two recipes, or another column: --by")
    return words


def _opened(one: AnyFit | AnyTable, request: VersusRequest) -> Fit | RunTable:
    if isinstance(one, Fit):
        return one
    if isinstance(one, str | Path) and _is_fit(Path(one)):
        return Fit.load(one)
    return read_runs(one, request)


def in_both(first: Fit, second: Fit) -> set[tuple[float, float]]:
    """Sizes and lengths (`cell_of`) of which both have equally many runs; none where that leaves out too many runs."""
    a, b = (Counter(cell_of(run.params, run.tokens) for run in fit.runs) for fit in (first, second))
    both = {cell for cell in a if a[cell] == b.get(cell)}
    for fit in (first, second):
        kept = [run for run in fit.runs if cell_of(run.params, run.tokens) in both]
        largest = max((run.flops for run in kept), default=0.0)
        if len(kept) < MOST_RUNS_KEPT * len(fit.runs) or largest < LEAST_REACH_KEPT * fit.ranges.flops.high:
            return set()
    return both


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
            _runs_of(ordered),
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


def _runs_of(fit: Fit) -> RunTable:
    """The runs of a fit as a table."""
    import pandas as pd

    frame = pd.DataFrame([vars(run) for run in fit.runs]).rename(columns={"params": fit.params_column})
    return RunTable(frame.drop(columns="fitted").dropna(axis=1, how="all"), "a fit")


def _rows_in(table: RunTable, fit: Fit, cells: set[tuple[float, float]]) -> pd.DataFrame:
    """The rows of a table that are of some sizes and lengths."""
    columns = zip(table.frame[fit.params_column], table.frame["tokens"], strict=True)
    inside = [n > 0 and d > 0 and cell_of(float(n), float(d)) in cells for n, d in columns]
    return table.frame[inside].reset_index(drop=True)


def _left_out(before: RunTable, after: RunTable) -> str:
    count = len(before) - len(after)
    return f"{plural(count, 'run')} left out that no run of the other goes with" if count else ""


def _is_fit(path: Path) -> bool:
    """Whether a file is a saved fit; a table may be JSON too."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        values = read_json(path)
    except StoreError:
        return False
    return isinstance(values, dict) and {"format", "law"} <= set(values)


def _fit(table: Fit | RunTable, request: VersusRequest) -> Fit:
    """The fit of a table whose rows are in one order, so that runs which go together are resampled together."""
    if isinstance(table, Fit):
        return table
    sizes = [name for name in SIZES if name in table.frame]
    keys = [name for name in (*sizes[:1], "tokens", "seed") if name in table.frame]
    frame: pd.DataFrame = table.frame.sort_values(keys, kind="stable", ignore_index=True) if keys else table.frame
    try:
        return fit_table(replace(table, frame=frame), request.law, level=request.level)
    except ForetokenError as error:
        error.add_note(f"of the runs of {table.source}")
        raise


def _names(a: object, b: object, first: str, second: str) -> tuple[str, str]:
    """What the two are called: as said, or by their files."""
    files = [Path(one).stem if isinstance(one, str | Path) else "" for one in (a, b)]
    files = ["", ""] if files[0] == files[1] else files
    return first or files[0] or "A", second or files[1] or "B"


def refuse_incomparable(first: Side, second: Side) -> None:
    """Raise RefusedError for two fits whose losses are not of one thing, or that say nothing of a run at a compute."""
    for side in (first, second):
        law = find_law(side.fit.law)
        if law.column != "loss":
            evidence = f"{side.name}: the law {law.name} is of {law.column}"
            raise RefusedError("no_loss", evidence, "fit a law of the loss; scores: --by and --score of a table")
        if not set(law.features) <= READ:
            evidence = f"{side.name}: the law {law.name} reads {', '.join(law.features)}"
            raise RefusedError("other_features", evidence, "fit a law of size, tokens and compute, such as weighed")
        if len(side.fit.map_draws) < 2:
            cure = "fit the table again: foretoken fit TABLE -o fit.json"
            raise RefusedError("no_draws", f"{side.name}: the fit has no draws, so nothing is known of its doubt", cure)
    a, b = first.fit, second.fit
    if a.data_sha256 == b.data_sha256 and a.runs == b.runs:
        raise RefusedError("same_runs", f"{first.name} and {second.name} are of the same runs", "give two recipes")
    for code, what, one, other, cure in (
        ("different_units", "losses in", a.unit, b.unit, "read both in one unit: --loss-unit"),
        ("different_eval_sets", "losses on", a.eval_set, b.eval_set, "evaluate both on one text; compare no others"),
        (
            "different_tokenizers",
            "tokens of",
            a.tokenizer,
            b.tokenizer,
            "compare losses per byte: --loss-unit bits/byte",
        ),
        ("different_losses", "the column", a.loss_column, b.loss_column, "take one loss of both: --map loss=COLUMN"),
    ):
        is_per_byte = code == "different_tokenizers" and "byte" in a.unit
        if one and other and one != other and not is_per_byte:
            raise RefusedError(code, f"{first.name} has {what} {one}, {second.name} {what} {other}", cure)


def comparability(first: Side, second: Side) -> Iterator[Check]:
    """What is doubtful or unknown about comparing two fits that were not refused."""
    a, b = first.fit, second.fit
    if not (a.eval_set and b.eval_set) and not (a.loss_column and a.loss_column == b.loss_column):
        told = [side.name for side in (first, second) if not side.fit.eval_set]
        evidence = f"which text the losses are on is not said of {' and '.join(told)}"
        yield Check("eval_set_unknown", "note", evidence, "make sure that it is one; a column `eval_set` says it")
    if a.params_column != b.params_column:
        evidence = f"N is {a.params_column} of {first.name} and {b.params_column} of {second.name}"
        yield Check("different_counts", "doubt", evidence, "fit both with one count of N: foretoken fit --params")
    per = a.flops_per_param_token / b.flops_per_param_token
    if not 1 / COUNTED_ALIKE < per < COUNTED_ALIKE:
        evidence = (
            f"FLOP per parameter and token: {a.flops_per_param_token:.3g} of {first.name},"
            f" {b.flops_per_param_token:.3g} of {second.name}"
        )
        yield Check("flops_counted_differently", "doubt", evidence, "count both in one way, or compare at equal tokens")
    one, other = a.ranges.flops, b.ranges.flops
    if one.high < other.low or other.high < one.low:
        evidence = (
            f"runs of {one.low:.3g} to {one.high:.3g} FLOP of {first.name}, of {other.low:.3g} to {other.high:.3g}"
            f" of {second.name}: no compute has runs of both"
        )
        yield Check("no_overlap", "doubt", evidence, "train both at some of the same budgets")
    if a.law != b.law or {law.law for law in a.laws} != {law.law for law in b.laws}:
        evidence = f"{first.name} is forecast by {a.law}, {second.name} by {b.law}"
        yield Check("different_laws", "note", evidence, "fit both with one law, so that its errors cancel")
