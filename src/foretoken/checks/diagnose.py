"""Every named doubt that a table's columns allow, each with its evidence and its cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from foretoken.arguments import named_arguments
from foretoken.checks import curves, fit, recipe
from foretoken.checks.conventions import Conventions, conventions_of
from foretoken.checks.table_view import TableCheck, TableView, view_table
from foretoken.fits import table_checks, unit_checks
from foretoken.fits.check import Check, worst_first
from foretoken.fits.parts import RowCounts
from foretoken.results import Result
from foretoken.runs.loss_units import NATS_PER_TOKEN
from foretoken.runs.reading import AnyTable, as_table

if TYPE_CHECKING:
    import pandas as pd

CHECKS: list[TableCheck] = [
    *table_checks.CHECKS,
    *unit_checks.CHECKS,
    *recipe.CHECKS,
    *curves.CHECKS,
    *fit.CHECKS,
]


@dataclass(frozen=True)
class Unchecked:
    """A check that a table's columns do not allow."""

    what: str
    """What could not be looked for."""
    codes: tuple[str, ...]
    columns: tuple[str, ...]
    """Any one of these would allow it."""


NEEDS: tuple[Unchecked, ...] = (
    Unchecked("points that share a trajectory", ("shared_trajectories", "undeclared_trajectories"), ("parent", "run")),
    Unchecked("learning rates that were not brought down", ("unannealed_points",), ("annealed", "schedule")),
    Unchecked("points on the way of a schedule set for a longer run", ("wrong_horizon",), ("schedule",)),
    Unchecked("warm-up that takes a large share of short runs", ("long_warmup",), ("warmup_tokens",)),
    Unchecked(
        "a learning rate at the end of its sweep", ("learning_rate_edge", "one_learning_rate"), ("learning_rate",)
    ),
    Unchecked("a batch at the end of its sweep", ("batch_edge",), ("batch_tokens",)),
    Unchecked("the embedding's share of N", ("embedding_share",), ("params_non_embedding",)),
    Unchecked("active parameters that differ from all", ("active_differs",), ("params_active",)),
    Unchecked("attention left out of the FLOPs", ("attention_left_out",), ("layers",)),
    Unchecked("tokens seen more than once", ("repeated_tokens",), ("unique_tokens",)),
    Unchecked("diverged runs", ("diverged_runs",), ("status",)),
    Unchecked("several validation sets", ("mixed_eval_sets",), ("eval_set",)),
    Unchecked("several tokenizers", ("mixed_tokenizers",), ("tokenizer",)),
    Unchecked("several corpora", ("mixed_corpora",), ("corpus",)),
    Unchecked("recorded FLOPs against 6 N D", ("flops_inconsistent",), ("flops",)),
)
"""What is looked for beyond the checks that every table allows."""


@dataclass(frozen=True)
class Diagnosis(Result, rows="checks"):
    """What is doubtful about a table, and what its conventions do to it."""

    checks: list[Check]
    """Worst first."""
    rows: RowCounts
    params_column: str
    flops: str
    """How the recorded FLOPs relate to 6 N D."""
    assumed: list[str]
    conventions: Conventions
    unchecked: list[Unchecked] = field(default_factory=list)
    """What the table's columns did not allow to look for."""
    loss_unit: str = NATS_PER_TOKEN
    """What the losses are in."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the keys of the contract."""
        return {
            "checks": [asdict(check) for check in self.checks],
            "conventions": {
                "params": self.params_column,
                "flops": self.flops,
                "loss": self.loss_unit,
                **self.conventions.to_json(),
            },
            "rows": asdict(self.rows),
            "assumed": self.assumed,
            "unchecked": [asdict(entry) for entry in self.unchecked],
            "loss_unit": self.loss_unit,
        }


@named_arguments
def diagnose(
    table: AnyTable,
    *,
    params: str = "auto",
    seed: int = 0,
    loss_unit: str = "",
    rename: Mapping[str, str] | None = None,
    where: str = "",
) -> Diagnosis:
    """Look at a table, also at one that a fit would refuse.

    Args:
        table: the runs: as `read_table` gives them, a frame (pandas, polars, ...), or a file's path.
        params: the column that is N, or auto.
        seed: of the bootstrap draws behind some checks.
        loss_unit: what the loss is in, as for `read_table`: `bits/byte`, `perplexity`, ...
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.

    Raises TableError when columns are missing.

    """
    view = view_table(as_table(table, loss_unit=loss_unit, rename=rename, where=where), params, seed)
    return Diagnosis(
        checks=checks_of(view),
        rows=RowCounts(len(view.rows), view.rows.dropped),
        params_column=view.rows.params_column,
        flops=_flops(view),
        assumed=list(dict.fromkeys([*view.assumed, *view.rows.assumed])),
        conventions=_conventions(view),
        unchecked=unchecked(view.frame),
        loss_unit=view.rows.loss_unit,
    )


def unchecked(frame: pd.DataFrame) -> list[Unchecked]:
    """Checks that a table's columns do not allow: none of them is there, or all that are there are empty.

    >>> import pandas as pd
    >>> every_column_but_one = pd.DataFrame({need.columns[0]: [1.0] for need in NEEDS[1:]})
    >>> [entry.columns for entry in unchecked(every_column_but_one)]
    [('parent', 'run')]
    """
    return [need for need in NEEDS if not any(name in frame and frame[name].notna().any() for name in need.columns)]


def checks_of(view: TableView) -> list[Check]:
    """Every check that fires, once, worst first."""
    return worst_first(check for look in CHECKS for check in look(view))


def _conventions(view: TableView) -> Conventions:
    if view.fit is None:
        return Conventions([], [], view.rows.params_column, [], view.refusal)
    return conventions_of(view.table, view.rows, view.fit, 0.9)


def _flops(view: TableView) -> str:
    if not len(view.rows):
        return "no usable row"
    per = view.rows.flops / (view.rows.params * view.rows.tokens)
    return f"{per.min():.3g} to {per.max():.3g} FLOP per parameter ({view.rows.params_column}) and token; 6 N D is 6"
