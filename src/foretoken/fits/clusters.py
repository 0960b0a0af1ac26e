"""What runs share: the budgets and trajectories they belong to, and how much of their error is common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.estimate import Sample
from foretoken.fits.rows import Rows, by_budget
from foretoken.laws.law import Array, Indices

MOST = 1500
"""Above this many rows what is shared is not estimated: every cluster is then one of many."""
RUNS_PER_BUDGET = 3
"""Budgets are clusters where they hold this many runs on average."""
EVIDENCE = 1.3
"""Squares between clusters are this many times what independent errors give before anything counts as shared."""
CLIP = 3.0
"""Residuals count as this many standard deviations at most."""


@dataclass(frozen=True)
class ClusterError:
    """Runs that belong together, and the error that they have in common."""

    of_run: Indices
    """Number of the cluster of each run [r]."""
    sd: float
    """Standard deviation of the common error, on log loss; 0 where there is no sign of one."""

    @property
    def count(self) -> int:
        """How many clusters there are."""
        return int(self.of_run.max()) + 1


def cluster_errors(sample: Sample, rows: Rows, theta: Array, sigma: Array) -> dict[str, ClusterError]:
    """What ties runs together, by kind: `trajectories` and `budgets`."""
    return {
        kind: ClusterError(of_run, shared_error(sample, theta, sigma, of_run))
        for kind, of_run in clusters(rows).items()
    }


def clusters(rows: Rows) -> dict[str, Indices]:
    """Cluster number of each run [r], by kind: `trajectories` and `budgets`, where they tie runs together."""
    found = {**_labelled("trajectories", rows.parent), **_labelled("budgets", rows.group)}
    members = by_budget(rows.group, rows.flops) if "budgets" not in found and len(rows) <= MOST else []
    if 2 < len(members) <= len(rows) / RUNS_PER_BUDGET:
        found["budgets"] = np.zeros(len(rows), dtype=np.intp)
        for number, here in enumerate(members):
            found["budgets"][here] = number
    return found


def _labelled(kind: str, labels: list[str | None]) -> dict[str, Indices]:
    """Nothing when no two runs share a label, or all do."""
    names = [label if label is not None else f"\0{i}" for i, label in enumerate(labels)]
    cluster = np.unique(names, return_inverse=True)[1]
    count = int(cluster.max()) + 1
    return {kind: cluster} if 2 < count < len(labels) else {}


def remaining(sample: Sample, theta: Array, sigma: Array) -> tuple[Array, Array]:
    """Standardised residuals [r], and the matrix [r, r] that turns errors of runs into residuals of the fit."""
    gradient = sample.law.value_and_grad(theta[None], sample.x)[1][0] / sigma[:, None]
    scale = sample.law.prior(sample.y)[1]
    curvature = gradient.T @ gradient + np.diag(scale**-2.0 + 1e-9)
    maker = np.eye(len(sigma)) - gradient @ np.linalg.solve(curvature, gradient.T)
    return np.clip(sample.residual(theta) / sigma, -CLIP, CLIP), maker


def shared_error(sample: Sample, theta: Array, sigma: Array, cluster: Indices) -> float:
    """Standard deviation, on log loss, of the error that the runs of one cluster share; 0 where there is no sign of it.

    Two moments of the standardised residuals, all and between clusters, give the two variances; what the fit itself
    absorbed is put back through its residual matrix.
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
    total, shared = z @ z, ((between.T @ z) ** 2).sum()
    if shared / left[1, 0] < EVIDENCE * total / left[0, 0] or abs(np.linalg.det(left)) < 1e-12:
        return 0.0
    return float(np.sqrt(max(np.linalg.solve(left, [total, shared])[1], 0.0)))
