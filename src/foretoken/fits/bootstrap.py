"""Bootstrap draws; of several resampling schemes the one with the widest forecast is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.estimate import REFERENCE_FACTOR, Sample, Unpenalised
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.rows import Rows, by_budget
from foretoken.fits.solvers import Common, solve
from foretoken.laws.law import Array, Indices

WEBB = np.sqrt(np.array([0.5, 1.0, 1.5]))
"""Sizes of the multipliers of a wild bootstrap (Webb 2023), each with both signs."""
COMPARED = 100
"""Kinds of resampling are compared over this many draws, where there are several."""
MOST_LEVERAGE = 0.7
"""A residual is widened by 1 / (1 - this) at most."""
RESAMPLED = 40
"""Unpenalised fits draw rows (or clusters) anew where there are at least this many of them."""
MOST = 1500
"""Above this many rows what is shared is not estimated: every cluster is then one of many."""
RUNS_PER_BUDGET = 3
"""Budgets are clusters where they hold this many runs on average."""
EVIDENCE = 1.3
"""Squares between clusters are this many times what independent errors give before anything counts as shared."""
USUAL_SHARED, USUAL_FREEDOM = 0.0045, 4
"""An error that runs share is about so large, on log loss, where public tables show one (the middle of 0.1 to 0.8 %);
this counts as much as so many clusters, since few of them hardly tell how much they share."""
CLIP = 3.0
"""Residuals count as this many standard deviations at most."""


@dataclass(frozen=True)
class Bootstrap:
    """Draws of both estimates, theta [draws, p], and which resampling gave them."""

    map_theta: Array
    unpenalised: Array
    text: str


def bootstrap(
    sample: Sample,
    shared: dict[str, ClusterError],
    map_theta: Array,
    best: Unpenalised,
    sigma: Array,
    draws: int,
    seed: int,
    common: Common | None = None,
) -> Bootstrap:
    """Wild bootstraps over runs, trajectories and budgets, and hierarchical ones; the widest forecast decides.

    Wild: residuals of one cluster keep their pattern and take one random multiplier, so what runs of one trajectory
    share is not mistaken for independent evidence. Hierarchical: runs on their own, and a new shared error for each
    cluster. Each draw also takes the prior's centre from the prior.
    """
    forecast = bootstrap_forecast(sample, shared, map_theta, sigma, draws, seed, common)
    return Bootstrap(forecast.theta, _unpenalised_draws(sample, forecast.scheme, best, draws, seed), forecast.text)


def bootstrap_forecast(
    sample: Sample,
    shared: dict[str, ClusterError],
    map_theta: Array,
    sigma: Array,
    draws: int,
    seed: int,
    common: Common | None = None,
) -> ForecastDraws:
    """The same of the MAP estimate alone."""
    schemes = _schemes(sigma, shared)
    # A scheme that has no rival is drawn once.
    few = min(draws, COMPARED) if len(schemes) > 1 else draws
    drawn = {kind: _drawn(sample, scheme, map_theta, sigma, few, seed, common) for kind, scheme in schemes.items()}
    spreads = {kind: spread for kind, (_, spread) in drawn.items()}
    widest = max(spreads, key=lambda kind: spreads[kind])
    theta = drawn[widest][0]
    if few < draws:
        theta, _ = _drawn(sample, schemes[widest], map_theta, sigma, draws, seed, common)
    widths = ", ".join(f"{kind} {100 * width / 2:.2f} %" for kind, width in spreads.items())
    text = (
        f"wild bootstrap over {widest}, the widest of: {widths} (half of the 90 % spread of the law"
        f" at {REFERENCE_FACTOR:g} times the largest compute)"
    )
    return ForecastDraws(theta, schemes[widest], text)


@dataclass(frozen=True)
class ForecastDraws:
    """Draws of the MAP estimate, theta [draws, p], and how they were resampled."""

    theta: Array
    scheme: _Scheme
    text: str


@dataclass(frozen=True)
class _Scheme:
    """What varies between draws: whose residuals take one multiplier, and what the runs of a cluster share anew."""

    unit: Indices
    cluster: Indices
    shared: float

    def resampled(
        self, sample: Sample, theta: Array, draws: int, generator: np.random.Generator, sigma: Array, assumed: Array
    ) -> Array:
        """Fitted values plus multiplied residuals, each widened by what the fit took up of it: y [draws, r].

        A residual over 1 - leverage is what its run would have without itself in the fit (HC3, MacKinnon and White
        1985). The size of the noise is itself uncertain where runs are few.
        """
        # The residuals of a fit have the variance sigma^2 (1 - leverage), so a residual over sqrt(1 - leverage) is as
        # large as the error itself (HC2); over 1 - leverage it is the error of a forecast of that run from the others,
        # which stays honest where one run decides a parameter (HC3). The chi-square makes the error's size itself
        # random, as in Student's t: so few residuals do not tell it.
        residual = sample.residual(theta)
        freedom = max(3, len(residual) - len(theta))
        own = residual if self.shared == 0 else _within(residual, self.cluster)
        widened = own / (1 - _leverage(sample, theta, sigma, assumed))
        size = np.minimum(np.sqrt(freedom / generator.chisquare(freedom, (draws, 1))), 3.0)
        noise = size * _multipliers(generator, draws, self.unit)
        return np.asarray(sample.y - residual + noise * widened + self.common(draws, generator))

    def common(self, draws: int, generator: np.random.Generator) -> Array:
        """New shared errors [draws, r]; their size is itself uncertain where clusters are few."""
        count = int(self.cluster.max()) + 1
        freedom = _freedom(self.cluster) + USUAL_FREEDOM
        size = self.shared * np.minimum(np.sqrt(freedom / generator.chisquare(freedom, (draws, 1))), 3.0)
        return np.asarray((size * generator.standard_normal((draws, count)))[:, self.cluster])


def _schemes(sigma: Array, shared: dict[str, ClusterError]) -> dict[str, _Scheme]:
    runs = np.arange(len(sigma))
    schemes = {"runs": _Scheme(runs, runs, 0.0)}
    for kind, error in shared.items():
        schemes[kind] = _Scheme(error.of_run, error.of_run, 0.0)
        if error.sd > 0:
            schemes[f"runs within {kind}"] = _Scheme(runs, error.of_run, error.sd)
    return schemes


def _drawn(
    sample: Sample,
    scheme: _Scheme,
    map_theta: Array,
    sigma: Array,
    draws: int,
    seed: int,
    common: Common | None,
) -> tuple[Array, float]:
    """Draws of the forecast's parameters, and how far they spread a forecast (5 to 95 %, on log loss)."""
    generator = np.random.default_rng(seed)
    centre, scale = sample.prior()
    mean = centre + np.where(np.isfinite(scale), scale, 0.0) * generator.standard_normal((draws, len(centre)))
    y = scheme.resampled(sample, map_theta, draws, generator, sigma, scale**-2.0)
    problem = sample.map_problem(y, np.ones((1, len(sigma))), sigma, mean, common)
    theta = solve(problem, np.repeat(map_theta[None], draws, axis=0), 1e-5, steps=60)[0]
    ends = sample.law.value_and_grad(theta, sample.beyond[None])[0][:, 0]
    return theta, float(np.subtract(*np.quantile(ends, [0.95, 0.05])))


def _unpenalised_draws(sample: Sample, scheme: _Scheme, best: Unpenalised, draws: int, seed: int) -> Array:
    """Draws of the unpenalised parameters: rows drawn anew where there are enough of them."""
    generator = np.random.default_rng(seed)
    unit = scheme.unit
    units = int(unit.max()) + 1
    if units >= RESAMPLED:
        weight = generator.multinomial(units, np.full(units, 1 / units), draws)[:, unit].astype(np.float64)
        y = sample.y + scheme.common(draws, generator)
    else:
        weight, equal, no_prior = np.ones((1, len(unit))), np.ones(len(unit)), np.zeros(len(best.theta))
        y = scheme.resampled(sample, best.theta, draws, generator, equal, no_prior)
    problem = sample.unpenalised_problem(y, weight, OBJECTIVES[best.objective], best.scale)
    return solve(problem, np.repeat(best.theta[None], draws, axis=0), 1e-4, steps=60)[0]


def _within(residual: Array, cluster: Indices) -> Array:
    """Residuals [r] less the mean of their cluster, at their full size: what a run does not share."""
    count = np.bincount(cluster)[cluster]
    mean = np.bincount(cluster, residual)[cluster] / count
    return np.asarray(np.where(count > 1, (residual - mean) * np.sqrt(count / np.maximum(count - 1, 1)), residual))


def _leverage(sample: Sample, theta: Array, sigma: Array, assumed: Array) -> Array:
    """The share of each run's error that the fit takes up [r]; `assumed` is the precision of the prior [p]."""
    gradient = sample.law.value_and_grad(theta[None], sample.x)[1][0] * np.sqrt(sample.count)[:, None] / sigma[:, None]
    curvature = gradient.T @ gradient
    curvature += np.diag(assumed + 1e-9 * np.diag(curvature).max())
    # The diagonal of the hat matrix H = J (J'J + P)^-1 J', with J the gradient in units of each run's noise and P the
    # prior's precision; the small ridge keeps the inverse where a parameter is not identified.
    leverage = np.einsum("rp,pq,rq->r", gradient, np.linalg.inv(curvature), gradient)
    return np.asarray(np.minimum(leverage, MOST_LEVERAGE))


def _multipliers(generator: np.random.Generator, draws: int, cluster: Indices) -> Array:
    size = (draws, int(cluster.max()) + 1)
    sign = generator.choice([-1.0, 1.0], size)
    return np.asarray((sign * generator.choice(WEBB, size))[:, cluster])


@dataclass(frozen=True)
class ClusterError:
    """Runs that belong together, and the error that they have in common."""

    of_run: Indices
    """Number of the cluster of each run [r]."""
    sd: float
    """Standard deviation of the common error, on log loss; 0 where there is no sign of one."""


def cluster_errors(sample: Sample, rows: Rows, theta: Array, sigma: Array) -> dict[str, ClusterError]:
    """What ties runs together, by kind: `trajectories` and `budgets`."""
    return {
        kind: ClusterError(of_run, shared_error(sample, theta, sigma, of_run))
        for kind, of_run in clusters(rows).items()
    }


def clusters(rows: Rows) -> dict[str, Indices]:
    """Cluster number of each run [r], by kind: `trajectories` and `budgets`, where they tie runs together."""
    numbers = {**_labelled("trajectories", rows.parent), **_labelled("budgets", rows.group)}
    members = by_budget(rows.group, rows.flops) if "budgets" not in numbers and len(rows) <= MOST else []
    if 2 < len(members) <= len(rows) / RUNS_PER_BUDGET:
        numbers["budgets"] = np.zeros(len(rows), dtype=np.intp)
        for number, runs in enumerate(members):
            numbers["budgets"][runs] = number
    return numbers


def _labelled(kind: str, labels: list[str | None]) -> dict[str, Indices]:
    """Nothing when no two runs share a label, or all do."""
    names = [label if label is not None else f"\0{i}" for i, label in enumerate(labels)]
    cluster = np.unique(names, return_inverse=True)[1]
    count = int(cluster.max()) + 1
    return {kind: cluster} if 2 < count < len(labels) else {}


def remaining(sample: Sample, theta: Array, sigma: Array) -> tuple[Array, Array]:
    """Standardised residuals [r], and the matrix [r, r] that turns errors of runs into residuals of the fit."""
    gradient = sample.law.value_and_grad(theta[None], sample.x)[1][0] / sigma[:, None]
    scale = sample.prior()[1]
    curvature = gradient.T @ gradient + np.diag(scale**-2.0 + 1e-9)
    maker = np.eye(len(sigma)) - gradient @ np.linalg.solve(curvature, gradient.T)
    return np.clip(sample.residual(theta) / sigma, -CLIP, CLIP), maker


def shared_error(sample: Sample, theta: Array, sigma: Array, cluster: Indices) -> float:
    """Standard deviation, on log loss, of the error that the runs of one cluster share; 0 where there is no sign of it.

    Two moments of the standardised residuals, all and between clusters, give the two variances; what the fit itself
    absorbed is put back through its residual matrix. What few clusters say is averaged with what is usual.
    """
    if len(sigma) > MOST:
        return 0.0
    z, maker = remaining(sample, theta, sigma)
    member = np.eye(int(cluster.max()) + 1)[cluster]
    between = member / np.sqrt(member.sum(axis=0))
    common = maker @ (member / sigma[:, None])
    left = np.array(
        [
            [(maker**2).sum(), (common**2).sum()],
            [((between.T @ maker) ** 2).sum(), ((between.T @ common) ** 2).sum()],
        ]
    )
    # With M the residual maker, z = M (e + S u): runs' own errors e and shared ones u, S the membership in units of
    # noise. So E|z|^2 = v |M|^2 + s |M S|^2 (Frobenius norms), and the same of the clusters' means B'z: two linear
    # equations in the variances v of a run and s of what its cluster shares.
    total, shared = z @ z, ((between.T @ z) ** 2).sum()
    if shared / left[1, 0] < EVIDENCE * total / left[0, 0] or abs(np.linalg.det(left)) < 1e-12:
        return 0.0
    variance = max(np.linalg.solve(left, [total, shared])[1], 0.0)
    if variance == 0.0:
        return 0.0
    # The posterior mean of a variance whose prior is a scaled inverse chi-square of USUAL_FREEDOM degrees.
    own, usual = _freedom(cluster), (USUAL_SHARED * sample.unit) ** 2
    return float(np.sqrt((own * variance + USUAL_FREEDOM * usual) / (own + USUAL_FREEDOM)))


def _freedom(cluster: Indices) -> int:
    """Degrees of freedom that clusters leave to tell the size of what they share."""
    return max(2, int(cluster.max()) - 1)
