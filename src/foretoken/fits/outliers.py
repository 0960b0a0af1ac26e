"""Runs that lie far from the law that was fitted to them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foretoken.fits.result import Check, Fit
from foretoken.fits.seen import listed, plural

OUTLIER, LEAST_OUTLIER = 10.0, 0.02
"""Robust deviations, and the least distance on log loss, from which a run is an outlier."""


def outlying_runs(fit: Fit) -> Iterator[Check]:
    """Runs that finished far from the law: diverged, or of another kind."""
    residual = fit.residuals
    scale = 1.4826 * float(np.median(abs(residual)))
    far = np.flatnonzero(abs(residual) > np.maximum(OUTLIER * scale, LEAST_OUTLIER))
    if len(far):
        names = listed(f"{fit.runs[i].run} ({100 * np.expm1(residual[i]):+.1f} %)" for i in far)
        cure = "look at their curves; mark them diverged, or leave them out and say so"
        yield Check("outlying_runs", "doubt", f"{plural(len(far), 'run')} far from the law: {names}", cure)
