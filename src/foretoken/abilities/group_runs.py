"""GroupRuns: the runs of one group of a score table, one row each, with their scores on every task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foretoken.abilities.axes import CurveName
from foretoken.abilities.bounded_curves import angle, score_of
from foretoken.errors import TableError
from foretoken.fits.check import Check, listed, plural
from foretoken.laws.law import Array, Indices

if TYPE_CHECKING:
    import pandas as pd

    from foretoken.abilities.table import ScoreTable

Flags: TypeAlias = NDArray[np.bool_]
FLOPS_PER = 6.0
"""FLOP per parameter and token, where a table has no tokens or no FLOP of its own."""
SHARE_OF_CHOICE = ("prob", "probability", "likelihood", "p")
"""Metrics that are the probability of the right answer: its loss is -ln p."""


class Sizes(NamedTuple):
    """Runs by what is known of them before they are trained, [t] each."""

    params: Array
    tokens: Array
    flops: Array

    def logarithms(self) -> Array:
        """Ln params and ln tokens [t, 2]."""
        return np.log(np.stack([self.params, self.tokens], axis=1))


@dataclass(frozen=True)
class GroupRuns:
    """The runs of one group, r, and their scores on each task, k.

    Scores are fractions of which more is better: an error e stands as 1 - e.
    """

    group: str
    run: tuple[str, ...]
    sizes: Sizes
    loss: Array
    """NaN where the table has none [r]."""
    tasks: tuple[CurveName, ...]
    falls: Flags
    """Whether less is better in the table's own metric [k]."""
    score: Array
    """NaN where a run has none [r, k]."""
    chance: Array
    """What guessing gives, NaN where it is not known [k]."""
    ceiling: Array
    noise: Array
    """Standard deviation of one evaluation, of arcsin sqrt(score): by its standard errors, else its items; NaN where
    neither is known [k]."""
    task_loss: Array
    """Loss of the task's own right answers, NaN where the table has none [r, k]."""

    def __len__(self) -> int:
        return len(self.run)

    @property
    def has_loss(self) -> bool:
        """Whether every run has a loss."""
        return bool(np.isfinite(self.loss).all())

    def counted(self, at: Sizes) -> Sizes:
        """Runs with FLOP as those of this group are counted: by the median per parameter and token."""
        per = np.median(self.sizes.flops / (self.sizes.params * self.sizes.tokens))
        return at._replace(flops=float(per) * at.params * at.tokens)

    def of(self, kept: Indices | Flags) -> GroupRuns:
        """Those of its runs that are kept, by a flag for each or by their places."""
        return replace(
            self,
            run=tuple(np.array(self.run)[kept]),
            sizes=Sizes(*(values[kept] for values in self.sizes)),
            loss=self.loss[kept],
            score=self.score[kept],
            task_loss=self.task_loss[kept],
        )

    def in_own_direction(self, score: Array) -> Array:
        """Scores [..., k] as the table's own metrics tell them, and back."""
        return np.where(self.falls, 1.0 - score, score)

    def told(self, angles: Array) -> Array:
        """Scores in the table's own metric of angles [..., k]."""
        return self.in_own_direction(score_of(angles))

    def angles(self) -> Array:
        """The measured scores as angles [r, k]."""
        return np.where(np.isfinite(self.score), angle(np.nan_to_num(self.score)), np.nan)


def groups_of(table: ScoreTable, tasks: tuple[str, ...]) -> tuple[list[GroupRuns], list[Check]]:
    """The runs of each group of a score table, with the tasks named (all, where none is), and what was left out.

    Raises TableError for a task that is not there, or where nothing is left.
    """
    frame = table.frame.assign(flops=_flops(table.frame), tokens=_tokens(table.frame, table.source))
    known = set(frame["task"])
    unknown = [task for task in tasks if task not in known]
    if unknown:
        raise TableError(
            f"--tasks: {table.source} has no task {unknown[0]!r}", expected=listed(sorted(known), 60), code="no_task"
        )
    bounded = frame[frame["unit"] != "raw"]
    of_right_answer = bounded["metric"].str.lower().isin(SHARE_OF_CHOICE)
    scores = bounded[~of_right_answer]
    if scores.empty:
        raise TableError(
            f"{table.source} has no score with bounds",
            expected="fractions or percent: accuracy, error, exact match, ...",
            cure="name the column: --map score=COLUMN",
            code="unbounded_scores",
        )
    checks = list(_left_out(frame, scores, of_right_answer[of_right_answer].index))
    wanted = scores[scores["task"].isin(tasks)] if tasks else scores
    found = [_group(str(name), rows, frame) for name, rows in wanted.groupby("group", sort=False)]
    return found, checks


def _left_out(frame: pd.DataFrame, scores: pd.DataFrame, own_losses: pd.Index) -> Iterator[Check]:
    rest = frame.drop(scores.index).drop(own_losses)
    alone = sorted(set(rest["task"]) - set(scores["task"]))
    if alone:
        evidence = f"{plural(len(alone), 'task')} without bounds: {listed(alone)}"
        yield Check("unbounded_metric", "note", evidence, "a score with bounds of the same task can be forecast")


def _flops(frame: pd.DataFrame) -> pd.Series:
    return frame["flops"].fillna(FLOPS_PER * frame["params"] * frame["tokens"])


def _tokens(frame: pd.DataFrame, source: str) -> pd.Series:
    """Tokens, from FLOP where they are missing. Raises TableError where sizes or both are missing."""
    tokens = frame["tokens"].fillna(frame["flops"] / (FLOPS_PER * frame["params"]))
    if frame["params"].isna().any() or tokens.isna().any():
        missing = "params" if frame["params"].isna().any() else "tokens"
        raise TableError(
            f"{source} does not tell {missing} of every run",
            expected="params, and tokens or flops",
            cure=f"name the column: --map {missing}=COLUMN",
            code="missing_column",
        )
    return tokens


RUN = ["run", "params", "tokens", "flops", "loss"]


def _group(name: str, rows: pd.DataFrame, frame: pd.DataFrame) -> GroupRuns:
    """The runs of one group from their rows of scores; `frame` has those of losses of tasks, too."""
    import pandas as pd

    columns = rows[["task", "metric", "shots"]].apply(tuple, axis=1)
    rows = rows.assign(loss=rows["loss"].fillna(-1.0), column=columns)
    wide = rows.pivot_table(index=RUN, columns="column", values="score", aggfunc="mean", sort=False)
    first = rows.drop_duplicates("column").set_index("column").loc[list(wide.columns)]
    index = wide.index.to_frame(index=False)
    falls = (first["better"] == "down").to_numpy()
    up = np.where(falls, 1.0 - wide.to_numpy(), wide.to_numpy())
    # Arcsin sqrt of a proportion of n items has variance 1 / (4 n), whatever the proportion (Anscombe 1948).
    by_error = _noise(rows).reindex(wide.columns).to_numpy(dtype=np.float64)
    levels = {bar: first[bar].to_numpy(dtype=np.float64) for bar in ("chance", "ceiling", "n")}
    chance, ceiling = (np.where(falls, 1.0 - levels[bar], levels[bar]) for bar in ("chance", "ceiling"))
    loss = index["loss"].to_numpy(dtype=np.float64)
    order = np.argsort(index["flops"].to_numpy(), kind="stable")
    own = frame[(frame["group"] == name) & frame["task"].isin(first["task"])]
    found = GroupRuns(
        group=name,
        run=tuple(map(str, index["run"])),
        sizes=Sizes(*(index[axis].to_numpy(dtype=np.float64) for axis in ("params", "tokens", "flops"))),
        loss=np.where(loss > 0, loss, np.nan),
        tasks=tuple(CurveName(name, *map(str, key)) for key in wide.columns),
        falls=falls,
        score=up,
        chance=chance,
        ceiling=np.where(np.isfinite(ceiling), ceiling, 1.0),
        noise=np.where(np.isfinite(by_error), by_error, 0.5 / np.sqrt(levels["n"])),
        task_loss=_own_losses(own, pd.MultiIndex.from_frame(index[RUN[:4]]), [key[0] for key in wide.columns]),
    )
    return found.of(order)


def _noise(rows: pd.DataFrame) -> pd.Series:
    """What the standard errors of a curve's scores are on arcsin sqrt(score), in the middle; NaN where there are none.

    A score of 0 or 1 has an error of 0, which says nothing of the next one.
    """
    known = rows[(rows["score_se"] > 0) & (rows["score"] > 0) & (rows["score"] < 1)]
    error = known["score_se"] / (2.0 * np.sqrt(known["score"] * (1.0 - known["score"])))
    return error.groupby(known["column"]).median()


def _own_losses(rows: pd.DataFrame, runs: pd.MultiIndex, tasks: list[str]) -> Array:
    """Losses of the right answers of each task [r, k]; NaN where the rows have none."""
    metric = rows["metric"].str.lower()
    share = metric.isin(SHARE_OF_CHOICE)
    kept = rows[share | metric.str.fullmatch(r"(.*[_ ])?(loss|nll|ce|xent|bpb|bits_per_byte)")]
    # Of a probability p the loss is -ln p; a wrong answer given for sure has none.
    values = np.where(share[kept.index], -np.log(np.clip(kept["score"], 1e-12, 1.0)), kept["score"])
    own = kept.assign(value=values).groupby([*RUN[:4], "task"])["value"].mean().unstack("task")
    return np.asarray(own.reindex(index=runs, columns=tasks).to_numpy(dtype=np.float64))
