"""What is doubtful about a forecast of scores: no loss, a task at chance, a poor link, a long way beyond the runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from foretoken.abilities.downstream_result import HeldOutScore
from foretoken.abilities.group_runs import GroupRuns, Sizes
from foretoken.abilities.held_out_routes import LEVEL
from foretoken.abilities.score_routes import direct_curves
from foretoken.errors import ForetokenError
from foretoken.fits.check import Check, listed, plural
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.laws.law import Array
from foretoken.units import format_times

FAR = 30.0
"""Times the largest run's compute beyond which a forecast of a score is doubted: no public ladder tested so far."""
BY_CHANCE = 0.05
POOR = 0.5
"""Share of the variance of the scores that a curve explains, below which it is a poor link."""
MISSED = 0.7
"""Share of held-out scores inside their 90 % interval below which the intervals are doubted."""
FLOOR_PARAMETERS = 3
MOST_NAMED = 6
FLAT = "size and tokens explain"
"""How the reason of a task begins whose scores so far show no rise."""


def explained(runs: GroupRuns) -> tuple[Array, Array]:
    """The share of each task's variance that its best curve explains, and how likely so much is by chance [k] each."""
    from scipy.special import fdtrc

    measured = runs.angles()
    curves = direct_curves(runs)
    count = np.isfinite(measured).sum(axis=0)
    mean = np.nansum(measured, axis=0) / np.maximum(count, 1)
    total = np.nansum((measured - mean) ** 2, axis=0)
    freedom = np.maximum(count - FLOOR_PARAMETERS - 1.0, 1.0)
    left = np.minimum(curves.angle_sd**2 * freedom, total)
    # A curve that is not flat has three parameters more than its mean: an F test, rough where a bound is active.
    ratio = (total - left) / FLOOR_PARAMETERS / np.maximum(left / freedom, 1e-12)
    share = np.where(total > 0, 1 - left / np.maximum(total, 1e-12), 0.0)
    return share, np.where(total > 1e-12, fdtrc(FLOOR_PARAMETERS, freedom, ratio), 1.0)


def reasons_of(runs: GroupRuns, fewest: int) -> tuple[str, ...]:
    """Why each task has no score, or why the score says little; "" where it is one."""
    count = np.isfinite(runs.score).sum(axis=0)
    chance = explained(runs)[1]
    found = []
    for task in range(len(runs.tasks)):
        if count[task] < fewest:
            found.append(f"{plural(int(count[task]), 'run')} with a score; {fewest} are the least")
        elif chance[task] > BY_CHANCE:
            guess = float(runs.in_own_direction(runs.chance)[task])
            level = f"; guessing gives {guess:.3g}" if np.isfinite(guess) else ""
            found.append(f"{FLAT} these scores no better than luck would: how it goes on is unknown{level}")
        else:
            found.append("")
    return tuple(found)


def checks_of(
    runs: GroupRuns,
    at: Sizes,
    fitted: Fit | ForetokenError | None,
    held_out: Sequence[HeldOutScore],
    losses: list[Forecast],
    reasons: tuple[str, ...],
    route: str,
) -> Iterator[Check]:
    """The doubts about the forecasts of one group."""
    whose = f"{runs.group}: " if runs.group else ""
    yield from _loss_checks(runs, fitted, losses, whose, route)
    flat = [
        replace(name, group="") for name, reason in zip(runs.tasks, reasons, strict=True) if reason.startswith(FLAT)
    ]
    if flat:
        evidence = f"{whose}{plural(len(flat), 'score')} at chance, flat or too noisy: {listed(flat, MOST_NAMED)}"
        cure = "do not decide by these; larger runs, or a metric that moves earlier, would tell"
        yield Check("at_chance", "doubt", evidence, cure)
    few = [name.task for name, reason in zip(runs.tasks, reasons, strict=True) if "are the least" in reason]
    if few:
        evidence = f"{whose}too few scores of {listed(few, MOST_NAMED)}"
        yield Check("too_few_scores", "doubt", evidence, "score more of the smaller runs on them")
    share = explained(runs)[0]
    poor = [
        name.task for name, reason, one in zip(runs.tasks, reasons, share, strict=True) if one < POOR and not reason
    ]
    if poor:
        evidence = f"{whose}size and tokens explain less than half of the scores of {listed(poor, MOST_NAMED)}"
        yield Check("poor_link", "doubt", evidence, "more items per task, or the mean over tasks, is less noisy")
    factor = float(at.flops.max() / runs.sizes.flops.max())
    if factor > FAR:
        evidence = f"{whose}{format_times(factor, 3)} times the compute of the largest run"
        yield Check("far_beyond", "doubt", evidence, "train a run between, and score it")
    yield from _held_out_checks(held_out, whose)


def _loss_checks(
    runs: GroupRuns, fitted: Fit | ForetokenError | None, losses: list[Forecast], whose: str, route: str
) -> Iterator[Check]:
    if isinstance(fitted, ForetokenError):
        evidence = f"{whose}no law of the loss can be fitted ({fitted.message}), so scores follow size and tokens alone"
        yield Check("no_loss_forecast", "doubt", evidence, fitted.cure or "add runs, or correct the losses")
    elif fitted is None and route != "direct":
        evidence = f"{whose}no loss in every row, so scores follow size and tokens alone"
        yield Check("no_loss", "note", evidence, "name its column for two steps: --map loss=COLUMN")
    seen = {check.code for forecast in losses for check in forecast.checks if check.is_doubt}
    for code in sorted(seen):
        one = next(check for forecast in losses for check in forecast.checks if check.code == code)
        yield Check(one.code, one.severity, f"{whose}the loss: {one.evidence}", one.cure)


def _held_out_checks(held_out: Sequence[HeldOutScore], whose: str) -> Iterator[Check]:
    from scipy.special import bdtr

    if not held_out:
        evidence = f"{whose}too few runs to hold any out, so the routes count alike and their errors are unknown"
        yield Check("not_tested", "doubt", evidence, "score more of the smaller runs")
        return
    inside, count = sum(score.is_inside for score in held_out), len(held_out)
    # So few must not be likely of intervals that are right: of three scores one misses in every fourth table.
    if inside < MISSED * count and bdtr(inside, count, LEVEL) < BY_CHANCE:
        evidence = f"{whose}of {count} held-out scores {inside} lie inside their {100 * LEVEL:.0f} % interval"
        yield Check(
            "held_out_missed", "doubt", evidence, "believe the intervals less; look at the page's held-out runs"
        )
