"""Whether what a fit's file says can be a fit: every part is asked before anything is computed from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain, compress, pairwise
from typing import TYPE_CHECKING

from foretoken.errors import ForetokenError, RefusedError, shown
from foretoken.fits.parts import ParameterProfile, WeighedLaw
from foretoken.laws import find_law
from foretoken.laws.law import Law
from foretoken.runs.loss_units import CARRIED

if TYPE_CHECKING:
    from foretoken.fits.result import Fit

LARGEST_LOG = 100.0
"""Above any distance or error on a logarithm that a fit can have."""
LEAST, MOST = 1e-100, 1e100
"""No amount and no parameter of a law is beyond these; their products and powers are still numbers."""
WEIGHT_ERROR = 1e-6


def require_whole(fit: Fit) -> None:
    """Raise ValueError when the parts of a fit do not belong together: nothing could be forecast from it.

    Raises RefusedError (out_of_reach) for parameters, or draws of them, with which nothing can be computed.
    """
    law = _known(fit.law)
    for values in (fit.map_parameters, fit.unpenalised_parameters, fit.parameters, fit.intervals):
        _require_names(values, law.parameters, "parameters")
    _require_names(fit.features, law.features, "features")
    if fit.loss_unit not in CARRIED:
        raise ValueError(f"unknown unit of the loss {shown(fit.loss_unit)}")
    if {name for name, value in fit.parameters.items() if value is None} != set(fit.reasons):
        raise ValueError("reasons for other parameters than those without a value")
    for draws in (fit.map_draws, fit.unpenalised_draws):
        _require_draws(draws, law)
    _require_ranges(fit)
    for name, profile in fit.profiles.items():
        _require_names({name: profile}, (name,) if name in law.parameters else (), "profiles")
        _require_profile(profile)
    _require_numbers(fit, law)
    _require_counts(fit)
    _require_laws(fit)
    _require_in_reach(fit.map_parameters, fit.map_draws, law)
    _require_in_reach(fit.unpenalised_parameters, fit.unpenalised_draws, law)


def _known(name: str) -> Law:
    try:
        return find_law(name)
    except ForetokenError:
        raise ValueError(f"unknown law {shown(name)}") from None


def _require_names(values: Iterable[str], names: Iterable[str], what: str) -> None:
    if set(values) != set(names):
        raise ValueError(f"{what} other than {', '.join(names)}")


def _require_draws(draws: list[list[float]], law: Law) -> None:
    if not draws:
        raise ValueError("no draws")
    if any(len(draw) != len(law.parameters) for draw in draws):
        raise ValueError("draws that are not one number per parameter")


def _require_ranges(fit: Fit) -> None:
    profiled = (profile.interval for profile in fit.profiles.values())
    # A NamedTuple does not take over the rules of the dataclass that holds it.
    for low, high in chain(fit.ranges.by_name().values(), fit.features.values(), fit.intervals.values(), profiled):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("a range or an interval that is not finite")
        if low > high:
            raise ValueError("a range or an interval that ends before it begins")


def _require_profile(profile: ParameterProfile) -> None:
    values = profile.values
    if len(values) != len(profile.rise) or any(one >= other for one, other in pairwise(values)):
        raise ValueError("a profile that is not one rise per value, the values rising")


def _require_numbers(fit: Fit, law: Law) -> None:
    noise = fit.noise
    spreads = [noise.run_sd, noise.misfit_growth, noise.cluster_sd, noise.tokens_power]
    squares = [value for row in fit.held_out for value in (row.square, row.explained)]
    if not fit.runs or not all(LEAST <= value <= MOST for value in _amounts(fit, law)) or min(spreads + squares) < 0:
        raise ValueError("a number that cannot be 0 or below, or so large")
    logs = [*spreads, *(value for row in fit.held_out for value in (row.distance, row.error, row.explained))]
    if not (max(map(abs, logs)) < (LARGEST_LOG if law.is_logarithmic else MOST)) or not 0 < fit.level < 1:
        raise ValueError("an error on log loss, or a level, that no fit has")
    if not 0 <= noise.pattern_p_value <= 1:
        raise ValueError("a probability that is none")


def _amounts(fit: Fit, law: Law) -> Iterator[float]:
    """Every amount in a fit, which is above 0: what the law predicts only where it is a logarithm that is fitted."""
    yield from chain(fit.ranges.params, fit.ranges.tokens, fit.ranges.flops, *fit.features.values())
    yield from chain(*((run.params, run.tokens, run.flops) for run in fit.runs))
    if law.is_logarithmic:
        yield from chain(fit.ranges.loss, *((run.loss, run.fitted) for run in fit.runs))
    yield from (fit.noise.most_tokens, fit.noise.degrees_of_freedom)
    if fit.guessing is not None:
        yield fit.guessing


def _require_counts(fit: Fit) -> None:
    counts = [fit.rows.used - len(fit.runs), *(dropped.count for dropped in fit.rows.dropped)]
    counts += [fit.starts.agree, fit.starts.tried - fit.starts.agree]
    if min(*counts, fit.conditioning, fit.objective.delta, fit.objective.huber_sum) < 0:
        raise ValueError("a count that cannot be")


def _require_laws(fit: Fit) -> None:
    """Of several laws each is whole, the heaviest is the fit's, and their weights are 1 together."""
    weights = [one.weight for one in fit.laws]
    if not weights:
        return
    if fit.laws[0].law != fit.law or min(weights) < 0 or abs(sum(weights) - 1) > WEIGHT_ERROR:
        raise ValueError("laws of which the heaviest is not the fit's, or weights that are not 1 together")
    for one in fit.laws:
        _require_weighed(one, fit)


def _require_weighed(one: WeighedLaw, fit: Fit) -> None:
    law = _known(one.law)
    _require_names(one.parameters, law.parameters, f"parameters of {law.name}")
    _require_draws(one.draws, law)
    if not set(law.features) <= {*fit.ranges.by_name(), *fit.features}:
        raise ValueError(f"the law {law.name}, which reads what the runs do not have")
    _require_in_reach(one.parameters, one.draws, law)


def _require_in_reach(parameters: dict[str, float], draws: list[list[float]], law: Law) -> None:
    signs = [name not in law.signed for name in law.parameters]
    values = [parameters[name] for name in law.parameters]
    if any(value <= 0 for row in (values, *draws) for value in compress(row, signs)):
        raise ValueError("a number that cannot be 0 or below, or so large")
    for row in (values, *draws):
        for name, value, positive in zip(law.parameters, row, signs, strict=True):
            if abs(value) > MOST or (positive and value < LEAST):
                evidence = f"the parameter {name} of the law {law.name} is {value:.3g}: nothing can be computed from it"
                raise RefusedError("out_of_reach", evidence, "fit the table again: foretoken fit TABLE -o fit.json")
