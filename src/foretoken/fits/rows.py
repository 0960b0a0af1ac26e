"""Which rows of a table a law is fitted to, and why others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.errors import RefusedError, TableError
from foretoken.fits.law_columns import for_law, read_beside
from foretoken.fits.result import Dropped
from foretoken.laws.law import Array, Indices, Law
from foretoken.runs.table import SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd

OWN_BUDGET, NEXT_BUDGET = 0.1, 0.02
"""Largest spread of ln FLOP in one budget, and least step to the next where groups do not tell."""
PLAUSIBLE, PLAUSIBLE_LOSS = (1e-9, 1e40), (1e-9, 1e9)
"""Beyond these, in any unit, a number is a slip, and its powers overflow."""
NOT_ANNEALED = "not annealed"
MIXED = {
    "eval_set": ("mixed_eval_sets", "validation sets", "keep the rows of one"),
    "tokenizer": ("mixed_tokenizers", "tokenizers, whose nats per token do not compare", "keep the rows of one"),
    "software": (
        "mixed_software",
        "versions of the training software",
        "keep the rows of one, or leave the column out to mix them all the same",
    ),
}
"""What one law cannot be fitted across: {column: (code, what, cure)}."""
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
    loss: Array
    """What the law predicts: the loss, or the column that the law names."""
    params_column: str
    dropped: list[Dropped]
    """Rows that were left out."""
    repeated: int
    """Runs that saw tokens more than once."""
    skipped: int
    """Runs that left out steps or batches after a spike of the loss."""
    assumed: list[str]
    at: Indices = field(default_factory=lambda: np.array([], dtype=np.intp))
    """Where each run stands in the table, from 0."""

    def __len__(self) -> int:
        return len(self.loss)

    others: dict[str, Array] = field(default_factory=dict)
    """Further features that some laws read: `unique_tokens`, `experts`, ...; NaN where a run has none."""

    def feature(self, name: str) -> Array:
        """One feature of the runs [r]. Raises TableError when the table does not have it for all of them."""
        values = self.others[name] if name in self.others else getattr(self, name, None)
        if values is None or not (np.isfinite(values) & (np.asarray(values) > 0)).all():
            got = "no such column" if values is None else "empty cells, or values not above 0"
            raise TableError(f"the law reads {name!r}", expected="a number above 0 for every run", got=got)
        return np.asarray(values)

    def features(self, law: Law) -> Array:
        """What the law reads, as logarithms: x [r, f]."""
        x: Array = np.log(np.stack([self.feature(name) for name in law.features], axis=-1))
        return x


def clean_rows(table: RunTable, params: str = "auto", law: Law | None = None) -> Rows:
    """The usable rows: finished, annealed, with a finite loss and positive sizes.

    `law` says what is predicted, where that is not the loss, and what is read. Raises TableError for a loss <= 0 or an
    unknown column, RefusedError for several validation sets, tokenizers or versions of the training software.
    """
    if not len(table.frame):
        raise TableError(
            f"{table.source} holds no runs",
            expected="one row per run",
            got="an empty table",
            cure="export it again, with its rows",
            code="empty_table",
        )
    frame, said = (table.frame, []) if law is None else for_law(table.frame, law)
    column = _params_column(frame, params)
    for name in ("tokens", "loss"):
        if name not in frame:
            raise TableError(f"the table has no column {name!r}", cure="name it with --map")
    reasons = _reasons(frame, column, PLAUSIBLE_LOSS if law is None or law.column == "loss" else PLAUSIBLE)
    if law is None or law.target == "log":
        used = frame["loss"].reset_index(drop=True)[(reasons == "").to_numpy()]
        _refuse_impossible_loss(used, law.column if law else "loss")
    kept = frame[reasons == ""]
    for mixture in mixtures(kept):
        raise mixture
    counts = Counter(reason for reason in reasons if reason)
    assumed = [*table.assumed, *said]
    flops = kept["flops"] if "flops" in kept else 6.0 * kept[column] * kept["tokens"]
    if "flops" not in kept:
        assumed.append("`flops` is missing and taken as 6 x params x tokens")
    return Rows(
        run=[str(run) for run in kept.get("run", kept.index)],
        group=_labels(kept, "group"),
        parent=_labels(kept, "parent"),
        params=kept[column].to_numpy(dtype=np.float64),
        tokens=kept["tokens"].to_numpy(dtype=np.float64),
        flops=flops.to_numpy(dtype=np.float64),
        loss=kept["loss"].to_numpy(dtype=np.float64),
        params_column=column,
        dropped=[Dropped(reason, count) for reason, count in sorted(counts.items())],
        repeated=int((kept["tokens"] > 1.001 * kept["unique_tokens"]).sum()) if "unique_tokens" in kept else 0,
        skipped=int((kept["skipped_steps"] > 0).sum()) if "skipped_steps" in kept else 0,
        assumed=assumed,
        at=np.flatnonzero((reasons == "").to_numpy()),
        others=read_beside(kept),
    )


def by_budget(group: Sequence[str | None], flops: Array) -> list[Indices]:
    """Indices of the runs of each compute budget, in order of compute.

    A group whose runs have equal FLOPs within 10 % is a budget; where groups are something else, or absent, runs that
    follow each other in compute by less than 2 % are.
    """
    compute = np.log(np.asarray(flops))
    members = [np.flatnonzero([name == one for name in group]) for one in sorted(set(map(str, group)))]
    if None in group or any(np.ptp(compute[here]) > OWN_BUDGET for here in members):
        order = np.argsort(compute, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(compute[order]) > NEXT_BUDGET) + 1)
    return sorted(members, key=lambda here: float(compute[here].mean()))


def refuse_unidentified(rows: Rows, law: Law) -> None:
    """Raise RefusedError when no estimate of this law's parameters can mean anything."""
    for refusal in refusals(rows, law):
        raise refusal


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
    still = [
        name
        for name, values in zip(law.features, x.T, strict=True)
        if np.ptp(values) < SPREAD and name not in law.may_be_constant
    ]
    for name in still:
        evidence = f"all runs have the same {name} ({rows.feature(name)[0]:.4g})"
        yield RefusedError(names.get(name, f"one_{name}"), evidence, f"add runs with other {name}")
    if not still and x.shape[1] == 2 and _spread_around_line(x) < SPREAD:
        evidence = "params and tokens move together: one is a power of the other in every run"
        yield RefusedError("collinear", evidence, "vary tokens at a fixed size, for example an IsoFLOP grid")
    if np.ptp(rows.loss) < 1e-6 * np.abs(rows.loss).max():
        yield RefusedError("equal_losses", f"all losses are {rows.loss[0]:.6g}", "check the column of the loss")


def _spread_around_line(x: Array) -> float:
    """Standard deviation of a feature around a line in the other: the smallest singular value of the centred cloud."""
    return float(np.linalg.svd(x - x.mean(axis=0), compute_uv=False)[-1] / np.sqrt(len(x)))


def _params_column(frame: pd.DataFrame, params: str) -> str:
    known = [name for name in SIZES if name in frame and frame[name].notna().any()]
    if params == "auto" and known:
        return known[0]
    if params not in known:
        raise TableError(
            f"the table has no numbers for N in {params!r}",
            expected=", ".join(known or SIZES),
            got=params,
            cure="name the column: --params, or --map params_total=YOUR_COLUMN",
            code="missing_column",
        )
    return params


def _reasons(frame: pd.DataFrame, column: str, limits: tuple[float, float]) -> pd.Series:
    """Why a row is left out, "" where it is used; the first reason that holds."""
    import pandas as pd

    reason = pd.Series("", index=frame.index)

    def leave_out(rows: Any, why: str) -> None:
        reason[(reason == "") & rows] = why

    if "status" in frame:
        for status in frame["status"].dropna().unique():
            if status != "finished":
                leave_out(frame["status"] == status, f"status is {status}")
    leave_out(frame["loss"].isna(), "loss is missing")
    leave_out(~np.isfinite(frame["loss"].astype(float)), "loss is infinite")
    within = f"loss is not within 1e-9 to {'1e9' if limits is PLAUSIBLE_LOSS else '1e40'}"
    leave_out((frame["loss"] > 0) & ~frame["loss"].between(*limits), within)
    for name in (column, "tokens") + (("flops",) if "flops" in frame else ()):
        leave_out(~(np.isfinite(frame[name].astype(float)) & (frame[name] > 0)), f"{name} is missing or not above 0")
        leave_out(~frame[name].between(*PLAUSIBLE), f"{name} is not within 1e-9 to 1e40")
    if "annealed" in frame:
        leave_out(frame["annealed"].map(lambda flag: str(flag).lower() in ("false", "0", "0.0", "no")), NOT_ANNEALED)
    return reason


def _refuse_impossible_loss(loss: pd.Series, what: str) -> None:
    wrong = loss.index[loss <= 0]
    if len(wrong):
        raise TableError(
            "a loss in nats per token cannot be 0 or below" if what == "loss" else f"this law's {what} is above 0",
            expected="losses above 0" if what == "loss" else "numbers above 0",
            got=f"{loss[wrong[0]]:g} in row {wrong[0] + 1} ({len(wrong)} such rows)",
            cure="correct or remove these rows; an unfinished run has an empty loss",
            code="impossible_loss",
        )


def mixtures(kept: pd.DataFrame) -> Iterator[RefusedError]:
    """Several validation sets, tokenizers or versions of the software among rows."""
    for column, (code, what, cure) in MIXED.items():
        values = sorted(map(str, kept[column].dropna().unique())) if column in kept else []
        if len(values) > 1:
            shown = ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
            yield RefusedError(code, f"{len(values)} {what}: {shown}", cure)


def _labels(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame:
        return [None] * len(frame)
    return [
        None if missing or value == "" else str(value)
        for value, missing in zip(frame[name], frame[name].isna(), strict=True)
    ]
