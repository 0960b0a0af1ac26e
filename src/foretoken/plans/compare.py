"""What each published law would say of a budget, side by side, with what it counts and how far it reaches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from foretoken.laws import PUBLISHED
from foretoken.plans.advice import NOT_ADVICE, advice, advisers
from foretoken.plans.loss_model import LossModel
from foretoken.plans.reasons import with_reasons
from foretoken.plans.split import NO_DRAWS, Allocation, allocate


@dataclass(frozen=True)
class Row:
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
    """Factors beyond its runs in params, tokens and flops; only what the source tells."""
    range: str
    """Its runs, in words."""
    counting: str
    """What N includes."""
    compute: str
    """What C counts."""
    loss_unit: str
    corpus: str
    status: str
    """`verified` or `secondary` for the numbers of a paper, `fitted` for the user's own."""
    source: str
    careful: list[str]
    assumed: list[str]


@dataclass(frozen=True)
class Comparison:
    """All laws at one budget."""

    flops: float
    laws: list[Row]
    spread: dict[str, list[float]]
    """Smallest and largest params, tokens and tokens_per_param among them."""
    left_out: list[dict[str, str]]
    """Published laws that could be asked, and why they are not: id, reason."""
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        return with_reasons(asdict(self))


ASSUMED = (
    "every law gets the same number of FLOP, though papers count FLOP and N differently (see compute and counting)",
    "losses are on each paper's own text and tokenizer: they do not compare with each other",
    "fresh tokens, dense models, 16 bits, unless a row says otherwise",
)


def compare(flops: float, own: LossModel | None = None) -> Comparison:
    """What every published law that splits compute advises for `flops` FLOP; `own` (a user's fit) comes first.

    Raises ForetokenError for compute that is not above 0.

    >>> found = {row.id: row for row in compare(5.76e23).laws}
    >>> [round(found[name].tokens_per_param, 1) for name in ("hoffmann_2022_tex", "besiroglu_2024")]
    [58.9, 18.4]
    """
    rows = [_published(name, flops) for name in advisers()]
    if own is not None:
        rows.insert(0, _own(allocate(own, flops)))
    names = ("params", "tokens", "tokens_per_param")
    values = {name: [getattr(row, name) for row in rows] for name in names}
    return Comparison(
        flops=float(flops),
        laws=rows,
        spread={name: [min(found), max(found)] for name, found in values.items()},
        left_out=[{"id": name, "reason": reason} for name, reason in NOT_ADVICE.items()],
        assumed=list(ASSUMED),
    )


def _published(name: str, flops: float) -> Row:
    told, entry = advice(name, flops), PUBLISHED[name]
    return Row(
        id=name,
        params=told.params,
        tokens=told.tokens,
        tokens_per_param=told.tokens / told.params,
        loss=told.loss,
        loss_reason=told.loss_reason,
        intervals=dict.fromkeys(("params", "tokens", "loss")),
        interval_reason=NO_DRAWS,
        extrapolation=told.extrapolation,
        range=entry.range,
        counting=entry.counting,
        compute=entry.compute,
        loss_unit=entry.loss,
        corpus=entry.corpus,
        status=entry.status,
        source=entry.source,
        careful=list(entry.careful),
        assumed=told.assumed[1:],
    )


def _own(found: Allocation) -> Row:
    intervals = {name: found.intervals[name] for name in ("params", "tokens", "loss")}
    return Row(
        id="fit",
        params=found.params,
        tokens=found.tokens,
        tokens_per_param=found.tokens / found.params,
        loss=found.loss,
        loss_reason=found.loss_reason,
        intervals=intervals,
        interval_reason=found.interval_reason,
        extrapolation=found.extrapolation,
        range="your runs",
        counting="as in your table",
        compute="as in your table",
        loss_unit="nats per token",
        corpus="yours",
        status="fitted",
        source="your fit",
        careful=[],
        assumed=found.assumed,
    )
