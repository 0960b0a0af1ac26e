"""What `next_run` is asked for: texts with units become numbers, and what no ladder meets is refused at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from foretoken.compute.budget import Budget, parse_budget
from foretoken.errors import DesignError, ForetokenError
from foretoken.fits.result import Fit
from foretoken.ladders.target import GOALS, Goal
from foretoken.laws import FORECAST_LAW
from foretoken.units import parse_count

FEWEST, MOST = 8, 1000
"""Runs that a ladder may have: fewer fit no law with a doubt, more are no plan."""
TUNED = "the learning rates of a rule cost nothing (--learning-rate-error 0.01 lets runs try three of them)"
SURPRISE = "a loss that is not the forecast (half its square, in e-folds of compute)"
LOST: dict[Goal, str] = {
    "both": f"a size that is not the best, and {SURPRISE}",
    "size": "a size that is not the best",
    "loss": SURPRISE,
}


@dataclass(frozen=True)
class NextRunRequest:
    """A target, what is known of it, and what a ladder may hold.

    Raises ForetokenError or DesignError for what no ladder can meet.

    Args:
        compute: Compute of the target, in FLOP or as a text: 1e22, "512 H100 for 30 days".
        params: Parameters of the target, instead of `compute`; a number or a text like "7B".
        tokens: Its training tokens.
        fit: What is known: a fit, or its file. Its runs count.
        law: Or the id of a published law, taken loosely.
        spend: What the ladder may cost, in FLOP or as a text: "$5000 of H100"; by default what pays for itself.
        runs: Most trainings.
        seeds: Most seeds of one size and length: another size or length says as much, and lets the fit test itself.
        largest: Most of one run, as `spend`; by default a third of it.
        sizes: The numbers of parameters that can be built; any by default.
        usd_per_flop: Price of a FLOP in dollars; by default that of `spend`, where it is in dollars.
        noise: Standard deviation of one long run on ln loss; by default the fit's, or 0.004.
        learning_rate_error: Standard deviation on ln loss of what a rule's learning rate costs a run, removed by trying
            three of them.
        goal: What counts: `size` (the target's split into params and tokens), `loss` (its forecast) or `both`.
        formula: The law that will be fitted, where there is no fit.
        seed: Seed of the prior draws and of the search.

    """

    compute: str | float | None = None
    _: KW_ONLY
    params: str | float | None = None
    tokens: str | float | None = None
    fit: Fit | str | Path | None = None
    law: str | None = None
    spend: str | float | None = None
    runs: int = 50
    seeds: int = 1
    largest: str | float | None = None
    sizes: Sequence[str | float] = ()
    usd_per_flop: float | None = None
    noise: float | None = None
    learning_rate_error: float = 0.0
    goal: Goal = "both"
    formula: str = FORECAST_LAW
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fit is not None and self.law is not None:
            raise ForetokenError("a fit and a published law were given", cure="give one of --fit and --law")
        if self.goal not in GOALS:
            raise ForetokenError("unknown goal", expected=", ".join(GOALS), got=repr(self.goal))
        _require_target(self)
        for name in ("noise", "usd_per_flop"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
        if not (math.isfinite(self.learning_rate_error) and self.learning_rate_error >= 0):
            raise ForetokenError("learning_rate_error must be 0 or above", got=repr(self.learning_rate_error))
        if not (FEWEST <= self.runs <= MOST and self.seeds >= 1):
            raise DesignError(
                "no ladder has so few or so many runs",
                expected=f"{FEWEST} to {MOST} runs, 1 seed or more",
                got=f"{self.runs} runs, {self.seeds} seeds",
            )

    def order(self) -> Order:
        """The same in numbers; reads the file of a fit.

        Raises ForetokenError for a text that is no quantity, DesignError for a ladder dearer than its target.
        """
        target, spend, largest = (_budget(amount) for amount in (self.compute, self.spend, self.largest))
        price = self.usd_per_flop
        if price is None and spend and spend.cost and spend.cost.usd:
            price = spend.cost.usd / spend.flops
        known = self.law if self.fit is None else self.fit if isinstance(self.fit, Fit) else Fit.load(self.fit)
        order = Order(
            known=known,
            formula=self.formula,
            flops=target.flops if target else None,
            params=None if self.params is None else parse_count(self.params, "params"),
            tokens=None if self.tokens is None else parse_count(self.tokens, "tokens"),
            spend=spend.flops if spend else None,
            runs=self.runs,
            seeds=self.seeds,
            largest=largest.flops if largest else None,
            sizes=tuple(parse_count(size, "sizes") for size in self.sizes),
            usd_per_flop=price,
            noise=self.noise,
            learning_rate_error=self.learning_rate_error,
            goal=self.goal,
            seed=self.seed,
            assumed=self._assumed(target, spend),
        )
        if order.spend is not None and order.spend > order.target_flops:
            raise DesignError(
                "the ladder must not cost more than its target",
                expected=f"at most {order.target_flops:.3g} FLOP",
                got=f"{order.spend:.3g}",
                cure="train the target itself",
            )
        return order

    def _assumed(self, *budgets: Budget | None) -> tuple[str, ...]:
        """What the answer rests on, in words: what is lost, the linear law, and the machines of the budgets."""
        rate = self.learning_rate_error
        used = dict.fromkeys(number for budget in budgets if budget for number in budget.assumed)
        return (
            f"what is lost: {LOST[self.goal]}, in FLOP of the target; the geometric mean of the laws that may be true",
            "the law is linear in its parameters' logarithms near each draw",
            f"a rule's learning rate costs {100 * rate:.2g} %" if rate else TUNED,
            *(f"{number.name} {number.value:.4g} {number.unit} ({number.source})" for number in used),
        )


@dataclass(frozen=True, kw_only=True)
class Order:
    """A `NextRunRequest` in numbers."""

    known: Fit | str | None
    formula: str
    flops: float | None
    params: float | None
    tokens: float | None
    spend: float | None
    runs: int
    seeds: int
    largest: float | None
    sizes: tuple[float, ...]
    usd_per_flop: float | None
    noise: float | None
    learning_rate_error: float
    goal: Goal
    seed: int
    assumed: tuple[str, ...]

    @property
    def target_flops(self) -> float:
        """Of the target, roughly where a fit counts in another way than 6 N D."""
        return self.flops or 6.0 * (self.params or 1.0) * (self.tokens or 1.0)


def _budget(amount: str | float | None) -> Budget | None:
    return None if amount is None else parse_budget(amount)


def _require_target(request: NextRunRequest) -> None:
    """A target is its compute, or its parameters and tokens."""
    names = [name for name in ("compute", "params", "tokens") if getattr(request, name) is not None]
    if names not in (["compute"], ["params", "tokens"]):
        raise ForetokenError(
            "the target is not given",
            expected="its FLOPs, or its parameters and tokens",
            got=" and ".join(names) or None,
            cure="for example --compute 1e22, or --params 7B --tokens 140B",
        )
