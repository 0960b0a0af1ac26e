"""Growth of training compute, of training sets and of accelerators, and when text or a budget is reached.

Straight lines through the logarithms of amounts over time, by least squares with t intervals. The rows are those of the
registries, chosen by hand: an interval says how well they hold a line, not what the world will do.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.arguments import check_positive, named_arguments
from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.budget import parse_budget
from foretoken.compute.models import MODELS
from foretoken.errors import RefusedError
from foretoken.plans.growth import Point, Reach, Trend, fit_trend, records, year_of
from foretoken.plans.loss_model import published
from foretoken.plans.provenance import budget_words
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import allocate
from foretoken.results import Result, with_reasons_json

STOCK = {"low": 1e14, "middle": 3e14, "high": 1e15}
"""Tokens of public human text, about; Villalobos et al. 2024."""
LAW = "besiroglu_2024"
DAYS = 90.0
"""Length of a training run that accelerators are counted for."""
DATA_CENTRE = ("gpu", "tpu")
"""Kinds of accelerators that large models are trained on."""
FIRST_PASS = 2020
"""Models before this year saw their text many times over."""
ASSUMED = (
    "a trend goes on as it went: nothing here knows of prices, power or supply",
    "models and accelerators are those of the registries, chosen by hand, and counted as independent of each other",
    "of a month only the largest counts; devices whose date was read in notes only are left out",
    "dates are months of the paper or announcement; FLOP are 6 N D unless printed (active N of mixtures)",
    "the stock of public human text is about 3e14 tokens, 1e14 to 1e15 (Villalobos et al. 2024; not checked here)",
    "training sets: tokens of models since 2020, which saw most of their text about once",
    "for comparison: transistors per chip double every two years (Moore, 1.41 times a year); accelerators rise 1,000"
    " times in ten years (Huang, 2.0 times a year; quoted from memory, and counted with fewer bits and sparsity); the"
    " lecture's rule for training compute before 2022 is 10 times a year",
)


def _compute() -> list[Point]:
    """Training FLOP of every model whose compute is known."""
    known = ((model, model.compute) for model in MODELS.values())
    return [Point(model.id, year_of(model.date), flops, model.source) for model, flops in known if flops is not None]


def _tokens() -> list[Point]:
    rows = (model for model in MODELS.values() if model.tokens is not None)
    points = [Point(model.id, year_of(model.date), float(model.tokens or 0), model.source) for model in rows]
    return [point for point in points if point.year >= FIRST_PASS]


def _peaks() -> list[Point]:
    """Dense 16-bit peaks of data-centre accelerators with a known date."""
    rows = (device for device in read_accelerators().values() if device.kind in DATA_CENTRE and device.announced)
    return [
        Point(device.id, year_of(device.announced), device.peak(), device.source)
        for device in rows
        if "announced" not in device.secondary
    ]


def largest_of_month(points: list[Point]) -> list[Point]:
    """One row per month, the largest.

    >>> [point.name for point in largest_of_month([Point("a", 1.0, 5.0, ""), Point("b", 1.0, 6.0, "")])]
    ['b']
    """
    # Later entries replace earlier ones, so the largest of each month stays.
    best = {point.year: point for point in sorted(points, key=lambda point: point.value)}
    return [best[year] for year in sorted(best)]


def known_trends(level: float = 0.9) -> dict[str, Trend]:
    """The trends of the registries: training compute (all, the largest, before 2022), parameters, tokens, peaks.

    >>> known_trends()["accelerators"].growth > 1.3
    True
    """
    compute = largest_of_month(_compute())
    # The lecture's rule, ten times a year, is of the time before 2022, and is compared with the same years.
    early = [point for point in compute if point.year < 2022]
    sizes = [Point(model.id, year_of(model.date), model.params, model.source) for model in MODELS.values()]
    tokens, peaks = records(_tokens()), largest_of_month(_peaks())
    return {
        "compute": fit_trend("training compute of notable models", "FLOP", compute, level),
        "largest_compute": fit_trend("training compute, the largest of its time", "FLOP", records(compute), level),
        "compute_before_2022": fit_trend("training compute before 2022", "FLOP", early, level),
        "params": fit_trend("parameters, the most of their time", "parameters", records(sizes), level),
        "tokens": fit_trend("training tokens, the most of their time", "tokens", tokens, level),
        "accelerators": fit_trend("dense 16-bit peak of an accelerator", "FLOP/s", peaks, level),
    }


@dataclass(frozen=True)
class StockReached:
    """When the tokens of a stock of text are reached."""

    stock: float
    tokens: Reach
    """By the most training tokens of their time."""
    flops_needed: float
    """Training compute whose best split needs so many tokens."""
    compute: Reach
    """By the largest training compute of its time."""


@dataclass(frozen=True)
class AcceleratorsNeeded:
    """How many of the fastest accelerators a budget takes at their typical utilisation."""

    id: str
    name: str
    count: float
    days: float
    mfu: float


@dataclass(frozen=True)
class BudgetReached:
    """When a budget is ordinary."""

    flops: float
    notable: Reach
    """By notable training runs."""
    largest: Reach
    """By the largest training run of its time."""
    accelerators: AcceleratorsNeeded


@dataclass(frozen=True)
class Trends(Result, rows="trends"):
    """Growth rates, when they meet the stock of text, and when a budget is ordinary."""

    level: float
    trends: dict[str, Trend]
    text: dict[str, StockReached]
    """For a low, a middle and a high guess of the stock."""
    budget: BudgetReached | None
    assumed: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        texts = {
            name: {**asdict(row), "tokens": row.tokens.to_json(), "compute": row.compute.to_json()}
            for name, row in self.text.items()
        }
        budget = self.budget and {
            **asdict(self.budget),
            "notable": self.budget.notable.to_json(),
            "largest": self.budget.largest.to_json(),
        }
        values = {**asdict(self), "text": texts, "budget": budget}
        return with_reasons_json(values, budget="no budget was given (--compute)")


@named_arguments
def trends(compute: str | float | None = None, *, law: str = LAW, level: float = 0.9) -> Trends:
    """Growth of training compute, training sets and accelerators, when text runs out, and when a budget is ordinary.

    Raises ForetokenError for a text that is no budget, RefusedError for a law that never needs so many tokens.

    Args:
        compute: A budget: when will a run like it be ordinary, and how many of the fastest accelerators does it take
            for 90 days?
        law: The published law that says what tokens a budget needs.
        level: Probability that an interval holds.

    >>> trends("1e27").budget.flops
    1e+27

    """
    budget = None if compute is None else parse_budget(compute)
    known = known_trends(level)
    text = {}
    for name, stock in STOCK.items():
        needed = _compute_for(law, stock)
        text[name] = StockReached(
            stock, known["tokens"].reaches(stock), needed, known["largest_compute"].reaches(needed)
        )
    assumed = [*ASSUMED, f"tokens that a budget needs: the best split of {law}"]
    return Trends(
        level=level,
        trends=known,
        text=text,
        budget=None if budget is None else _budget(known, budget.flops),
        assumed=assumed if budget is None else [*assumed, *budget_words(budget)],
    )


def _compute_for(law: str, tokens: float) -> float:
    """The compute whose best split has so many tokens."""

    def excess(log_flops: float) -> float:
        return math.log(allocate(published(law), math.exp(log_flops)).tokens / tokens)

    # From far below the smallest study to far above any budget.
    found = crossing(excess, math.log(1e15), math.log(1e35))
    if found is None:
        raise RefusedError("out_of_reach", f"{law} never needs {tokens:.3g} tokens", "take another law")
    return math.exp(found)


def _budget(known: dict[str, Trend], flops: float) -> BudgetReached:
    check_positive("compute", flops)
    registry = read_accelerators()
    best = registry[max(known["accelerators"].points, key=lambda point: point.value).name]
    mfu = registry.typical_use(best).value
    count = flops / (best.peak() * mfu * DAYS * 86_400)
    return BudgetReached(
        flops,
        notable=known["compute"].reaches(flops),
        largest=known["largest_compute"].reaches(flops),
        accelerators=AcceleratorsNeeded(best.id, best.name, count, DAYS, mfu),
    )
