"""A request for a ladder in numbers: the file of a fit is read, texts become quantities."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.budget import Budget, parse_budget
from foretoken.errors import DesignError
from foretoken.fits.result import Fit, as_fit
from foretoken.ladders.request import Goal, NextRunRequest
from foretoken.laws import FORECAST_LAW
from foretoken.units import parse_count

TUNED = "the learning rates of a rule cost nothing (--learning-rate-error 0.01 lets runs try three of them)"
SURPRISE = "a loss that is not the forecast (half its square, in e-folds of compute)"
LOST: dict[Goal, str] = {
    "both": f"a size that is not the best, and {SURPRISE}",
    "size": "a size that is not the best",
    "loss": SURPRISE,
}


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


def read_order(request: NextRunRequest) -> Order:
    """A request in numbers; reads the file of a fit.

    Raises ForetokenError for a text that is no quantity, DesignError for a ladder dearer than its target.
    """
    target, spend, largest = (_budget(amount) for amount in (request.compute, request.spend, request.largest))
    price = request.usd_per_flop
    if price is None and spend and spend.cost and spend.cost.usd:
        price = spend.cost.usd / spend.flops
    fit = request.fit
    order = Order(
        known=request.law if fit is None else as_fit(fit),
        formula=request.formula or FORECAST_LAW,
        flops=target.flops if target else None,
        params=None if request.params is None else parse_count(request.params, "params"),
        tokens=None if request.tokens is None else parse_count(request.tokens, "tokens"),
        spend=spend.flops if spend else None,
        runs=request.runs,
        seeds=request.seeds,
        largest=largest.flops if largest else None,
        sizes=tuple(parse_count(size, "sizes") for size in request.sizes),
        usd_per_flop=price,
        noise=request.noise,
        learning_rate_error=request.learning_rate_error,
        goal=request.goal,
        seed=request.seed,
        assumed=_assumed(request, target, spend),
    )
    if order.spend is not None and order.spend > order.target_flops:
        raise DesignError(
            "the ladder must not cost more than its target",
            expected=f"at most {order.target_flops:.3g} FLOP",
            got=f"{order.spend:.3g}",
            cure="train the target itself",
        )
    return order


def _assumed(request: NextRunRequest, *budgets: Budget | None) -> tuple[str, ...]:
    """What the answer rests on, in words: what is lost, the linear law, and the machines of the budgets."""
    rate = request.learning_rate_error
    used = dict.fromkeys(number for budget in budgets if budget for number in budget.assumed)
    return (
        f"what is lost: {LOST[request.goal]}, in FLOP of the target; the geometric mean of the laws that may be true",
        "the law is linear in its parameters' logarithms near each draw",
        f"a rule's learning rate costs {100 * rate:.2g} %" if rate else TUNED,
        *(f"{number.name} {number.value:.4g} {number.unit} ({number.source})" for number in used),
    )


def _budget(amount: str | float | None) -> Budget | None:
    return None if amount is None else parse_budget(amount)
