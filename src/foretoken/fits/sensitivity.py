"""What another objective, or no assumption, would have said."""

from __future__ import annotations

import numpy as np

from foretoken.fits.estimate import Sample, Unpenalised, estimate_unpenalised
from foretoken.fits.objectives import OBJECTIVES
from foretoken.fits.result import ObjectiveForecast
from foretoken.laws.law import Array

REFERENCE_FACTOR = 8.0
"""Forecasts are compared at this many times the compute of the run with the most, shared by all features."""


def sensitivity(sample: Sample, best: Unpenalised, map_theta: Array) -> list[ObjectiveForecast]:
    """One entry per objective, and the forecast's own.

    `loss` is the law at 8 times the largest compute: numbers that differ by more than the interval are a doubt.
    """
    target = sample.x[sample.x.sum(axis=1).argmax()] + np.log(REFERENCE_FACTOR) / sample.x.shape[1]

    def entry(name: str, text: str, theta: Array) -> ObjectiveForecast:
        fitted = float(sample.law.value_and_grad(theta[None], target[None])[0][0, 0])
        return ObjectiveForecast(
            objective=name,
            text=text,
            parameters=sample.law.named(sample.law.shift(theta, sample.origin)),
            loss=float(np.exp(fitted)) if sample.law.target == "log" else fitted,
        )

    found = [entry("map", "each run by its noise, with the law's weak prior", map_theta)]
    for name, objective in OBJECTIVES.items():
        if objective.raw and sample.law.target != "log":
            continue
        theta = best.theta if name == best.objective else estimate_unpenalised(sample, name, best.theta).theta
        found.append(entry(name, objective.text, theta))
    return found
