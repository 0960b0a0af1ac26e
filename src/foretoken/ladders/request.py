"""What is asked of `next_run`, checked before anything is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from foretoken.errors import DesignError, ForetokenError
from foretoken.fits.result import Fit
from foretoken.ladders.target import GOALS

TUNED = "the learning rates of a rule cost nothing (--learning-rate-error 0.01 lets runs try three of them)"
SURPRISE = "a loss that is not the forecast (half its square, in e-folds of compute)"
LOST = {
    "both": f"a size that is not the best, and {SURPRISE}",
    "size": "a size that is not the best",
    "loss": SURPRISE,
}


@dataclass(frozen=True)
class Order:
    """A target, what is known of it, and what a ladder may hold."""

    known: Fit | str | None
    law: str
    flops: float | None
    params: float | None
    tokens: float | None
    most: int
    seeds: int
    largest: float | None
    sizes: tuple[float, ...]
    noise: float | None
    learning_rate_error: float
    goal: str
    seed: int

    @property
    def target_flops(self) -> float:
        """Of the target, roughly where a fit counts in another way than 6 N D."""
        return self.flops or 6.0 * (self.params or 1.0) * (self.tokens or 1.0)

    @property
    def assumed(self) -> list[str]:
        """In words."""
        rate = self.learning_rate_error
        return [
            f"what is lost: {LOST[self.goal]}, in FLOP of the target; the geometric mean of the laws that may be true",
            "the law is linear in its parameters' logarithms near each draw",
            f"a rule's learning rate costs {100 * rate:.2g} %" if rate else TUNED,
        ]


def require(order: Order, spend: float | None, usd_per_flop: float | None) -> None:
    """Raise ForetokenError or DesignError for what no ladder can meet."""
    _require_target(order)
    numbers: dict[str, Any] = {"spend": spend, "usd_per_flop": usd_per_flop, "sizes": min(order.sizes, default=None)}
    numbers |= {name: getattr(order, name) for name in ("flops", "params", "tokens", "largest", "noise")}
    for name, value in numbers.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise ForetokenError(f"{name} must be a finite number above 0", got=repr(value))
    if not (math.isfinite(order.learning_rate_error) and order.learning_rate_error >= 0):
        raise ForetokenError("learning_rate_error must be 0 or above", got=repr(order.learning_rate_error))
    if spend is not None and spend > order.target_flops:
        raise DesignError(
            "the ladder must not cost more than its target",
            expected=f"at most {order.target_flops:.3g} FLOP",
            got=f"{spend:.3g}",
            cure="train the target itself",
        )
    if not (8 <= order.most <= 1000 and order.seeds >= 1):
        got = f"{order.most} runs, {order.seeds} seeds"
        raise DesignError("no ladder has so few or so many runs", expected="8 to 1000 runs, 1 seed or more", got=got)


def _require_target(order: Order) -> None:
    both = order.params is not None and order.tokens is not None
    one = order.params is not None or order.tokens is not None
    if (order.flops is not None) == one or one != both:
        given = [name for name in ("flops", "params", "tokens") if getattr(order, name) is not None]
        raise ForetokenError(
            "the target is not given",
            expected="its FLOPs, or its parameters and tokens",
            got=" and ".join(given) or None,
        )
    if order.goal not in GOALS:
        raise ForetokenError("unknown goal", expected=", ".join(GOALS), got=repr(order.goal))
