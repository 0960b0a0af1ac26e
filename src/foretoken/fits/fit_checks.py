"""Named doubts about a table and a fit, each with its evidence and its cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from foretoken.fits.check import Check, listed, plural
from foretoken.fits.estimate import Sample, Unpenalised
from foretoken.fits.ladder_line import CORRELATED
from foretoken.fits.outliers import without
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, by_budget, off_frontier
from foretoken.laws.law import Array

FEW_RUNS = 12
SURE_PATTERN = 1e-3
BY_CHANCE, STRONG = 0.01, 15.0
"""A bend of the residuals over ln compute is a doubt if less likely than this, or so many standard errors large ..."""
LEAST_SWAY = 2e-3
"""... if it also is as large as this, on log loss."""
ENOUGH_BUDGETS = 6
"""Budgets from which a cubic leaves something to judge it by."""
LEAST_EXPLAINED = 0.5
"""Share of the squared spread (median deviation) of log loss that a law should explain of its own runs."""
OUTLIER, LEAST_OUTLIER = 6.0, 0.015
"""Robust deviations, and the least distance on log loss, from which a run is an outlier: none of 180 tables of 20 to
150 runs with normal noise of 0.2 to 0.6 % has one, and two or four runs 4 to 10 % off are named in 358 of 360."""
FORM_CODES = frozenset({"residual_trend", "pattern_in_residuals"})
"""What residuals say of a law's form as much as of the runs."""


def fit_checks(
    rows: Rows,
    sample: Sample,
    best: Unpenalised,
    map_theta: Array,
    at_bound: set[str],
    reasons: Mapping[str, str],
    p_value: float,
) -> list[Check]:
    """Everything that is doubtful about a fit, worst first."""
    checks = [
        *_reason_checks(reasons),
        *_optimiser_checks(best, at_bound),
        *_residual_checks(rows, sample, map_theta),
        *off_frontier(rows, sample.law),
    ]
    expected = {"repeated_tokens"} if "unique_tokens" in sample.law.features else set()
    checks += [check for check in table_checks(rows) if check.code not in expected]
    return [*sorted(checks, key=lambda check: not check.is_doubt), *_pattern_checks(p_value)]


def table_checks(rows: Rows) -> list[Check]:
    """What is doubtful about the rows themselves, whatever law is fitted to them."""
    return [*design_checks(rows), *row_checks(rows)]


def _pattern_checks(p_value: float) -> Iterator[Check]:
    if 0 < p_value < SURE_PATTERN:
        evidence = f"residuals form a smooth pattern in size and length (by chance: {p_value:.1g})"
        cure = (
            "the law is only nearly right here; leave out the shortest runs, or trust the interval, which allows for it"
        )
        yield Check("pattern_in_residuals", "note", evidence, cure)


def _reason_checks(reasons: Mapping[str, str]) -> Iterator[Check]:
    if "E" in reasons:
        cure = "train larger models on more tokens, or do not read E; forecasts carry this doubt in their interval"
        yield Check("irreducible_loss_not_identified", "note", reasons["E"], cure)


def _optimiser_checks(best: Unpenalised, at_bound: set[str]) -> Iterator[Check]:
    if at_bound:
        evidence = f"at a bound: {', '.join(sorted(at_bound))}"
        yield Check("parameter_at_bound", "doubt", evidence, "vary N and D over wider ranges")
    if best.agree < best.tried / 2:
        evidence = f"{best.agree} of {best.tried} starts reach the best estimate within 1 %"
        yield Check("starts_disagree", "note", evidence, "the unpenalised parameters are poorly determined; add runs")


def _residual_checks(rows: Rows, sample: Sample, map_theta: Array) -> Iterator[Check]:
    """A law that explains little, and residuals that bend with compute: it takes up any straight trend itself."""
    yield from _explained_checks(sample, map_theta)
    residual = sample.residual(map_theta)
    if bends(rows, residual):
        sway = _bend(rows, residual)[0]
        evidence = f"residuals bend by {100 * sway:.2f} % over the runs' compute"
        yield Check("residual_trend", "doubt", evidence, "the runs do not follow the law; fit the larger ones alone")


def bends(rows: Rows, residual: Array) -> bool:
    """Whether residuals [r] bend over ln compute, far enough to matter and by more than chance."""
    sway, chance, strength = _bend(rows, residual)
    return sway > LEAST_SWAY and (chance < BY_CHANCE or strength > STRONG)


def _bend(rows: Rows, residual: Array) -> tuple[float, float, float]:
    """How far residuals [r] bend over ln compute, how likely so much is by chance, and how it compares with the noise.

    Budgets count as one run each in the chance (an F test of their means), since their runs share errors; the last
    is in standard errors by the scatter inside budgets.
    """
    from scipy.special import fdtrc

    budgets = by_budget(rows.group, rows.flops)
    compute, mean = np.array([[np.log(rows.flops[runs]).mean(), residual[runs].mean()] for runs in budgets]).T
    if len(budgets) < 4 or len(np.unique(np.round(compute, 1))) < 3:
        return 0.0, 1.0, 0.0
    degree = 3 if len(budgets) >= ENOUGH_BUDGETS else 2
    x, weight = (compute - compute.mean()) / np.ptp(compute), np.sqrt([len(runs) for runs in budgets])
    columns = x[:, None] ** np.arange(degree + 1) * weight[:, None]
    line, curve = (columns[:, :2], columns)
    left = [mean * weight - c @ np.linalg.lstsq(c, mean * weight, rcond=None)[0] for c in (line, curve)]
    # F test of a curve against a straight line, on budget means weighed by their runs: the line is left to the law,
    # whose exponents take up any straight trend.
    bent, rest = left[0] - left[1], left[1]
    spare = len(budgets) - degree - 1
    ratio = (bent**2).sum() / (degree - 1) / max((rest**2).sum() / spare, 1e-300)
    inside = np.concatenate([residual[runs] - residual[runs].mean() for runs in budgets])
    noise = np.sqrt((inside**2).sum() / max(1, len(inside) - len(budgets)))
    strength = float(np.linalg.norm(bent) / max(noise, 1e-300)) if len(inside) > 2 * len(budgets) else 0.0
    return float(np.ptp(bent / weight)), float(fdtrc(degree - 1, spare, ratio)), strength


def _explained_checks(sample: Sample, map_theta: Array) -> Iterator[Check]:
    residual = sample.residual(map_theta)
    left, spread = (float(np.median(abs(values - np.median(values)))) for values in (residual, sample.y))
    explained = 1 - (left / spread) ** 2 if left < spread else 0.0
    if explained < LEAST_EXPLAINED:
        evidence = f"the law explains {100 * explained:.0f} % of the spread of the loss (squared, robust)"
        cure = "check which column is the loss, and that rows and columns belong together; or widen N and D"
        yield Check("little_explained", "doubt", evidence, cure)


def design_checks(rows: Rows) -> Iterator[Check]:
    """Few runs, and N and D that hardly move apart."""
    if len(rows) < FEW_RUNS:
        yield Check("few_runs", "doubt", f"{len(rows)} runs", f"train at least {FEW_RUNS}")
    n, d = np.log(rows.params), np.log(rows.tokens)
    if np.ptp(n) > 0 and np.ptp(d) > 0 and abs(np.corrcoef(n, d)[0, 1]) > CORRELATED:
        evidence = f"correlation of ln N and ln D is {np.corrcoef(n, d)[0, 1]:.3f}"
        yield Check("nearly_collinear", "doubt", evidence, "vary tokens at a fixed size")


def row_checks(rows: Rows) -> Iterator[Check]:
    """Outlying runs, shared trajectories, an undeclared count of N, diverged runs, repeated tokens."""
    yield from rows.checks
    sharing = len([parent for parent in rows.parent if parent and rows.parent.count(parent) > 1])
    if sharing:
        evidence = f"{sharing} of {len(rows)} runs share a trajectory with another"
        yield Check("shared_trajectories", "note", evidence, "nothing: the bootstrap keeps trajectories together")
    if rows.params_column == "params":
        evidence = "N is a plain `params` column: with or without embeddings is unknown"
        yield Check("params_undeclared", "note", evidence, "rename it: --map params_total=params")
    for dropped in rows.dropped:
        if "diverged" in dropped.reason:
            evidence = f"{dropped.count} diverged runs were left out"
            yield Check("diverged_runs", "note", evidence, "lower the learning rate of such runs")
    if rows.skipped:
        evidence = f"{rows.skipped} runs left out steps or batches after a spike, so they are not the planned runs"
        yield Check("skipped_steps", "doubt", evidence, "lower the learning rate of such runs, or leave them out")
    if rows.repeated:
        evidence = f"{rows.repeated} runs saw tokens more than once"
        yield Check("repeated_tokens", "doubt", evidence, "the law is for one pass; leave these runs out")


def outlying_runs(fit: Fit) -> Iterator[Check]:
    """Runs that finished far from the law: diverged, or of another kind."""
    # p parameters can make p residuals vanish: the median is that of the others.
    sizes = np.sort(abs(fit.residuals))
    scale = 1.4826 * float(np.median(sizes[min(len(fit.parameters), len(sizes) - 2) :]))
    loss = np.array([run.loss for run in fit.runs])
    yield from outlying([run.run for run in fit.runs], loss, fit.residuals, scale, named=not fit.is_aggregated)


def outlying(run: Sequence[str], loss: Array, residual: Array, scale: float, *, named: bool = True) -> Iterator[Check]:
    """The same from losses [r], residuals [r] of their logarithms, and the robust deviation of one run."""
    far = np.flatnonzero(abs(residual) > np.maximum(OUTLIER * scale, LEAST_OUTLIER))
    if len(far):
        names = listed(f"{run[i]} ({100 * np.expm1(residual[i]):+.1f} %)" for i in far.tolist())
        # A cell of many runs, and a row without a name (which goes by its number), have no name to leave out by.
        runs = [None if not named or name.isdigit() else name for name in run]
        where = without(runs, loss, np.isin(np.arange(len(loss)), far))
        cure = f"look at their curves; mark them diverged, or leave them out and say so: {where}"
        yield Check("outlying_runs", "doubt", f"{plural(len(far), 'run')} far from the law: {names}", cure)
