"""What another objective, or no assumption, would have said."""

from __future__ import annotations

from typing import Any

import numpy as np

from foretoken.fits.estimate import Plain, Sample, estimate_plain
from foretoken.fits.objectives import OBJECTIVES

REFERENCE_FACTOR = 8.0
"""Forecasts are compared at this many times the compute of the run with the most, shared by all features."""


def sensitivity(sample: Sample, plain: Plain, pooled: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """One entry per objective, and the forecast's own: {objective, text, parameters, loss}.

    `loss` is the law at 8 times the largest compute: numbers that differ by more than the interval are a doubt.
    """
    target = sample.x[sample.x.sum(axis=1).argmax()] + np.log(REFERENCE_FACTOR) / sample.x.shape[1]

    def entry(name: str, text: str, theta: np.ndarray[Any, Any]) -> dict[str, Any]:
        fitted = float(sample.law.log_loss(theta[None], target[None])[0][0, 0])
        return {
            "objective": name,
            "text": text,
            "parameters": sample.law.named(sample.law.shift(theta, sample.origin)),
            "loss": float(np.exp(fitted)) if sample.law.target == "log" else fitted,
        }

    found = [entry("pooled", "each run by its noise, with the law's weak prior", pooled)]
    for name, objective in OBJECTIVES.items():
        if objective.raw and sample.law.target != "log":
            continue
        theta = plain.theta if name == plain.objective else estimate_plain(sample, name, plain.theta).theta
        found.append(entry(name, objective.text, theta))
    return found
