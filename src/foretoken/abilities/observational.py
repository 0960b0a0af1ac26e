"""Scores by what models of many families have in common (Ruan et al. 2024, arXiv 2405.10938).

m model, f family, k task, t target, b draw. One capability is the first principal component of the models' scores on
all other tasks; in each family it is a line in ln compute, all of one slope (or bent alike, where that foretells the
larger models better); a task follows it by a sigmoid within its bounds, one for the models of all families.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foretoken.abilities.axes import CurveName
from foretoken.abilities.bounded_curves import BoundedCurves, Sigmoid, angle
from foretoken.abilities.downstream_checks import reasons_of
from foretoken.abilities.downstream_result import GroupForecasts, RouteScore, TaskCurve, TaskForecast
from foretoken.abilities.group_runs import GroupRuns, Sizes
from foretoken.abilities.held_out_routes import told_ends
from foretoken.abilities.score_routes import DRAWS, new_scores
from foretoken.abilities.task_curves import band, task_curve, task_forecast
from foretoken.errors import RefusedError
from foretoken.fits.check import Check, plural
from foretoken.laws.law import Array
from foretoken.units import format_times

FEWEST_TASKS, FEWEST_MODELS = 3, 6
ROUNDS, CLOSE = 200, 1e-6
"""Rounds in which missing scores are imputed, and the change at which they stay."""
LEAST_MISFIT = 0.1
"""Share of the slope by which a line may turn beyond the models, whatever they say."""
SHARPNESS = 4.0
"""A line whose error is twice as large counts 2^4 times less."""
SHARE_OF_FIRST = 0.5
"""Of the variance that the first component explains, below which one capability is doubted."""
OBSERVATIONAL = "observational"
MISFIT = 0.02
"""Of a curve for each e-fold of compute beyond all models, on arcsin sqrt(score); chosen on simulated families."""
POINTS = 15
CUTS, ENOUGH = (0.6, 0.8), 3
"""Quantiles of compute from which larger models are foretold, and models that a line needs beside one per family."""


def imputed(angles: Array) -> Array:
    """Scores [m, k] whose missing cells, NaN, follow from the first principal component of all.

    >>> scores = np.array([[0.1, 0.2], [0.2, 0.4], [0.3, np.nan], [0.4, 0.8]])
    >>> bool(abs(imputed(scores)[2, 1] - 0.6) < 0.05)
    True
    """
    missing = ~np.isfinite(angles)
    filled = np.where(missing, np.nanmean(angles, axis=0), angles)
    for _ in range(ROUNDS if missing.any() else 0):
        centre, spread = filled.mean(axis=0), _spread(filled)
        left, size, right = np.linalg.svd((filled - centre) / spread, full_matrices=False)
        said = centre + spread * (size[0] * left[:, :1] @ right[:1])
        change = np.abs(np.where(missing, said - filled, 0.0)).max()
        filled = np.where(missing, said, filled)
        if change < CLOSE:
            break
    return np.asarray(filled)


def _spread(values: Array) -> Array:
    return np.asarray(np.maximum(values.std(axis=0), 1e-9))


def capability(angles: Array) -> tuple[Array, float]:
    """The first principal component of complete scores [m, k], up where they rise [m], and its share of variance."""
    standard = (angles - angles.mean(axis=0)) / _spread(angles)
    left, size, right = np.linalg.svd(standard, full_matrices=False)
    way: float = 1.0 if right[0].sum() >= 0 else -1.0
    return np.asarray(way * size[0] * left[:, 0]), float(size[0] ** 2 / max((size**2).sum(), 1e-300))


@dataclass(frozen=True)
class FamilyLines:
    """Capability = intercept of the family + slope u, or + slope u + bend u^2, with u = ln compute less its mean."""

    degree: int
    found: Array
    """Slope, bend where there is one, then the intercepts [degree + f]."""
    mean: float
    sd: float
    freedom: float
    covariance: Array
    """Of `found`, for noise of variance 1."""
    largest: float
    """Ln compute of the largest model."""
    misfit: float
    """Error of capability for each e-fold of compute beyond that, beside noise and doubt of the lines."""

    @classmethod
    def fitted(cls, family: Array, log_flops: Array, value: Array, degree: int = 1) -> FamilyLines:
        """By least squares, for models of these families, numbered from 0."""
        mean = float(log_flops.mean())
        columns = _columns(log_flops - mean, family, int(family.max()) + 1, degree)
        found = np.asarray(np.linalg.lstsq(columns, value, rcond=None)[0], dtype=np.float64)
        freedom = max(len(value) - columns.shape[1], 1)
        sd = float(np.sqrt(((value - columns @ found) ** 2).sum() / freedom))
        covariance = np.asarray(np.linalg.pinv(columns.T @ columns), dtype=np.float64)
        return cls(degree, found, mean, sd, float(freedom), covariance, float(log_flops.max()), 0.0)

    def forecast(self, family: Array, log_flops: Array) -> tuple[Array, Array]:
        """Capability of new models of these families, and its standard deviation with that of a model [t]."""
        columns = _columns(log_flops - self.mean, family, len(self.found) - self.degree, self.degree)
        doubt = np.einsum("tp,pq,tq->t", columns, self.covariance, columns)
        distance = np.maximum(log_flops - self.largest, 0.0)
        variance = self.sd**2 * (np.maximum(doubt, 0.0) + 1.0) + (self.misfit * distance) ** 2
        return np.asarray(columns @ self.found), np.sqrt(variance)

    def drawn(self, family: int, log_flops: Array, draws: int, random: np.random.Generator) -> Array:
        """Capabilities of new models of a family [t, b]."""
        centre, sd = self.forecast(np.full(len(log_flops), family), log_flops)
        tails = random.standard_t(max(self.freedom, 3.0), (len(centre), draws))
        return np.asarray(centre[:, None] + sd[:, None] * tails)


def _columns(u: Array, family: Array, families: int, degree: int) -> Array:
    # One curve for all families, and a level for each (Ruan et al. 2024, equation 3, with a square beside the line).
    powers = [u[:, None] ** power for power in range(1, degree + 1)]
    return np.concatenate([*powers, np.eye(families)[family]], axis=1)


def family_lines(family: Array, log_flops: Array, value: Array) -> list[tuple[float, FamilyLines]]:
    """Straight and bent lines, each with weight and misfit by how it foretells the larger models from the smaller."""
    tests: dict[int, list[Array]] = {1: [], 2: []}
    for share in CUTS:
        seen = log_flops <= np.quantile(log_flops, share)
        known = np.isin(family, family[seen]) & ~seen
        if seen.sum() < len(np.unique(family)) + ENOUGH or not known.any():
            continue
        for degree, found in tests.items():
            lines = FamilyLines.fitted(family[seen], log_flops[seen], value[seen], degree)
            centre, sd = lines.forecast(family[known], log_flops[known])
            found.append(np.stack([centre - value[known], sd, log_flops[known] - lines.largest]))
    if not tests[1]:
        return [(1.0, FamilyLines.fitted(family, log_flops, value))]
    weighed = []
    for degree, parts in tests.items():
        error, sd, distance = np.concatenate(parts, axis=1)
        # Moments: error^2 = explained^2 + misfit^2 distance^2, summed over the models left out.
        excess = max(float((error**2 - sd**2).sum()), 0.0) / max(float((distance**2).sum()), 1e-12)
        lines = FamilyLines.fitted(family, log_flops, value, degree)
        misfit = max(float(np.sqrt(excess)), LEAST_MISFIT * abs(float(lines.found[0])))
        weighed.append((float((error**2).mean()) ** (-SHARPNESS / 2), replace(lines, misfit=misfit)))
    total = sum(weight for weight, _ in weighed)
    return [(weight / total, lines) for weight, lines in weighed]


def _drawn(
    weighed: list[tuple[float, FamilyLines]], family: int, log_flops: Array, draws: int, random: np.random.Generator
) -> Array:
    """Capabilities of new models by all lines, each as often as it counts [t, b]."""
    # One draw in so many is by each of the lines, evenly, and which ones is mixed.
    chosen = random.permutation((np.cumsum([weight for weight, _ in weighed])[:-1, None] < _shares(draws)).sum(axis=0))
    said = np.stack([lines.drawn(family, log_flops, draws, random) for _, lines in weighed])
    return np.asarray(said[chosen, :, np.arange(draws)].T)


def _shares(draws: int) -> Array:
    return (np.arange(draws) + 0.5) / draws


@dataclass(frozen=True)
class Models:
    """The models of all families in one frame."""

    family: Array
    flops: Array
    joined: GroupRuns
    """Their scores, on the tasks that any family has."""


def _key(name: CurveName) -> tuple[str, str, str]:
    """What names a curve in every family."""
    return name.task, name.metric, name.shots


def _joined(groups: list[GroupRuns]) -> Models:
    names = list(dict.fromkeys(_key(one) for runs in groups for one in runs.tasks))
    parts = []
    for runs in groups:
        place = {_key(one): k for k, one in enumerate(runs.tasks)}
        columns = [runs.score[:, place[name]] if name in place else np.full(len(runs), np.nan) for name in names]
        parts.append(np.stack(columns, axis=1))
    # What is known of a task is the same in each family; the first that has it tells.
    first = [
        next((g, k) for g, runs in enumerate(groups) for k, one in enumerate(runs.tasks) if _key(one) == name)
        for name in names
    ]
    joined = GroupRuns(
        group="",
        run=tuple(run for runs in groups for run in runs.run),
        sizes=Sizes(*(np.concatenate(values) for values in zip(*(runs.sizes for runs in groups), strict=True))),
        loss=np.full(sum(map(len, groups)), np.nan),
        tasks=tuple(groups[g].tasks[k] for g, k in first),
        falls=np.array([groups[g].falls[k] for g, k in first]),
        score=np.concatenate(parts),
        chance=np.array([groups[g].chance[k] for g, k in first]),
        ceiling=np.array([groups[g].ceiling[k] for g, k in first]),
        noise=np.array([groups[g].noise[k] for g, k in first]),
        task_loss=np.full((sum(map(len, groups)), len(names)), np.nan),
    )
    family = np.concatenate([np.full(len(runs), number) for number, runs in enumerate(groups)])
    return Models(family, joined.sizes.flops, joined)


def forecast_models(
    models: Models, family: int, flops: Array, seed: int = 0, draws: int = DRAWS
) -> tuple[Array, float]:
    """Angles of new models' scores [t, b, k], NaN for a task with too few, and the first component's share."""
    random = np.random.default_rng(seed)
    measured = models.joined.angles()
    usable = np.isfinite(measured).sum(axis=0) >= FEWEST_MODELS
    whole = imputed(measured[:, usable])
    shares, found = [], np.full((len(flops), draws, measured.shape[1]), np.nan)
    distance = np.log(np.maximum(flops / models.flops.max(), 1.0))
    for number, task in enumerate(np.flatnonzero(usable)):
        # The task's own noise must not speak for its capability, so that is made of the others.
        value, share = capability(np.delete(whole, number, axis=1))
        lines = family_lines(models.family, np.log(models.flops), value)
        alone = models.joined
        curves = BoundedCurves.fitted(
            Sigmoid.over(-value), -value, alone.score[:, [task]], alone.chance[[task]], alone.ceiling[[task]]
        )
        drawn = _drawn(lines, family, np.log(flops), draws, random)
        means = np.stack([angle(curves.drawn(-row, random)) for row in drawn])
        found[..., [task]] = new_scores(means, curves, alone.noise[[task]], distance, random, MISFIT)
        shares.append(share)
    return found, float(np.median(shares))


def observed_groups(groups: list[GroupRuns], at: Sizes, level: float, seed: int) -> GroupForecasts:
    """The forecast of each task for a new model of each family, by what all models have in common.

    Raises RefusedError for fewer than three tasks or six models.
    """
    models = _joined(groups)
    tasks = len(models.joined.tasks)
    if tasks < FEWEST_TASKS or len(models.joined) < FEWEST_MODELS:
        raise RefusedError(
            "too_few_models",
            f"{plural(len(models.joined), 'model')} on {plural(tasks, 'task')}; {FEWEST_MODELS} and {FEWEST_TASKS} are"
            " the least for a capability that they share",
            "add models or tasks, or forecast each task by itself: --route direct",
        )
    found: list[TaskForecast] = []
    curves: list[TaskCurve] = []
    share = 1.0
    farthest = 0.0
    for family, runs in enumerate(groups):
        at = runs.counted(at)
        farthest = max(farthest, float(at.flops.max()))
        end = max(float(at.flops.max()), float(runs.sizes.flops.max()))
        path = np.geomspace(float(runs.sizes.flops.min()), end, POINTS)
        angles, share = forecast_models(models, family, np.concatenate([at.flops, path]), seed)
        count = len(at.flops)
        found += _told(models, runs, at, angles[:count], level)
        curves += _curves(models, runs, path, angles[count:], level)
    checks = []
    if share < SHARE_OF_FIRST:
        evidence = f"the first component explains {100 * share:.0f} % of the scores' variance"
        checks.append(Check("no_one_capability", "doubt", evidence, "leave out tasks at chance: --tasks"))
    if (factor := farthest / float(models.flops.max())) > 1:
        evidence = f"{format_times(factor, 3)} times the compute of the largest model of any family"
        checks.append(Check("beyond_all_models", "doubt" if factor > 10 else "note", evidence, "add larger models"))
    return GroupForecasts(tuple(found), tuple(curves), tuple(checks))


def _told(models: Models, runs: GroupRuns, at: Sizes, angles: Array, level: float) -> list[TaskForecast]:
    joined, reasons = models.joined, reasons_of(models.joined, FEWEST_MODELS)
    ends = told_ends(joined, angles, level)
    found = []
    for target in range(len(at.params)):
        for task, name in enumerate(joined.tasks):
            score, low, high = (float(one[target, task]) for one in ends)
            told = (score, low, high) if np.isfinite(score) else None
            said = (RouteScore(OBSERVATIONAL, 1.0, *told, None, None),) if told else ()
            found.append(task_forecast(runs, at, target, name, told, level, OBSERVATIONAL, reasons[task], said))
    return found


def _curves(models: Models, runs: GroupRuns, path: Array, angles: Array, level: float) -> list[TaskCurve]:
    joined = models.joined
    ends = told_ends(joined, angles, level)
    found = []
    for task, name in enumerate(joined.tasks):
        own = next((k for k, one in enumerate(runs.tasks) if _key(one) == _key(name)), None)
        if own is not None and np.isfinite(ends[0][0, task]):
            found.append(task_curve(runs, own, None, band(path, ends, task)))
    return found
