"""From a table of scores to those of a run that was not trained: through its loss, straight from its size, weighed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from time import perf_counter
from typing import Literal, TypeAlias, get_args

import numpy as np

from foretoken.abilities.downstream_checks import checks_of, reasons_of
from foretoken.abilities.downstream_result import Downstream, GroupForecasts, LossOfRun, RouteScore, TaskForecast
from foretoken.abilities.group_runs import FLOPS_PER, GroupRuns, Sizes, groups_of
from foretoken.abilities.held_out_routes import HeldOut, held_out, mixed, told_ends
from foretoken.abilities.loss_draws import drawn_losses, fit_loss, loss_forecasts
from foretoken.abilities.observational import OBSERVATIONAL, observed_groups
from foretoken.abilities.score_routes import DRAWS, RouteForecast, RouteName, forecast_routes
from foretoken.abilities.table import PLAIN, ScoreReading, ScoreTable, read_scores
from foretoken.abilities.task_curves import task_curves, task_forecast
from foretoken.arguments import check_level, did_you_mean, takes
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import plural, worst_first
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.request import Amount
from foretoken.laws import WEIGHED
from foretoken.laws.law import Array, Law
from foretoken.runs.reading import AnyTable
from foretoken.units import parse_count

Route = Literal["weighed", "two_step", "direct", "observational"]
WAYS: tuple[Route, ...] = get_args(Route)
FEWEST = 5
"""Scores of a task from which it is forecast."""
Place: TypeAlias = str | tuple[Amount, Amount]
"""`7B,140B`, or the two numbers: parameters and tokens."""


@dataclass(frozen=True)
class DownstreamRequest:
    """Which scores are forecast, and how.

    Args:
        table: Scores and sizes of runs: a file, a frame, or what `read_scores` gives; also a loss, for two steps.
        at: Parameters and tokens of a run, `"7B,140B"` or (7e9, 140e9); or a list of such.
        tasks: The tasks, `"hellaswag,arc_easy"` or a list; all unless given.
        route: `weighed` (all routes, by what each foretold of larger runs left out), `two_step` (through the loss),
            `direct` (straight from size and tokens), or `observational` (through a capability that all tasks share).
        law: Law of the loss, as for `fit`.
        level: Probability that an interval holds one new measurement.
        rename: Columns by other names, as for `read_table`: `{"loss": "loss_c4_val"}`.
        where: Which rows to read, as for `read_table`.
        reading: Unit, direction, group and levels of the scores that the table does not tell.
        seed: Of the draws.

    """

    table: AnyTable | ScoreTable
    _: KW_ONLY
    at: Place | Sequence[Place]
    tasks: str | Sequence[str] = ()
    route: str = "weighed"
    law: str | Law = WEIGHED
    level: float = 0.9
    rename: Mapping[str, str] | None = None
    where: str = ""
    reading: ScoreReading = PLAIN
    seed: int = 0

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.route not in WAYS:
            cure = did_you_mean(self.route, WAYS)
            raise ForetokenError("--route: not known", expected=", ".join(WAYS), got=repr(self.route), cure=cure)

    def sizes(self) -> Sizes:
        """The runs that are asked for."""
        places = [self.at] if isinstance(self.at, str) or _is_pair(self.at) else list(self.at)
        if not places:
            raise ForetokenError("no run to forecast", cure="say its parameters and tokens: --at 7B,140B")
        pairs = np.array([_pair(place) for place in places])
        return Sizes(pairs[:, 0], pairs[:, 1], FLOPS_PER * pairs[:, 0] * pairs[:, 1])

    def names(self) -> tuple[str, ...]:
        """The tasks that are asked for."""
        words = self.tasks.split(",") if isinstance(self.tasks, str) else self.tasks
        return tuple(word.strip() for word in words if word.strip())


def _is_pair(at: object) -> bool:
    """Whether it is one run in two parts, (7e9, 140e9) or ("7B", "140B"), and not two runs ("7B,140B", "13B,260B")."""
    if not (isinstance(at, tuple) and len(at) == 2):
        return False
    return not any(isinstance(part, tuple | list) or (isinstance(part, str) and "," in part) for part in at)


def _pair(place: object) -> tuple[float, float]:
    """Parameters and tokens. Raises ForetokenError for anything else.

    >>> _pair("7B,140B"), _pair((7e9, "140B"))
    ((7000000000.0, 140000000000.0), (7000000000.0, 140000000000.0))
    """
    parts = place.split(",") if isinstance(place, str) else place
    if not isinstance(parts, list | tuple) or len(parts) != 2:
        raise ForetokenError(
            "--at: no run", expected="PARAMS,TOKENS", got=repr(place), cure="for example: --at 7B,140B"
        )
    params, tokens = (parse_count(part, name) for part, name in zip(parts, ("params", "tokens"), strict=True))
    for name, value in (("params", params), ("tokens", tokens)):
        if not 0 < value < float("inf"):
            raise ForetokenError(f"--at: {name} must be a finite number above 0", got=repr(place))
    return params, tokens


@takes(DownstreamRequest)
def downstream(request: DownstreamRequest) -> Downstream:
    """The scores that runs will reach which were not trained, each with the interval of one new measurement.

    Each group of the table (data set, recipe, family) is forecast by itself. Raises ForetokenError for a run that
    makes no sense, TableError for a table without scores or sizes, RefusedError where no task has enough runs.

    >>> import pandas as pd
    >>> sizes = [1e7, 3e7, 1e8, 3e8, 1e9, 3e9]
    >>> scores = [0.25, 0.26, 0.29, 0.36, 0.46, 0.57]
    >>> frame = pd.DataFrame({"params": sizes, "tokens": [20 * n for n in sizes], "acc_hellaswag": scores})
    >>> task = downstream(frame, at="7B,140B").tasks[0]
    >>> task.route, 0.57 < task.score < task.high < 1
    ('direct', True)
    """
    began = perf_counter()
    at = request.sizes()
    table = read_scores(request.table, request.rename, request.where, request.reading)
    groups, checks = groups_of(table, request.names())
    if request.route == OBSERVATIONAL:
        parts = [observed_groups(groups, at, request.level, request.seed)]
    else:
        parts = [_group(runs, runs.counted(at), request) for runs in groups]
    tasks = tuple(task for part in parts for task in part.tasks)
    if all(task.score is None for task in tasks):
        fewest = max(int(np.isfinite(runs.score).sum(axis=0).max()) for runs in groups)
        raise RefusedError(
            "too_few_runs",
            f"{plural(fewest, 'run')} with a score at most; {FEWEST} are the least",
            "add smaller runs, or leave groups together: --group COLUMN names what tells series apart",
        )
    law = request.law if isinstance(request.law, str) else request.law.name
    return Downstream(
        tasks=tasks,
        losses=tuple(loss for part in parts for loss in part.losses),
        curves=tuple(curve for part in parts for curve in part.curves),
        held_out=tuple(score for part in parts for score in part.held_out),
        level=request.level,
        route=request.route,
        law="" if request.route == OBSERVATIONAL else law,
        source=table.source,
        checks=(*worst_first([*table.checks, *checks, *(check for part in parts for check in part.checks)]),),
        assumed=table.assumed,
        seconds=perf_counter() - began,
    )


def _group(runs: GroupRuns, at: Sizes, request: DownstreamRequest) -> GroupForecasts:
    """The forecasts of one group."""
    with_loss = request.route != "direct" and runs.has_loss and len(runs) >= FEWEST
    fitted = fit_loss(runs, request.law, DRAWS, request.seed) if with_loss else None
    told = loss_forecasts(fitted, at, strict=True) if isinstance(fitted, Fit) else []
    if request.route == "two_step" and not told:
        _refuse_two_steps(runs, fitted)
    losses = drawn_losses(told, DRAWS) if told else None
    tested = held_out(runs, request.law, with_loss=bool(told))
    routes = _asked(forecast_routes(runs, at, losses, request.seed), request.route)
    weights = tested.weights(tuple(routes), len(runs.tasks))
    together = mixed(routes, weights, np.random.default_rng(request.seed))
    reasons = reasons_of(runs, FEWEST)
    before = tested.told(tuple(routes))
    tasks = [
        _task(runs, at, target, task, routes, weights, together, tested, reasons, request.level)
        for target in range(len(at.params))
        for task in range(len(runs.tasks))
    ]
    return GroupForecasts(
        tasks=tuple(tasks),
        losses=tuple(_loss(runs.group, one, at, number) for number, one in enumerate(told)),
        curves=task_curves(runs, at, fitted if isinstance(fitted, Fit) else None, routes, weights, request.level),
        held_out=before,
        checks=(*checks_of(runs, at, fitted, before, told, reasons, request.route),),
    )


def _refuse_two_steps(runs: GroupRuns, fitted: Exception | Fit | None) -> None:
    if isinstance(fitted, Exception):
        raise fitted
    raise RefusedError(
        "no_loss",
        f"{runs.group or 'the table'} has no loss in every row, so there are no two steps",
        "name its column: --map loss=COLUMN; or go straight from size and tokens: --route direct",
    )


def _asked(routes: dict[RouteName, RouteForecast], asked: str) -> dict[RouteName, RouteForecast]:
    if asked == "two_step":
        return {name: one for name, one in routes.items() if name != "direct"}
    return routes if asked == "weighed" else {"direct": routes["direct"]}


def _loss(group: str, one: Forecast, at: Sizes, target: int) -> LossOfRun:
    flops = float(at.flops[target])
    return LossOfRun(group, one.params, one.tokens, flops, one.loss, one.low, one.high, one.level)


def _task(
    runs: GroupRuns,
    at: Sizes,
    target: int,
    task: int,
    routes: dict[RouteName, RouteForecast],
    weights: Array,
    together: Array,
    tested: HeldOut,
    reasons: tuple[str, ...],
    level: float,
) -> TaskForecast:
    """The forecast of one task for one run."""
    said = []
    for row, (route, one) in enumerate(routes.items()):
        if np.isfinite(one.angles[target, 0, task]):
            ends = _ends(runs, one.angles, target, task, level)
            said.append(RouteScore(route, float(weights[row, task]), *ends, *tested.of(route, task)))
    enough = np.isfinite(runs.score[:, task]).sum() >= FEWEST
    told = _ends(runs, together, target, task, level) if enough else None
    heaviest = max(said, key=lambda one: one.weight).route
    return task_forecast(runs, at, target, runs.tasks[task], told, level, heaviest, reasons[task], tuple(said))


def _ends(runs: GroupRuns, angles: Array, target: int, task: int, level: float) -> tuple[float, float, float]:
    """Median, lower and upper end of new scores, as the table's metric tells them."""
    middle, low, high = (float(one[0, task]) for one in told_ends(runs, angles[[target]], level))
    return middle, low, high
