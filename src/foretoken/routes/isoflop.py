"""Approach 2 of Hoffmann et al. 2022: the lowest loss over ln N of each budget, and power laws through the minima."""

from __future__ import annotations

from typing import Any

import numpy as np

from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.result import Check, IsoflopBudget, IsoflopFit, Residual
from foretoken.fits.rows import Rows, by_budget, clean_rows
from foretoken.laws.law import Array, Indices
from foretoken.routes.minimum import MINIMA, Minimum, local_noise
from foretoken.runs.table import RunTable

LEAST_SIZES = 4
"""Sizes of a budget from which a parabola leaves a residual to judge it by."""
REFUSALS = {
    "edge_small": ("the minimum lies at or below the smallest size", "add smaller models to this budget"),
    "edge_large": ("the minimum lies at or above the largest size", "add larger models to this budget"),
    "no_minimum": ("the losses do not bend upwards", "widen the range of sizes"),
    "too_few": (f"fewer than {LEAST_SIZES} sizes", "add sizes to this budget"),
}


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

    Budgets are the table's groups, or runs within 2 % of FLOPs. `minimum` is `parabola` or `interpolated` (Akima over
    ln N). Intervals come from `draws` residual bootstraps.
    Raises RefusedError without any budget of two sizes or more.
    """
    curves = isoflop_curves(clean_rows(table, params), minimum, draws, seed)
    budgets = [curve.result(level) for curve in curves]
    lines = _lines([curve for curve in curves if curve.status == "interior"], level)
    return IsoflopFit(budgets=budgets, **lines, checks=_checks(budgets), level=level)


def isoflop_curves(rows: Rows, minimum: str = "parabola", draws: int = 400, seed: int = 0) -> list[Curve]:
    """The IsoFLOP curves of rows, in order of compute, each with bootstrap draws of its minimum."""
    members = [here for here in by_budget(rows.group, rows.flops) if len(set(rows.params[here])) > 1]
    if not members:
        raise RefusedError("no_isoflop_budget", "no two sizes share a budget", "train several sizes at equal FLOPs")
    generator = np.random.default_rng(seed)
    noise = local_noise([(np.log(rows.params[here]), rows.loss[here]) for here in members])
    way = find_minimum(minimum)
    return [Curve(rows, here, way, None if minimum == "parabola" else noise, generator, draws) for here in members]


def find_minimum(name: str) -> Minimum:
    """The way of this name; raises ForetokenError with the known ones."""
    if name not in MINIMA:
        raise ForetokenError("unknown way to find a minimum", expected=", ".join(MINIMA), got=repr(name))
    return MINIMA[name]


class Curve:
    """One budget: its loss over ln N, its minimum, and bootstrap draws of that."""

    def __init__(
        self, rows: Rows, here: Indices, way: Minimum, noise: float | None, generator: np.random.Generator, draws: int
    ) -> None:
        self.rows, self.here, self.way = rows, here[np.argsort(rows.params[here], kind="stable")], way
        self.size, self.loss = np.log(rows.params[self.here]), rows.loss[self.here]
        self.flops = float(np.exp(np.log(rows.flops[self.here]).mean()))
        self.parabola: Array | None = None
        self.status = "too_few"
        if len(np.unique(self.size)) >= LEAST_SIZES:
            self.parabola = np.polyfit(self.size, self.loss, 2)
            self.status = way.judge(self.size, self.loss)
            self.at = float(way.locate(self.size, self.loss[:, None])[0])
            self.draws = self._draws(noise, generator, draws)

    def _draws(self, noise: float | None, generator: np.random.Generator, draws: int) -> Array:
        """Bootstraps of ln N* [draws]: the parabola's residuals, or noise that is known from neighbouring sizes."""
        assert self.parabola is not None
        fitted = np.polyval(self.parabola, self.size)
        sigma = np.sqrt(((self.loss - fitted) ** 2).sum() / max(1, len(self.size) - 3))
        centre = fitted if noise is None else self.loss
        scale = sigma if noise is None else noise * self.loss[:, None]
        return self.way.locate(
            self.size, centre[:, None] + scale * generator.standard_normal((draws, len(self.size))).T
        )

    def flops_per_param_token(self, size: float) -> float:
        """FLOPs per parameter and token at ln N, by lines between the runs."""
        runs, here = self.rows, self.here
        ratio = runs.flops[here] / (runs.params[here] * runs.tokens[here])
        return float(np.interp(size, self.size, ratio))

    def tokens(self, size: float) -> float:
        """D at ln N on this budget."""
        return float(self.flops / (self.flops_per_param_token(size) * np.exp(size)))

    def result(self, level: float) -> IsoflopBudget:
        """The budget, its minimum only when that is interior."""
        runs, interior = self.rows, self.status == "interior"
        fitted = self.loss if self.parabola is None else np.polyval(self.parabola, self.size)
        band = np.exp(np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])).tolist() if interior else None
        return IsoflopBudget(
            group=runs.group[self.here[0]] or f"{self.flops:.3g}",
            flops=self.flops,
            runs=[
                Residual(
                    runs.run[i],
                    runs.group[i],
                    runs.parent[i],
                    float(runs.params[i]),
                    float(runs.tokens[i]),
                    float(runs.flops[i]),
                    float(runs.loss[i]),
                    float(value),
                )
                for i, value in zip(self.here, fitted, strict=True)
            ],
            status=self.status,
            parabola=None if self.parabola is None else self.parabola.tolist(),
            params=float(np.exp(self.at)) if interior else None,
            params_interval=band,
            tokens=self.tokens(self.at) if interior else None,
            loss=self.way.loss(self.size, self.loss, self.at) if interior else None,
        )


def _lines(curves: list[Curve], level: float) -> dict[str, Any]:
    """Exponents and prefactors of N* and D* over compute, with the intervals of their draws."""
    names = ("params", "tokens")
    if len(curves) < 2:
        return {f"{name}_{part}": None for name in names for part in ("exponent", "exponent_interval", "prefactor")}
    compute = np.log([curve.flops for curve in curves])
    sizes = np.array([curve.at for curve in curves])
    draws = np.stack([curve.draws for curve in curves])
    per = np.log([curve.flops_per_param_token(curve.at) for curve in curves])[:, None]
    lines: dict[str, Any] = {}
    for name, values, drawn in (
        ("params", sizes, draws),
        ("tokens", compute - per[:, 0] - sizes, compute[:, None] - per - draws),
    ):
        exponent, level_term = np.polyfit(compute, values, 1)
        slopes = np.polyfit(compute, drawn, 1)[0]
        lines[f"{name}_exponent"] = float(exponent)
        lines[f"{name}_exponent_interval"] = np.quantile(slopes, [(1 - level) / 2, (1 + level) / 2]).tolist()
        lines[f"{name}_prefactor"] = float(np.exp(level_term))
    return lines


def _checks(budgets: list[IsoflopBudget]) -> list[Check]:
    found = []
    for budget in budgets:
        if budget.status in REFUSALS:
            evidence, cure = REFUSALS[budget.status]
            found.append(Check(f"isoflop_{budget.status}", "refused", f"budget {budget.group}: {evidence}", cure))
    interior = sum(budget.status == "interior" for budget in budgets)
    if interior < 2:
        evidence = f"{interior} of {len(budgets)} budgets have an interior minimum"
        found.append(Check("isoflop_no_exponent", "refused", evidence, "an exponent needs two budgets or more"))
    return found
