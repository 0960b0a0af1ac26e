"""What each published law advises for a budget, by its own count of N and C."""

from __future__ import annotations

import math
from dataclasses import dataclass

from foretoken.errors import ForetokenError
from foretoken.laws import LAWS, PUBLISHED
from foretoken.plans.band import Band
from foretoken.plans.loss_model import published
from foretoken.plans.split import allocate, require_positive

RULE_OF_THUMB = 20.0
"""Tokens per parameter that many quote after Hoffmann et al. 2022; no law gives it at every budget."""
NOT_ADVICE = {
    "kaplan_2020": "its best split is not the paper's advice: kaplan_2020_allocation",
    "kaplan_2020_allocation_fixed_batch": "at one fixed batch size; the paper prefers kaplan_2020_allocation",
    "kaplan_2020_allocation_tokens": "the same advice as kaplan_2020_allocation, as tokens",
    "deepseek_2024_tokens": "the same advice as deepseek_2024, as tokens",
    "hoffmann_2022_rounded": "rounding alone moves its advice by half: hoffmann_2022_tex",
}
"""Published laws that could split compute, and why they are not asked."""


@dataclass(frozen=True)
class Advice:
    """The best split of a budget according to one published law."""

    id: str
    params: float
    tokens: float
    loss: float | None
    loss_reason: str | None
    extrapolation: dict[str, float]
    """Factors beyond the runs behind the law; 1 inside them, nothing where the source does not tell them."""
    assumed: list[str]


def advisers() -> list[str]:
    """The published laws that say how to split compute, by id.

    >>> "besiroglu_2024" in advisers(), "hoffmann_2022_rounded" in advisers()
    (True, False)
    """
    return [name for name in PUBLISHED if name not in NOT_ADVICE and splits_compute(name)]


def splits_compute(name: str) -> bool:
    """Whether a published law tells params and tokens for a budget, by closed form or by search."""
    law = LAWS[PUBLISHED[name].law]
    return law.optimum is not None or (law.column == "loss" and {"params", "tokens"} <= set(law.features))


def advice(name: str, flops: float) -> Advice:
    """What one published law advises for `flops` FLOP.

    Raises ForetokenError for a law that does not split compute.

    >>> found = advice("llama3_2024", 3.8e25)
    >>> f"{found.params:.3g} {found.tokens:.4g}"
    '3.89e+11 1.629e+13'
    """
    require_positive("compute", flops)
    if name in PUBLISHED and not splits_compute(name):
        raise ForetokenError(
            f"{name} does not say how to split compute", expected=f"one of {', '.join(advisers())}", got=repr(name)
        )
    found = allocate(published(name), flops)
    told = (found.params, found.tokens, found.loss, found.loss_reason, found.extrapolation, found.assumed)
    return Advice(name, *told)


def alternatives(
    flops: float,
    flops_per_param_token: float = 6.0,
    *,
    band: Band | None = None,
    reference_size: float | None = None,
    laws: bool = True,
) -> dict[str, tuple[float, float]]:
    """Named splits of the same budget, {name: (params, tokens)}, whose regret is worth knowing.

    The reference size, 20 tokens per parameter, the smallest and the largest size of the band, and each
    published law's advice: its size, as it stands (papers count N differently), with the tokens that the budget leaves.
    Laws that count all parameters of a mixture of experts are left out: their sizes are no sizes of a dense model.

    >>> found = alternatives(1.2e22, reference_size=7e9, laws=False)
    >>> {name: f"{params:.3g} {tokens:.3g}" for name, (params, tokens) in found.items()}
    {'reference size': '7e+09 2.86e+11', '20 tokens per parameter': '1e+10 2e+11'}
    """
    require_positive("compute", flops)
    product = flops / flops_per_param_token
    sizes = {} if reference_size is None else {"reference size": reference_size}
    sizes["20 tokens per parameter"] = math.sqrt(product / RULE_OF_THUMB)
    if band is not None:
        sizes["smallest in the band"], sizes["largest in the band"] = band.params
    if laws:
        dense = (name for name in advisers() if PUBLISHED[name].flops_per_param_token == 6.0)
        sizes |= {name: advice(name, flops).params for name in dense}
    return {name: (params, product / params) for name, params in sizes.items()}
