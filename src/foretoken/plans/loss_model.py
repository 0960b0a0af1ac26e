"""LossModel: a loss for every size and length, from a published law or from a user's fit with its draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foretoken.arguments import check_level
from foretoken.errors import ForetokenError
from foretoken.fits.ladder_line import LadderLine
from foretoken.fits.objectives import MAP
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import around_median, error_quantiles, predict
from foretoken.laws import LAWS, PUBLISHED, find_law, near_published
from foretoken.laws.law import Array, Law
from foretoken.laws.repeated_data import worth
from foretoken.runs.loss_units import NATS_PER_TOKEN

if TYPE_CHECKING:
    from foretoken.fits.result import Fit

USUAL_FEATURES = {"experts": 1.0, "granularity": 1.0, "bits_weights": 16.0, "bits_activations": 16.0, "bits_kv": 16.0}
"""Values of a law's further features unless others are given: a dense model in 16 bits."""
FEW = 200
"""Draws that are enough for an interval: its ends, at 5 % and 95 %, then stand at 5 % and 95 % give or take 1.5 %."""
INTERVAL_HOLDS = (
    "intervals of the best size and its tokens hold the fit's draws, the law's misfit, what the fit's laws do not agree"
    " on, and a law that changes beyond the runs"
)
NORMAL = math.inf
"""Degrees of freedom of a Student's t that is normal."""


@dataclass(frozen=True)
class Repetition:
    """Few distinct tokens, and what repeating them is worth (Muennighoff et al. 2023)."""

    unique: float
    """Distinct tokens, U_D."""
    epochs_decay: float
    """R_D: how many repetitions are worth something."""
    params_decay: float
    """R_N: the same for parameters beyond those that suit `unique` tokens."""
    base_params: tuple[float, ...] = ()
    """U_N, the size whose best length is `unique`, for the point estimate and for each draw; empty where the law reads
    unique tokens itself."""


@dataclass(frozen=True, eq=False)
class LossModel:
    """A loss for every size and length: a law's point estimate, and draws of its parameters where there are any.

    Shapes: w parameter vectors (the point estimate, then the draws), p parameters, r runs.
    """

    name: str
    law: Law
    theta: Array
    """[w, p], as the law takes them."""
    flops_per_param_token: float = 6.0
    ranges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Smallest and largest params, tokens and flops of the runs behind it, where known."""
    other_features: Mapping[str, float] = field(default_factory=dict)
    """Further features of the law, the same for every run."""
    repetition: Repetition | None = None
    level: float = 0.9
    """Probability of the intervals."""
    assumed: tuple[str, ...] = ()
    unidentified: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the fit does not identify, and why."""
    fit: Fit | None = None
    """The user's fit behind it."""
    estimator: str = MAP
    """Which of its estimates."""

    @property
    def loss_unit(self) -> str:
        """What its losses are in: those of the fit's table; published laws are in nats per token."""
        return NATS_PER_TOKEN if self.fit is None else self.fit.loss_unit

    @property
    def predicts_loss(self) -> bool:
        """Whether it gives a loss for params and tokens; otherwise it says at most how to split compute."""
        return self.law.column == "loss" and {"params", "tokens"} <= set(self.law.features)

    @property
    def ladder(self) -> LadderLine | None:
        """The line along which the fit's runs lie, where they tell the loss of compute alone and no best split."""
        return None if self.fit is None else self.fit.ladder

    @property
    def has_draws(self) -> bool:
        """Whether there are draws, and so intervals."""
        return len(self.theta) > 1

    @property
    def parameters(self) -> dict[str, float]:
        """The point estimate by name."""
        return self.law.named(self.theta[0])

    @property
    def point_estimate(self) -> LossModel:
        """The same without draws."""
        return self.draw(0)

    def draw(self, index: int) -> LossModel:
        """One parameter vector alone: 0 is the point estimate, the others are draws."""
        if not self.has_draws and index == 0:
            return self
        return replace(self, theta=self.theta[index][None], repetition=self._repetition_of([index]))

    def subsample(self, draws: int = FEW) -> LossModel:
        """The same with at most so many of the draws, evenly taken: for what has to be searched in every one."""
        # Every k-th, not the first few: whatever order the draws have, all of it is sampled.
        step = math.ceil((len(self.theta) - 1) / draws)
        if step <= 1:
            return self
        rows = [0, *range(1, len(self.theta), step)]
        return replace(self, theta=self.theta[rows], repetition=self._repetition_of(rows))

    def _repetition_of(self, rows: Sequence[int]) -> Repetition | None:
        """The repetition of these parameter vectors."""
        if self.repetition is None or not self.repetition.base_params:
            return self.repetition
        return replace(self.repetition, base_params=tuple(self.repetition.base_params[row] for row in rows))

    def draws(self) -> Iterator[LossModel]:
        """The point estimate, then every draw, each as a model without draws."""
        return (self.draw(index) for index in range(len(self.theta)))

    def over_draws(self, function: Callable[[LossModel], Any]) -> Array:
        """Apply a function to the point estimate and to every draw: [w, ...]; NaN in a draw where it raises."""
        values = [np.asarray(function(self.point_estimate), dtype=np.float64)]
        for index in range(1, len(self.theta)):
            try:
                values.append(np.asarray(function(self.draw(index)), dtype=np.float64))
            except ForetokenError:
                values.append(np.full(values[0].shape, np.nan))
        return np.array(values)

    def losses(self, params: Any, tokens: Any) -> Array:
        """Loss by every parameter vector: [w, ...] for sizes and lengths that broadcast to [...].

        Where distinct tokens are few, size and length are replaced by what they are worth without repetition:
        N' = U_N + U_N R_N (1 - exp(-(N / U_N - 1) / R_N)), D' alike (Muennighoff et al. 2023, equations 5 and 6).
        """
        params, tokens = np.broadcast_arrays(np.asarray(params, np.float64), np.asarray(tokens, np.float64))
        n, d, repetition = params.ravel(), tokens.ravel(), self.repetition
        if repetition is None or not repetition.base_params:
            values = self._evaluate(self.theta, n, d)
        else:
            # A run shorter than the stock repeats nothing: its distinct tokens are its own.
            d_worth = worth(d, np.minimum(repetition.unique, d), repetition.epochs_decay)
            # U_N differs between draws, so each has effective sizes of its own.
            sizes = (worth(n, np.minimum(n, base), repetition.params_decay) for base in repetition.base_params)
            pairs = zip(self.theta, sizes, strict=True)
            values = np.concatenate([self._evaluate(theta[None], n_worth, d_worth) for theta, n_worth in pairs])
        return values.reshape(len(self.theta), *params.shape)

    def loss(self, params: Any, tokens: Any) -> Array:
        """Loss by the point estimate, in `loss_unit`. Broadcasts.

        >>> round(float(published("besiroglu_2024").loss(70e9, 1.4e12)), 3)
        1.974
        """
        return np.asarray(self.point_estimate.losses(params, tokens)[0])

    def _evaluate(self, theta: Array, params: Array, tokens: Array) -> Array:
        unique = np.minimum(self.repetition.unique, tokens) if self.repetition else tokens
        known = {"params": params, "tokens": tokens, "unique_tokens": unique, **USUAL_FEATURES, **self.other_features}
        with np.errstate(all="ignore"):
            x = np.stack([np.log(np.broadcast_to(known[name], params.shape)) for name in self.law.features], axis=-1)
            values = self.law.value_and_grad(theta, x)[0]
            return np.exp(values) if self.law.target == "log" else values

    def forecast(self, params: float, tokens: float, flops: float) -> Forecast | None:
        """What `predict` says of a run from the same fit, in every digit; None without a fit or with other features."""
        tells = self.predicts_loss or self.ladder is not None
        if self.fit is None or self.repetition or self.other_features or not tells:
            return None
        return predict(
            self.fit,
            params=params,
            tokens=tokens,
            flops=flops,
            level=self.level,
            estimator=self.estimator,
            strict=False,
        )

    def interval(self, values: Array) -> list[float] | None:
        """The middle `level` of the draws in values [w]; None without draws."""
        drawn = np.asarray(values, dtype=np.float64)[1:]
        drawn = drawn[np.isfinite(drawn)]
        if not len(drawn):
            return None
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return [float(low), float(high)]

    def wider_interval(self, values: Array, sd: float) -> list[float] | None:
        """As `interval`, of amounts [w] above 0 whose logarithm has one more normal error, of standard deviation `sd`.

        The draws stand around the point estimate, so that the interval always holds it.
        """
        drawn = np.log(np.asarray(values, dtype=np.float64))
        errors = drawn[1:][np.isfinite(drawn[1:])]
        if not len(errors):
            return None
        low, high = error_quantiles(around_median(errors), 0.0, NORMAL, sd, self.level)
        return [float(values[0] * math.exp(min(0.0, low))), float(values[0] * math.exp(max(0.0, high)))]

    def extrapolation(self, params: float, tokens: float, flops: float) -> dict[str, float]:
        """Factors beyond the runs behind it; 1 inside them, nothing where they are not known."""
        values = {"params": params, "tokens": tokens, "flops": flops, **self.other_features}
        known = {name: ends for name, ends in self.ranges.items() if name in values}
        # Below the runs is as far as above them: a factor 10 too small counts as a factor 10 too large.
        return {name: max(1.0, values[name] / ends[1], ends[0] / values[name]) for name, ends in known.items()}


def published(name: str, **features: float) -> LossModel:
    """The loss model of a published law; `features` are further features of the law, for example experts=8.

    Raises ForetokenError for an unknown id.

    >>> published("ludziejewski_2025", experts=8.0).other_features
    {'experts': 8.0}
    """
    if name not in PUBLISHED:
        expected = ", ".join(near_published(name)) or "an id of `foretoken laws`"
        raise ForetokenError("unknown published law", expected=expected, got=repr(name))
    entry = PUBLISHED[name]
    law = LAWS[entry.law]
    unknown = set(features) - set(law.features)
    if unknown:
        raise ForetokenError(
            f"the law {law.name!r} does not read {', '.join(sorted(unknown))}", expected=", ".join(law.features)
        )
    others = {key: value for key, value in USUAL_FEATURES.items() if key in law.features} | features
    assumed = (f"{key} = {value:g}" for key, value in others.items())
    gives = "losses" if law.column == "loss" else "the split"
    return LossModel(
        name,
        law,
        law.theta(entry.parameters)[None],
        flops_per_param_token=entry.flops_per_param_token,
        ranges=entry.ranges,
        other_features=others,
        assumed=(f"{gives} by {name}: {entry.source}", *assumed),
    )


def fitted(fit: Fit, *, estimator: str = MAP, level: float = 0.9) -> LossModel:
    """The loss model of a user's fit with its draws: `map` is what forecasts use, `huber` minimises Huber's loss.

    FLOP per parameter and token are the median of the fit's runs. Raises ForetokenError for another estimator.
    """
    check_level(level)
    law = find_law(fit.law)
    best = fit.estimate(estimator)
    per_token = fit.flops_per_param_token
    assumed: tuple[str, ...] = (f"losses by your fit of {fit.law} ({estimator} estimate, {fit.params_column} is N)",)
    if not math.isclose(per_token, 6.0, rel_tol=1e-3):
        assumed += (f"{per_token:.4g} FLOP per parameter and token, the median of the fit's runs",)
    if law.column == "loss":
        assumed += (INTERVAL_HOLDS,)
    return LossModel(
        "fit",
        law,
        np.concatenate([law.theta(best.parameters)[None], law.thetas(best.draws)]),
        flops_per_param_token=per_token,
        ranges=fit.ranges.by_name(),
        level=level,
        assumed=assumed,
        unidentified=fit.reasons,
        fit=fit,
        estimator=estimator,
    )
