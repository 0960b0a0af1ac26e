"""Named doubts about a table and a fit, each with its evidence and its cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from foretoken.fits.estimate import Plain, Sample
from foretoken.fits.result import Check
from foretoken.fits.rows import Rows
from foretoken.laws.law import Array

FEW_RUNS = 12
CORRELATED = 0.98
"""Correlation of ln N and ln D above which their terms trade off."""
TREND = 3.0
"""Student's t from which a bend of the residuals over ln compute is a doubt ..."""
LEAST_SWAY = 1e-3
"""... if it also is as large as this, on log loss."""
LEAST_EXPLAINED = 0.5
"""Share of the squared spread (median deviation) of log loss that a law should explain of its own runs."""


def fit_checks(
    rows: Rows, sample: Sample, plain: Plain, pooled: Array, at_bound: set[str], reasons: Mapping[str, str]
) -> list[Check]:
    """Everything that is doubtful about a fit, worst first."""
    found = [*_reason_checks(reasons), *_optimiser_checks(plain, at_bound), *_residual_checks(rows, sample, pooled)]
    found += table_checks(rows)
    return sorted(found, key=lambda check: check.severity != "doubt")


def table_checks(rows: Rows) -> list[Check]:
    """What is doubtful about the rows themselves, whatever law is fitted to them."""
    return [*design_checks(rows), *row_checks(rows)]


def _reason_checks(reasons: Mapping[str, str]) -> Iterator[Check]:
    if "E" in reasons:
        cure = "train larger models on more tokens, or do not read E; forecasts carry this doubt in their interval"
        yield Check("irreducible_loss_not_identified", "note", reasons["E"], cure)


def _optimiser_checks(plain: Plain, at_bound: set[str]) -> Iterator[Check]:
    if at_bound:
        evidence = f"at a bound: {', '.join(sorted(at_bound))}"
        yield Check("parameter_at_bound", "doubt", evidence, "vary N and D over wider ranges")
    if plain.agree < plain.tried / 2:
        evidence = f"{plain.agree} of {plain.tried} starts reach the best estimate within 1 %"
        yield Check("starts_disagree", "note", evidence, "the plain parameters are poorly determined; add runs")


def _residual_checks(rows: Rows, sample: Sample, pooled: Array) -> Iterator[Check]:
    """A law that explains little, and residuals that bend with compute: it takes up any straight trend itself."""
    yield from _explained_checks(sample, pooled)
    compute = np.log(rows.flops / rows.flops.min())
    if len(np.unique(np.round(compute, 1))) < 3:
        return
    columns = np.stack([np.ones_like(compute), compute, compute**2], axis=1)
    residual = sample.residual(pooled)
    bend = np.linalg.lstsq(columns, residual, rcond=None)[0]
    left = residual - columns @ bend
    error = np.sqrt((left**2).sum() / max(1, len(left) - 3) * np.linalg.inv(columns.T @ columns)[2, 2])
    sway = abs(bend[2]) * np.ptp(compute) ** 2 / 4
    if abs(bend[2]) > TREND * error and sway > LEAST_SWAY:
        evidence = f"residuals bend by {100 * sway:.2f} % over the runs' compute"
        yield Check("residual_trend", "doubt", evidence, "the runs do not follow the law; fit the larger ones alone")


def _explained_checks(sample: Sample, pooled: Array) -> Iterator[Check]:
    residual = sample.residual(pooled)
    left, spread = (float(np.median(abs(values - np.median(values)))) for values in (residual, sample.y))
    explained = 1 - (left / max(spread, 1e-300)) ** 2
    if explained < LEAST_EXPLAINED:
        evidence = f"the law explains {100 * max(0.0, explained):.0f} % of the spread of the loss (squared, robust)"
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
    """Shared trajectories, an undeclared count of N, diverged runs, repeated tokens."""
    sharing = len([parent for parent in rows.parent if parent and rows.parent.count(parent) > 1])
    if sharing:
        evidence = f"{sharing} of {len(rows)} runs share a trajectory with another"
        yield Check("shared_trajectories", "note", evidence, "nothing: the bootstrap keeps trajectories together")
    if rows.params_column == "params":
        evidence = "N is a plain `params` column: with or without embeddings is unknown"
        yield Check("params_undeclared", "note", evidence, "rename it: --map params_total=params")
    for dropped in rows.dropped:
        if "diverged" in dropped["reason"]:
            evidence = f"{dropped['count']} diverged runs were left out"
            yield Check("diverged_runs", "note", evidence, "lower the learning rate of such runs")
    if rows.skipped:
        evidence = f"{rows.skipped} runs left out steps or batches after a spike, so they are not the planned runs"
        yield Check("skipped_steps", "doubt", evidence, "lower the learning rate of such runs, or leave them out")
    if rows.repeated:
        evidence = f"{rows.repeated} runs saw tokens more than once"
        yield Check("repeated_tokens", "doubt", evidence, "the law is for one pass; leave these runs out")
