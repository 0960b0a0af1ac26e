"""A table of many recipes, as one value for each recipe at each size and length, with the scatter of its seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import numpy as np

from foretoken.abilities.metrics import asked_direction, direction_by_name
from foretoken.arguments import check_level, did_you_mean
from foretoken.decisions.pair import cell_of
from foretoken.decisions.sides import recipes_of
from foretoken.errors import ForetokenError, RefusedError, TableError
from foretoken.fits.check import listed
from foretoken.fits.mixtures import mixtures
from foretoken.laws.law import Array
from foretoken.runs.cells import as_word, numbers_in
from foretoken.runs.reading import AnyTable, as_table
from foretoken.runs.table import SIZES, RunTable

if TYPE_CHECKING:
    import pandas as pd

LEAST_SHARED = 0.8
"""Share of the recipes that have runs of a size and length for it to be a size of the ladder."""


@dataclass(frozen=True)
class RecipesRequest:
    """Which table of recipes is ranked, and by what.

    Args:
        table: runs of many recipes at several sizes.
        by: the column that tells recipes apart.
        score: the column that is ranked, where it is not the loss.
        better: `higher` or `lower`: which value of `score` is the better one, where its name does not say.
        level: probability that an interval holds.
        loss_unit: what the loss is in, as for `read_table`.
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.

    """

    table: AnyTable
    by: str
    _: KW_ONLY
    score: str = ""
    better: str = ""
    level: float = 0.9
    loss_unit: str = ""
    rename: Mapping[str, str] | None = None
    where: str = ""

    def __post_init__(self) -> None:
        check_level(self.level)
        asked = asked_direction(self.better)
        if self.is_loss and asked == "up":
            cure = "leave out --better, or name a column: --score accuracy --better higher"
            raise ForetokenError("of a loss the lower one is better", got=f"--better {self.better}", cure=cure)
        if not (self.is_loss or asked or direction_by_name(self.score)):
            raise ForetokenError(
                f"whether more or less is better is not known of {self.score!r}",
                expected="a name such as acc, exact_match, f1, err, ppl",
                cure="say it: --better higher, or --better lower",
            )

    @property
    def is_loss(self) -> bool:
        """Whether recipes are ranked by their loss."""
        return self.score in ("", "loss")

    @property
    def ranked(self) -> str:
        """The column that is ranked."""
        return "loss" if self.is_loss else self.score

    @property
    def higher(self) -> bool:
        """Whether a higher value is the better one."""
        return not self.is_loss and (asked_direction(self.better) or direction_by_name(self.score)) == "up"


BEYOND_ALL = 1e60
"""No amount of parameters, tokens or FLOP."""


@dataclass(frozen=True)
class Ladder:
    """Recipes r at sizes s, from the least compute to the most; NaN where a recipe has no run of a size."""

    recipes: list[str]
    params: Array
    """[s]"""
    tokens: Array
    """[s]"""
    flops: Array
    """[s], of one run."""
    spent: Array
    """[s], of the runs of all recipes and seeds."""
    merit: Array
    """Mean over seeds of -ln loss, or of the score with its better side up [r, s]."""
    halves: tuple[Array, Array]
    """The same of two halves of the runs, every second one of a recipe and size in each [r, s]; NaN where there is one.
    How far they agree on the order at the target says how much of a wrong order may be the noise of runs."""
    seeds: int
    """Most runs of a recipe at a size."""
    assumed: tuple[str, ...]


def read_ladder(request: RecipesRequest) -> Ladder:
    """The ladder of a table of recipes.

    Raises RefusedError for one recipe, fewer than two sizes, or losses of several texts; TableError for no such column.
    """
    need = ("params", "tokens", *(["loss"] if request.is_loss else []))
    table = as_table(request.table, need, request.loss_unit, request.rename, request.where)
    recipes = recipes_of(table, request.by)
    for mixture in mixtures(table.frame):
        raise mixture
    size = next(name for name in SIZES if name in table.frame)
    frame = table.frame.assign(recipe=table.frame[request.by].map(as_word), merit=_merit(request, table))
    told = frame["merit"].notna() & (frame["recipe"] != "")
    for name in (size, "tokens", "flops"):
        told &= (frame[name] > 0) & (frame[name] < BEYOND_ALL)
    frame = frame[told]
    cells = np.array([cell_of(n, d) for n, d in zip(frame[size], frame["tokens"], strict=True)]).reshape(-1, 2)
    groups = frame.assign(size_cell=cells[:, 0], length_cell=cells[:, 1]).groupby(["size_cell", "length_cell"])
    shared = [group for _, group in groups if group["recipe"].nunique() >= max(2, LEAST_SHARED * len(recipes))]
    shared.sort(key=lambda group: float(group["flops"].median()))
    if len(shared) < 2:
        evidence = f"{len(shared)} size and length with runs of {100 * LEAST_SHARED:.0f} % of {len(recipes)} recipes"
        raise RefusedError("no_common_sizes", evidence, "train every recipe at the same sizes and lengths")
    sides = [np.array([[_mean(group, name, part) for group in shared] for name in recipes]) for part in (None, 0, 1)]
    dropped = len(frame) - sum(map(len, shared))
    left_out = (f"{dropped} runs of sizes and lengths that too few recipes have are left out",) if dropped else ()
    return Ladder(
        recipes=recipes,
        params=np.array([float(group[size].median()) for group in shared]),
        tokens=np.array([float(group["tokens"].median()) for group in shared]),
        flops=np.array([float(group["flops"].median()) for group in shared]),
        spent=np.array([float(group["flops"].sum()) for group in shared]),
        merit=sides[0],
        halves=(sides[1], sides[2]),
        seeds=max(int(group.groupby("recipe").size().max()) for group in shared),
        assumed=(*table.assumed, *left_out),
    )


def _merit(request: RecipesRequest, table: RunTable) -> pd.Series:
    """What is ranked, more being better: -ln loss, or the score as it is or turned round."""
    name, frame = request.ranked, table.frame
    if name not in frame:
        known = list(map(str, frame.columns))
        raise TableError(f"no column {name!r}", expected=listed(known, 20), cure=did_you_mean(name, known))
    values = numbers_in(frame[name], table.source)
    if not values.notna().any():
        evidence = f"{name!r} is empty or NaN in all {len(values)} rows"
        raise RefusedError("not_finite", evidence, "fill the cells, or take another column: --score COLUMN")
    if np.isinf(values).any():
        cure = "remove these rows, or leave the cells empty"
        raise RefusedError("not_finite", f"{name!r} holds infinite numbers", cure)
    if not request.is_loss:
        return values if request.higher else -values
    if (values <= 0).any():
        raise TableError("a loss cannot be 0 or below", got=f"{values.min():g}", cure="correct or remove these rows")
    return values.map(np.log).mul(-1.0)


def _mean(group: pd.DataFrame, recipe: str, half: int | None) -> float:
    """The mean merit of a recipe's runs, all of them or every second one from the first or from the second on.

    NaN where there are none, and of a half of a single run.
    """
    values = group.loc[group["recipe"] == recipe, "merit"].to_numpy(dtype=np.float64)
    if half is not None:
        values = values[half::2] if len(values) > 1 else values[:0]
    return float(values.mean()) if len(values) else np.nan
