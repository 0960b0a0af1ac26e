"""A law, fitted to a run table."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from foretoken._version import __version__
from foretoken.errors import ForetokenError
from foretoken.fits.aggregate import binned
from foretoken.fits.bootstrap import bootstrap, shared_errors
from foretoken.fits.doubts import with_doubts
from foretoken.fits.estimate import DELTA, Plain, Sample, estimate_plain, estimate_pooled
from foretoken.fits.fit_checks import fit_checks
from foretoken.fits.identify import flat, identify, under_looser_law, widened, without_ends
from foretoken.fits.likelihood import profiles
from foretoken.fits.misfit import misfit_growth
from foretoken.fits.noise import Noise
from foretoken.fits.objectives import find_objective
from foretoken.fits.residual_test import chance_of_pattern
from foretoken.fits.result import Check, Fit, Residual
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.fits.sensitivity import sensitivity
from foretoken.laws import find_law
from foretoken.laws.law import Array, Indices, Law
from foretoken.runs.table import RunTable

FREEDOM, HEAVY = 5, 3
"""Degrees of freedom of the Student-t of a new run: as a rule, and where a run lies far from the law ..."""
FAR = 3.5
"""... by this many standard deviations."""


def fit(
    table: RunTable,
    law: str = "chinchilla",
    *,
    params: str = "auto",
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    objective: str = "huber",
    profile: tuple[str, ...] = (),
) -> Fit:
    """Fit a law to the usable rows of a table.

    `params` names the column that is N (`auto`: the first of params_total, params, params_active,
    params_non_embedding). `draws` bootstrap draws give the intervals at `level`. `objective` is what the plain estimate
    minimises: huber, least_squares, least_squares_raw, student_t, asymmetric. `profile` names parameters whose profile
    likelihood is wanted beside that of E. Raises TableError for rows that cannot be, RefusedError where no estimate
    means anything (too few runs, one size, collinear, ...).
    """
    _require(level, draws, objective)
    formula = find_law(law)
    rows = clean_rows(table, params, formula)
    for refusal in refusals(rows, formula):
        raise refusal
    found = fit_rows(rows, formula, table.digest, level, draws, seed, objective, profile)
    return with_doubts(found, table, rows, formula.unit)


def fit_rows(
    rows: Rows,
    formula: Law,
    digest: str,
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    objective: str = "huber",
    profile: tuple[str, ...] = (),
    *,
    brief: bool = False,
) -> Fit:
    """As `fit`, of rows that were looked at before; nothing is refused. `brief` leaves out what no forecast needs."""
    began = perf_counter()
    rows, count, inside = binned(rows, formula)
    sample = Sample.of(formula, rows.features(formula), rows.loss, rows.tokens, count)
    plain = estimate_plain(sample, objective)
    pooled, noise = estimate_pooled(sample, plain.theta)
    seconds = perf_counter() - began
    began = perf_counter()
    sigma = noise.at(sample.effort)
    shared = shared_errors(sample, rows, pooled, sigma)
    chance = chance_of_pattern(sample, rows, pooled, sigma, shared.get("budgets", (None, 0.0))[0])
    growth, held_out = misfit_growth(sample, rows, pooled, noise, _common(shared)[0], chance)
    resampled = bootstrap(sample, shared, pooled, plain, sigma, draws, seed)
    estimates = formula.named(formula.shift(plain.theta, sample.origin))
    intervals = _intervals(rows, sample, plain, resampled.plain, level, brief)
    at_low, at_high = _at_bounds(sample, plain.theta)
    wanted = [*(name for name in formula.profiled if name in estimates), *profile]
    looked = {} if brief else profiles(sample, plain, tuple(dict.fromkeys(wanted)), level)
    reasons = identify(formula, estimates, intervals, at_low, float(rows.loss.min())) | flat(formula, looked)
    at_bound = (at_low | at_high) - {"E"}
    return Fit(
        law=formula.name,
        status="bound_hit" if at_bound else "not_identified" if reasons else "converged",
        parameters={name: None if name in reasons else value for name, value in estimates.items()},
        reasons=reasons,
        estimates=estimates,
        forecast_parameters=formula.named(formula.shift(pooled, sample.origin)),
        intervals={**intervals},
        level=level,
        draws=formula.values(formula.shift(resampled.pooled, sample.origin)).tolist(),
        plain_draws=formula.values(formula.shift(resampled.plain, sample.origin)).tolist(),
        checks=_checks(rows, sample, plain, pooled, at_bound, reasons, chance),
        noise={**_noise(rows, sample, pooled, noise, shared, inside), "growth": growth, "pattern_by_chance": chance},
        profiles=looked,
        sensitivity=[] if brief else sensitivity(sample, plain, pooled),
        data_sha256=digest,
        seconds=seconds,
        interval_seconds=perf_counter() - began,
        bootstrap=resampled.text,
        held_out=held_out,
        version=__version__,
        **_circumstances(rows, sample, plain, pooled),
    )


def _common(shared: dict[str, tuple[Indices, float]]) -> tuple[float, int]:
    """The largest error that runs share, and the number of clusters it was seen in."""
    found = [(size, int(cluster.max()) + 1) for cluster, size in shared.values()]
    return max(found, default=(0.0, 0))


def _noise(
    rows: Rows,
    sample: Sample,
    pooled: Array,
    noise: Noise,
    shared: dict[str, tuple[Indices, float]],
    inside: float,
) -> dict[str, float]:
    """How a new run will differ from the law, in plain numbers."""
    size, clusters = _common(shared)
    run = float(np.hypot(noise.run, inside))
    farthest = float(np.abs(sample.residual(pooled) / noise.at(sample.effort)).max())
    freedom = HEAVY if farthest > FAR else min(FREEDOM, max(HEAVY, len(rows) - len(pooled)))
    if size > run:
        freedom = min(freedom, max(HEAVY, clusters - 2))
    most = float(rows.tokens.max())
    return {"run": run, "tokens_power": noise.slope, "tokens": most, "shared": size, "freedom": float(freedom)}


def _checks(
    rows: Rows,
    sample: Sample,
    plain: Plain,
    pooled: Array,
    at_bound: set[str],
    reasons: dict[str, str],
    chance: float,
) -> list[Check]:
    found = fit_checks(rows, sample, plain, pooled, at_bound, reasons)
    if 0 < chance < 1e-3:
        evidence = f"residuals form a smooth pattern in size and length (by chance: {chance:.1g})"
        cure = (
            "the law is only nearly right here; leave out the shortest runs, or trust the interval, which allows for it"
        )
        found.append(Check("pattern_in_residuals", "note", evidence, cure))
    return found


def _circumstances(rows: Rows, sample: Sample, plain: Plain, pooled: Array) -> dict[str, Any]:
    """What a Fit says of its rows, its objective and its search."""
    return {
        "params_column": rows.params_column,
        "objective": {"huber_sum": plain.huber_sum, "delta": DELTA, "name": plain.objective},
        "starts": {"tried": plain.tried, "agree": plain.agree},
        "conditioning": _conditioning(sample, plain.theta),
        "rows": {"used": int(sample.count.sum()), "dropped": rows.dropped},
        "assumed": [*rows.assumed, f"forecast_parameters assume: {sample.law.prior_text}"],
        "ranges": _ranges(rows),
        "features": {name: _ends(rows.feature(name)) for name in sample.law.features},
        "residuals": _residuals(rows, sample, pooled),
    }


def _intervals(
    rows: Rows, sample: Sample, plain: Plain, draws: Array, level: float, brief: bool
) -> dict[str, list[float]]:
    """Quantiles of the plain draws, theta [b, p], by parameter; E's widened by what its identification tried."""
    values = sample.law.values(sample.law.shift(draws, sample.origin))
    bands = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    found = {name: [float(low), float(high)] for name, (low, high) in zip(sample.law.parameters, bands, strict=True)}
    if "E" in found and not brief:
        others = without_ends(sample, rows, plain.theta) | under_looser_law(sample.law, rows)
        found["E"] = widened(found["E"], others)
    return found


def _require(level: float, draws: int, objective: str) -> None:
    find_objective(objective)
    if not 0 < level < 1:
        raise ForetokenError(
            "the level of an interval lies between 0 and 1", got=repr(level), cure="use for example 0.9"
        )
    if draws < 50:
        raise ForetokenError("too few draws for an interval", expected="at least 50", got=str(draws))


def _at_bounds(sample: Sample, theta: Array) -> tuple[set[str], set[str]]:
    """Names of the parameters at their lower and at their upper bound."""
    low, high = sample.law.bounds(sample.y)
    names = np.array(sample.law.parameters)
    return set(names[theta - low < 1e-6].tolist()), set(names[high - theta < 1e-6].tolist())


def _conditioning(sample: Sample, theta: Array) -> float:
    """Condition number of the gradient with its columns scaled to length 1: above 1e3 parameters trade off freely."""
    gradient = sample.law.log_loss(theta[None], sample.x)[1][0]
    return float(min(np.linalg.cond(gradient / (np.linalg.norm(gradient, axis=0) + 1e-300)), 1e16))


def _ranges(rows: Rows) -> dict[str, list[float]]:
    return {name: _ends(getattr(rows, name)) for name in ("params", "tokens", "flops", "loss")}


def _ends(values: Array) -> list[float]:
    return [float(values.min()), float(values.max())]


def _residuals(rows: Rows, sample: Sample, theta: Array) -> list[Residual]:
    """The runs that were used, beside what the forecast's parameters give for them."""
    fitted = sample.law.log_loss(theta[None], sample.x)[0][0]
    fitted = np.exp(fitted) if sample.law.target == "log" else fitted
    columns = (rows.params, rows.tokens, rows.flops, rows.loss, fitted)
    labels = zip(rows.run, rows.group, rows.parent, strict=True)
    return [
        Residual(run, group, parent, *map(float, values))
        for (run, group, parent), values in zip(labels, zip(*columns, strict=True), strict=True)
    ]
