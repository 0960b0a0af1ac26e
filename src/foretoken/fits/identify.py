"""Is the irreducible loss a number? One rule for all tables, judged by the unpenalised fit alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretoken.fits.estimate import Sample, estimate_unpenalised
from foretoken.fits.parts import ParameterProfile, Range
from foretoken.fits.rows import Rows
from foretoken.fits.solvers import solve
from foretoken.laws import COUPLED
from foretoken.laws.law import Array, Indices, Law

WIDTH = 0.05
"""Half of the interval of an irreducible loss is at most this share of it ..."""
REACH = 0.25
"""... and the smallest loss is at most this share above it: what lies further off rests on the law's form alone."""
END = 0.15
"""An end of a table: this share of the runs with the least, or the most, compute or parameters, whole budgets kept."""
SAME = 0.05
"""Runs within 5 % of the end's border belong to it."""
STARTS = 12
LOOSER = {"chinchilla": COUPLED}
"""The law that frees what another takes for granted."""


def identify(
    law: Law,
    estimates: Mapping[str, float],
    intervals: Mapping[str, Range],
    at_low: set[str],
    least: float,
    unit: str,
) -> dict[str, str]:
    """Why a parameter is not given as a number, by name.

    An irreducible loss E lies beyond all data. It is given only when neither it nor an exponent is at its lower bound
    (a term that hardly falls is one more constant), half of its interval is at most 5 % of it, and the smallest loss,
    `least`, is at most 25 % above it; both are in `unit`. The interval is the bootstrap's, widened by `widened`.
    """
    if "E" not in law.parameters:
        return {}
    # E is the loss at infinite N and D. Its bootstrap takes the law for granted, so a narrow interval is not enough:
    # where the smallest loss is far above E, the form of the law bridges the gap, and no run has tested it there. Hence
    # two conditions, on the width (what the noise leaves open) and on the reach (what the form fills in).
    low, high = intervals["E"]
    half, reach = (high - low) / 2 / estimates["E"], least / estimates["E"] - 1
    stuck = sorted(at_low & {"E", "alpha", "beta"})
    if stuck:
        return {"E": f"the best fit has {', '.join(stuck)} at the lower bound: the runs do not tell E from a slow fall"}
    if half > WIDTH:
        return {
            "E": f"by the law {law.name} the runs allow irreducible losses from {low:.4g} to {high:.4g} {unit},"
            f" depending on which are kept and how they bend ({100 * half:.0f} % either way, at most"
            f" {100 * WIDTH:.0f} % is asked)"
        }
    if reach > REACH:
        return {
            "E": f"the smallest loss, {least:.4g} {unit}, is {100 * reach:.0f} % above the irreducible loss of the"
            f" best fit of {law.name} (at most {100 * REACH:.0f} % is asked): so far off, the number rests on the"
            " law's form"
        }
    return {}


def flat(law: Law, profiles: Mapping[str, ParameterProfile]) -> dict[str, str]:
    """Why a parameter whose profile has no clear least is not given, by name; E has a rule of its own."""
    reasons = {}
    for name in law.profiled:
        if name != "E" and name in profiles and not profiles[name].identified:
            low, high = profiles[name].interval
            reasons[name] = f"its profile is nearly flat: anything from {low:.3g} to {high:.3g} fits about as well"
    return reasons


def widened(interval: Range, others: Mapping[str, float]) -> Range:
    """The interval of E, with what E becomes without an end of the table, or under a looser law.

    A bootstrap takes the law for granted; E that moves with the range of the runs, or with the form, shows that it
    must not be.
    """
    return Range(min(interval.low, *others.values()), max(interval.high, *others.values())) if others else interval


def under_looser_law(law: Law, rows: Rows) -> dict[str, float]:
    """The unpenalised E of the law that has this one as a special case; nothing without one, or with too few runs."""
    looser = LOOSER.get(law.name)
    if looser is None or len(rows) <= len(looser.parameters) + 1:
        return {}
    sample = Sample.of(looser, rows.features(looser), rows.y)
    return {looser.name: looser.named(looser.shift(estimate_unpenalised(sample).theta, sample.origin))["E"]}


def without_ends(sample: Sample, rows: Rows, unpenalised: Array) -> dict[str, float]:
    """The unpenalised E without the runs at one end of the table, by the end's name; ends too large are not tried."""
    law = sample.law
    if "E" not in law.parameters:
        return {}
    subsets = {name: rest for name, rest in _ends(rows).items() if rest.sum() > len(law.parameters) + 1}
    if not subsets:
        return {}
    starts = np.concatenate([unpenalised[None], sample.starts[:STARTS]])
    # All starts of all subsets are one batch.
    weight = np.repeat(np.stack([*subsets.values()]).astype(np.float64), len(starts), axis=0)
    ends, value = solve(
        sample.unpenalised_problem(sample.y[None], weight), np.tile(starts, (len(subsets), 1)), steps=150
    )
    best = value.reshape(len(subsets), -1).argmin(axis=1) + len(starts) * np.arange(len(subsets))
    thetas = (law.shift(ends[k], sample.origin) for k in best)
    return {name: law.named(theta)["E"] for name, theta in zip(subsets, thetas, strict=True)}


def _ends(rows: Rows) -> dict[str, Indices]:
    """Which runs stay [r] when an end is left out."""
    ends = {}
    for what, values in (("compute", rows.flops), ("parameters", rows.params)):
        low, high = np.quantile(values, [END, 1 - END], method="nearest")
        ends[f"least {what}"] = values > low * (1 + SAME)
        ends[f"most {what}"] = values < high * (1 - SAME)
    return ends
