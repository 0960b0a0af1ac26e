"""Few distinct tokens: how many epochs, what the next one is worth, and when more data beat more compute.

The form of Muennighoff et al. 2023, arXiv 2305.16264: tokens seen again, and parameters beyond those that suit the
distinct tokens, are worth exponentially less.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import RefusedError
from foretoken.laws import PUBLISHED
from foretoken.laws.repeated_data import worth
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel, Repetition
from foretoken.plans.provenance import intervals_json
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import split_intervals
from foretoken.plans.split_search import best_losses, best_split
from foretoken.results import with_reasons_json

NEVER_TURNS = "within a factor of a million of this budget the same one of the two always helps more"
BORROWED = "muennighoff_2023"
LITTLE_HELD = (15.0, 95.0)
"""R_D that its own runs hold almost equally well, by the profile of its fit."""


def with_unique(
    loss_model: LossModel, unique: float, *, epochs_decay: float | None = None, params_decay: float | None = None
) -> LossModel:
    """The same loss model where only `unique` tokens are distinct.

    A law that reads unique tokens uses its own decay constants; to another they are lent, R_D and R_N of
    Muennighoff et al. 2023 unless given, which `assumed` says. Raises ForetokenError for a number that is not above 0,
    RefusedError for a fit whose runs do not identify R_D.

    >>> from foretoken.plans.loss_model import published
    >>> scarce = with_unique(published("besiroglu_2024"), 1e11)
    >>> bool(scarce.loss(1e10, 4e11) > published("besiroglu_2024").loss(1e10, 4e11))
    True
    """
    check_positive("unique tokens", unique)
    if "unique_tokens" in loss_model.law.features:
        if "R_D" in loss_model.unidentified:
            cure = "add runs of many epochs, or plan with a law of fresh data and a stated R_D"
            raise RefusedError("not_identified", f"R_D: {loss_model.unidentified['R_D']}", cure)
        own = loss_model.parameters
        said = f"epochs decay by its own R_D {own['R_D']:.4g}, R_N {own['R_N']:.4g}"
        return replace(
            loss_model, repetition=Repetition(unique, own["R_D"], own["R_N"]), assumed=(*loss_model.assumed, said)
        )
    lent = PUBLISHED[BORROWED].parameters
    decay = lent["R_D"] if epochs_decay is None else epochs_decay
    excess = lent["R_N"] if params_decay is None else params_decay
    check_positive("R_D", decay)
    check_positive("R_N", excess)
    where = f"of {BORROWED}" if epochs_decay is None else "as given"
    said = f"R_D {decay:.4g} and R_N {excess:.4g} {where}: {loss_model.name} says nothing of repeated tokens"
    base_params = tuple(params_for_unique(model, unique) for model in loss_model.draws())
    return replace(
        loss_model, repetition=Repetition(unique, decay, excess, base_params), assumed=(*loss_model.assumed, said)
    )


def params_for_unique(model: LossModel, unique: float) -> float:
    """The size whose best number of tokens is `unique`, all fresh: what Muennighoff et al. call U_N."""
    k = model.flops_per_param_token

    def excess(log_flops: float) -> float:
        return math.log(float(best_split(model, np.exp([log_flops]))[1][0]) / unique)

    # From a thousand parameters on `unique` tokens upwards; best lengths grow with the budget, so they cross once.
    low = math.log(k * unique) + math.log(1e3)
    log_flops = crossing(excess, low, low + math.log(1e14))
    return math.exp(log_flops) / (k * unique) if log_flops is not None else math.inf


@dataclass(frozen=True)
class NextEpoch:
    """One more pass over the distinct tokens."""

    share: float
    """Of a fresh epoch that it is worth."""
    loss: float
    """Nats per token that it takes off."""
    flops: float


@dataclass(frozen=True)
class Doubled:
    """Least losses with twice as much."""

    compute: float
    data: float
    """Distinct tokens."""


@dataclass(frozen=True)
class Repeated:
    """The best split of a budget when distinct tokens are few."""

    params: float
    tokens: float
    epochs: float
    """Times that each distinct token is seen."""
    effective_tokens: float
    """Fresh tokens that those are worth."""
    loss: float
    loss_if_fresh: float
    """The least loss of the same budget with fresh tokens without end."""
    next_epoch: NextEpoch
    """One more epoch at this size."""
    doubled: Doubled
    better: Literal["compute", "data"]
    """Twice of which lowers the loss more."""
    turning_flops: float | None
    """Compute beyond which twice the data beat twice the compute; None if not within 1e12 of the budget."""
    epochs_if: dict[str, float]
    """The best epochs at other R_D, {R_D: epochs}: how much hangs on it."""
    intervals: dict[str, list[float] | None]
    assumed: list[str]

    def to_json(self, no_interval: str | None = None) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        intervals = intervals_json(self.intervals, no_interval)
        return with_reasons_json({**asdict(self), "intervals": intervals}, turning_flops=NEVER_TURNS)


def repeated(loss_model: LossModel, flops: float, limits: Limits = NO_LIMITS) -> Repeated:
    """The best size and number of epochs at `flops` FLOP for a loss model made by `with_unique`.

    >>> from foretoken.plans.loss_model import published
    >>> best = repeated(with_unique(published("muennighoff_2023"), 1e11), 1e23)
    >>> f"{best.params:.3g} {best.epochs:.1f} {best.better}"
    '2.31e+10 7.2 compute'
    """
    assert loss_model.repetition is not None
    repetition = loss_model.repetition
    splits = loss_model.over_draws(lambda model: np.concatenate(best_split(model, np.array([flops]), limits)))
    params, tokens = map(float, splits[0])
    ends = split_intervals(loss_model, splits, flops, limits)
    seen = ends["tokens"]
    losses = loss_model.losses(params, tokens)
    unique = min(repetition.unique, tokens)
    doubled = _doubled(loss_model, flops, limits)
    fresh = replace(loss_model.point_estimate, repetition=None)
    knows_repetition = "unique_tokens" in loss_model.law.features
    return Repeated(
        params=params,
        tokens=tokens,
        epochs=tokens / unique,
        loss=float(losses[0]),
        effective_tokens=float(worth(tokens, unique, repetition.epochs_decay)),
        loss_if_fresh=float(best_losses(fresh, np.array([flops]), limits)[0]),
        next_epoch=next_epoch(loss_model, params, tokens),
        doubled=doubled,
        better="compute" if doubled.compute < doubled.data else "data",
        turning_flops=_turning(loss_model, flops, limits),
        epochs_if={} if knows_repetition else _epochs_if(loss_model, flops, limits),
        intervals={
            **ends,
            "epochs": seen and [max(1.0, end / repetition.unique) for end in seen],
            "loss": loss_model.interval(losses),
        },
        assumed=list(loss_model.assumed),
    )


def next_epoch(loss_model: LossModel, params: float, tokens: float) -> NextEpoch:
    """What one more pass over the distinct tokens gives a run of `params` parameters on `tokens` tokens."""
    assert loss_model.repetition is not None
    distinct, decay = loss_model.repetition.unique, loss_model.repetition.epochs_decay
    more = tokens + distinct
    # After r repetitions the share is R_D (1 - exp(-1 / R_D)) exp(-r / R_D): every epoch is worth exp(-1 / R_D) of the
    # one before.
    gained = worth(more, distinct, decay) - worth(tokens, min(distinct, tokens), decay)
    before, after = loss_model.point_estimate.loss(params, np.array([tokens, more]))
    flops = loss_model.flops_per_param_token * params * distinct
    return NextEpoch(share=float(gained / distinct), loss=float(before - after), flops=flops)


def _doubled(loss_model: LossModel, flops: float, limits: Limits) -> Doubled:
    """Least loss with twice the compute, and with twice the distinct tokens."""
    model = loss_model.point_estimate
    assert model.repetition is not None
    # U_N grows with the stock, so the lent form is made anew and not only given a larger `unique`.
    richer = _with_other(model, unique=2 * model.repetition.unique)
    compute = best_losses(model, np.array([2 * flops]), limits)
    return Doubled(float(compute[0]), float(best_losses(richer, np.array([flops]), limits)[0]))


def _turning(loss_model: LossModel, flops: float, limits: Limits) -> float | None:
    def gain(log_flops: float) -> float:
        doubled = _doubled(loss_model, math.exp(log_flops), limits)
        return doubled.compute - doubled.data

    log_flops = crossing(gain, math.log(flops / 1e6), math.log(flops * 1e6))
    return None if log_flops is None else math.exp(log_flops)


def _epochs_if(loss_model: LossModel, flops: float, limits: Limits) -> dict[str, float]:
    model, epochs = loss_model.point_estimate, {}
    for decay in LITTLE_HELD:
        _, tokens = best_split(_with_other(model, epochs_decay=decay), np.array([flops]), limits)
        assert model.repetition is not None
        epochs[f"{decay:g}"] = max(1.0, float(tokens[0]) / model.repetition.unique)
    return epochs


def _with_other(model: LossModel, unique: float | None = None, epochs_decay: float | None = None) -> LossModel:
    """The same model with other distinct tokens or another R_D."""
    repetition = model.repetition
    assert repetition is not None
    fresh = replace(model, repetition=None)
    if "unique_tokens" in model.law.features:
        return replace(model, repetition=replace(repetition, unique=unique or repetition.unique))
    return with_unique(
        fresh,
        unique or repetition.unique,
        epochs_decay=epochs_decay or repetition.epochs_decay,
        params_decay=repetition.params_decay,
    )
