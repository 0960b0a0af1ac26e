"""Mixtures of experts: how many, at equal compute or at equal memory, by a law that reads the number of experts.

Law: Ludziejewski et al. 2025, arXiv 2502.05172, where N is the parameters that one token uses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from foretoken.errors import ForetokenError
from foretoken.plans.allocate import allocate, require_positive
from foretoken.plans.limits import NO_LIMITS, Limits
from foretoken.plans.source import Source, published

LAW = "ludziejewski_2025"
COUNTS = (1, 2, 4, 8, 16, 32)
FEED_FORWARD_SHARE = 2 / 3
"""Share of a dense model's parameters that experts replace: 8 of 12 width^2 per layer, embeddings left out."""


@dataclass(frozen=True)
class Mixture:
    """The best split of a budget with so many experts, one of them used by a token."""

    experts: int
    active_params: float
    total_params: float
    tokens: float
    loss: float
    gain: float
    """Loss that it takes off against the best dense model of the same budget and limits."""


def total_params(active: float, experts: int, share: float = FEED_FORWARD_SHARE) -> float:
    """All parameters of a mixture of which a token uses `active`, one expert of `experts` among them.

    >>> f"{total_params(3e9, 8):.3g}"
    '1.7e+10'
    """
    return active * (1 + share * (experts - 1))


def mixtures(
    flops: float,
    *,
    max_total: float | None = None,
    counts: tuple[int, ...] = COUNTS,
    share: float = FEED_FORWARD_SHARE,
    law: str = LAW,
    limits: Limits = NO_LIMITS,
) -> list[Mixture]:
    """The best split of `flops` FLOP for each number of experts: at equal compute, and within `max_total` parameters.

    `max_total` is the memory that all may fill, `limits` bound the active parameters and the tokens. Raises
    ForetokenError for a number of experts below 1, or a law that does not read it.

    >>> [f"{found.experts}: {found.active_params:.2g} {found.loss:.3f}" for found in mixtures(1e21, counts=(1, 8))]
    ['1: 5.7e+09 2.350', '8: 3.8e+09 2.295']
    >>> at_equal_memory = mixtures(1e21, max_total=5.7e9, counts=(1, 8))
    >>> [f"{found.total_params:.2g} {found.loss:.3f}" for found in at_equal_memory]
    ['5.7e+09 2.350', '5.7e+09 2.326']
    """
    require_positive("compute", flops)
    if min(counts, default=0) < 1:
        raise ForetokenError("the number of experts must be 1 or more", got=repr(counts))
    if max_total is not None:
        require_positive("max_total", max_total)
    dense = _mixture(published(law, experts=1.0), flops, 1, share, max_total, limits)
    found = (_mixture(published(law, experts=float(count)), flops, count, share, max_total, limits) for count in counts)
    return [replace(one, gain=dense.loss - one.loss) for one in found]


def _mixture(
    source: Source, flops: float, experts: int, share: float, max_total: float | None, limits: Limits
) -> Mixture:
    if max_total is not None:
        room = max_total / total_params(1.0, experts, share)
        limits = replace(limits, max_params=min(limits.max_params, room))
    best = allocate(source, flops, limits)
    assert best.loss is not None
    return Mixture(experts, best.params, total_params(best.params, experts, share), best.tokens, best.loss, 0.0)
