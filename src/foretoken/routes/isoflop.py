"""Approach 2 of Hoffmann et al. 2022: the lowest loss over ln N of each budget, and power laws through the minima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foretoken.arguments import check_level, named_arguments
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.parts import FittedRun, Range
from foretoken.fits.rows import Rows, by_budget, clean_rows
from foretoken.laws.law import Array, Indices
from foretoken.routes.minimum import MINIMA, Minimum, MinimumStatus, local_noise
from foretoken.routes.route import exp_range, quantile_range
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
    tokens: float | None
    """D* = flops / (FLOPs per parameter and token at the minimum)."""
    loss: float | None

    @property
    def is_interior(self) -> bool:
        """Whether the minimum lies among the sizes tried."""
        return self.status not in REFUSALS


@dataclass(frozen=True)
class IsoflopFit:
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
    draws: int = 400,
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
    curves = isoflop_curves(clean_rows(table, params), minimum, draws, seed)
    budgets = [curve.result(level) for curve in curves]
    sizes, tokens = _lines([curve for curve in curves if curve.is_interior], level)
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
    )


def isoflop_curves(rows: Rows, minimum: str = "parabola", draws: int = 400, seed: int = 0) -> list[Curve]:
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

    def result(self, level: float) -> IsoflopBudget:
        """The budget, its minimum only when that is interior."""
        rows, interior = self.rows, self.is_interior
        fitted = self.loss if self.parabola is None else np.asarray(np.polyval(self.parabola, self.size))
        return IsoflopBudget(
            group=rows.group[self.runs[0]] or f"{self.flops:.3g}",
            flops=self.flops,
            runs=rows.select(self.runs).fitted_runs(fitted),
            status=self.status,
            parabola=None if self.parabola is None else self.parabola.tolist(),
            params=float(np.exp(self.at)) if interior else None,
            params_interval=exp_range(quantile_range(self.draws, level)) if interior else None,
            tokens=self.tokens(self.at) if interior else None,
            loss=self.method.loss(self.size, self.loss, self.at) if interior else None,
        )


@dataclass(frozen=True)
class _PowerLaw:
    """Best sizes or lengths = prefactor x C^exponent; None where there are too few minima."""

    exponent: float | None = None
    interval: Range | None = None
    prefactor: float | None = None


def _lines(curves: Sequence[Curve], level: float) -> tuple[_PowerLaw, _PowerLaw]:
    """N* and D* over compute, with the intervals of their draws."""
    if len(curves) < 2:
        return _PowerLaw(), _PowerLaw()
    compute = np.log([curve.flops for curve in curves])
    sizes = np.array([curve.at for curve in curves])
    draws = np.stack([curve.draws for curve in curves])
    # D* = C / (k N*) with k FLOP per parameter and token, so ln D* = ln C - ln k - ln N*.
    per = np.log([curve.flops_per_param_token(curve.at) for curve in curves])[:, None]
    lengths, drawn_lengths = compute - per[:, 0] - sizes, compute[:, None] - per - draws
    return _line(compute, sizes, draws, level), _line(compute, lengths, drawn_lengths, level)


def _line(compute: Array, values: Array, draws: Array, level: float) -> _PowerLaw:
    """A straight line of ln values [c] over ln C [c], with the interval from the slopes of draws [c, b]."""
    exponent, intercept = np.polyfit(compute, values, 1)
    interval = quantile_range(np.polyfit(compute, draws, 1)[0], level)
    return _PowerLaw(float(exponent), interval, float(np.exp(intercept)))


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
