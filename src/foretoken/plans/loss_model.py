"""Source: where losses come from when a budget is split, a published law or a user's fit with its draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.laws import LAWS, PUBLISHED, find_law
from foretoken.laws.law import Array, Law
from foretoken.laws.repeated_data import worth

if TYPE_CHECKING:
    from foretoken.fits.result import Fit

USUAL_FEATURES = {"experts": 1.0, "granularity": 1.0, "bits_weights": 16.0, "bits_activations": 16.0, "bits_kv": 16.0}
"""What a law with further features is read at unless told otherwise: a dense model in 16 bits."""
ESTIMATORS = ("pooled", "plain")
FEW = 200
"""Draws that are enough for an interval: its ends, at 5 % and 95 %, then stand at 5 % and 95 % give or take 1.5 %."""


@dataclass(frozen=True)
class Repetition:
    """Few distinct tokens, and what repeating them is worth (Muennighoff et al. 2023)."""

    unique: float
    """Distinct tokens."""
    epochs_decay: float
    """R_D: how many repetitions are worth something."""
    params_decay: float
    """R_N: the same for parameters beyond those that suit `unique` tokens."""
    suited: tuple[float, ...] = ()
    """Those parameters, for the law and for each draw; empty where the law reads unique tokens itself."""


@dataclass(frozen=True, eq=False)
class Source:
    """A loss for every size and length: a law's best parameters, and draws of them where there are any.

    Shapes: w worlds (the best parameters, then the draws), p parameters, r runs.
    """

    name: str
    law: Law
    theta: Array
    """[w, p], as the law takes them."""
    flops_per_param_token: float = 6.0
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Smallest and largest params, tokens and flops of the runs behind it, where known."""
    others: Mapping[str, float] = field(default_factory=dict)
    """Further features of the law, the same for every run."""
    repetition: Repetition | None = None
    level: float = 0.9
    """Probability of the intervals."""
    assumed: tuple[str, ...] = ()
    unidentified: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the fit does not identify, and why."""

    @property
    def gives_loss(self) -> bool:
        """Whether it tells a loss from params and tokens; otherwise at most how to split compute."""
        return self.law.column == "loss" and {"params", "tokens"} <= set(self.law.features)

    @property
    def parameters(self) -> dict[str, float]:
        """The best parameters by name."""
        return self.law.named(self.theta[0])

    def world(self, index: int) -> Source:
        """One set of parameters alone: 0 is the best, the others are draws."""
        if len(self.theta) == 1 and index == 0:
            return self
        told = self.repetition
        if told is not None and told.suited:
            told = replace(told, suited=(told.suited[index],))
        return replace(self, theta=self.theta[index][None], repetition=told)

    def thinned(self, draws: int = FEW) -> Source:
        """The same with at most so many of the draws, evenly taken: for what has to be searched in every one."""
        step = math.ceil((len(self.theta) - 1) / draws)
        if step <= 1:
            return self
        kept, told = [0, *range(1, len(self.theta), step)], self.repetition
        if told is not None and told.suited:
            told = replace(told, suited=tuple(told.suited[index] for index in kept))
        return replace(self, theta=self.theta[kept], repetition=told)

    def worlds(self) -> Iterator[Source]:
        """The best parameters, then every draw."""
        return (self.world(index) for index in range(len(self.theta)))

    def each(self, function: Callable[[Source], Any]) -> Array:
        """What a function says in every world: [w, ...]; NaN in a draw where it is refused."""
        found = [np.asarray(function(self.world(0)), dtype=np.float64)]
        for index in range(1, len(self.theta)):
            try:
                found.append(np.asarray(function(self.world(index)), dtype=np.float64))
            except ForetokenError:
                found.append(np.full(found[0].shape, np.nan))
        return np.array(found)

    def losses(self, params: Any, tokens: Any) -> Array:
        """Loss in nats per token in every world: [w, ...] for sizes and lengths that broadcast to [...]."""
        params, tokens = np.broadcast_arrays(np.asarray(params, np.float64), np.asarray(tokens, np.float64))
        n, d = params.ravel(), tokens.ravel()
        told = self.repetition
        if told is None or not told.suited:
            fitted = self._fitted(self.theta, n, d)
        else:
            d_worth = worth(d, np.minimum(told.unique, d), told.epochs_decay)
            rows = (worth(n, np.minimum(n, suited), told.params_decay) for suited in told.suited)
            pairs = zip(self.theta, rows, strict=True)
            fitted = np.concatenate([self._fitted(theta[None], row, d_worth) for theta, row in pairs])
        return fitted.reshape(len(self.theta), *params.shape)

    def loss(self, params: Any, tokens: Any) -> Array:
        """Loss by the best parameters, in nats per token. Broadcasts.

        >>> round(float(published("besiroglu_2024").loss(70e9, 1.4e12)), 3)
        1.974
        """
        return np.asarray(self.world(0).losses(params, tokens)[0])

    def _fitted(self, theta: Array, params: Array, tokens: Array) -> Array:
        unique = np.minimum(self.repetition.unique, tokens) if self.repetition else tokens
        known = {"params": params, "tokens": tokens, "unique_tokens": unique, **USUAL_FEATURES, **self.others}
        with np.errstate(all="ignore"):
            x = np.stack([np.log(np.broadcast_to(known[name], params.shape)) for name in self.law.features], axis=-1)
            fitted = self.law.log_loss(theta, x)[0]
            return np.exp(fitted) if self.law.target == "log" else fitted

    def interval(self, values: Array) -> list[float] | None:
        """The middle `level` of the draws in values [w]; None without draws."""
        drawn = np.asarray(values, dtype=np.float64)[1:]
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return None
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return [float(low), float(high)]

    def beyond(self, params: float, tokens: float, flops: float) -> dict[str, float]:
        """Factors beyond the runs behind it; 1 inside them, nothing where they are not known."""
        reach = {"params": params, "tokens": tokens, "flops": flops, **self.others}
        known = {name: ends for name, ends in self.ranges.items() if name in reach}
        return {name: max(1.0, reach[name] / ends[1], ends[0] / reach[name]) for name, ends in known.items()}


def published(name: str, **features: float) -> Source:
    """The source of a published law; `features` are further features of the law, for example experts=8.

    Raises ForetokenError for an unknown id.

    >>> published("ludziejewski_2025", experts=8.0).others
    {'experts': 8.0}
    """
    if name not in PUBLISHED:
        near = get_close_matches(name, PUBLISHED, n=4, cutoff=0.4)
        raise ForetokenError(
            "unknown published law", expected=", ".join(near) or "an id of `foretoken laws`", got=repr(name)
        )
    entry = PUBLISHED[name]
    law = LAWS[entry.law]
    unknown = set(features) - set(law.features)
    if unknown:
        raise ForetokenError(
            f"the law {law.name!r} does not read {', '.join(sorted(unknown))}", expected=", ".join(law.features)
        )
    others = {key: value for key, value in USUAL_FEATURES.items() if key in law.features} | features
    assumed = (f"{key} = {value:g}" for key, value in others.items())
    return Source(
        name, law, law.theta(entry.parameters)[None], entry.flops_per_param_token, ranges=entry.ranges, others=others,
        assumed=(f"losses by {name}: {entry.source}", *assumed),
    )  # fmt: skip


def fitted(fit: Fit, *, estimator: str = "pooled", level: float = 0.9) -> Source:
    """The source of a user's fit with its draws: `pooled` is its forecast_parameters, `plain` its plain estimate.

    FLOP per parameter and token are the median of the fit's runs. Raises ForetokenError for another estimator.
    """
    if estimator not in ESTIMATORS:
        raise ForetokenError("unknown estimator", expected=", ".join(ESTIMATORS), got=repr(estimator))
    if not 0 < level < 1:
        raise ForetokenError("the level of an interval lies between 0 and 1", got=repr(level), cure="use 0.9")
    law = find_law(fit.law)
    chosen, drawn = (fit.forecast_parameters, fit.draws) if estimator == "pooled" else (fit.estimates, fit.plain_draws)
    named = [chosen, *(dict(zip(chosen, draw, strict=True)) for draw in drawn)]
    per_token = fit.flops_per_param_token
    assumed: tuple[str, ...] = (f"losses by your fit of {fit.law} ({estimator} estimate, {fit.params_column} is N)",)
    if not math.isclose(per_token, 6.0, rel_tol=1e-3):
        assumed += (f"{per_token:.4g} FLOP per parameter and token, the median of the fit's runs",)
    return Source("fit", law, np.array([law.theta(one) for one in named]), flops_per_param_token=per_token,
                  ranges=fit.ranges, level=level, assumed=assumed, unidentified=fit.reasons)  # fmt: skip
