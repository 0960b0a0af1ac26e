"""Plan: what to train with a budget, with its price, its doubt and its regret."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from foretoken.compute.abilities import CAREFUL, AbilityReach, abilities_at
from foretoken.compute.carbon import CarbonEquivalents, carbon_equivalents
from foretoken.compute.layout import Layout
from foretoken.compute.machine import Machine
from foretoken.compute.price import Cost
from foretoken.fits.check import Check
from foretoken.plans.constraints import NO_LIMITS, Limits
from foretoken.plans.experts import Mixtures
from foretoken.plans.given_size import Choice
from foretoken.plans.lifecycle_cost import WholeLife
from foretoken.plans.lifetime import Life
from foretoken.plans.loss_model import LossModel
from foretoken.plans.provenance import Sources, intervals_json
from foretoken.plans.recipe import Recipe, ServedRequest
from foretoken.plans.regret import Band
from foretoken.plans.repetition import Repeated
from foretoken.results import Result, with_reasons_json
from foretoken.units import format_count

if TYPE_CHECKING:
    from foretoken.abilities.downstream_result import TaskForecast

PLAIN = (
    "params", "tokens", "flops", "loss", "loss_reason", "level", "band_reason", "recipe_reason", "layout_reason",
    "serving_reason", "assumed", "budget", "binding", "epochs", "repetition_reason", "whole_life_reason",
    "experts_reason", "choices_reason", "loss_unit",
)  # fmt: skip
"""Fields of a plan that are plain values."""


@dataclass(frozen=True)
class Intervals:
    """Intervals at the plan's level: of the best params, tokens and flops by the draws, of this run's loss."""

    params: list[float] | None
    tokens: list[float] | None
    flops: list[float] | None
    loss: list[float] | None
    reason: str | None
    """Why there are none."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        ends = {"params": self.params, "tokens": self.tokens, "flops": self.flops, "loss": self.loss}
        return intervals_json(ends, self.reason)


@dataclass(frozen=True)
class Extrapolation:
    """Factors beyond the runs behind the law; 1 inside them, None where the law's runs are not recorded."""

    params: float | None = None
    tokens: float | None = None
    flops: float | None = None
    experts: float | None = None

    @property
    def known(self) -> dict[str, float]:
        """The factors that are known, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: factor for name, factor in values.items() if factor is not None}

    @property
    def farthest(self) -> tuple[str, float] | None:
        """The name of the largest factor, and the factor; None where none is known."""
        return max(self.known.items(), key=lambda item: item[1], default=None)

    def to_json(self) -> dict[str, float]:
        """The factors that are known."""
        return self.known


@dataclass(frozen=True)
class PlanCost:
    """What the training costs, on which machines."""

    accelerator: str
    memory: float | None
    """Bytes of one accelerator."""
    count: float
    mfu: float
    accelerator_hours: float
    hours: float
    """Of the whole run."""
    days: float
    usd: float | None
    usd_low: float | None
    usd_high: float | None
    """By the range of prices known."""
    usd_reason: str | None
    kwh: float | None
    kwh_reason: str | None
    tco2e: float | None
    carbon: str

    @property
    def equivalents(self) -> CarbonEquivalents | None:
        """The carbon in kilometres of a car and in flights; None where it is not known."""
        return None if self.tco2e is None else carbon_equivalents(self.tco2e)

    @classmethod
    def of(cls, price: Cost, machine: Machine, count: float) -> PlanCost:
        """From the price of a number of accelerator-hours on `count` of these machines."""
        hours = price.accelerator_hours / count
        return cls(
            accelerator=machine.accelerator.name,
            memory=machine.accelerator.memory,
            count=count,
            mfu=machine.need("mfu"),
            accelerator_hours=price.accelerator_hours,
            hours=hours,
            days=hours / 24,
            usd=price.usd,
            usd_low=price.usd_low,
            usd_high=price.usd_high,
            usd_reason=price.usd_reason,
            kwh=price.kwh,
            kwh_reason=price.kwh_reason,
            tco2e=price.tco2e,
            carbon=price.carbon,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        reasons = {"usd_low": self.usd_reason, "usd_high": self.usd_reason}
        reasons |= dict.fromkeys(("tco2e", "equivalents"), self.kwh_reason)
        same = self.equivalents
        values = {**asdict(self), "hours_reason": None, "equivalents": same and asdict(same)}
        return with_reasons_json(values, **reasons, memory=f"the memory of {self.accelerator} is not known")


@dataclass(frozen=True)
class PlanLimits:
    """What a plan was told to keep to; None, or no sizes, where nothing was said."""

    min_params: float | None
    max_params: float | None
    max_tokens: float | None
    sizes: tuple[float, ...]
    unique_tokens: float | None

    @classmethod
    def of(cls, limits: Limits, loss_model: LossModel) -> PlanLimits:
        """From the limits of the search and the distinct tokens of the losses."""

        def given(value: float, free: float) -> float | None:
            return None if value == free else value

        return cls(
            min_params=given(limits.min_params, NO_LIMITS.min_params),
            max_params=given(limits.max_params, NO_LIMITS.max_params),
            max_tokens=given(limits.max_tokens, NO_LIMITS.max_tokens),
            sizes=limits.sizes,
            unique_tokens=loss_model.repetition.unique if loss_model.repetition else None,
        )

    @property
    def rule_out_sizes(self) -> bool:
        """Whether sizes below or above some end are not allowed."""
        return bool(self.min_params or self.max_params or self.max_tokens)

    @property
    def bind(self) -> bool:
        """Whether there are any beside few distinct tokens."""
        return self.rule_out_sizes or bool(self.sizes)

    @property
    def limits(self) -> Limits:
        """The limits of the search."""
        return Limits(
            min_params=self.min_params or NO_LIMITS.min_params,
            max_params=self.max_params or NO_LIMITS.max_params,
            max_tokens=self.max_tokens or math.inf,
            sizes=self.sizes,
        )

    def to_json(self) -> dict[str, Any]:
        """Those that were said."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Alternative:
    """Another split of the same budget, and what it loses."""

    name: str
    params: float
    tokens: float
    loss: float | None = None
    regret_loss: float | None = None
    """Above the best split, in the plan's `loss_unit`."""
    regret_loss_interval: list[float] | None = None
    regret_flops: float | None = None
    """FLOP that the best split would have saved at the same loss; None where no compute gives it."""
    regret_flops_interval: list[float] | None = None
    regret_usd: float | None = None
    regret_days: float | None = None
    reason: str | None = None
    """Why a number is None."""
    interval_reason: str | None = None
    """Why an interval is None."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        why, no_interval = self.reason, self.interval_reason or self.reason
        return with_reasons_json(
            asdict(self),
            loss=why,
            regret_loss=why,
            regret_flops=why,
            regret_usd=why,
            regret_days=why,
            regret_loss_interval=no_interval,
            regret_flops_interval=no_interval,
        )


@dataclass(frozen=True, kw_only=True)
class Plan(Result):
    """What to train with a budget. A `..._reason` says why the field of that name is None."""

    params: float
    tokens: float
    flops: float
    loss: float | None
    loss_reason: str | None
    interval: Intervals
    level: float
    band: Band | None
    """Splits of the budget whose expected loss is within `tolerance` of the best."""
    band_reason: str | None
    alternatives: list[Alternative]
    recipe: Recipe | None
    recipe_reason: str | None
    layout: Layout | None
    """How the training is cut over the accelerators."""
    layout_reason: str | None
    serving: ServedRequest | None
    serving_reason: str | None
    cost: PlanCost
    extrapolation: Extrapolation
    sources: Sources
    checks: list[Check]
    assumed: list[str]
    budget: str
    """In the user's words; empty where none was given."""
    binding: list[str]
    """What keeps the plan from the best split."""
    limits: PlanLimits
    epochs: float
    """Times that each token is seen."""
    repetition: Repeated | None
    repetition_reason: str | None
    whole_life: WholeLife | None
    whole_life_reason: str | None
    experts: Mixtures | None
    experts_reason: str | None
    choices: list[Choice] | None
    """Where a size or a length alone was given: other halves for it, from fewer to more, and what they lose."""
    choices_reason: str | None
    loss_unit: str
    """Of every loss in it, and of what other choices lose."""
    scores: tuple[TaskForecast, ...] = ()
    """What the run is expected to score, where a table of scores was given."""

    @property
    def counted(self) -> str:
        """What `params` counts, and of how many in all where that is not the same."""
        mixed = self.experts
        if mixed is None:
            return "parameters"
        return f"active parameters of {format_count(mixed.total_params)} ({mixed.active} of {mixed.experts} experts)"

    @property
    def abilities(self) -> tuple[AbilityReach, ...]:
        """Abilities that were reported to emerge, and which of them its compute reaches; see `abilities_careful`."""
        return abilities_at(self.flops)

    @property
    def interval_reason(self) -> str | None:
        """Why there are no intervals."""
        return self.interval.reason

    @property
    def lifetime(self) -> Life | None:
        """The size that is cheapest over training and serving, in FLOP."""
        return None if self.whole_life is None else self.whole_life.flop

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        no_interval, life = self.interval_reason, self.whole_life
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "unit": self.loss_unit,
            "interval": self.interval.to_json(),
            "interval_reason": no_interval,
            "band": self.band and asdict(self.band),
            "alternatives": [alternative.to_json() for alternative in self.alternatives],
            "recipe": self.recipe and self.recipe.to_json(),
            "layout": self.layout and self.layout.to_json(),
            "serving": self.serving and self.serving.to_json(),
            "cost": self.cost.to_json(),
            "extrapolation": self.extrapolation.to_json(),
            "sources": self.sources.to_json(),
            "checks": [asdict(check) for check in self.checks],
            "limits": self.limits.to_json(),
            "repetition": self.repetition and self.repetition.to_json(no_interval),
            "whole_life": life and life.to_json(no_interval),
            "lifetime": life and life.flop.to_json(no_interval),
            "lifetime_reason": self.whole_life_reason,
            "experts": self.experts and asdict(self.experts),
            "abilities": [asdict(ability) for ability in self.abilities],
            "abilities_careful": list(CAREFUL),
            "scores": [score.to_json() for score in self.scores],
            "choices": self.choices and [choice.to_json(no_interval) for choice in self.choices],
        }
