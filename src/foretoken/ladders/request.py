"""What `next_run` is asked for, in people's words: numbers, or texts with units. Nothing is read or computed here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Literal, get_args

from foretoken.arguments import did_you_mean
from foretoken.errors import DesignError, ForetokenError

if TYPE_CHECKING:
    from foretoken.fits.result import AnyFit

Goal = Literal["both", "size", "loss"]
"""What a ladder is for: the target's split into params and tokens, the forecast of its loss, or both."""
GOALS: tuple[Goal, ...] = get_args(Goal)
FEWEST, MOST = 8, 1000
"""Runs that a ladder may have: fewer fit no law with a doubt, more are no plan."""


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
        formula: The law that will be fitted, where there is no fit; by default that of forecasts.
        seed: Seed of the prior draws and of the search.

    """

    compute: str | float | None = None
    _: KW_ONLY
    params: str | float | None = None
    tokens: str | float | None = None
    fit: AnyFit | None = None
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
    formula: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.fit is not None and self.law is not None:
            raise ForetokenError("a fit and a published law were given", cure="give one of two: --fit, or --law")
        if self.goal not in GOALS:
            cure = did_you_mean(self.goal, GOALS)
            raise ForetokenError("unknown goal", expected=", ".join(GOALS), got=repr(self.goal), cure=cure)
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
