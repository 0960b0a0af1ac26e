"""Checks of a law fitted to the table: its own doubts, outliers, and what a few runs do to it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.checks.surface import BREAKS, BUDGET_BY_CHANCE, Surface, offset
from foretoken.checks.table_view import TableCheck, TableView
from foretoken.fits.check import Check, by_chance, listed
from foretoken.fits.fit_checks import FORM_CODES, bends, outlying, outlying_runs
from foretoken.fits.influence import sample_of
from foretoken.fits.noise import spread
from foretoken.fits.result import Fit
from foretoken.fits.rows import by_budget
from foretoken.fits.solvers import solve
from foretoken.laws import find_law
from foretoken.laws.law import Array, Indices

AHEAD = 8.0
"""What a run does to the law is measured on the forecast at this many times the largest compute."""
CARRIES, LEAST_SHIFT = 4.0, 0.003
"""One run carries a fit whose forecast it moves by 0.3 % or more, and 4 times as far as any other run does."""
MOST_LEFT_OUT = 200
MANY = 5000
"""Runs of which none alone carries a fit."""
ILL_CONDITIONED = 1e4
SMALL_SHARE, LEAST_MOVE = 0.25, 0.02
STARTS, CHANCES = 6, 100
NOISE_RATIO = 4.0
SMALL_BY_CHANCE = 0.01
"""Chance that so much is gained by a law of their own for the runs of least compute."""
FREE_BUDGETS = 3
"""Ways in which budgets may differ, beside a break, below which the break may be their own error."""
MOST_VALUES, NEARLY_ALL = 12, 0.95
"""Values of a column that may name groups of runs, and the share of runs that it must place rightly."""


def doubts_of_the_fit(view: TableView) -> Iterator[Check]:
    """What the fit itself says: exponents at a bound, starts that disagree, a trend of the residuals, and so on."""
    if view.fit is None:
        return
    # A bend that the coupled law takes up is in Chinchilla's form, not in the runs; what nothing else sees is chance.
    seen = view.surface is None or view.surface.patterns or view.surface.budget_chance < BUDGET_BY_CHANCE
    form = view.surface is not None and not (seen and bends(view.rows, view.surface.residual))
    # Outliers are told once, from the robust surface where there is one.
    told = set(outlying_runs(view.fit)) if view.surface else set()
    yield from (check for check in view.fit.checks if check not in told and not (form and check.code in FORM_CODES))


def ill_conditioned(view: TableView) -> Iterator[Check]:
    """Parameters that trade off freely."""
    if view.fit and view.fit.conditioning > ILL_CONDITIONED:
        evidence = f"condition number {view.fit.conditioning:.2g} of the fit's gradient"
        yield Check("ill_conditioned", "note", evidence, "do not read single parameters; vary N and D more")


def outliers(view: TableView) -> Iterator[Check]:
    """Runs that finished far from the law."""
    if view.surface:
        yield from outlying(view.rows.run, view.rows.y, view.surface.residual, view.surface.scale)


def offset_rows(view: TableView) -> Iterator[Check]:
    """Two groups of runs a factor apart: another validation set, tokenizer or recipe, without a column that says so."""
    found = offset(view.surface) if view.surface else None
    if found is None:
        return
    rows = [int(view.rows.row_index[i]) + 1 for i in found.off]
    side, apart = ("above" if found.shift > 0 else "below"), 100 * abs(np.expm1(found.shift))
    teller = _telling_column(view, found.off)
    who = f"column `{teller}` tells them apart" if teller else "no column tells them apart"
    evidence = (
        f"{len(found.off)} of {len(view.rows)} runs lie {apart:.1f} % {side} the others,"
        f" {abs(found.shift) / found.noise:.1f} times the noise of a run (rows {listed(rows, 8)}); {who}"
    )
    cure = "find out what these runs do not share (validation set, tokenizer, split, recipe), and fit one kind alone"
    yield Check("offset_rows", "doubt", evidence, cure)


def _telling_column(view: TableView, off: Indices) -> str:
    """A column of few values, each of which is nearly always on one side; empty where there is none."""
    frame = view.frame.iloc[view.rows.row_index]
    side = np.isin(np.arange(len(frame)), off)
    for name in map(str, frame):
        values = np.array(list(map(str, frame[name])))
        if not 2 <= len(np.unique(values)) <= MOST_VALUES:
            continue
        share = np.array([side[values == value].mean() for value in values])
        if (abs(share - side) < 0.5).mean() > NEARLY_ALL and np.ptp(share) > 0.5:
            return name
    return ""


def slope_that_changes(view: TableView) -> Iterator[Check]:
    """A law whose slope changes at some size, length or compute."""
    surface = view.surface
    if surface is None or not (change := surface.patterns.get("break")):
        return
    names = ("N", "D", "C")
    name, values = list(zip(names, (view.rows.params, view.rows.tokens, view.rows.flops), strict=True))[
        change.which // len(BREAKS)
    ]
    at = float(np.quantile(values, BREAKS[change.which % len(BREAKS)]))
    evidence = (
        f"d ln L / d ln {name} changes by {change.slope:+.4f} ± {change.slope_sd:.4f} near {name} = {at:.3g}"
        f" ({by_chance(change.chance)})"
    )
    cure = "fit the runs beyond it alone, or a law with a break; look for what was changed there"
    # Few budgets can differ by their own errors in the way of a break; then it is not known which of the two it is.
    unsure = not change.sure or (surface.budgets is not None and surface.free_budgets < FREE_BUDGETS)
    yield Check("slope_changes", "note" if unsure else "doubt", evidence, cure)


def error_by_budget(view: TableView) -> Iterator[Check]:
    """What the runs of a budget share: its loss lies off as a whole."""
    surface = view.surface
    if surface is None or surface.budgets is None or surface.budget_chance > BUDGET_BY_CHANCE:
        return
    means = surface.budgets.T @ surface.residual / surface.budgets.sum(axis=0)
    inside = surface.residual - surface.budgets @ means
    spare = max(1, len(inside) - surface.budgets.shape[1] - surface.gradient.shape[1])
    noise = float(np.sqrt((inside[surface.inner] ** 2).sum() / spare))
    evidence = (
        f"the {len(means)} budgets lie off the law by {100 * means.std():.2f} % (standard deviation of their means,"
        f" {100 * abs(means).max():.1f} % at most), their runs by {100 * noise:.2f} %"
        f" ({by_chance(surface.budget_chance)})"
    )
    cure = (
        "look for what the runs of a budget share (schedule, batch, data order, day); intervals allow for it, and more"
        " budgets help more than more runs of each"
    )
    yield Check("error_by_budget", "note", evidence, cure)


def influential_run(view: TableView) -> Iterator[Check]:
    """Leave-one-out: one run that carries the fit."""
    if view.fit is None or len(view.fit.runs) > MANY:
        return
    order, shift = leave_one_out(view.fit)
    first, second = np.sort(abs(shift))[::-1][:2]
    if first > LEAST_SHIFT and first > CARRIES * second:
        worst = int(abs(shift).argmax())
        run = view.fit.runs[order[worst]]
        evidence = (
            f"without run {run.run} (N {run.params:.3g}, D {run.tokens:.3g}) the forecast at {AHEAD:g} times the"
            f" compute moves by {100 * np.expm1(shift[worst]):+.2f} %; no other run moves it by more than"
            f" {100 * second:.2f} %"
        )
        cure = "repeat that run with another seed, or add runs near it"
        yield Check("influential_run", "doubt", evidence, cure)


def smallest_runs_matter(view: TableView) -> Iterator[Check]:
    """The runs of least compute do not follow the same law as the others: without them the exponent of N* moves."""
    if view.fit is None or len(view.rows) < 16:
        return
    flops = np.array([run.flops for run in view.fit.runs])
    keep = flops > np.quantile(flops, SMALL_SHARE)
    # Below three distinct budgets the remaining runs cannot bend, and their exponent is noise.
    if len(np.unique(np.round(np.log(flops[keep]), 1))) < 3:
        return
    # Where the coupled law holds for both, the exponent moves because Chinchilla's form does not.
    if view.surface and _small_by_chance(view.surface) > SMALL_BY_CHANCE:
        return
    whole, part = _exponents(view.fit, np.stack([np.ones_like(keep), keep]))
    if abs(part - whole) > LEAST_MOVE and abs(part - whole) > (chance := _move_by_chance(view.fit, keep)):
        evidence = (
            f"without the quarter of least compute the exponent of N* is {part:.3f}, with it {whole:.3f}; noise alone"
            f" moves it by {chance:.3f} at most in {CHANCES} tables drawn from the law"
        )
        cure = "fit the larger runs alone: a law starts somewhere"
        yield Check("smallest_runs_matter", "doubt", evidence, cure)


def _small_by_chance(surface: Surface) -> float:
    """Chance that a coupled law of their own fits the runs of least compute so much better than that of all runs."""
    small = surface.rows.flops <= np.quantile(surface.rows.flops, SMALL_SHARE)
    return surface.groups_chance(surface.gradient * small[:, None], surface.gradient)


def noise_changes(view: TableView) -> Iterator[Check]:
    """Residuals much wider at one end of compute than at the other."""
    if view.fit is None or len(view.rows) < 18:
        return
    residual = abs(view.fit.residuals[np.argsort([run.flops for run in view.fit.runs])])
    # The middle third says nothing about a trend, and would only dilute the ends.
    third = len(residual) // 3
    low, high = (float(np.sqrt(np.mean(part**2))) for part in (residual[:third], residual[-third:]))
    if max(low, high) > NOISE_RATIO * min(low, high):
        evidence = f"spread of the residuals {100 * low:.2f} % at the least and {100 * high:.2f} % at the most compute"
        yield Check("noise_changes", "note", evidence, "intervals take one noise for all: the wider end counts")


def leave_one_out(fit: Fit) -> tuple[Indices, Array]:
    """Numbers of the runs that were left out, one at a time, and what each does to the log of the forecast."""
    residual = abs(fit.residuals)
    order = np.argsort(-residual, kind="stable")[:MOST_LEFT_OUT]
    keep = np.ones((len(order), len(residual)), dtype=bool)
    keep[np.arange(len(order)), order] = False
    return order, _forecasts(fit, keep)


def _forecasts(fit: Fit, keep: Array) -> Array:
    """Change of the log forecast when only `keep` [b, r] stays: [b]."""
    law, sample = find_law(fit.law), sample_of(fit)
    start = law.shift(law.theta(fit.map_parameters), -sample.origin)
    # From the fit's parameters, then from the optimum of all runs: leaving one out moves it little, so few steps do.
    problem = sample.map_problem(sample.y[None], np.ones((1, len(sample.y))), fit.noise.run_sd)
    whole = solve(problem, start[None], 1e-9)[0]
    problem = sample.map_problem(sample.y[None], keep.astype(np.float64), fit.noise.run_sd)
    theta = solve(problem, np.repeat(whole, len(keep), axis=0), 1e-9)[0]
    return _at_target(fit, law.shift(theta, sample.origin)) - _at_target(fit, law.shift(whole, sample.origin))


def _exponents(fit: Fit, keep: Array) -> Array:
    """Exponent of N* of the plain estimate when only `keep` [b, r] stays: [b]."""
    law, sample = find_law(fit.law), sample_of(fit)
    start = law.shift(law.theta(fit.unpenalised_parameters), -sample.origin)
    starts = np.concatenate([start[None], law.starts(sample.x, sample.y)[:STARTS]])
    found = []
    for rows in keep.astype(np.float64):
        theta, value = solve(sample.unpenalised_problem(sample.y[None], rows[None]), starts, 1e-9)
        best = law.named(theta[value.argmin()])
        # N* ~ C^(beta / (alpha + beta)), from Chinchilla's closed form
        found.append(best["beta"] / (best["alpha"] + best["beta"]))
    return np.array(found)


def _move_by_chance(fit: Fit, keep: Array) -> float:
    """How far leaving out all but `keep` [r] moves the exponent at most in tables that are drawn from the fitted law.

    With the noise of the runs that stay, and what the runs of a budget share.
    """
    law, sample = find_law(fit.law), sample_of(fit)
    theta = law.shift(law.theta(fit.unpenalised_parameters), -sample.origin)
    residual, generator = sample.residual(theta), np.random.default_rng(0)
    noise = spread(residual[keep], len(theta)) * generator.standard_normal((CHANCES, len(residual)))
    budgets = by_budget([run.group for run in fit.runs], np.array([run.flops for run in fit.runs]))
    for here in budgets if fit.noise.cluster_sd else []:
        noise[:, here] += fit.noise.cluster_sd * generator.standard_normal((CHANCES, 1))
    found = []
    for rows in (np.ones_like(keep), keep):
        weight = np.repeat(rows[None].astype(np.float64), CHANCES, axis=0)
        ends, _ = solve(
            sample.unpenalised_problem(sample.y - residual + noise, weight), np.repeat(theta[None], CHANCES, 0), 1e-9
        )
        alpha, beta = (law.values(ends)[:, law.parameters.index(name)] for name in ("alpha", "beta"))
        found.append(beta / (alpha + beta))
    return float(abs(found[1] - found[0]).max())


def _at_target(fit: Fit, theta: Array) -> Array:
    """Log forecasts at AHEAD times the compute of the run with the most, shared by N and D: [b]."""
    law = find_law(fit.law)
    largest = max(fit.runs, key=lambda run: run.flops)
    # At 8 times the compute a compute-optimal run has sqrt(8) times the parameters and tokens (exponents near 0.5).
    step = {"flops": AHEAD, "params": np.sqrt(AHEAD), "tokens": np.sqrt(AHEAD)}
    x = np.log([[getattr(largest, name) * step[name] for name in law.features]])
    return np.asarray(law.value_and_grad(theta, x)[0][:, 0])


CHECKS: list[TableCheck] = [
    doubts_of_the_fit,
    ill_conditioned,
    outliers,
    offset_rows,
    slope_that_changes,
    error_by_budget,
    influential_run,
    smallest_runs_matter,
    noise_changes,
]
