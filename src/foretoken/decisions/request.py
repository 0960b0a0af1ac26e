"""What a comparison of two recipes is asked: the two, the compute, and which run of each stands for a compute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from foretoken.arguments import check_level, check_positive
from foretoken.errors import ForetokenError
from foretoken.fits.result import AnyFit, Fit
from foretoken.forecasts.forecast import interval_kind
from foretoken.laws import WEIGHED, find_law
from foretoken.laws.law import Array, Law
from foretoken.plans.loss_model import fitted
from foretoken.plans.split_search import best_split
from foretoken.runs.reading import AnyTable
from foretoken.units import parse_count, parse_flops


@dataclass(frozen=True)
class Split:
    """How compute is spent: by `params`, by `tokens`, by both (their ratio), or at the best where neither is given."""

    params: float | None = None
    tokens: float | None = None

    def runs(self, fit: Fit, flops: Array) -> list[Mapping[str, float]]:
        """What is known of the run of each compute [r], by feature.

        Raises RefusedError where a law has no best split of a compute.

        >>> import foretoken
        >>> fit = foretoken.fit("sample", "chinchilla", draws=50)
        >>> run, = Split(params=1e6).runs(fit, np.array([6e13]))
        >>> round(run["tokens"] * fit.flops_per_param_token * 1e6 / 6e13, 6)
        1.0
        """
        if not ({"params", "tokens"} & set(find_law(fit.law).features)) and not fit.ladder and not self._is_given:
            return [{"flops": float(budget)} for budget in flops]
        params = self._params(fit, flops)
        tokens = flops / fit.flops_per_param_token / params
        columns = zip(params.tolist(), tokens.tolist(), flops.tolist(), strict=True)
        return [{"params": n, "tokens": d, "flops": c} for n, d, c in columns]

    @property
    def _is_given(self) -> bool:
        return self.params is not None or self.tokens is not None

    def _params(self, fit: Fit, flops: Array) -> Array:
        """The size of the run of each compute."""
        product = flops / fit.flops_per_param_token
        if self.params is not None and self.tokens is not None:
            return np.asarray(np.sqrt(product * self.params / self.tokens))
        if self.params is not None:
            return np.full_like(product, self.params)
        if self.tokens is not None:
            return np.asarray(product / self.tokens)
        if fit.ladder:
            return np.array([fit.ladder.split(budget, fit.flops_per_param_token)[0] for budget in flops])
        return best_split(fitted(fit).point_estimate, flops)[0]

    def text(self, first: Fit, second: Fit) -> str:
        """How compute is spent, in words."""
        if self.params is not None and self.tokens is not None:
            return f"at {self.tokens / self.params:.3g} tokens per parameter"
        if self.params is not None:
            return f"at {self.params:.3g} parameters"
        if self.tokens is not None:
            return f"at {self.tokens:.3g} tokens"
        kinds = [_own_split(fit) for fit in (first, second)]
        return f"each {kinds[0]}" if kinds[0] == kinds[1] else f"the first {kinds[0]}, the second {kinds[1]}"


def _own_split(fit: Fit) -> str:
    if fit.ladder:
        return "along its own ladder"
    return "at its best split" if {"params", "tokens"} & set(find_law(fit.law).features) else "by its law of compute"


@dataclass(frozen=True)
class VersusRequest:
    """Which two recipes are compared, and where.

    Args:
        a: the first: a fit, a table of runs, or the path of either; a table of both recipes with `by`.
        b: the second, in the same ways; nothing where `by` tells the recipes of one table apart.
        compute: the training compute at which to decide, in FLOP: 1e21 or "1e21 FLOP".
        params: the size of both runs, instead of each recipe's best; with tokens, their ratio.
        tokens: the training tokens of both runs, alike.
        by: the column that tells recipes apart.
        first: the recipe of `by` that is the first; the first's name where there are two tables.
        second: the same of the second.
        law: the law that is fitted to a table, as for `fit`.
        level: probability that an interval holds.
        kind: `mean` (the recipes themselves: their expected losses) or `new-run` (one new run of each).
        loss_unit: what the loss of a table is in, as for `read_table`.
        rename: columns of a table by other names, as for `read_table`.
        where: which rows of a table to read, as for `read_table`.

    """

    a: AnyFit | AnyTable
    b: AnyFit | AnyTable | None = None
    _: KW_ONLY
    compute: str | float | None = None
    params: str | float | None = None
    tokens: str | float | None = None
    by: str = ""
    first: str = ""
    second: str = ""
    law: str | Law = WEIGHED
    level: float = 0.9
    kind: str = "mean"
    loss_unit: str = ""
    rename: Mapping[str, str] | None = None
    where: str = ""

    def __post_init__(self) -> None:
        check_level(self.level)
        interval_kind(self.kind)
        if self.b is None and not self.by:
            raise ForetokenError(
                "a comparison is of two recipes",
                expected="two fits or tables, or one table with a column that tells recipes apart",
                got="one, and no such column",
                cure="give a second fit or table, or --by COLUMN --first X --second Y",
            )
        if self.b is not None and self.by:
            cure = "leave out --by, or the second table; --where chooses rows of both"
            raise ForetokenError("two tables and a column that tells recipes apart", got=f"--by {self.by}", cure=cure)
        if self.first and self.first == self.second:
            cure = "name two different recipes"
            raise ForetokenError("a recipe cannot be compared with itself", got=repr(self.first), cure=cure)
        for name, value in self.amounts().items():
            check_positive(name, value)
        if "compute" in self.amounts() and {"params", "tokens"} <= set(self.amounts()):
            cure = "leave out one of --compute, --params and --tokens"
            raise ForetokenError("size and tokens already say the compute", got="all three", cure=cure)
        if not ("compute" in self.amounts() or {"params", "tokens"} <= set(self.amounts())):
            raise ForetokenError(
                "a decision is made at a compute",
                expected="the training compute of the run that is decided about, or its size and tokens",
                got=", ".join(self.amounts()) or "none of them",
                cure="for example --compute 1e21, or --params 7B --tokens 140B",
            )

    def amounts(self) -> dict[str, float]:
        """What was said of compute, params and tokens, in numbers."""
        said = {"compute": self.compute, "params": self.params, "tokens": self.tokens}
        parsers = {"compute": parse_flops}
        return {name: parsers.get(name, parse_count)(value, name) for name, value in said.items() if value is not None}

    @property
    def split(self) -> Split:
        """How compute is spent."""
        return Split(self.amounts().get("params"), self.amounts().get("tokens"))
