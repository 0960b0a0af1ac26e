"""Scores in wide form, a column for each task, made long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from foretoken.errors import TableError
from foretoken.fits.check import listed
from foretoken.runs.cells import numbers_in
from foretoken.runs.sources import proposals

if TYPE_CHECKING:
    import pandas as pd

METRICS = "err|error|acc|accuracy|score|em|exact_match|f1|ppl|perplexity|brier|acc_norm|pass@1"
_FIRST = re.compile(rf"({METRICS})[_/.](\w[^,]*)", re.IGNORECASE)
"""err_hellaswag, acc/arc_easy."""
_LAST = re.compile(rf"(\w.*?)[_/. ]({METRICS})(,[\w-]+)?", re.IGNORECASE)
"""hellaswag_acc, and lm-evaluation-harness's arc_easy/acc,none."""
_NOT = re.compile(r"(_se|_std|_stderr|_sem|_var|_ci|_lo95|_hi95|_low|_high|_n)(,[\w-]+)?$", re.IGNORECASE)
"""Ends of what stands beside a score."""
_LOSS = re.compile(r"(^|[_/.])loss($|[_/.])|^(train|val)[_/.]", re.IGNORECASE)


def as_long(frame: pd.DataFrame, rename: Mapping[str, str], source: str) -> tuple[pd.DataFrame, list[str]]:
    """The frame with one `score` per row, and a sentence where columns were taken for tasks.

    Raises TableError where no column is a score.

    >>> import pandas as pd
    >>> long, told = as_long(pd.DataFrame({"params": [1e8], "err_rte": [0.5], "acc_copa": [0.6]}), {}, "t.csv")
    >>> long[["task", "metric", "score"]].values.tolist()
    [['rte', 'err', 0.5], ['copa', 'acc', 0.6]]
    """
    import pandas as pd

    if "score" in frame:
        return frame, []
    found = {name: parts for name in map(str, frame.columns) if (parts := score_column(name))}
    if not found:
        raise TableError(
            f"{source} has no column for score",
            expected="`score` beside `task`, or a column per task: acc_TASK, err_TASK, score_TASK",
            got=listed(map(str, frame.columns), 30),
            cure=proposals(frame, ["score"]),
            code="missing_column",
        )
    others = frame.drop(columns=list(found))
    tables = [
        others.assign(task=task, metric=metric, score=numbers_in(frame[name], source))
        for name, (task, metric) in found.items()
    ]
    told = f"{len(found)} columns are read as scores of tasks: {listed((f'`{name}`' for name in found), 4)}"
    return pd.concat(tables, ignore_index=True), [told]


def score_column(name: str) -> tuple[str, str] | None:
    """The task and the metric that the name of a column says; None where it is no score.

    >>> score_column("err_arc_easy"), score_column("arc_easy/acc,none"), score_column("loss_c4_val")
    (('arc_easy', 'err'), ('arc_easy', 'acc'), None)
    """
    if _NOT.search(name) or _LOSS.search(name):
        return None
    if first := _FIRST.fullmatch(name):
        return first[2], first[1].lower()
    if last := _LAST.fullmatch(name):
        return last[1], last[2].lower()
    return None
