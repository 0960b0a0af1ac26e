"""What a plan must keep to: limits on size and tokens, what is given of the split, and what is left of a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from foretoken.arguments import check_positive
from foretoken.errors import ForetokenError
from foretoken.laws.law import Array

SIZES = (1e2, 1e18)
"""Where the best size is looked for, in parameters."""


@dataclass(frozen=True)
class Limits:
    """Bounds on size and tokens. All parameters are in the count of the law that is asked.

    Raises ForetokenError for bounds that no model meets.

    >>> Limits(max_params=8e9, sizes=(1e9, 7e9, 70e9)).admissible
    (1000000000.0, 7000000000.0)
    """

    min_params: float = SIZES[0]
    max_params: float = SIZES[1]
    """From memory or latency, for example."""
    max_tokens: float = math.inf
    """The stock, where no token is to be seen twice."""
    sizes: tuple[float, ...] = ()
    """The only sizes that may be trained; empty for any."""

    def __post_init__(self) -> None:
        for name, values in (
            ("min_params", (self.min_params,)),
            ("max_params", (self.max_params,)),
            ("max_tokens", (self.max_tokens,)),
            ("sizes", self.sizes),
        ):
            if not all(value > 0 and (math.isfinite(value) or name == "max_tokens") for value in values):
                raise ForetokenError(f"{name} must be above 0 and finite", got=", ".join(map(repr, values)))
        if self.min_params > self.max_params or (self.sizes and not self.admissible):
            got = f"{self.min_params:.4g} to {self.max_params:.4g} parameters" + (", sizes" if self.sizes else "")
            raise ForetokenError("no size meets all limits", got=got, cure="widen the limits or add sizes")

    @property
    def admissible(self) -> tuple[float, ...]:
        """The sizes that keep to the bounds, the smallest first."""
        return tuple(sorted(size for size in self.sizes if self.min_params <= size <= self.max_params))

    def tokens(self, params: Array, budget: Array, per_token: float, serving: float) -> Array:
        """Tokens that a budget leaves to each size: (budget / params - serving) / per_token, at most max_tokens."""
        # budget = params (per_token tokens + serving), solved for the tokens
        return np.minimum((budget / params - serving) / per_token, self.max_tokens)

    def ends(self, budget: Array, per_token: float, serving: float) -> tuple[Array, Array]:
        """Smallest and largest ln(params) worth a look at each budget [r]: those that leave 1 to max_tokens tokens."""
        # A size beyond `most` gets less than one token; one below `least` cannot spend its budget within max_tokens.
        most = np.minimum(self.max_params, budget / (per_token + serving))
        least = np.maximum(self.min_params, budget / (per_token * self.max_tokens + serving))
        return np.log(np.minimum(least, most)), np.log(most)


NO_LIMITS = Limits()
LEAST_LEFT = 0.1
"""A deadline that leaves a smaller share of the budget is no limit to keep to: the two do not belong together."""


def usable_flops(
    flops: float, *, ladder_flops: float = 0.0, hours: float = math.inf, flops_per_second: float = math.inf
) -> tuple[float, list[str]]:
    """What a budget leaves to the big run, and what binds, in words.

    The ladder of small runs is paid first; a deadline of some hours on a cluster that does so many FLOP/s (peak times
    utilisation) caps the rest. Raises ForetokenError when nothing is left, or less than a tenth by the deadline.

    >>> usable_flops(1e24, hours=720, flops_per_second=1e17)
    (2.592e+23, ['the deadline: 720 h at 1e+17 FLOP/s give 2.592e+23 FLOP, below the budget by a factor 3.86'])
    """
    for name, value in (("flops", flops), ("hours", hours), ("flops_per_second", flops_per_second)):
        if not value > 0 or (name == "flops" and not math.isfinite(value)):
            raise ForetokenError(f"{name} must be above 0", got=repr(value))
    if not 0 <= ladder_flops < flops:
        raise ForetokenError(
            "the ladder must cost less than the whole budget",
            expected=f"0 to {flops:.4g} FLOP",
            got=f"{ladder_flops:.4g} FLOP",
            cure="make the ladder smaller or the budget larger",
        )
    left, said = flops - ladder_flops, []
    if ladder_flops:
        said.append(f"the ladder takes {ladder_flops:.4g} of {flops:.4g} FLOP ({ladder_flops / flops:.2%})")
    reach = 3600.0 * hours * flops_per_second
    if reach < LEAST_LEFT * left:
        raise ForetokenError(
            f"the deadline is missed by a factor {left / reach:.3g}",
            expected=f"at most {hours:.4g} h",
            got=f"{hours * left / reach:.4g} h for {left:.4g} FLOP",
            cure=f"take {left / reach:.3g} times as many accelerators, or plan with the {reach:.3g} FLOP of that time",
        )
    if reach < left:
        speed = f"{hours:g} h at {flops_per_second:.4g} FLOP/s"
        said.append(f"the deadline: {speed} give {reach:.4g} FLOP, below the budget by a factor {left / reach:.3g}")
        left = reach
    return left, said


QUANTITIES = ("flops", "loss", "params", "tokens")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is given; the rest is to be found. One of flops, loss, params and tokens, or two.

    Raises ForetokenError for none, for more than two, and for numbers that are not above 0.

    >>> Given(flops=1e21).fixed, Given(params=7e9).fixed
    ('', 'params')
    """

    flops: float | None = None
    """Training compute."""
    loss: float | None = None
    """To be reached, in the unit of the law's losses."""
    params: float | None = None
    tokens: float | None = None
    limits: Limits = NO_LIMITS
    budget: str | float | None = None
    """The budget as the user gave it; `flops` are its FLOP."""

    def __post_init__(self) -> None:
        for name in self.names:
            check_positive(name, getattr(self, name))
        if not 1 <= len(self.names) <= 2:
            raise ForetokenError(
                "a plan starts from a budget, a loss, a size or a number of tokens",
                expected="one of them, or two",
                got=", ".join(self.names) or "none",
                cure="for example --compute 1e24, or --params 7B --compute '$2M of H100'",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is given."""
        return tuple(name for name in QUANTITIES if getattr(self, name) is not None)

    @property
    def fixed(self) -> str:
        """What of the split itself was given, in words; empty where it is free."""
        return " and ".join(name for name in self.names if name in ("params", "tokens"))
