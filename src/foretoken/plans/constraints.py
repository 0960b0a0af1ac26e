"""What is asked of a plan: a budget, a loss, a size, a number of tokens, or two of them; and what follows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.plans.given_size import how_large, train_for_how_long
from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.loss_model import LossModel
from foretoken.plans.split import NO_DRAWS, Allocation, allocate, cheapest, require_positive, tokens_for

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
    """To be reached, in nats per token."""
    params: float | None = None
    tokens: float | None = None
    limits: Limits = NO_LIMITS
    text: str = ""
    """The budget in the user's words."""

    def __post_init__(self) -> None:
        for name in self.names:
            require_positive(name, getattr(self, name))
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


def solve_split(loss_model: LossModel, given: Given) -> Allocation:
    """The split that a given leads to.

    A size alone is trained on the tokens that make it the best size of a budget; a number of tokens alone alike.
    Raises ForetokenError for a loss that nothing reaches, or a law that tells no loss where one is needed.
    """
    flops, loss, params, tokens = given.flops, given.loss, given.params, given.tokens
    if given.names == ("flops",):
        assert flops is not None
        return allocate(loss_model, flops, given.limits)
    if given.names == ("loss",):
        assert loss is not None
        return cheapest(loss_model, loss, given.limits)
    _require_within(given)
    if given.names == ("params",):
        assert params is not None
        found = train_for_how_long(loss_model, params)
        return _given(loss_model, found.params, found.tokens, found.intervals)
    if given.names == ("tokens",):
        assert tokens is not None
        found = how_large(loss_model, tokens)
        return _given(loss_model, found.params, found.tokens, found.intervals)
    return _of_two(loss_model, given)


def _require_within(given: Given) -> None:
    """A size or length that was given keeps to the limits that were given."""
    limits = given.limits
    if given.params is not None:
        inside = limits.min_params <= given.params <= limits.max_params
        if not inside or (limits.sizes and given.params not in limits.sizes):
            allowed = ", ".join(f"{size:.4g}" for size in limits.admissible)
            raise ForetokenError(
                "the given size does not keep to the limits",
                expected=allowed or f"{limits.min_params:.4g} to {limits.max_params:.4g} parameters",
                got=f"{given.params:.4g}",
                cure="give another size, or loosen the limits",
            )
    if given.tokens is not None and given.tokens > limits.max_tokens:
        raise ForetokenError(
            "the given tokens are more than the limit",
            expected=f"at most {limits.max_tokens:.4g}",
            got=f"{given.tokens:.4g}",
            cure="give fewer tokens, or allow more epochs",
        )


def _of_two(loss_model: LossModel, given: Given) -> Allocation:
    """Two of flops, loss, params and tokens fix the third and the fourth."""
    flops, loss, params, tokens = given.flops, given.loss, given.params, given.tokens
    per_token = loss_model.flops_per_param_token
    if params is not None and tokens is not None:
        return _given(loss_model, params, tokens, {})
    if flops is not None and params is not None:
        return _given(loss_model, params, flops / (per_token * params), {})
    if flops is not None and tokens is not None:
        return _given(loss_model, flops / (per_token * tokens), tokens, {})
    if loss is not None and params is not None:
        lengths = loss_model.over_draws(lambda model: tokens_for(model, params, loss))
        if not np.isfinite(lengths[0]):
            raise ForetokenError(f"no number of tokens takes {params:.4g} parameters to a loss of {loss:g}")
        return _given(loss_model, params, float(lengths[0]), {"tokens": loss_model.interval(lengths)})
    raise ForetokenError(
        "these two do not make a plan",
        expected="compute with params or tokens, params with tokens, or loss with params",
        got=" and ".join(given.names),
    )


def _given(loss_model: LossModel, params: float, tokens: float, intervals: dict[str, list[float] | None]) -> Allocation:
    """The Allocation of a given size and length, with its loss where the source tells one."""
    flops = loss_model.flops_per_param_token * params * tokens
    losses = loss_model.losses(params, tokens) if loss_model.predicts_loss else None
    unique = loss_model.repetition.unique if loss_model.repetition else tokens
    empty: dict[str, list[float] | None] = dict.fromkeys(("params", "tokens", "flops", "loss"))
    told = Allocation(
        flops=flops,
        params=params,
        tokens=tokens,
        epochs=max(1.0, tokens / unique),
        loss=None,
        loss_reason=f"{loss_model.name} tells no loss",
        intervals=empty | intervals,
        level=loss_model.level,
        interval_reason=None if len(loss_model.theta) > 1 else NO_DRAWS,
        extrapolation=loss_model.extrapolation(params, tokens, flops),
        binding=[],
        assumed=list(loss_model.assumed),
    )
    if losses is None:
        return told
    return replace(
        told, loss=float(losses[0]), loss_reason=None, intervals=told.intervals | {"loss": loss_model.interval(losses)}
    )
