"""Which rows of a table a law is fitted to, and why others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.errors import RefusedError, TableError
from foretoken.fits.check import Check, listed, plural
from foretoken.fits.ladder_line import COLLINEAR
from foretoken.fits.law_columns import EVERY_TABLE, LawTable, law_table, vocabulary
from foretoken.fits.mixtures import mixtures
from foretoken.fits.outliers import MOST, outliers, without
from foretoken.fits.parts import Dropped, FittedRun
from foretoken.laws.law import Array, Indices, Law
from foretoken.runs.loss_units import NATS_PER_TOKEN, in_loss_unit
from foretoken.runs.table import SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd

OWN_BUDGET, NEXT_BUDGET = 0.1, 0.02
"""Largest spread of ln FLOP in one budget, and least step to the next where groups do not tell."""
PLAUSIBLE, PLAUSIBLE_LOSS = (1e-9, 1e40), (1e-9, 1e9)
"""Beyond these, in any unit, a number is a slip, and its powers overflow."""
NOT_ANNEALED = "not annealed"
FAR_ABOVE, ABOVE_GUESSING = "far above runs of like size and length", "above the loss of a uniform guess"
OFF_FRONTIER = 0.25
"""Share of the runs that another one of their budget, of another size, beats: from here a law of compute alone is told
that it is given more than a frontier. Two rungs of a ladder that meet in one budget by chance are fewer."""
FEWEST_SIZES = 4
"""Sizes of a budget from which approach 2 looks for its minimum."""
ONE_IS_A_POWER = "params and tokens move together: one is a power of the other in every run"
SPREAD = 0.02
"""Least spread of a feature, and of ln D around a line in ln N, that tells parameters apart (2 %)."""


@dataclass(frozen=True)
class Rows:
    """The runs that an analysis uses, as arrays [r]."""

    run: list[str]
    group: list[str | None]
    parent: list[str | None]
    params: Array
    tokens: Array
    flops: Array
    y: Array
    """What the law predicts: the loss, or the column that the law names."""
    params_column: str
    dropped: list[Dropped]
    """Rows that were left out."""
    repeated: int
    """Runs that saw tokens more than once."""
    skipped: int
    """Runs that left out steps or batches after a spike of the loss."""
    assumed: list[str]
    row_index: Indices = field(default_factory=lambda: np.array([], dtype=np.intp))
    """The row of each run in the table, from 0."""
    other_features: dict[str, Array] = field(default_factory=dict)
    """Further features that some laws read: `unique_tokens`, `experts`, ...; NaN where a run has none."""
    guessing: float | None = None
    """The loss of a uniform guess, ln of the vocabulary in nats per token; None where that is not known."""
    loss_unit: str = NATS_PER_TOKEN
    checks: list[Check] = field(default_factory=list)
    """What was set aside as no run of a law, by name."""

    def __len__(self) -> int:
        return len(self.y)

    def feature(self, name: str) -> Array:
        """One feature of the runs [r]. Raises TableError when the table does not have it for all of them."""
        columns = {"params": self.params, "tokens": self.tokens, "flops": self.flops} | self.other_features
        values = columns.get(name)
        if values is None or not (np.isfinite(values) & (values > 0)).all():
            got = "no such column" if values is None else "empty cells, or values not above 0"
            raise TableError(f"the law reads {name!r}", expected="a number above 0 for every run", got=got)
        return values

    def unit_of(self, law: Law) -> str:
        """The unit of what a law of these runs predicts."""
        return in_loss_unit(law.unit, self.loss_unit)

    def features(self, law: Law) -> Array:
        """What the law reads, as logarithms: x [r, f]."""
        x: Array = np.log(np.stack([self.feature(name) for name in law.features], axis=-1))
        return x

    def select(self, runs: Indices) -> Rows:
        """Some of the runs, by their numbers."""
        return replace(
            self,
            run=[self.run[i] for i in runs],
            group=[self.group[i] for i in runs],
            parent=[self.parent[i] for i in runs],
            params=self.params[runs],
            tokens=self.tokens[runs],
            flops=self.flops[runs],
            y=self.y[runs],
            row_index=self.row_index[runs],
            other_features={name: values[runs] for name, values in self.other_features.items()},
        )

    def fitted_runs(self, fitted: Array) -> list[FittedRun]:
        """Each run beside a curve's value for it: fitted [r]."""
        labels = zip(self.run, self.group, self.parent, strict=True)
        columns = zip(self.params, self.tokens, self.flops, self.y, fitted, strict=True)
        return [FittedRun(*names, *map(float, values)) for names, values in zip(labels, columns, strict=True)]


def clean_rows(table: RunTable, params: str = "auto", law: Law | None = None, *, keep_outliers: bool = False) -> Rows:
    """The usable rows: finished, annealed, with a finite loss and positive sizes, and not far above all others.

    `law` says what is predicted, where that is not the loss, and what is read. Raises TableError for a loss <= 0 or an
    unknown column, RefusedError for several validation sets, tokenizers or versions of the training software.
    """
    table.require_rows()
    columns = law_table(table.frame, law, params)
    reasons = _reasons(columns)
    used = reasons == ""
    # Only of what is used: a diverged run may have any loss, and a row that is left out any validation set.
    if law is None or law.is_logarithmic:
        _refuse_impossible(columns.y.reset_index(drop=True)[used.to_numpy()], columns.y_name)
    for mixture in mixtures(columns.frame[used]):
        raise mixture
    guessing = _guessing(columns.frame[used], columns.y_name, law, table.loss_unit)
    checks = [] if keep_outliers else _set_aside(columns, reasons, guessing, law)
    used = reasons == ""
    frame = columns.frame[used]
    counts = Counter(reason for reason in reasons if reason)
    assumed = [*table.assumed, *columns.assumed]
    if columns.flops is None:
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    flops = 6.0 * columns.params * columns.tokens if columns.flops is None else columns.flops
    return Rows(
        run=[str(run) for run in frame.get("run", frame.index)],
        group=_labels(frame, "group"),
        parent=_labels(frame, "parent"),
        params=_numbers(columns.params[used]),
        tokens=_numbers(columns.tokens[used]),
        flops=_numbers(flops[used]),
        y=_numbers(columns.y[used]),
        params_column=columns.params_column,
        dropped=[Dropped(reason, count) for reason, count in sorted(counts.items())],
        repeated=int((columns.tokens[used] > 1.001 * frame["unique_tokens"]).sum()) if "unique_tokens" in frame else 0,
        skipped=int((frame["skipped_steps"] > 0).sum()) if "skipped_steps" in frame else 0,
        assumed=assumed,
        row_index=np.flatnonzero(used.to_numpy()),
        other_features=columns.other_features(used),
        guessing=guessing,
        loss_unit=table.loss_unit,
        checks=checks,
    )


def _guessing(frame: pd.DataFrame, y_name: str, law: Law | None, loss_unit: str) -> float | None:
    """The loss of a uniform guess over the vocabulary of these rows, for a loss in nats per token."""
    is_in_nats = loss_unit == NATS_PER_TOKEN and (law is None or law.unit == NATS_PER_TOKEN)
    entries = vocabulary(frame) if y_name == "loss" and is_in_nats else None
    return None if entries is None else float(np.log(entries))


def _set_aside(columns: LawTable, reasons: pd.Series, guessing: float | None, law: Law | None) -> list[Check]:
    """Give rows of a loss that no law is of a reason to be left out, in `reasons`, and name them."""
    used = np.flatnonzero((reasons == "").to_numpy())
    if columns.y_name != "loss" or not len(used):
        return []
    loss = _numbers(columns.y)[used]
    above = np.flatnonzero(loss > (np.inf if guessing is None else guessing))
    found = {ABOVE_GUESSING: above} if len(above) <= MOST * len(used) else {}
    # What experts or repeated tokens do to a loss is not in its size and length.
    of_size_and_length = law is None or set(law.features) <= set(EVERY_TABLE)
    if of_size_and_length and "tokens" in columns.frame and any(name in columns.frame for name in SIZES):
        rest = np.setdiff1d(np.arange(len(used)), above)
        numbers = (_numbers(column)[used][rest] for column in (columns.params, columns.tokens, columns.y))
        found[FAR_ABOVE] = rest[outliers(*numbers)]
    for reason, runs in found.items():
        reasons.iloc[used[runs]] = reason
    left_out = np.isin(np.arange(len(used)), np.concatenate(list(found.values())) if found else [])
    if not left_out.any():
        return []
    names = _labels(columns.frame.iloc[used], "run")
    told = listed(f"{names[i] or f'row {used[i] + 1}'} ({loss[i]:.4g})" for i in np.flatnonzero(left_out))
    why = " or ".join(reason for reason, runs in found.items() if len(runs))
    evidence = f"{plural(int(left_out.sum()), 'run')} set aside, {why}: {told}"
    cure = f"look at the curves; say it yourself with {without(names, loss, left_out)}, or fit with --keep-outliers"
    return [Check("outlying_runs", "doubt", evidence, cure)]


def _numbers(column: pd.Series) -> Array:
    return np.asarray(column.to_numpy(dtype=np.float64))


def by_budget(group: Sequence[str | None], flops: Array) -> list[Indices]:
    """Indices of the runs of each compute budget, in order of compute.

    A group whose runs have equal FLOPs within 10 % is a budget; where groups are something else, or absent, runs that
    follow each other in compute by less than 2 % are.
    """
    compute = np.log(np.asarray(flops))
    members = [np.flatnonzero([label == name for label in group]) for name in sorted(set(map(str, group)))]
    if None in group or any(np.ptp(compute[runs]) > OWN_BUDGET for runs in members):
        # By gaps and not by widths: budgets lie factors apart, runs of one budget only by the rounding of their steps.
        order = np.argsort(compute, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(compute[order]) > NEXT_BUDGET) + 1)
    return sorted(members, key=lambda runs: float(compute[runs].mean()))


def refusals(rows: Rows, law: Law) -> Iterator[RefusedError]:
    """Every reason why no estimate of this law's parameters can mean anything, worst first."""
    need = len(law.parameters) + 1
    if len(rows) < need:
        left_out = "; ".join(f"{dropped.count} left out: {dropped.reason}" for dropped in rows.dropped)
        evidence = f"{len(rows)} usable runs for {len(law.parameters)} parameters" + (
            f" ({left_out})" if left_out else ""
        )
        yield RefusedError("too_few_runs", evidence, f"train at least {need} runs, better 12")
    if not len(rows):
        return
    x = rows.features(law)
    names = {"params": "one_size", "tokens": "one_token_count", "flops": "one_compute"}
    constant = [
        name
        for name, values in zip(law.features, x.T, strict=True)
        if np.ptp(values) < SPREAD and name not in law.may_be_constant
    ]
    for name in constant:
        evidence = f"all runs have the same {name} ({rows.feature(name)[0]:.4g})"
        yield RefusedError(names.get(name, f"one_{name}"), evidence, f"add runs with other {name}")
    if not constant and x.shape[1] == 2 and _spread_around_line(x) < SPREAD:
        evidence = ONE_IS_A_POWER.replace("params and tokens", " and ".join(law.features))
        yield _one_budget(rows) or RefusedError(
            COLLINEAR, evidence, f"vary {law.features[1]} at a fixed {law.features[0]}, for example an IsoFLOP grid"
        )
    if np.ptp(rows.y) < 1e-6 * np.abs(rows.y).max():
        yield RefusedError("equal_losses", f"all losses are {rows.y[0]:.6g}", "check the column of the loss")


def _one_budget(rows: Rows) -> RefusedError | None:
    """Runs of equal compute: what they tell, the best size of that compute; None for others."""
    if np.ptp(np.log(rows.flops)) > OWN_BUDGET:
        return None
    size, told = np.log(rows.params), "no minimum among its sizes"
    if len(np.unique(size)) >= FEWEST_SIZES:
        # Approach 2: loss = q u^2 + l u + c over u = ln N is least at -l / (2 q), where q > 0.
        bend, slope, _ = np.polyfit(size, rows.y, 2)
        best = -slope / (2 * bend) if bend > 0 else np.inf
        if size.min() < best < size.max():
            told = f"N* is {np.exp(best):.3g} there by approach 2"
    evidence = f"one budget ({np.exp(np.log(rows.flops).mean()):.3g} FLOP): {told}, and no forecast along compute"
    cure = "add a second budget; foretoken approaches gives the interval of N*"
    return RefusedError(COLLINEAR, evidence, cure)


def off_frontier(rows: Rows, law: Law) -> Iterator[Check]:
    """A law of compute alone, given several sizes per budget: it is of the best run of each."""
    if law.features != ("flops",) or law.column != "loss" or not len(rows):
        return
    several = [runs for runs in by_budget(rows.group, rows.flops) if np.ptp(np.log(rows.params[runs])) > SPREAD]
    beaten = sum(len(runs) - 1 for runs in several)
    if beaten >= OFF_FRONTIER * len(rows):
        evidence = (
            f"{beaten} of {len(rows)} runs are not the best of their budget ({plural(len(several), 'budget')} of"
            f" several sizes), and {law.name} is a law of the best"
        )
        cure = "fit the best run of each budget alone, or a law of N and D, such as coupled"
        yield Check("off_frontier", "doubt", evidence, cure)


def _spread_around_line(x: Array) -> float:
    """Standard deviation of a feature around a line in the other: the smallest singular value of the centred cloud."""
    return float(np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(x)))


def _reasons(columns: LawTable) -> pd.Series:
    """Why a row is left out, "" where it is used; the first reason that holds."""
    import pandas as pd

    frame, y, name = columns.frame, columns.y, columns.y_name
    reason = pd.Series("", index=frame.index)

    def leave_out(rows: Any, why: str) -> None:
        reason[(reason == "") & rows] = why

    # The status comes first: what became of a run is a better reason than the loss that it lacks because of it.
    if "status" in frame:
        for status in frame["status"].dropna().unique():
            if status != "finished":
                leave_out(frame["status"] == status, f"status is {status}")
    leave_out(y.isna(), f"{name} is missing")
    leave_out(~np.isfinite(y.astype(float)), f"{name} is infinite")
    limits, words = (PLAUSIBLE_LOSS, "1e-9 to 1e9") if name == "loss" else (PLAUSIBLE, "1e-9 to 1e40")
    leave_out((y > 0) & ~y.between(*limits), f"{name} is not within {words}")
    for count, values in columns.numbers().items():
        leave_out(~(np.isfinite(values.astype(float)) & (values > 0)), f"{count} is missing or not above 0")
        leave_out(~values.between(*PLAUSIBLE), f"{count} is not within 1e-9 to 1e40")
    if "annealed" in frame:
        leave_out(frame["annealed"].map(lambda flag: str(flag).lower() in ("false", "0", "0.0", "no")), NOT_ANNEALED)
    return reason


def _refuse_impossible(y: pd.Series, name: str) -> None:
    """Raise TableError where a column that is fitted by its logarithm is 0 or below."""
    wrong = y.index[y <= 0]
    if len(wrong):
        is_loss = name == "loss"
        raise TableError(
            "a loss cannot be 0 or below" if is_loss else f"this law's {name} is above 0",
            expected="losses above 0" if is_loss else "numbers above 0",
            got=f"{y[wrong[0]]:g} in row {wrong[0] + 1} ({len(wrong)} such rows)",
            cure="correct or remove these rows; an unfinished run has an empty loss",
            code="impossible_loss",
        )


def _labels(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame:
        return [None] * len(frame)
    return [
        None if missing or value == "" else str(value)
        for value, missing in zip(frame[name], frame[name].isna(), strict=True)
    ]
