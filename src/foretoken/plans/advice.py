"""What each published law advises for a budget, by its own count of N and C, alone and side by side."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.arguments import check_positive, named_arguments
from foretoken.compute.budget import parse_budget
from foretoken.errors import ForetokenError
from foretoken.fits.objectives import check_estimator
from foretoken.fits.result import AnyFit, as_fit
from foretoken.laws import LAWS, PUBLISHED
from foretoken.plans.loss_model import fitted, published
from foretoken.plans.provenance import budget_words, intervals_json
from foretoken.plans.regret import Band
from foretoken.plans.split import NO_DRAWS, Allocation, allocate, stated
from foretoken.results import Result

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
ASSUMED = (
    "every law gets the same number of FLOP, though papers count FLOP and N differently (see compute and counting)",
    "losses are on each paper's own text and tokenizer: they do not compare with each other",
    "fresh tokens, dense models, 16 bits, unless a row says otherwise",
)
"""What holds of a whole comparison."""


@dataclass(frozen=True)
class Advice:
    """The best split of a budget according to one published law."""

    id: str
    params: float
    tokens: float
    loss: float | None
    loss_reason: str | None
    extrapolation: dict[str, float]
    """Factors beyond the runs behind the law; 1 inside them, nothing where they are not recorded."""
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

    >>> llama = advice("llama3_2024", 3.8e25)
    >>> f"{llama.params:.3g} {llama.tokens:.4g}"
    '3.89e+11 1.629e+13'
    """
    check_positive("compute", flops)
    if name in PUBLISHED and not splits_compute(name):
        raise ForetokenError(
            f"{name} does not say how to split compute", expected=f"one of {', '.join(advisers())}", got=repr(name)
        )
    split = allocate(published(name), flops)
    return Advice(name, split.params, split.tokens, split.loss, split.loss_reason, split.extrapolation, split.assumed)


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

    >>> splits = alternatives(1.2e22, reference_size=7e9, laws=False)
    >>> {name: f"{params:.3g} {tokens:.3g}" for name, (params, tokens) in splits.items()}
    {'reference size': '7e+09 2.86e+11', '20 tokens per parameter': '1e+10 2e+11'}
    """
    check_positive("compute", flops)
    product = flops / flops_per_param_token
    sizes = {} if reference_size is None else {"reference size": reference_size}
    # N D = product and D = 20 N
    sizes["20 tokens per parameter"] = math.sqrt(product / RULE_OF_THUMB)
    if band is not None:
        sizes["smallest in the band"], sizes["largest in the band"] = band.params
    if laws:
        # A mixture of experts spends fewer FLOP per parameter than 6, a mark that needs no list of names.
        dense = (name for name in advisers() if PUBLISHED[name].flops_per_param_token == 6.0)
        sizes |= {name: advice(name, flops).params for name in dense}
    return {name: (params, product / params) for name, params in sizes.items()}


@dataclass(frozen=True)
class LawAdvice:
    """One law's advice."""

    id: str
    params: float
    tokens: float
    tokens_per_param: float
    loss: float | None
    loss_reason: str | None
    intervals: dict[str, list[float] | None]
    """Of params, tokens and loss, where there are draws."""
    interval_reason: str | None
    extrapolation: dict[str, float]
    """Factors beyond its runs in params, tokens and flops; only what is recorded."""
    range: str
    """Its runs, in words."""
    counting: str
    """What N includes."""
    compute: str
    """What C counts."""
    loss_unit: str
    """Of `loss`, and on which text where a paper says so."""
    corpus: str
    status: str
    """`verified` or `secondary` for the numbers of a paper, `fitted` for the user's own."""
    source: str
    careful: list[str]
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return {**asdict(self), "intervals": intervals_json(self.intervals, self.interval_reason)}


@dataclass(frozen=True)
class LeftOut:
    """A published law that is not asked, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Comparison(Result, rows="laws"):
    """All laws at one budget."""

    flops: float
    laws: list[LawAdvice]
    spread: dict[str, list[float]]
    """Smallest and largest params, tokens and tokens_per_param among them."""
    left_out: list[LeftOut]
    """Published laws that could be asked, and are not."""
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return {**asdict(self), "laws": [row.to_json() for row in self.laws]}


@named_arguments
def compare(
    compute: str | float, *, fit: AnyFit | None = None, estimator: str = "map", level: float = 0.9
) -> Comparison:
    """What every published law that splits compute advises for a budget; a user's fit comes first.

    Raises ForetokenError for a text that is no budget.

    Args:
        compute: The budget: 5.76e23 FLOP, "3640 PF-days" or "512 H100 for 30 days".
        fit: Your own fit, or its file, beside the papers'.
        estimator: Which estimate of that fit: map or huber.
        level: Probability that its intervals hold.

    >>> rows = {row.id: row for row in compare(5.76e23).laws}
    >>> [round(rows[name].tokens_per_param, 1) for name in ("hoffmann_2022_tex", "besiroglu_2024")]
    [58.9, 18.4]

    """
    check_estimator(estimator)
    budget = parse_budget(compute)
    rows = [_of_published(name, budget.flops) for name in advisers()]
    if fit is not None:
        own = as_fit(fit)
        model = fitted(own, estimator=estimator, level=level)
        rows.insert(0, _of_fit(stated(model, allocate(model, budget.flops)), own.unit))
    names = ("params", "tokens", "tokens_per_param")
    values = {name: [getattr(row, name) for row in rows] for name in names}
    return Comparison(
        flops=budget.flops,
        laws=rows,
        spread={name: [min(column), max(column)] for name, column in values.items()},
        left_out=[LeftOut(name, reason) for name, reason in NOT_ADVICE.items()],
        assumed=[*ASSUMED, *budget_words(budget)],
    )


def _of_published(name: str, flops: float) -> LawAdvice:
    split, entry = advice(name, flops), PUBLISHED[name]
    return LawAdvice(
        id=name,
        params=split.params,
        tokens=split.tokens,
        tokens_per_param=split.tokens / split.params,
        loss=split.loss,
        loss_reason=split.loss_reason,
        intervals=dict.fromkeys(("params", "tokens", "loss")),
        interval_reason=NO_DRAWS,
        extrapolation=split.extrapolation,
        range=entry.range,
        counting=entry.counting,
        compute=entry.compute,
        loss_unit=entry.loss,
        corpus=entry.corpus,
        status=entry.status,
        source=entry.source,
        careful=list(entry.careful),
        # The first sentence names the source of the losses, which `source` says already.
        assumed=split.assumed[1:],
    )


def _of_fit(split: Allocation, unit: str) -> LawAdvice:
    intervals = {name: split.intervals[name] for name in ("params", "tokens", "loss")}
    return LawAdvice(
        id="fit",
        params=split.params,
        tokens=split.tokens,
        tokens_per_param=split.tokens / split.params,
        loss=split.loss,
        loss_reason=split.loss_reason,
        intervals=intervals,
        interval_reason=split.interval_reason,
        extrapolation=split.extrapolation,
        range="your runs",
        counting="as in your table",
        compute="as in your table",
        loss_unit=unit,
        corpus="yours",
        status="fitted",
        source="your fit",
        careful=[],
        assumed=split.assumed,
    )
