"""Checks of how the runs were trained: schedules, warm-up, sweeps of learning rate and batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.checks.surface import LEAST_SEEN, Surface
from foretoken.checks.table_view import TableCheck, TableView
from foretoken.fits.check import Check, by_chance, listed, plural
from foretoken.fits.groups import cells_of
from foretoken.fits.rows import NOT_ANNEALED
from foretoken.fits.trajectories import evenly_spaced, undeclared, unnamed_sizes
from foretoken.laws.law import Array, Indices
from foretoken.routes.envelope import trajectories

LONG_WARMUP = 0.2
"""Share of a run from which its warm-up costs loss."""
LEAST_SWEEP = 3
SWEPT = {"learning_rate": "learning_rate_edge", "batch_tokens": "batch_edge"}
MATCHED = ("cosine", "linear")
"""Schedules whose end is set beforehand: a point on the way is no run of that length."""

SMOOTH_POINTS, SMOOTH_BY_CHANCE = 4, 1e-4
"""Runs of one size that share an error which is rarer by chance; a size's own error does not follow a smooth curve."""
SMOOTH = 0.5
"""Scatter inside sizes, as a share of that between them, up to which it does not look like that of separate runs."""


def points_of_one_run(view: TableView) -> Iterator[Check]:
    """Several rows with one `run`: points of a trajectory that nobody has declared."""
    if "run" not in view.frame or not len(view.rows):
        return
    undeclared = [here for here in trajectories(view.rows) if not any(view.rows.parent[i] for i in here)]
    if undeclared:
        count = sum(len(here) for here in undeclared)
        evidence = f"{count} rows are points of {plural(len(undeclared), 'run')} (equal `run` and size)"
        cure = "name the trajectory (--map parent=run), so that intervals keep its points together"
        yield Check("undeclared_trajectories", "doubt", evidence, cure)


def points_with_one_error(view: TableView) -> Iterator[Check]:
    """Checkpoints counted as runs: rows of one size to the last digit that share an error."""
    sizes = unnamed_sizes(view.rows, SMOOTH_POINTS)
    if view.surface and not any(evenly_spaced(view)) and _is_smooth(view.surface, sizes):
        yield undeclared(sizes, "with errors that they share")


def _is_smooth(surface: Surface, sizes: list[Indices]) -> bool:
    """Whether runs of one size share an error, far larger than what is left inside sizes."""
    if len(sizes) < 4:
        return False
    runs, n = np.arange(len(surface.rows)), np.log(surface.rows.params)
    groups = np.stack([np.isin(runs, here) for here in sizes], axis=1).astype(np.float64)
    # A learning rate or a break moves sizes smoothly; what jumps from size to size is an error of single trajectories.
    smooth = np.stack([(n - n.mean()) ** power for power in (2, 3, 4)], axis=1)
    inside = np.concatenate([surface.residual[here] - surface.residual[here].mean() for here in sizes])
    between = np.array([surface.residual[here].mean() for here in sizes])
    chance = surface.groups_chance(groups, np.concatenate([surface.taken, smooth], axis=1))
    return chance < SMOOTH_BY_CHANCE and float(inside.std()) < SMOOTH * float(between.std())


def rate_for_small_sizes(view: TableView) -> Iterator[Check]:
    """Residuals that rise with the square of ln N: one learning rate, that fits some sizes only."""
    if view.surface and (drift := view.surface.patterns.get("rate")):
        largest = int(view.rows.params.argmax())
        least = view.rows.params[drift.column == 0].max()
        rise, error = (100 * drift.column[largest] * value for value in (drift.slope, drift.slope_sd))
        evidence = (
            f"above {least:.3g} parameters losses rise with the square of ln N, by {rise:.1f} ± {error:.1f} % at"
            f" {view.rows.params[largest]:.3g}, beyond what any law takes up ({by_chance(drift.chance)})"
        )
        cure = (
            "tune the learning rate at two sizes at least, or leave the largest out: the exponents and N* bend with it;"
            " batch, initialisation and a break of the law in N look alike"
        )
        yield Check("rate_drifts_with_size", "doubt", evidence, cure)


def short_runs_above(view: TableView) -> Iterator[Check]:
    """Residuals that rise as tokens get few: a warm-up, or another cost that does not shrink with the run."""
    if view.surface and (cost := view.surface.patterns.get("warmup")):
        shortest = int(view.rows.tokens.argmin())
        rise, error = (100 * cost.column[shortest] * value for value in (cost.slope, cost.slope_sd))
        count = int((cost.column * cost.slope > LEAST_SEEN).sum())
        evidence = (
            f"the runs of fewest tokens lie above the law of the others, that of {view.rows.tokens[shortest]:.3g}"
            f" tokens by {rise:.1f} ± {error:.1f} %, {plural(count, 'run')} by more than {100 * LEAST_SEEN:g} %"
            f" ({by_chance(cost.chance)})"
        )
        cure = "scale warm-up and batch with the run, or leave the shortest out: they steepen the exponent of D"
        yield Check("short_runs_above", "doubt", evidence, cure)


def unannealed_points(view: TableView) -> Iterator[Check]:
    """Rows whose learning rate had not come down."""
    left = sum(dropped.count for dropped in view.rows.dropped if dropped.reason == NOT_ANNEALED)
    if left:
        evidence = f"{plural(left, 'run')} of {len(view.frame)} are not annealed and were left out"
        yield Check("unannealed_points", "doubt", evidence, "bring the learning rate down at the end of each run")
    # A constant schedule with an `annealed` column was looked at row by row above.
    constant = [word for word in view.words("schedule") if word.lower() in ("constant", "none")]
    if constant and "annealed" not in view.frame:
        cure = "such a loss is above that of an annealed run of that length; say `annealed` for each row"
        yield Check("unannealed_points", "doubt", f"schedule is {listed(constant)}", cure)


def wrong_horizon(view: TableView) -> Iterator[Check]:
    """Points on the way of a schedule that was set for a longer run."""
    if "schedule" not in view.frame or not len(view.rows):
        return
    words = view.frame["schedule"].iloc[view.rows.row_index].astype(str).str.lower()
    matched = words.str.contains("|".join(MATCHED)).to_numpy()
    count = sum(int(matched[here].sum()) - 1 for here in trajectories(view.rows) if matched[here].sum() > 1)
    if count:
        evidence = f"{plural(count, 'row')} are points on the way of a cosine or linear schedule"
        yield Check("wrong_horizon", "doubt", evidence, "keep the last point of each run, or match the schedule to it")


def long_warmup(view: TableView) -> Iterator[Check]:
    """Warm-up that takes a large share of the short runs."""
    warmup = view.used("warmup_tokens")
    if warmup is None:
        return
    share = warmup / view.rows.tokens
    if share.max() > LONG_WARMUP:
        many = plural(int((share > LONG_WARMUP).sum()), "run")
        evidence = f"warm-up is up to {100 * share.max():.0f} % of a run; {many} above {100 * LONG_WARMUP:.0f} %"
        cure = "scale the warm-up with the run, or leave these runs out: it steepens the exponent of N*"
        yield Check("long_warmup", "doubt", evidence, cure)


def sweep_edges(view: TableView) -> Iterator[Check]:
    """The best learning rate or batch is the smallest or largest that was tried."""
    for name, code in SWEPT.items():
        values = view.used(name)
        if values is None:
            continue
        cells = [here for here in cells_of(view.rows) if len(np.unique(values[here])) >= LEAST_SWEEP]
        edges = [here for here in cells if _at_edge(values[here], view.rows.y[here])]
        if edges:
            evidence = f"{len(edges)} of {plural(len(cells), 'sweep')} are best at the end of {name}"
            yield Check(code, "doubt", evidence, f"widen the sweep of {name} there: the optimum lies beyond")


def one_learning_rate(view: TableView) -> Iterator[Check]:
    """The same learning rate for sizes that differ tenfold."""
    rates = view.used("learning_rate")
    if rates is None:
        return
    factor = view.rows.params.max() / view.rows.params.min()
    if np.ptp(rates) == 0 and factor > 10:
        evidence = f"learning rate {rates[0]:.3g} at every size, over a factor {factor:.3g} in N"
        cure = "tune it at two sizes at least: untuned ends bend the exponent"
        yield Check("one_learning_rate", "note", evidence, cure)


def sharp_metrics(view: TableView) -> Iterator[Check]:
    """Metrics that hide smooth progress."""
    sharp = [word for word in view.words("metric") if word.lower() in ("exact_match", "em", "acc", "accuracy")]
    if sharp:
        cure = "fit the loss of the right answer first, then the step from it to the metric"
        yield Check("sharp_metric", "note", f"metric is {listed(sharp)}", cure)


def _at_edge(values: Array, loss: Array) -> bool:
    best = values[loss.argmin()]
    return bool(best in (values.min(), values.max()))


CHECKS: list[TableCheck] = [
    points_of_one_run,
    points_with_one_error,
    rate_for_small_sizes,
    short_runs_above,
    unannealed_points,
    wrong_horizon,
    long_warmup,
    sweep_edges,
    one_learning_rate,
    sharp_metrics,
]
