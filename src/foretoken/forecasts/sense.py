"""Whether a forecast makes sense: what is refused before it is made, and what is doubtful about it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from foretoken.arguments import check_level, did_you_mean
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check
from foretoken.fits.ladder_line import COLLINEAR
from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Extrapolation
from foretoken.forecasts.request import Target
from foretoken.laws.law import Law

FAR = 10.0
"""Beyond this factor in any of params, tokens and flops, a forecast is marked."""
BELOW = 10.0
"""A run this many times smaller, shorter or cheaper than every run of the fit is refused: it is no forecast, and small
runs leave the law (warm-up, few steps) where none was seen."""
CONTRADICTION = 1.5
"""FLOP given for a run may be off the fit's FLOP per parameter and token by this factor, or by the factor over which
the fit's own runs spread; 2 N D for 6 N D is a factor 3, attention and head move the count by less."""


def checks_of(fit: Fit, reach: Extrapolation, known: Mapping[str, float]) -> list[Check]:
    """The doubts about a forecast: those of its fit, and that it reaches far."""
    checks = [check for check in fit.checks if not check.is_note]
    if "params" in known and "tokens" in known:
        checks += ladder_checks(fit, known["params"], known["tokens"])
    checks = list(dict.fromkeys(checks))
    if reach.largest > FAR:
        evidence = f"{reach.largest:.3g} times beyond the runs in {reach.farthest}"
        cure = f"add runs nearer to the target in {reach.farthest}"
        checks.append(Check("far_extrapolation", "doubt", evidence, cure))
    return checks


def ladder_checks(fit: Fit, params: float, tokens: float) -> list[Check]:
    """What a law of compute, fitted to runs at one ratio of tokens to parameters, does not say of another run's loss.

    That the best split is unknown, and where the run's own split is not the ladder's, that this is not allowed for.
    """
    ladder = fit.ladder
    if ladder is None:
        return []
    checks = [check for check in fit.checks if check.code == COLLINEAR]
    return [*checks, *ladder.checks(params, tokens)]


def require_known(known: dict[str, float], law: Law, level: float) -> None:
    """Raise ForetokenError unless the law's features are known, nothing else is, and all are numbers above 0."""
    missing = [name for name in law.features if name not in known]
    if missing:
        raise ForetokenError(
            f"the law {law.name!r} needs more than it was given",
            expected=", ".join(law.features),
            got=", ".join(known) or "nothing",
            cure=f"say {missing[0]}" + ("" if missing[0] in ("params", "tokens", "flops") else ", with --at"),
        )
    strange = [name for name in known if name not in (*law.features, "params", "tokens", "flops")]
    if strange:
        raise ForetokenError(
            f"the law {law.name!r} does not read {strange[0]!r}",
            expected=", ".join(law.features),
            cure=did_you_mean(strange[0], law.features),
        )
    for name, value in known.items():
        if not (math.isfinite(value) and value > 0):
            raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
    check_level(level)


def require_sense(request: Target, known: dict[str, float]) -> None:
    """Raise RefusedError for a run far below all runs of the fit, and for FLOPs that contradict its N and D."""
    fit = request.fit
    for name in ("params", "tokens", "flops"):
        least = fit.ranges.by_name()[name].low
        if name in known and known[name] < least / BELOW:
            evidence = (
                f"{name} of {known[name]:.4g} are {least / known[name]:.3g} times below the smallest of the fit's runs"
                f" ({least:.4g})"
            )
            raise RefusedError("below_the_runs", evidence, "check the unit; or add runs as small, which cost little")
    # A table without tokens has 1 in their place.
    if request.flops is None or request.params is None or request.tokens is None or fit.ranges.tokens.high <= 1:
        return
    per, (low, high) = request.flops / (request.params * request.tokens), fit.flops_per_param_token_range
    slack = max(CONTRADICTION, high / low)
    if not low / slack <= per <= high * slack:
        usual = fit.flops_per_param_token * request.params * request.tokens
        evidence = (
            f"{request.flops:.4g} FLOP for {request.params:.4g} params and {request.tokens:.4g} tokens, where the fit's"
            f" runs would have {usual:.4g}: {per:.3g} and not {fit.flops_per_param_token:.3g} per param and token"
        )
        raise RefusedError("flops_contradict", evidence, "leave flops out, or correct them, params or tokens")


def require_below_guessing(loss: float, guessing: float | None) -> None:
    """Raise RefusedError for a loss that a model reaches which has learned nothing."""
    if guessing is not None and loss > guessing:
        evidence = f"a loss of {loss:.4g} is above {guessing:.4g}, that of guessing among all entries of the vocabulary"
        raise RefusedError("above_guessing", evidence, "ask for a longer or larger run; no law holds there")
