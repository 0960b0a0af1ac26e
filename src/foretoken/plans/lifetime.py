"""The whole life of a model: training and then serving, in FLOP, dollars or energy.

Sardana et al. 2023, arXiv 2401.00448: least 6 N D + 2 N (tokens read and written) at a wanted loss. de Vries 2023
(blog, "Go smol or go home"): what a smaller model costs in training for the same loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError, RefusedError
from foretoken.laws.law import Array
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.given_size import best_tokens
from foretoken.plans.loss_model import LossModel
from foretoken.plans.provenance import intervals_json
from foretoken.plans.split_search import best_split, budget_for, tokens_for

SERVING = 2.0
"""FLOP per parameter and token of a forward pass; attention left out."""


@dataclass(frozen=True)
class Demand:
    """Tokens that a model reads and writes over its life."""

    read: float
    written: float = 0.0

    def __post_init__(self) -> None:
        for value in (self.read, self.written):
            if not (math.isfinite(value) and value >= 0):
                raise ForetokenError("demand must be 0 or more tokens", got=repr(value))


@dataclass(frozen=True)
class Price:
    """What one FLOP costs: of training, of reading a prompt, of writing an answer. All 1 counts FLOP alike."""

    training: float = 1.0
    reading: float = 1.0
    writing: float = 1.0
    unit: str = "FLOP"

    def __post_init__(self) -> None:
        for name in ("training", "reading", "writing"):
            check_positive(f"the price of {name}", getattr(self, name))

    @classmethod
    def of_hours(
        cls, per_hour: float, flops_per_second: float, *, training: float, reading: float, writing: float, unit: str
    ) -> Price:
        """From what an accelerator costs per hour, its peak, and the share of the peak that each use reaches.

        >>> price = Price.of_hours(2.0, 1e15, training=0.4, reading=0.5, writing=0.1, unit="USD")
        >>> f"{price.training:.3g} {price.writing:.3g}"
        '1.39e-18 5.56e-18'
        """
        check_positive("the price of an hour", per_hour)
        check_positive("the peak", flops_per_second)
        for name, share in (("training", training), ("reading", reading), ("writing", writing)):
            if not 0 < share <= 1:
                raise ForetokenError(
                    f"utilisation in {name} must be a share", expected="above 0, to 1", got=repr(share)
                )
        # What one FLOP costs at full use; a use that reaches a share of the peak pays for the idle rest too.
        one = per_hour / 3600 / flops_per_second
        return cls(one / training, one / reading, one / writing, unit)

    def serving(self, demand: Demand) -> float:
        """Serving cost per parameter over the life, in FLOP of training."""
        # Dividing by the price of training turns the cost of serving into FLOP of training, so that one search in FLOP
        # serves every unit.
        return SERVING * (demand.read * self.reading + demand.written * self.writing) / self.training


FLOP = Price()


@dataclass(frozen=True)
class LifeCost:
    """A size and length, and what training and serving it cost."""

    params: float
    tokens: float
    training: float
    serving: float
    total: float


@dataclass(frozen=True)
class Life:
    """A model that is trained to a loss and then serves a demand, beside the one that is cheapest to train."""

    params: float
    tokens: float
    loss: float
    training: float
    serving: float
    total: float
    """Costs, in `unit`."""
    unit: str
    cheapest_to_train: LifeCost
    """The split with the least training compute."""
    saved: float
    """Share of that one's total cost."""
    intervals: dict[str, list[float] | None]

    def to_json(self, no_interval: str | None = None) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return {**asdict(self), "intervals": intervals_json(self.intervals, no_interval)}


def lifetime(
    loss_model: LossModel, loss: float, demand: Demand, price: Price = FLOP, limits: Limits = NO_LIMITS
) -> Life:
    """The size and length that reach `loss` and cost least over training and serving.

    Raises RefusedError where no compute reaches the loss.

    >>> from foretoken.plans.loss_model import published
    >>> life = lifetime(published("besiroglu_2024"), 2.0, Demand(1e13))
    >>> f"{life.params:.3g} {life.tokens:.3g} {life.saved:.2f}"
    '2e+10 3.01e+12 0.36'
    """
    return lifetimes(loss_model, loss, demand, [price], limits)[0]


def lifetimes(
    loss_model: LossModel, loss: float, demand: Demand, prices: Sequence[Price], limits: Limits = NO_LIMITS
) -> list[Life]:
    """As `lifetime`, for each of several prices; what they share is searched once."""
    check_positive("loss", loss)
    loss_model = loss_model.subsample()
    # Twelve digits, so that prices that differ by rounding alone (dollars and energy of one machine) share a search.
    loads = [float(f"{price.serving(demand):.12g}") for price in prices]
    splits = {load: _cheapest(loss_model, loss, load, limits) for load in {0.0, *loads}}
    return [
        _life(loss_model, loss, splits[load], splits[0.0], load, price)
        for load, price in zip(loads, prices, strict=True)
    ]


def _cheapest(loss_model: LossModel, loss: float, load: float, limits: Limits) -> Array:
    """Params and tokens [w, 2] that reach the loss and cost least, with `load` FLOP of serving per parameter."""
    # At a fixed loss the cheapest size is the best one of a budget that pays training and serving together; the budget
    # whose best loss is this one is searched, from the point estimate's for every draw.
    near = budget_for(loss_model.point_estimate, loss, limits, load)

    def cheapest_of(model: LossModel) -> list[float]:
        budget = np.array([budget_for(model, loss, limits, load, near)])
        return [float(half[0]) for half in best_split(model, budget, limits, load)]

    return loss_model.over_draws(cheapest_of)


def _life(loss_model: LossModel, loss: float, split: Array, plain: Array, load: float, price: Price) -> Life:
    costs, usual = (_costs(loss_model, sizes, load, price) for sizes in (split, plain))
    saved = 1 - costs[:, 2] / usual[:, 2]
    training, serving, total = map(float, costs[0])
    return Life(
        params=float(split[0, 0]),
        tokens=float(split[0, 1]),
        loss=loss,
        training=training,
        serving=serving,
        total=total,
        unit=price.unit,
        cheapest_to_train=LifeCost(*map(float, (*plain[0], *usual[0]))),
        saved=float(saved[0]),
        intervals={
            "params": loss_model.interval(split[:, 0]),
            "tokens": loss_model.interval(split[:, 1]),
            "total": loss_model.interval(costs[:, 2]),
            "saved": loss_model.interval(saved),
        },
    )


def _costs(loss_model: LossModel, split: Array, load: float, price: Price) -> Array:
    """Training, serving and their sum [w, 3] of params and tokens [w, 2]."""
    training = price.training * loss_model.flops_per_param_token * split[:, 0] * split[:, 1]
    serving = price.training * load * split[:, 0]
    return np.column_stack([training, serving, training + serving])


def quality_of(loss_model: LossModel, params: float) -> float:
    """The loss of a model of this size with the tokens that make it the best size of its budget.

    >>> from foretoken.plans.loss_model import published
    >>> round(quality_of(published("besiroglu_2024"), 70e9), 3)
    1.976
    """
    check_positive("params", params)
    model = loss_model.point_estimate
    return float(model.loss(params, best_tokens(model, params)))


@dataclass(frozen=True)
class Smaller:
    """A smaller model than the best one for the same loss."""

    params_factor: float
    """k_N: its size, in sizes of the best."""
    tokens_factor: float
    """k_D: its tokens, in those of the best."""
    overhead: float
    """k_N k_D - 1: the training compute that it takes more."""
    pays_after: float | None
    """Tokens served beyond which it is the cheaper one over its life; None for a model that is not smaller."""
    intervals: dict[str, list[float] | None]


def smaller(loss_model: LossModel, flops: float, share: float) -> Smaller:
    """What `share` times the best size at `flops` FLOP costs in training for the same loss (de Vries 2023).

    Raises RefusedError where no number of tokens brings so small a model there.

    >>> from foretoken.plans.loss_model import published
    >>> half = smaller(published("hoffmann_2022_rounded"), 5.76e23, 0.5)
    >>> f"{half.tokens_factor:.2f} {half.overhead:.1%}"
    '2.42 20.8%'
    """
    check_positive("compute", flops)
    check_positive("share", share)

    def factors(model: LossModel) -> list[float]:
        params, tokens = (float(half[0]) for half in best_split(model, np.array([flops])))
        needed = tokens_for(model, share * params, float(model.loss(params, tokens)))
        if not math.isfinite(needed):
            evidence = f"{share:g} times the best size never reaches its loss, by {model.name}"
            raise RefusedError("loss_out_of_reach", evidence, "take a larger share")
        # It pays once the FLOP saved in serving, 2 N (1 - k_N) a token, are the k N D (k_N k_D - 1) more of training.
        saved = SERVING * params * (1 - share)
        extra = flops * (share * needed / tokens - 1)
        return [needed / tokens, share * needed / tokens - 1, extra / saved if share < 1 else math.nan]

    values = loss_model.over_draws(factors)
    tokens_factor, overhead, pays_after = map(float, values[0])
    names = ("tokens_factor", "overhead", "pays_after")
    intervals = {name: loss_model.interval(values[:, k]) for k, name in enumerate(names)}
    return Smaller(share, tokens_factor, overhead, pays_after if share < 1 else None, intervals)
