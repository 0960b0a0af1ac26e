"""What is asked of a plan: a budget, a loss, a size, a number of tokens, or two of them; and what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.plans.given_size import how_large, train_for_how_long
from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.loss_model import Source
from foretoken.plans.split import NO_DRAWS, Allocation, allocate, cheapest, require_positive, tokens_for

ASKED = ("flops", "loss", "params", "tokens")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is given; the rest is to be found. One of flops, loss, params and tokens, or two.

    Raises ForetokenError for none, for more than two, and for numbers that are not above 0.

    >>> Wish(flops=1e21).fixed, Wish(params=7e9).fixed
    ('', 'params')
    """

    flops: float | None = None
    """Training compute."""
    loss: float | None = None
    """To be reached, in nats per token."""
    params: float | None = None
    tokens: float | None = None
    limits: Limits = NO_LIMITS
    text: str = ""
    """The budget in the user's words."""

    def __post_init__(self) -> None:
        for name in self.given:
            require_positive(name, getattr(self, name))
        if not 1 <= len(self.given) <= 2:
            raise ForetokenError(
                "a plan starts from a budget, a loss, a size or a number of tokens",
                expected="one of them, or two",
                got=", ".join(self.given) or "none",
                cure="for example --compute 1e24, or --params 7B --compute '$2M of H100'",
            )

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what is given."""
        return tuple(name for name in ASKED if getattr(self, name) is not None)

    @property
    def fixed(self) -> str:
        """What of the split itself was given, in words; empty where it is free."""
        return " and ".join(name for name in self.given if name in ("params", "tokens"))


def chosen(source: Source, wish: Wish) -> Allocation:
    """The split that a wish leads to.

    A size alone is trained on the tokens that make it the best size of a budget; a number of tokens alone alike.
    Raises ForetokenError for a loss that nothing reaches, or a law that tells no loss where one is needed.
    """
    flops, loss, params, tokens = wish.flops, wish.loss, wish.params, wish.tokens
    if wish.given == ("flops",):
        assert flops is not None
        return allocate(source, flops, wish.limits)
    if wish.given == ("loss",):
        assert loss is not None
        return cheapest(source, loss, wish.limits)
    _require_within(wish)
    if wish.given == ("params",):
        assert params is not None
        found = train_for_how_long(source, params)
        return _given(source, found.params, found.tokens, found.intervals)
    if wish.given == ("tokens",):
        assert tokens is not None
        found = how_large(source, tokens)
        return _given(source, found.params, found.tokens, found.intervals)
    return _of_two(source, wish)


def _require_within(wish: Wish) -> None:
    """A size or length that was given keeps to the limits that were given."""
    limits = wish.limits
    if wish.params is not None:
        inside = limits.min_params <= wish.params <= limits.max_params
        if not inside or (limits.sizes and wish.params not in limits.sizes):
            allowed = ", ".join(f"{size:.4g}" for size in limits.admissible)
            raise ForetokenError(
                "the given size does not keep to the limits",
                expected=allowed or f"{limits.min_params:.4g} to {limits.max_params:.4g} parameters",
                got=f"{wish.params:.4g}",
                cure="give another size, or loosen the limits",
            )
    if wish.tokens is not None and wish.tokens > limits.max_tokens:
        raise ForetokenError(
            "the given tokens are more than the limit", expected=f"at most {limits.max_tokens:.4g}",
            got=f"{wish.tokens:.4g}", cure="give fewer tokens, or allow more epochs",
        )  # fmt: skip


def _of_two(source: Source, wish: Wish) -> Allocation:
    """Two of flops, loss, params and tokens fix the third and the fourth."""
    flops, loss, params, tokens = wish.flops, wish.loss, wish.params, wish.tokens
    per_token = source.flops_per_param_token
    if params is not None and tokens is not None:
        return _given(source, params, tokens, {})
    if flops is not None and params is not None:
        return _given(source, params, flops / (per_token * params), {})
    if flops is not None and tokens is not None:
        return _given(source, flops / (per_token * tokens), tokens, {})
    if loss is not None and params is not None:
        lengths = source.each(lambda world: tokens_for(world, params, loss))
        if not np.isfinite(lengths[0]):
            raise ForetokenError(f"no number of tokens takes {params:.4g} parameters to a loss of {loss:g}")
        return _given(source, params, float(lengths[0]), {"tokens": source.interval(lengths)})
    raise ForetokenError(
        "these two do not make a plan",
        expected="compute with params or tokens, params with tokens, or loss with params",
        got=" and ".join(wish.given),
    )


def _given(source: Source, params: float, tokens: float, intervals: dict[str, list[float] | None]) -> Allocation:
    """The Allocation of a given size and length, with its loss where the source tells one."""
    flops = source.flops_per_param_token * params * tokens
    losses = source.losses(params, tokens) if source.gives_loss else None
    unique = source.repetition.unique if source.repetition else tokens
    empty: dict[str, list[float] | None] = dict.fromkeys(("params", "tokens", "flops", "loss"))
    told = Allocation(
        flops=flops, params=params, tokens=tokens, epochs=max(1.0, tokens / unique), loss=None,
        loss_reason=f"{source.name} tells no loss", intervals=empty | intervals, level=source.level,
        interval_reason=None if len(source.theta) > 1 else NO_DRAWS,
        extrapolation=source.beyond(params, tokens, flops), binding=[], assumed=list(source.assumed),
    )  # fmt: skip
    if losses is None:
        return told
    return replace(told, loss=float(losses[0]), loss_reason=None,
                   intervals=told.intervals | {"loss": source.interval(losses)})  # fmt: skip
