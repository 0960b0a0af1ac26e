"""The ladder to run first: the small runs that most lower what a target's decision loses, per FLOP.

Two things are lost when a target is decided from a ladder: it gets a size that is not the best, and it is bought for a
loss that it will not have. Both follow from the covariance of the law's parameters, which a linearised law gives before
a run is trained. Each is converted to FLOPs of the target, and so compares with what the ladder costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foretoken.errors import DesignError
from foretoken.fits.result import Check, Fit
from foretoken.forecasts.predict import FAR, predict
from foretoken.ladders.candidates import Cells, isoflop_cells, possible_cells
from foretoken.ladders.exchange import ROUNDS, Limits, choose
from foretoken.ladders.information import Information, typical
from foretoken.ladders.landing import half_way
from foretoken.ladders.prior import Belief, believe
from foretoken.ladders.request import Order, require
from foretoken.ladders.target import Asked, ask, bends
from foretoken.laws.law import Array

LEVEL_90 = 1.6449
LARGEST_SHARE = 1 / 3
"""Of the ladder's FLOPs, what one run may take unless told otherwise."""
PATH = 1e-3 * 2.0 ** np.arange(-6, 8)
"""Ladders that are compared to find where to stop, in shares of the target."""
DOUBLINGS = 8
"""An IsoFLOP grid of the same precision is sought up to this many doublings of the cost."""


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
class NextRun:
    """The ladder to run first. Half widths are of 90 % intervals, as shares of the loss; other amounts are FLOP."""

    runs: list[PlannedRun]
    total_flops: float
    total_usd: float | None
    law: str
    """What a fit of the runs is planned to be of."""
    target: dict[str, float]
    """`params`, `tokens`, `flops`."""
    expected: dict[str, Any]
    """`half_width_before` (None, with its reason, without a fit) and `half_width_after`; `regret_flops` after."""
    isoflop: dict[str, float | None]
    """A plain grid of the same cost: `flops`, `half_width`; `same_precision_flops` is what one as good costs."""
    stop: dict[str, Any]
    """`flops` where the next FLOP of a ladder saves less than one of the target; `enough`; the `next` run; `path`."""
    checks: list[Check]
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Ladder:
    """One answer: which cells, how often, and what is left to lose."""

    belief: Belief
    asked: Asked
    cells: Cells
    information: Information
    counts: Array

    @property
    def cost(self) -> float:
        return float(self.counts @ self.cells.cost)

    @property
    def regret_flops(self) -> float:
        return float(typical(self.information.loss(self.counts))) * self.asked.flops

    @property
    def half_width(self) -> float:
        return _half_width(self.belief, self.asked, self.information, self.counts)


def next_run(
    known: Fit | str | None = None,
    *,
    flops: float | None = None,
    params: float | None = None,
    tokens: float | None = None,
    spend: float | None = None,
    runs: int = 50,
    seeds: int = 1,
    largest: float | None = None,
    sizes: Sequence[float] = (),
    usd_per_flop: float | None = None,
    noise: float | None = None,
    learning_rate_error: float = 0.0,
    goal: str = "both",
    law: str = "coupled",
    seed: int = 0,
) -> NextRun:
    """The runs to train before a target of `flops` FLOP (or of `params` and `tokens`).

    `known` is a fit (its runs count), the id of a published law (taken loosely), or None. At most `runs` runs are
    chosen for at most `spend` FLOP, by default as many as pay for themselves; one run takes at most `largest` FLOP,
    by default a third of them. A size and length is trained with at most `seeds` seeds: another size or length tells as
    much, and lets the fit test itself. `sizes` are the numbers of parameters that can be built. `noise` is the
    standard deviation of one long run on ln loss; `learning_rate_error` that of what a rule's learning rate costs a
    run, removed by trying three of them. `goal` is what counts: `size` (the target's split into parameters and
    tokens), `loss` (its forecast) or `both`. `law` is what will be fitted, where no fit says it. Raises
    ForetokenError and DesignError for orders that no ladder meets.

    >>> ladder = next_run(flops=1e21, spend=2e19, runs=16)
    >>> sum(run.seeds * run.learning_rates for run in ladder.runs) <= 16, ladder.total_flops <= 2e19
    (True, True)
    """
    order = Order(
        known, law, flops, params, tokens, runs, seeds, largest, tuple(sizes), noise, learning_rate_error, goal, seed
    )
    require(order, spend, usd_per_flop)
    path = _path(order)
    best = min(path, key=lambda one: one.cost + one.regret_flops)
    ladder = _ladder(order, spend or best.cost)
    return NextRun(
        runs=_planned(ladder),
        total_flops=ladder.cost,
        total_usd=None if usd_per_flop is None else ladder.cost * usd_per_flop,
        law=ladder.belief.law.name,
        target={"params": ladder.asked.params, "tokens": ladder.asked.tokens, "flops": ladder.asked.flops},
        expected=_expected(order.known, ladder),
        isoflop=_isoflop(ladder, order.learning_rate_error),
        stop=_stop(ladder, path, best),
        checks=_checks(ladder),
        assumed=[*ladder.belief.assumed, *order.assumed],
    )


def _path(order: Order) -> list[_Ladder]:
    """Ladders of several sizes, without exchange; those that are too small for any run are left out."""
    path = []
    for share in PATH:
        with suppress(DesignError):
            path.append(_ladder(order, share * order.target_flops, 0))
    return path or [_ladder(order, PATH[-1] * order.target_flops, 0)]


def _ladder(order: Order, spend: float, rounds: int = ROUNDS) -> _Ladder:
    """The best runs for this much: a first choice says where fits would land, and the choice is made anew from there.

    Without `rounds` the first choice stands, seen from there.
    """
    largest = min(order.largest or LARGEST_SHARE * spend, spend, order.target_flops)
    belief = believe(order.known, order.law, largest, order.noise, order.seed)
    cells = possible_cells(belief, largest, order.sizes, tuned=order.learning_rate_error > 0)
    limits = Limits(cells.cost, cells.learning_rates, spend, order.most, order.seeds, cells.place)
    asked, information = _seen(order, belief, cells)
    counts = choose(information, limits, order.seed, 0)
    belief = _landed(_Ladder(belief, asked, cells, information, counts))
    asked, information = _seen(order, belief, cells)
    counts = choose(information, limits, order.seed, rounds) if rounds else counts
    return _Ladder(belief, asked, cells, information, counts)


def _seen(order: Order, belief: Belief, cells: Cells) -> tuple[Asked, Information]:
    asked = ask(belief, order.flops, order.params, order.tokens, order.goal)
    return asked, _information(belief, asked, cells, order.learning_rate_error)


def _landed(ladder: _Ladder) -> Belief:
    """The belief, with its gradients nearer to where fits of these runs would land."""
    here, belief = ladder.counts > 0, ladder.belief
    x = np.concatenate([belief.known, ladder.cells.x[here]])
    variance = np.append(belief.known_variance, 1 / ladder.information.precision(ladder.counts)[here])
    return half_way(belief, ladder.asked, x, variance)


def _information(belief: Belief, asked: Asked, cells: Cells, learning_rate_error: float) -> Information:
    untuned = np.where(cells.learning_rates > 1, 0.0, learning_rate_error)
    return Information(
        gradient=belief.gradient(cells.x),
        bend=bends(belief, np.log([asked.params, asked.tokens]), cells.x),
        questions=asked.questions,
        bent=asked.bent,
        prior=asked.prior,
        astray=asked.astray,
        known=asked.known,
        run=belief.run_noise(cells.tokens),
        cell=np.hypot(belief.noise[2], untuned),
    )


def _half_width(belief: Belief, asked: Asked, information: Information, counts: Array) -> float:
    """Of a new run at the target: what the law leaves open, and the run's own noise."""
    law = float(typical(information.square(*asked.loss, counts)[:, 0]))
    own = float(belief.run_noise(np.array(asked.tokens))) ** 2 + belief.noise[2] ** 2
    return LEVEL_90 * math.sqrt(law + own)


def _planned(ladder: _Ladder) -> list[PlannedRun]:
    cells = ladder.cells
    columns = (cells.params, cells.tokens, cells.flops, ladder.counts, cells.learning_rates)
    rows = [tuple(float(column[k]) for column in columns) for k in np.flatnonzero(ladder.counts)]
    rows.sort(key=lambda row: (row[2], row[0]))
    return [PlannedRun(row[0], row[1], row[2], int(row[3]), int(row[4])) for row in rows]


def _expected(known: Fit | str | None, ladder: _Ladder) -> dict[str, Any]:
    asked = ladder.asked
    before: dict[str, Any] = {
        "half_width_before": None,
        "half_width_before_reason": "without runs of its own no loss is forecast",
    }
    if isinstance(known, Fit):
        told = predict(known, params=asked.params, tokens=asked.tokens, level=0.9)
        before = {"half_width_before": told.half_width}
    return {**before, "half_width_after": ladder.half_width, "regret_flops": ladder.regret_flops}


def _isoflop(ladder: _Ladder, learning_rate_error: float) -> dict[str, float | None]:
    """A plain grid beside the ladder, and the cost at which it would be as good."""

    def half_width(spend: float) -> float:
        cells = isoflop_cells(ladder.belief, spend)
        information = _information(ladder.belief, ladder.asked, cells, learning_rate_error)
        return _half_width(ladder.belief, ladder.asked, information, np.ones(len(cells.flops)))

    spends = ladder.cost * 2.0 ** np.arange(-DOUBLINGS, DOUBLINGS + 0.25, 0.25)
    widths = np.array([half_width(spend) for spend in spends])
    enough = np.flatnonzero(widths <= ladder.half_width)
    return {
        "flops": ladder.cost,
        "half_width": half_width(ladder.cost),
        "same_precision_flops": float(spends[enough[0]]) if len(enough) else None,
    }


def _stop(ladder: _Ladder, path: list[_Ladder], best: _Ladder) -> dict[str, Any]:
    """Where spending ends, and what the next run would be worth here."""
    now = float(typical(ladder.information.loss(ladder.counts)))
    value = (now - typical(ladder.information.loss_after(ladder.counts))) * ladder.asked.flops
    k = int((value / ladder.cells.cost).argmax())
    columns = (ladder.cells.params, ladder.cells.tokens, value, ladder.cells.cost)
    names = ("params", "tokens", "value_flops", "cost_flops")
    return {
        "flops": best.cost,
        "enough": bool(ladder.cost >= 0.99 * best.cost),
        "next": {name: float(column[k]) for name, column in zip(names, columns, strict=True)},
        "path": [{"flops": one.cost, "half_width": one.half_width, "regret_flops": one.regret_flops} for one in path],
    }


def _checks(ladder: _Ladder) -> list[Check]:
    """What a fit of these runs would refuse or doubt, and how far the target is."""
    from foretoken.fits.fit_checks import design_checks
    from foretoken.fits.rows import Rows, refusals

    belief, here = ladder.belief, np.repeat(np.arange(len(ladder.counts)), ladder.counts.astype(int))
    x = np.concatenate([belief.known, np.log([ladder.cells.params[here], ladder.cells.tokens[here]]).T])
    params, tokens = np.exp(x).T
    loss = np.exp(belief.law.log_loss(belief.theta[:1], x - belief.origin)[0][0])
    none = [None] * len(x)
    flops = belief.per_token * params * tokens
    rows = Rows([""] * len(x), [*none], [*none], params, tokens, flops, loss, "params_total", [], 0, 0, [])
    found = [Check(one.code, "refused", one.evidence, one.cure or "") for one in refusals(rows, belief.law)]
    found += list(design_checks(rows)) if len(x) > 2 else []
    factor = ladder.asked.flops / flops.max() if len(x) else math.inf
    if factor > FAR:
        evidence = f"the target has {factor:.3g} times the FLOPs of the largest run"
        found.append(Check("far_extrapolation", "note", evidence, "spend more, or allow a larger single run"))
    return found
