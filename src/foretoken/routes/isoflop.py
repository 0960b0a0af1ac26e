"""Approach 2 of Hoffmann et al. 2022: the lowest loss over ln N of each budget, and power laws through the minima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from foretoken.arguments import check_level, named_arguments
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.parts import FittedRun, Range
from foretoken.fits.rows import Rows, by_budget, clean_rows
from foretoken.laws.law import Array, Indices
from foretoken.results import Result
from foretoken.routes.minima_line import MinimaLine
from foretoken.routes.minimum import MINIMA, Minimum, MinimumStatus, local_noise
from foretoken.routes.route import DRAWS, exp_range
from foretoken.runs.loss_units import NATS_PER_TOKEN
from foretoken.runs.table import RunTable

LEAST_SIZES = 4
"""Sizes of a budget from which a parabola leaves a residual to judge it by."""
REFUSALS: dict[MinimumStatus, tuple[str, str]] = {
    "edge_small": ("the minimum lies at or below the smallest size", "add smaller models to this budget"),
    "edge_large": ("the minimum lies at or above the largest size", "add larger models to this budget"),
    "no_minimum": ("the losses do not bend upwards", "widen the range of sizes"),
    "too_few": (f"fewer than {LEAST_SIZES} sizes", "add sizes to this budget"),
}
"""(evidence, cure) of every status without a minimum."""


@dataclass(frozen=True)
class IsoflopBudget:
    """One IsoFLOP curve and its minimum."""

    group: str
    flops: float
    runs: list[FittedRun]
    """Runs of this budget; `fitted` is the parabola's value."""
    status: MinimumStatus
    parabola: list[float] | None
    """Coefficients of loss over ln N: quadratic, linear, constant."""
    params: float | None
    """N*, only with an interior minimum."""
    params_interval: Range | None
    """With what the budgets' scatter tells of errors that the runs of one share."""
    tokens: float | None
    """D* = flops / (FLOPs per parameter and token at the minimum)."""
    loss: float | None

    @property
    def is_interior(self) -> bool:
        """Whether the minimum lies among the sizes tried."""
        return self.status not in REFUSALS


@dataclass(frozen=True)
class IsoflopFit(Result, rows="budgets"):
    """Approach 2: a parabola per budget, and power laws through the minima."""

    budgets: list[IsoflopBudget]
    params_exponent: float | None
    """a in N* ~ C^a; None with fewer than two interior minima."""
    params_exponent_interval: Range | None
    tokens_exponent: float | None
    tokens_exponent_interval: Range | None
    params_prefactor: float | None
    """G in N* = G C^a."""
    tokens_prefactor: float | None
    checks: list[Check]
    level: float
    loss_unit: str = NATS_PER_TOKEN
    """What the losses of the budgets are in."""

    @property
    def interior(self) -> list[IsoflopBudget]:
        """The budgets whose minimum lies among the sizes tried."""
        return [budget for budget in self.budgets if budget.is_interior]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@named_arguments
def isoflop(
    table: RunTable,
    *,
    params: str = "auto",
    minimum: str = "parabola",
    level: float = 0.9,
    draws: int = DRAWS,
    seed: int = 0,
) -> IsoflopFit:
    """Minima of the IsoFLOP curves, refused where a budget shows none, and how they move with compute.

    Args:
        table: runs in compute budgets: the table's groups, or runs within 2 % of FLOPs.
        params: the column that is N; `auto` is the first of params_total, params, params_active, params_non_embedding.
        minimum: `parabola` in ln N, or `interpolated` (Akima over ln N).
        level: probability that an interval holds, above 0 and below 1.
        draws: residual bootstraps behind the intervals.
        seed: of the bootstrap.

    Raises RefusedError without any budget of two sizes or more.

    """
    check_level(level)
    rows = clean_rows(table, params)
    curves = isoflop_curves(rows, minimum, draws, seed)
    interior = [curve for curve in curves if curve.is_interior]
    ends = dict(zip(map(id, interior), minimum_intervals(interior, level), strict=True))
    budgets = [curve.result(ends.get(id(curve))) for curve in curves]
    sizes, tokens = _power_law(size_line(interior), level), _power_law(_token_line(interior), level)
    return IsoflopFit(
        budgets=budgets,
        params_exponent=sizes.exponent,
        params_exponent_interval=sizes.interval,
        tokens_exponent=tokens.exponent,
        tokens_exponent_interval=tokens.interval,
        params_prefactor=sizes.prefactor,
        tokens_prefactor=tokens.prefactor,
        checks=_checks(budgets),
        level=level,
        loss_unit=rows.loss_unit,
    )


def isoflop_curves(rows: Rows, minimum: str = "parabola", draws: int = DRAWS, seed: int = 0) -> list[Curve]:
    """The IsoFLOP curves of rows, in order of compute, each with bootstrap draws of its minimum."""
    members = [budget for budget in by_budget(rows.group, rows.flops) if len(set(rows.params[budget])) > 1]
    if not members:
        raise RefusedError("no_isoflop_budget", "no two sizes share a budget", "train several sizes at equal FLOPs")
    generator = np.random.default_rng(seed)
    noise = local_noise([(np.log(rows.params[budget]), rows.y[budget]) for budget in members])
    method = find_minimum(minimum)
    # A parabola is judged by its own residuals; an interpolant has none, and takes the noise of neighbouring sizes.
    return [
        Curve(rows, budget, method, None if minimum == "parabola" else noise, generator, draws) for budget in members
    ]


def find_minimum(name: str) -> Minimum:
    """The way of this name; raises ForetokenError with the known ones."""
    if name not in MINIMA:
        raise ForetokenError("unknown way to find a minimum", expected=", ".join(MINIMA), got=repr(name))
    return MINIMA[name]


class Curve:
    """One budget: its loss over ln N, its minimum, and bootstrap draws of that."""

    def __init__(
        self,
        rows: Rows,
        budget: Indices,
        method: Minimum,
        noise: float | None,
        generator: np.random.Generator,
        draws: int,
    ) -> None:
        self.rows, self.method = rows, method
        self.runs = budget[np.argsort(rows.params[budget], kind="stable")]
        self.size, self.loss = np.log(rows.params[self.runs]), rows.y[self.runs]
        self.flops = float(np.exp(np.log(rows.flops[self.runs]).mean()))
        self.parabola: Array | None = None
        self.status: MinimumStatus = "too_few"
        if len(np.unique(self.size)) >= LEAST_SIZES:
            self.parabola = np.polyfit(self.size, self.loss, 2)
            self.status = method.judge(self.size, self.loss)
            self.at = float(method.locate(self.size, self.loss[:, None])[0])
            self.draws = self._draws(noise, generator, draws)

    @property
    def is_interior(self) -> bool:
        """Whether the minimum lies among the sizes tried."""
        return self.status not in REFUSALS

    def _draws(self, noise: float | None, generator: np.random.Generator, draws: int) -> Array:
        """Bootstraps of ln N* [draws]: the parabola's residuals, or noise that is known from neighbouring sizes."""
        assert self.parabola is not None
        fitted = np.polyval(self.parabola, self.size)
        # Three degrees of freedom are the parabola's own.
        sigma = np.sqrt(((self.loss - fitted) ** 2).sum() / max(1, len(self.size) - 3))
        centre = fitted if noise is None else self.loss
        scale = sigma if noise is None else noise * self.loss[:, None]
        drawn = centre[:, None] + scale * generator.standard_normal((draws, len(self.size))).T
        return self.method.locate(self.size, drawn)

    def flops_per_param_token(self, size: float) -> float:
        """FLOPs per parameter and token at ln N, by lines between the runs."""
        ratio = self.rows.flops[self.runs] / (self.rows.params[self.runs] * self.rows.tokens[self.runs])
        return float(np.interp(size, self.size, ratio))

    def tokens(self, size: float) -> float:
        """D at ln N on this budget."""
        return float(self.flops / (self.flops_per_param_token(size) * np.exp(size)))

    def result(self, interval: Range | None) -> IsoflopBudget:
        """The budget, its minimum only when that is interior; `interval` is of N*."""
        rows, interior = self.rows, self.is_interior
        fitted = self.loss if self.parabola is None else np.asarray(np.polyval(self.parabola, self.size))
        return IsoflopBudget(
            group=rows.group[self.runs[0]] or f"{self.flops:.3g}",
            flops=self.flops,
            runs=rows.select(self.runs).fitted_runs(fitted),
            status=self.status,
            parabola=None if self.parabola is None else self.parabola.tolist(),
            params=float(np.exp(self.at)) if interior else None,
            params_interval=interval,
            tokens=self.tokens(self.at) if interior else None,
            loss=self.method.loss(self.size, self.loss, self.at) if interior else None,
        )


@dataclass(frozen=True)
class _PowerLaw:
    """Best sizes or lengths = prefactor x C^exponent; None where there are too few minima."""

    exponent: float | None = None
    interval: Range | None = None
    prefactor: float | None = None


def size_line(curves: Sequence[Curve]) -> MinimaLine:
    """N* over compute, of curves with an interior minimum."""
    compute = np.log([curve.flops for curve in curves])
    freedom = sum(max(1, len(curve.size) - 3) for curve in curves)
    return MinimaLine(
        compute, np.array([curve.at for curve in curves]), np.array([curve.draws for curve in curves]), freedom
    )


def _token_line(curves: Sequence[Curve]) -> MinimaLine:
    """D* over compute, of curves with an interior minimum."""
    # D* = C / (k N*) with k FLOP per parameter and token, so ln D* = ln C - ln k - ln N*.
    line = size_line(curves)
    whole = line.compute - np.log([curve.flops_per_param_token(curve.at) for curve in curves])
    return replace(line, minima=whole - line.minima, draws=whole[:, None] - line.draws) if curves else line


def minimum_intervals(curves: Sequence[Curve], level: float) -> list[Range]:
    """Of N* of each curve with an interior minimum, beside the others."""
    line = size_line(curves)
    return [exp_range(line.minimum_interval(budget, level)) for budget in range(len(curves))]


def _power_law(line: MinimaLine, level: float) -> _PowerLaw:
    """Its exponent with an interval, and its prefactor; nothing below two budgets."""
    if len(line.minima) < 2:
        return _PowerLaw()
    return _PowerLaw(line.value(0, 1), line.interval(0, 1, level), float(np.exp(line.value(1, 0))))


def _checks(budgets: list[IsoflopBudget]) -> list[Check]:
    checks = []
    for budget in budgets:
        if not budget.is_interior:
            evidence, cure = REFUSALS[budget.status]
            checks.append(Check(f"isoflop_{budget.status}", "refusal", f"budget {budget.group}: {evidence}", cure))
    interior = sum(budget.is_interior for budget in budgets)
    if interior < 2:
        evidence = f"{interior} of {len(budgets)} budgets have an interior minimum"
        checks.append(Check("isoflop_no_exponent", "refusal", evidence, "an exponent needs two budgets or more"))
    return checks
