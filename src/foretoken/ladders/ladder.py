"""The ladder to run first: the small runs that most lower what a target's decision loses, per FLOP.

Two things are lost when a target is decided from a ladder: it gets a size that is not the best, and it is bought for a
loss that it will not have. Both follow from the covariance of the law's parameters, which a linearised law gives before
a run is trained. Each is converted to FLOP of the target, and so compares with what the ladder costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from foretoken.arguments import takes
from foretoken.errors import DesignError
from foretoken.fits.check import Check
from foretoken.fits.result import Fit
from foretoken.forecasts.sense import FAR
from foretoken.ladders.exchange import ROUNDS, Candidates, LadderLimits, choose_runs, isoflop_runs, possible_runs
from foretoken.ladders.information import Criterion, geometric_mean
from foretoken.ladders.order import Order, read_order
from foretoken.ladders.planned import PlannedLadder, check_planned_runs, forecast_width
from foretoken.ladders.prior import Prior, make_prior
from foretoken.ladders.request import NextRunRequest
from foretoken.ladders.target import Target, half_way_to_estimate, make_target
from foretoken.results import Result
from foretoken.runs.loss_units import NATS_PER_TOKEN

LARGEST_SHARE = 1 / 3
"""Of the ladder's FLOP, what one run may take unless told otherwise."""
PATH = 1e-3 * 2.0 ** np.arange(-6, 8)
"""Ladders that are compared to find where to stop, in shares of the target."""
DOUBLINGS = 8
"""An IsoFLOP grid of the same precision is sought up to this many doublings of the cost."""
ENOUGH = 0.99
"""A ladder of this share of the cost at which it pays to stop is enough: the path is searched in factors of 2."""
NO_GRID = f"no grid up to {2**DOUBLINGS} times the cost is as good"


@dataclass(frozen=True)
class PlannedRun:
    """Runs of one size and length."""

    params: float
    tokens: float
    flops: float
    """Of one of them."""
    seeds: int
    learning_rates: int


@dataclass(frozen=True)
class TargetRun:
    """The run that the ladder is for."""

    params: float
    tokens: float
    flops: float


@dataclass(frozen=True)
class Expected:
    """How well the target will be known; half widths are of 90 % intervals, as shares of the loss."""

    half_width_before: float | None
    """By the fit that there is."""
    half_width_before_reason: str | None
    half_width_after: float
    """By a fit of the ladder's runs too."""
    regret_flops: float
    """What the target's decision still loses, in FLOP."""


@dataclass(frozen=True)
class IsoflopGrid:
    """A plain grid of the same cost, for comparison."""

    flops: float
    half_width: float
    same_precision_flops: float | None
    """What a grid costs that is as good as the ladder."""
    same_precision_flops_reason: str | None


@dataclass(frozen=True)
class OneMoreRun:
    """The run that would be added next."""

    params: float
    tokens: float
    value_flops: float
    """What it saves the target, in FLOP."""
    cost_flops: float


@dataclass(frozen=True)
class PathPoint:
    """A ladder of another cost."""

    flops: float
    half_width: float
    regret_flops: float


@dataclass(frozen=True)
class Stop:
    """Where spending ends."""

    flops: float
    """Where the next FLOP of a ladder saves less than one of the target."""
    reason: str
    enough: bool
    """Whether this ladder gets there."""
    next: OneMoreRun
    path: list[PathPoint]


@dataclass(frozen=True)
class NextRun(Result, rows="runs"):
    """The ladder to run first. Half widths are of 90 % intervals, as shares of the loss; other amounts are FLOP."""

    runs: list[PlannedRun]
    total_flops: float
    total_usd: float | None
    total_usd_reason: str | None
    law: str
    """What a fit of the runs is planned to be of."""
    target: TargetRun
    expected: Expected
    isoflop: IsoflopGrid
    stop: Stop
    checks: list[Check]
    assumed: list[str]
    loss_unit: str = NATS_PER_TOKEN
    """What the losses of the runs are in, where the ladder follows a fit."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return asdict(self)


@takes(NextRunRequest)
def next_run(request: NextRunRequest) -> NextRun:
    """The runs to train before a target, which is given by its compute or by its params and tokens.

    At most `runs` runs are chosen for at most `spend` FLOP, by default as many as pay for themselves. Raises
    ForetokenError and DesignError for what no ladder meets.

    >>> ladder = next_run("1e21 FLOP", spend=2e19, runs=16)
    >>> sum(run.seeds * run.learning_rates for run in ladder.runs) <= 16, ladder.total_flops <= 2e19
    (True, True)
    """
    return choose_ladder(request)


def choose_ladder(request: NextRunRequest, tell: Callable[[str], None] = lambda _: None) -> NextRun:
    """The ladder of a request, as `next_run` gives it; `tell` hears what is being done."""
    order = read_order(request)
    path = _path(order, tell)
    best = min(path, key=lambda ladder: ladder.cost + ladder.regret_flops)
    tell("choosing the runs ...")
    ladder = _chosen(order, path, order.spend or best.cost)
    target = ladder.target
    tell("comparing with IsoFLOP grids ...")
    return NextRun(
        runs=_planned(ladder),
        total_flops=ladder.cost,
        total_usd=None if order.usd_per_flop is None else ladder.cost * order.usd_per_flop,
        total_usd_reason="no price of a FLOP is known (--usd-per-flop)" if order.usd_per_flop is None else None,
        law=ladder.prior.law.name,
        target=TargetRun(target.params, target.tokens, target.flops),
        expected=_expected(ladder),
        isoflop=_isoflop(ladder, order.learning_rate_error),
        stop=_stop(ladder, path, best),
        checks=_checks(ladder),
        assumed=[*ladder.prior.assumed, *order.assumed],
        loss_unit=order.known.loss_unit if isinstance(order.known, Fit) else NATS_PER_TOKEN,
    )


def _path(order: Order, tell: Callable[[str], None]) -> list[PlannedLadder]:
    """Ladders of several costs, without exchange; those that are too small for any run are left out.

    A dearer ladder that loses more gives way to the one before it, which can be had for less. With a fit the first
    is no ladder at all.
    """
    path: list[PlannedLadder] = []
    for share in PATH:
        with suppress(DesignError):
            other = _ladder(order, share * order.target_flops)
            if not path:
                tell(f"comparing ladders of {len(PATH)} costs ...")
                path += [_without_runs(other)] if other.known else []
            path.append(min([*path[-1:], other], key=lambda ladder: ladder.regret_flops))
    return path or [_ladder(order, PATH[-1] * order.target_flops)]


def _chosen(order: Order, path: Sequence[PlannedLadder], spend: float) -> PlannedLadder:
    """The exchanged ladder for this much; beside a fit a cheaper one of the path where that loses less."""
    # Beside a fit ladders are judged by its own forecast, which the search knows in its linear form only.
    cheaper = [ladder for ladder in path if ladder.known and (ladder.budget <= spend or not ladder.counts.any())]
    try:
        return min([_ladder(order, spend, ROUNDS), *cheaper], key=lambda ladder: ladder.regret_flops)
    except DesignError:
        if order.sizes or not cheaper:
            raise
        return min(cheaper, key=lambda ladder: ladder.regret_flops)


def _without_runs(ladder: PlannedLadder) -> PlannedLadder:
    return replace(ladder, counts=np.zeros_like(ladder.counts))


def _ladder(order: Order, spend: float, rounds: int = 0) -> PlannedLadder:
    """The best runs for this much: a first choice says which estimates to expect, and a second is made from there.

    Without `rounds` the first choice stands, judged from there.
    """
    largest = min(order.largest or LARGEST_SHARE * spend, spend, order.target_flops)
    prior = make_prior(order.known, order.formula, largest, order.noise, order.seed)
    known = order.known if isinstance(order.known, Fit) else None
    # Below the fit's own runs no run shows whether its law holds there, however cheap and many they are.
    smallest = known.ranges.flops.low if known else 0.0
    candidates = possible_runs(prior, largest, order.sizes, tuned=order.learning_rate_error > 0, smallest=smallest)
    limits = LadderLimits(
        cost=candidates.cost,
        trainings=candidates.learning_rates,
        spend=spend,
        max_trainings=order.runs,
        max_seeds=order.seeds,
        configuration=candidates.configuration,
    )
    # Two passes: where the law is linearised depends on the runs, and the runs on the linear law.
    target, criterion = _judged_by(order, prior, candidates)
    counts = choose_runs(criterion, limits, order.seed, 0)
    prior = _linearised(PlannedLadder(prior, target, candidates, criterion, counts, known, spend))
    target, criterion = _judged_by(order, prior, candidates)
    counts = choose_runs(criterion, limits, order.seed, rounds) if rounds else counts
    return PlannedLadder(prior, target, candidates, criterion, counts, known, spend)


def _judged_by(order: Order, prior: Prior, candidates: Candidates) -> tuple[Target, Criterion]:
    target = make_target(prior, order.flops, order.params, order.tokens, order.goal)
    return target, _criterion(prior, target, candidates, order.learning_rate_error)


def _linearised(ladder: PlannedLadder) -> Prior:
    """The prior, with its gradients nearer to the estimates that fits of these runs would give."""
    here, prior = ladder.counts > 0, ladder.prior
    x = np.concatenate([prior.past_runs, ladder.candidates.x[here]])
    variance = np.append(prior.past_variance, 1 / ladder.criterion.precision(ladder.counts)[here])
    return half_way_to_estimate(prior, ladder.target, x, variance)


def _criterion(prior: Prior, target: Target, candidates: Candidates, learning_rate_error: float) -> Criterion:
    untuned = np.where(candidates.learning_rates > 1, 0.0, learning_rate_error)
    return Criterion(
        gradient=prior.gradient(candidates.x),
        discrepancy=prior.discrepancy(np.log([target.params, target.tokens]), candidates.x),
        quantities=target.quantities,
        quantities_discrepancy=target.quantities_discrepancy,
        prior_precision=target.prior_precision,
        prior_offset=target.prior_offset,
        past=target.past,
        run_sd=prior.noise.of(candidates.tokens),
        cell_sd=np.hypot(prior.noise.cell_sd, untuned),
    )


def _planned(ladder: PlannedLadder) -> list[PlannedRun]:
    candidates = ladder.candidates
    runs = [
        PlannedRun(
            params=float(candidates.params[k]),
            tokens=float(candidates.tokens[k]),
            flops=float(candidates.flops[k]),
            seeds=int(ladder.counts[k]),
            learning_rates=int(candidates.learning_rates[k]),
        )
        for k in np.flatnonzero(ladder.counts)
    ]
    return sorted(runs, key=lambda run: (run.flops, run.params))


def _expected(ladder: PlannedLadder) -> Expected:
    before, reason = None, "without runs of its own no loss is forecast"
    if ladder.known:
        before = forecast_width(ladder.known, ladder.target)
    return Expected(before, reason if before is None else None, ladder.half_width, ladder.regret_flops)


def _isoflop(ladder: PlannedLadder, learning_rate_error: float) -> IsoflopGrid:
    """A plain grid beside the ladder, and the cost at which it would be as good."""
    if not ladder.counts.any():
        return IsoflopGrid(0.0, ladder.half_width, None, "no run is planned, so there is nothing to compare with")
    smallest = ladder.known.ranges.flops.low if ladder.known else 0.0

    def half_width(spend: float) -> float:
        grid = isoflop_runs(ladder.prior, spend)
        criterion = _criterion(ladder.prior, ladder.target, grid, learning_rate_error)
        counts = np.asarray(grid.flops >= smallest, dtype=np.float64)
        return replace(ladder, candidates=grid, criterion=criterion, counts=counts).half_width

    # Quarter octaves: the cost of the grid that is as good is known to a fifth.
    spends = (ladder.cost * 2.0 ** np.arange(-DOUBLINGS, DOUBLINGS + 0.25, 0.25)).tolist()
    same = next((spend for spend in spends if half_width(spend) <= ladder.half_width), None)
    return IsoflopGrid(ladder.cost, half_width(ladder.cost), same, NO_GRID if same is None else None)


def _stop(ladder: PlannedLadder, path: Sequence[PlannedLadder], best: PlannedLadder) -> Stop:
    """Where spending ends, and what one run more would be worth here."""
    criterion, candidates, counts = ladder.criterion, ladder.candidates, ladder.counts
    now = float(geometric_mean(criterion.loss(counts)))
    gain = now - geometric_mean(criterion.loss_after(counts, np.arange(len(counts))))
    k = int((gain / candidates.cost).argmax())
    one_more = replace(ladder, counts=counts + (np.arange(len(counts)) == k))
    return Stop(
        flops=best.cost,
        reason=_reason(path, best),
        enough=bool(ladder.cost >= ENOUGH * best.cost),
        next=OneMoreRun(
            params=float(candidates.params[k]),
            tokens=float(candidates.tokens[k]),
            value_flops=ladder.regret_flops - one_more.regret_flops,
            cost_flops=float(candidates.cost[k]),
        ),
        path=[PathPoint(other.cost, other.half_width, other.regret_flops) for other in path],
    )


def _reason(path: Sequence[PlannedLadder], best: PlannedLadder) -> str:
    """Why spending ends there, in words."""
    if not best.counts.any():
        return "no ladder that was compared saves its target what it costs; the runs that there are say as much"
    if best is path[-1]:
        return "the dearest ladder that was compared, and still worth its cost: train it, fit, and ask again"
    return "beyond it a ladder saves its target less than it costs"


def _checks(ladder: PlannedLadder) -> list[Check]:
    """What a fit of these runs would refuse or doubt, and how far the target is."""
    if ladder.known and not ladder.counts.any():
        low = ladder.known.ranges.flops.low
        evidence = (
            f"no run of {low:.3g} FLOP, the least of the fit's own, is bought; smaller ones tell nothing of the law"
        )
        return [Check("nothing_to_train", "doubt", evidence, f"spend {low / LARGEST_SHARE:.3g} FLOP or more")]
    prior, here = ladder.prior, np.repeat(np.arange(len(ladder.counts)), ladder.counts.astype(int))
    planned = np.log([ladder.candidates.params[here], ladder.candidates.tokens[here]]).T
    x = np.concatenate([prior.past_runs, planned])
    params, tokens = np.exp(x).T
    loss = np.exp(prior.law.value_and_grad(prior.theta[:1], x - prior.origin)[0][0])
    flops = prior.per_token * params * tokens
    checks = check_planned_runs(prior.law, params, tokens, flops, loss)
    factor = ladder.target.flops / flops.max() if len(x) else math.inf
    if factor > FAR:
        evidence = f"the target has {factor:.3g} times the FLOPs of the largest run"
        checks.append(Check("far_extrapolation", "note", evidence, "spend more, or allow a larger single run"))
    return checks
