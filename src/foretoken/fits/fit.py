"""A law, fitted to a run table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from foretoken._version import __version__
from foretoken.arguments import check_level, named_arguments
from foretoken.errors import ForetokenError
from foretoken.fits.aggregate import MOST_ROWS, aggregate
from foretoken.fits.bootstrap import Bootstrap, ClusterError, bootstrap, bootstrap_forecast, cluster_errors
from foretoken.fits.estimate import (
    DELTA,
    FEW_STARTS,
    Sample,
    Unpenalised,
    estimate_map,
    estimate_map_sharing,
    estimate_unpenalised,
    sensitivity,
)
from foretoken.fits.fit_checks import fit_checks
from foretoken.fits.identify import flat, identify, under_looser_law, widened, without_ends
from foretoken.fits.ladder_line import ladder_line, with_ladder_check
from foretoken.fits.law_columns import needed
from foretoken.fits.likelihood import log_evidence, profiles
from foretoken.fits.misfit import misfit_growth, pattern_p_value, trust
from foretoken.fits.noise import NoiseModel
from foretoken.fits.objectives import find_objective
from foretoken.fits.parts import HeldOut, Noise, ObjectiveValue, Range, Ranges, RowCounts, Starts, WeighedLaw
from foretoken.fits.result import Fit
from foretoken.fits.rows import Rows, clean_rows, refusals
from foretoken.fits.solvers import Common
from foretoken.fits.table_checks import with_doubts
from foretoken.fits.trajectories import with_trajectories
from foretoken.fits.weighed import fit_frontier, weigh
from foretoken.laws import CHINCHILLA, LAW_WEIGHTS, SATURATING_FLOPS, WEIGHED, law_or_heaviest
from foretoken.laws.law import Array, Law
from foretoken.runs.reading import AnyTable, as_table
from foretoken.runs.table import RunTable

FREEDOM = 5
"""Degrees of freedom of the Student-t of a new run, as a rule."""
HEAVY = 3
"""The same where a run lies far from the law: heavy tails."""
FAR = 3.5
"""Standard deviations from the law beyond which a run lies far from it."""
FEWEST_DRAWS = 50


@named_arguments
def fit(
    table: AnyTable,
    law: str | Law = WEIGHED,
    *,
    params: str = "auto",
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    objective: str = "huber",
    profile: tuple[str, ...] = (),
    keep_outliers: bool = False,
    loss_unit: str = "",
    rename: Mapping[str, str] | None = None,
    where: str = "",
) -> Fit:
    """Fit a law to the usable rows of a table.

    Args:
        table: the runs, one per row: as `read_table` gives them, a frame (pandas, polars, ...), or a file's path.
        law: id of a law (`foretoken laws`), a formula or a law of your own (`foretoken.law`), or `weighed`: several
            laws, whose forecasts are averaged. Parameters are then of the heaviest.
        params: the column that is N; `auto` is the first of params_total, params, params_active, params_non_embedding.
        level: probability that an interval holds, above 0 and below 1.
        draws: bootstrap draws behind the intervals, at least 50.
        seed: of the bootstrap.
        objective: what the unpenalised estimate minimises: huber, least_squares, least_squares_raw, student_t or
            asymmetric. The MAP estimate, which forecasts use, does not depend on it.
        profile: parameters whose profile likelihood is computed, beside those that the law always profiles (E).
        keep_outliers: keep runs far above all of like size and length, which are set aside and named otherwise.
        loss_unit: what the loss is in, as for `read_table`: `bits/byte`, `perplexity`, ...
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.

    Raises TableError for rows that cannot be, RefusedError where no estimate means anything (too few runs, ...).

    """
    _require_settings(objective, level, draws)
    formula = law_or_heaviest(law)
    table = as_table(table, needed(formula), loss_unit, rename, where)
    rows = clean_rows(table, params, formula, keep_outliers=keep_outliers)
    # Of runs at one ratio of tokens to parameters no law of N and D can be told, but the loss along the ladder can.
    ladder = law == WEIGHED and ladder_line(rows.params, rows.tokens) is not None
    formula = SATURATING_FLOPS if ladder else formula
    for refusal in refusals(rows, formula):
        raise refusal
    rows = with_trajectories(rows) if len(rows) <= MOST_ROWS and formula.column == "loss" else rows
    weighed = law == WEIGHED and not ladder
    fitted = fit_rows(rows, formula, table.digest, level, draws, seed, objective, profile, weighed=weighed)
    fitted = _of_table(with_doubts(fitted, table, rows, formula.unit), table, rows)
    return _with_ladder(fitted, rows) if ladder else fitted


def _of_table(fitted: Fit, table: RunTable, rows: Rows) -> Fit:
    """The fit with what only its table says: the loss of guessing, and which loss of what text it is of."""
    return replace(
        fitted,
        guessing=rows.guessing,
        eval_set=table.only("eval_set"),
        tokenizer=table.only("tokenizer"),
        loss_column=table.loss_column,
    )


def _with_ladder(fitted: Fit, rows: Rows) -> Fit:
    return replace(fitted, checks=with_ladder_check(fitted.checks, rows.params, rows.tokens))


def _require_settings(objective: str, level: float, draws: int) -> None:
    find_objective(objective)
    check_level(level)
    if draws < FEWEST_DRAWS:
        raise ForetokenError("too few draws for an interval", expected=f"at least {FEWEST_DRAWS}", got=str(draws))


def fit_rows(
    rows: Rows,
    law: Law,
    digest: str,
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    objective: str = "huber",
    profile: tuple[str, ...] = (),
    *,
    weighed: bool = False,
    brief: bool = False,
) -> Fit:
    """As `fit`, of rows that were checked before: nothing is refused. `brief` leaves out what no forecast needs.

    With `weighed` the other laws of `LAW_WEIGHTS` are fitted too, for forecasts.
    """
    # Constants of a fit (Huber's delta, the least noise) are of logarithms. What is fitted without one is taken in
    # units of its own spread, so that a score in percent and the same as a fraction have one fit.
    unit = 1.0 if law.is_logarithmic else float(np.ptp(rows.y))
    rows = rows if law.is_logarithmic else replace(rows, y=rows.y / unit)
    began = perf_counter()
    point = _point_estimates(rows, law, objective)
    seconds = perf_counter() - began
    began = perf_counter()
    uncertainty = _uncertainty(point, draws, seed)
    profiled = [*(name for name in law.profiled if name in law.parameters), *profile]
    laws = _weighed_laws(point, uncertainty, rows, objective, draws, seed) if weighed else []
    fitted = _assembled(point, uncertainty, digest, level, tuple(dict.fromkeys(profiled)), brief, seconds, began)
    fitted = fitted if law.is_logarithmic else fitted.in_unit(unit)
    if not laws:
        return fitted
    shares = ", ".join(f"{entry.law} {100 * entry.weight:.0f} %" for entry in laws)
    return replace(fitted, laws=laws, assumed=[*fitted.assumed, f"forecasts are the weighted mean of laws: {shares}"])


def _weighed_laws(
    point: _Point, uncertainty: _Uncertainty, rows: Rows, objective: str, draws: int, seed: int
) -> list[WeighedLaw]:
    """Every law of `LAW_WEIGHTS` that the runs allow, that of the fit first."""
    heaviest = _as_weighed(point, uncertainty.draws.map_theta)
    additive = _point_estimates(rows, CHINCHILLA, objective, point.unpenalised)
    laws = [heaviest, _as_weighed(additive, _forecast_draws(additive, draws, seed))]
    evidence = [log_evidence(law.sample, law.map_theta, point.sigma, point.common) for law in (point, additive)]
    frontier = fit_frontier(point.rows, point.sample, heaviest.parameters, draws, seed)
    return weigh(laws, frontier, evidence, point.sample.trust if point.chance else 0.0, point.rows)


def _forecast_draws(point: _Point, draws: int, seed: int) -> Array:
    """Draws of the MAP estimate alone, theta [draws, p]."""
    return bootstrap_forecast(point.sample, point.shared, point.map_theta, point.sigma, draws, seed, point.common).theta


def _as_weighed(point: _Point, draws: Array) -> WeighedLaw:
    law = point.sample.law.name
    return WeighedLaw(law, LAW_WEIGHTS[law], point.named(point.map_theta), point.values(draws).tolist())


@dataclass(frozen=True)
class _Point:
    """Both point estimates, and what they were made of."""

    rows: Rows
    """One row per run, or per cell of many runs."""
    sample: Sample
    within_cell_sd: float
    unpenalised: Unpenalised
    map_theta: Array
    noise: NoiseModel
    shared: dict[str, ClusterError]
    """What ties runs together, by kind, and what they share."""
    common: Common | None
    """The largest of these errors, as the estimate allows for it."""
    chance: float
    """Of so strong a pattern in the residuals if the law holds; 0 where it cannot be tested."""

    @property
    def sigma(self) -> Array:
        """Standard deviation of each run about the law, on log loss [r]."""
        return self.noise.at(self.sample.effort)

    def named(self, theta: Array) -> dict[str, float]:
        """Parameters by name, in the features' own units, from theta [p] at the sample's origin."""
        return self.sample.law.named(self.sample.law.shift(theta, self.sample.origin))

    def values(self, theta: Array) -> Array:
        """The same as an array, for theta [b, p]."""
        return self.sample.law.values(self.sample.law.shift(theta, self.sample.origin))

    def at_bounds(self) -> tuple[set[str], set[str]]:
        """Names of the parameters that the unpenalised estimate has at their lower and at their upper bound."""
        low, high = self.sample.law.bounds(self.sample.y)
        names, theta = np.array(self.sample.law.parameters), self.unpenalised.theta
        return set(names[theta - low < 1e-6].tolist()), set(names[high - theta < 1e-6].tolist())


@dataclass(frozen=True)
class _Uncertainty:
    """Draws of both estimates, and how a new run will differ from the law."""

    draws: Bootstrap
    noise: Noise
    held_out: list[HeldOut]


def _point_estimates(rows: Rows, law: Law, objective: str, looser: Unpenalised | None = None) -> _Point:
    """Both estimates of a law; searched from that of a `looser` law alone, where it is given."""
    rows, count, within_cell_sd = aggregate(rows, law)
    sample = Sample.of(law, rows.features(law), rows.y, rows.tokens, count)
    # The parameters of the additive law are the first of the coupled one: near enough for one search to begin at.
    near = looser.theta[: len(law.parameters)] if looser else None
    unpenalised = estimate_unpenalised(sample, objective, near, others=0 if looser else FEW_STARTS)
    theta, noise = estimate_map(sample, unpenalised.theta)
    sample.check_shift(theta)
    # Clusters are judged first: what a budget's runs have in common must not be taken for a pattern of the law.
    shared = cluster_errors(sample, rows, theta, noise.at(sample.effort))
    budget = shared["budgets"].of_run if "budgets" in shared else None
    chance = pattern_p_value(sample, theta, noise.at(sample.effort), budget)
    # A law that holds is believed: the runs alone decide E, and what budgets share is an error of its own. Where it
    # does not hold, a shared error may as well be its misfit, and what it says of E far from the runs is worth little.
    sample = replace(sample, trust=trust(chance))
    theta, noise = estimate_map(sample, unpenalised.theta)
    widest = max(shared.values(), key=lambda error: error.sd, default=None)
    common = None
    if widest and widest.sd > 0:
        sd = widest.sd * sample.trust
        theta, noise, common = estimate_map_sharing(sample, theta, noise, widest.of_run, sd)
    return _Point(rows, sample, within_cell_sd, unpenalised, theta, noise, shared, common, chance)


def _uncertainty(point: _Point, draws: int, seed: int) -> _Uncertainty:
    sample, theta = point.sample, point.map_theta
    # What is a pattern of the law must not be counted again among the held-out errors.
    largest = max((error.sd for error in point.shared.values()), default=0.0)
    growth, held_out = misfit_growth(sample, point.rows, theta, point.noise, largest, point.chance)
    resampled = bootstrap(sample, point.shared, theta, point.unpenalised, point.sigma, draws, seed, point.common)
    return _Uncertainty(resampled, _new_run_noise(point, growth), held_out)


def _new_run_noise(point: _Point, growth: float) -> Noise:
    """How a new run will differ from the law.

    The Student-t gets heavier tails where a run already lies far from the law.
    """
    # The mean of a cell hides how its runs scatter, so that variance is added to the one between cells.
    run_sd = float(np.hypot(point.noise.sd, point.within_cell_sd))
    farthest = float(np.abs(point.sample.residual(point.map_theta) / point.sigma).max())
    spare = len(point.rows) - len(point.map_theta)
    freedom = HEAVY if farthest > FAR else min(FREEDOM, max(HEAVY, spare))
    return Noise(
        run_sd=run_sd,
        tokens_power=point.noise.tokens_power,
        most_tokens=float(point.rows.tokens.max()),
        cluster_sd=max((error.sd for error in point.shared.values()), default=0.0),
        degrees_of_freedom=float(freedom),
        misfit_growth=growth,
        pattern_p_value=point.chance,
    )


def _assembled(
    point: _Point,
    uncertainty: _Uncertainty,
    digest: str,
    level: float,
    profiled: tuple[str, ...],
    brief: bool,
    seconds: float,
    began: float,
) -> Fit:
    rows, sample, best, law = point.rows, point.sample, point.unpenalised, point.sample.law
    estimates, draws, (at_low, at_high) = point.named(best.theta), uncertainty.draws, point.at_bounds()
    intervals = _intervals(point, draws.unpenalised, level, brief)
    # E at its lower bound is no failure of the search: `identify` has a reason of its own for it.
    at_bound = (at_low | at_high) - {"E"}
    profile = {} if brief else profiles(sample, best, profiled, level)
    reasons = identify(law, estimates, intervals, at_low, float(rows.y.min()), rows.unit_of(law)) | flat(law, profile)
    return Fit(
        law=law.name,
        status="bound_hit" if at_bound else "not_identified" if reasons else "converged",
        parameters={name: None if name in reasons else value for name, value in estimates.items()},
        reasons=reasons,
        intervals=intervals,
        level=level,
        unpenalised_parameters=estimates,
        unpenalised_draws=point.values(draws.unpenalised).tolist(),
        map_parameters=point.named(point.map_theta),
        map_draws=point.values(draws.map_theta).tolist(),
        laws=[],
        params_column=rows.params_column,
        objective=ObjectiveValue(best.objective, best.huber_sum, DELTA),
        starts=Starts(best.tried, best.agree),
        conditioning=_conditioning(sample, best.theta),
        rows=RowCounts(int(sample.count.sum()), rows.dropped),
        checks=fit_checks(rows, sample, best, point.map_theta, at_bound, reasons, uncertainty.noise.pattern_p_value),
        assumed=[*rows.assumed, f"forecast_parameters assume: {law.prior_text}"],
        noise=uncertainty.noise,
        ranges=Ranges(_range(rows.params), _range(rows.tokens), _range(rows.flops), _range(rows.y)),
        features={name: _range(rows.feature(name)) for name in law.features},
        runs=rows.fitted_runs(_fitted_values(sample, point.map_theta)),
        data_sha256=digest,
        seconds=seconds,
        interval_seconds=perf_counter() - began,
        bootstrap=draws.text,
        held_out=uncertainty.held_out,
        profiles=profile,
        sensitivity=[] if brief else sensitivity(sample, best, point.map_theta),
        version=__version__,
        loss_unit=rows.loss_unit,
    )


def _intervals(point: _Point, draws: Array, level: float, brief: bool) -> dict[str, Range]:
    """Quantiles of unpenalised draws, theta [b, p], by parameter; E's widened by what its identification tried."""
    sample, law = point.sample, point.sample.law
    ends = np.quantile(point.values(draws), [(1 - level) / 2, (1 + level) / 2], axis=0).T
    intervals = {name: Range(float(low), float(high)) for name, (low, high) in zip(law.parameters, ends, strict=True)}
    if "E" in intervals and not brief:
        others = without_ends(sample, point.rows, point.unpenalised.theta) | under_looser_law(law, point.rows)
        intervals["E"] = widened(intervals["E"], others)
    return intervals


def _conditioning(sample: Sample, theta: Array) -> float:
    """Condition number of the gradient with its columns scaled to length 1: above 1e3 parameters trade off freely."""
    gradient = sample.law.value_and_grad(theta[None], sample.x)[1][0]
    return float(min(np.linalg.cond(gradient / (np.linalg.norm(gradient, axis=0) + 1e-300)), 1e16))


def _range(values: Array) -> Range:
    return Range(float(values.min()), float(values.max()))


def _fitted_values(sample: Sample, theta: Array) -> Array:
    """The law's value for each run, in the law's unit [r]."""
    fitted = sample.law.value_and_grad(theta[None], sample.x)[0][0]
    return np.asarray(np.exp(fitted) if sample.law.is_logarithmic else fitted)
