"""Trends: growth of training compute, of training sets and of accelerators, and when text or a budget runs out.

The rows are those of the registries, chosen by hand: an interval says how well they hold a line, not what the model
will do.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from foretoken.compute.accelerator_file import read_accelerators
from foretoken.compute.models import MODELS
from foretoken.errors import RefusedError
from foretoken.plans.growth import Point, Trend, fit_trend, records, year_of
from foretoken.plans.loss_model import published
from foretoken.plans.reasons import with_reasons
from foretoken.plans.scalar_search import crossing
from foretoken.plans.split import allocate, require_positive

STOCK = {"low": 1e14, "middle": 3e14, "high": 1e15}
"""Tokens of public human text, about; Villalobos et al. 2024."""
LAW = "besiroglu_2024"
DAYS = 90.0
"""Length of a training run that accelerators are counted for."""
FIRST_PASS = 2020
"""Models before this year saw their text many times over."""
ASSUMED = (
    "a trend goes on as it went: nothing here knows of prices, power or supply",
    "models and accelerators are those of the registries, chosen by hand, and counted as independent of each other",
    "of a month only the largest counts; devices whose date was read in notes only are left out",
    "dates are months of the paper or announcement; FLOP are 6 N D unless printed (active N of mixtures)",
    "the stock of public human text is about 3e14 tokens, 1e14 to 1e15 (Villalobos et al. 2024; not checked here)",
    "training sets: tokens of models since 2020, which saw most of their text about once",
    "for comparison: transistors per chip double every two years (1.41 times a year); the lecture's rule for training"
    " compute before 2022 is 10 times a year",
)


def _compute() -> list[Point]:
    """Training FLOP of every model whose compute is known."""
    known = ((one, one.compute) for one in MODELS.values())
    return [Point(one.id, year_of(one.date), flops, one.source) for one, flops in known if flops is not None]


def _tokens() -> list[Point]:
    rows = (one for one in MODELS.values() if one.tokens is not None)
    points = [Point(one.id, year_of(one.date), float(one.tokens or 0), one.source) for one in rows]
    return [point for point in points if point.year >= FIRST_PASS]


def _peaks() -> list[Point]:
    """Dense 16-bit peaks of data-centre accelerators with a known date."""
    rows = (one for one in read_accelerators().values() if one.kind in ("gpu", "tpu") and one.announced)
    return [
        Point(one.id, year_of(one.announced), one.peak(), one.source)
        for one in rows
        if "announced" not in one.secondary
    ]


def largest_of_month(points: list[Point]) -> list[Point]:
    """One row per month, the largest.

    >>> [point.name for point in largest_of_month([Point("a", 1.0, 5.0, ""), Point("b", 1.0, 6.0, "")])]
    ['b']
    """
    best = {point.year: point for point in sorted(points, key=lambda point: point.value)}
    return [best[year] for year in sorted(best)]


def known_trends(level: float = 0.9) -> dict[str, Trend]:
    """The trends of the registries: training compute (all, the largest of their time, before 2022), tokens, peaks.

    >>> known_trends()["accelerators"].growth > 1.3
    True
    """
    compute = largest_of_month(_compute())
    early = [point for point in compute if point.year < 2022]
    tokens, peaks = records(_tokens()), largest_of_month(_peaks())
    return {
        "compute": fit_trend("training compute of notable models", "FLOP", compute, level),
        "largest_compute": fit_trend("training compute, the largest of its time", "FLOP", records(compute), level),
        "compute_before_2022": fit_trend("training compute before 2022", "FLOP", early, level),
        "tokens": fit_trend("training tokens, the most of their time", "tokens", tokens, level),
        "accelerators": fit_trend("dense 16-bit peak of an accelerator", "FLOP/s", peaks, level),
    }


def outlook(flops: float | None = None, *, law: str = LAW, level: float = 0.9) -> dict[str, Any]:
    """The trends, when they meet the stock of text, and when a budget is ordinary.

    `text` gives the years in which the most training tokens reach the stock, and in which the largest training compute
    needs it by the published law's best split. With `flops`, `budget` gives the years in which notable and largest
    training runs reach it, and how many of the fastest accelerators it takes for 90 days at their typical utilisation.

    >>> sorted(outlook(1e27))
    ['assumed', 'budget', 'level', 'text', 'trends']
    """
    trends = known_trends(level)
    text = {}
    for name, stock in STOCK.items():
        needs = _compute_for(law, stock)
        text[name] = {
            "stock": stock,
            "tokens": trends["tokens"].reaches(stock),
            "flops_needed": needs,
            "compute": trends["largest_compute"].reaches(needs),
        }
    told = {
        "level": level,
        "trends": {name: asdict(trend) for name, trend in trends.items()},
        "text": text,
        "budget": None if flops is None else _budget(trends, flops),
        "assumed": [*ASSUMED, f"tokens that a budget needs: the best split of {law}"],
    }
    return with_reasons(told)


def _compute_for(law: str, tokens: float) -> float:
    """The compute whose best split has so many tokens."""

    def excess(log_flops: float) -> float:
        return math.log(allocate(published(law), math.exp(log_flops)).tokens / tokens)

    found = crossing(excess, math.log(1e15), math.log(1e35))
    if found is None:
        raise RefusedError("out_of_reach", f"{law} never needs {tokens:.3g} tokens", "take another law")
    return math.exp(found)


def _budget(trends: dict[str, Trend], flops: float) -> dict[str, Any]:
    require_positive("compute", flops)
    known = read_accelerators()
    best = known[max(trends["accelerators"].points, key=lambda point: point.value).name]
    mfu = known.typical_use(best).value
    count = flops / (best.peak() * mfu * DAYS * 86_400)
    return {
        "flops": flops,
        "notable": trends["compute"].reaches(flops),
        "largest": trends["largest_compute"].reaches(flops),
        "accelerators": {"id": best.id, "name": best.name, "count": count, "days": DAYS, "mfu": mfu},
    }
