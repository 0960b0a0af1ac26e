"""The page of a table of many recipes: how well each size of the ladder orders them, and whether it says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.decisions import words
from foretoken.decisions.accuracy import Accuracy, Decisions, ReliabilityBin
from foretoken.decisions.recipes import LEAST_SHARED
from foretoken.reports.html import Html, checks_list, figure, section, table
from foretoken.reports.numbers import count, percent, significant
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    INK,
    MUTED,
    PAPER,
    log_axis,
    padded,
    responsive,
    short_power,
    write_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def decisions_page(found: Decisions, options: PageOptions) -> Page:
    """All that a table of recipes says of decisions by small runs."""
    sentence = words.ranking(found)
    title = options.source or f"{len(found.recipes)} recipes"
    return Page(title=title, kicker="foretoken versus", sentence=sentence, parts=_parts(found, sentence))


def _parts(found: Decisions, sentence: str) -> Iterator[Html | None]:
    yield lead(sentence, _facts(found), found.checks)
    yield section("accuracy", "Which size is enough?", accuracy_figure(found))
    if found.reliability:
        yield section("reliability", "Is it right as often as it says?", reliability_figure(found.reliability))
    yield section("checks", "Checks", checks_list(found.checks))
    yield assumed_section(found.assumed)


def _facts(found: Decisions) -> Iterator[Fact]:
    yield "Recipes", str(len(found.recipes)), f"by `{found.by}`"
    yield "Best at the target", found.recipes[0], f"{found.ranked}: {found.better} is better"
    yield "Target", f"{count(found.target_params)} parameters", f"{count(found.target_tokens)} tokens"
    if found.ceiling is not None:
        yield "The target's own seeds agree", percent(found.ceiling, 0), "on the order of a pair, half against half"


def accuracy_figure(found: Decisions) -> Html:
    """The share of pairs that each size orders rightly, against the compute that its runs cost."""
    title = words.ranking(found)
    caption = (
        "Share of the pairs of recipes that are ordered as at the target, against the compute of the runs of a size "
        f"over that of the target's; bars are intervals at {percent(found.level, 0)} with recipes drawn anew. Filled: "
        "in the order of that size alone. Open: in the order of a law's forecasts from that size and all smaller ones "
        "(Magnusson et al. 2025 found the first as good). Dotted: a coin decides. A "
        f"size is one of which {percent(LEAST_SHARED, 0)} of the recipes have runs."
    )
    draw = partial(_draw_accuracy, found=found)
    panels = responsive("accuracy", draw, title=title, described=caption, wide=(760, 340), narrow=300)
    heads = ["N", "D", "of the compute", "decided rightly", "low", "high", "says", "by law"]
    data = [
        [
            count(size.params),
            count(size.tokens),
            percent(size.spent, 2),
            *(percent(share, 0) for share in (size.ranking.share, size.ranking.low, size.ranking.high)),
            percent(size.says, 0),
            percent(size.by_law.share if size.by_law else None, 0),
        ]
        for size in found.sizes
    ]
    return figure("accuracy", title, panels, caption, table(heads, data, class_="numbers"))


def reliability_figure(bins: Sequence[ReliabilityBin]) -> Html:
    """How often decisions were right, against the probability with which they were said."""
    all_pairs = sum(one.pairs for one in bins)
    right = sum(one.right * one.pairs for one in bins) / all_pairs
    said = sum(one.says * one.pairs for one in bins) / all_pairs
    title = f"Decisions said with {percent(said, 0)} on average were right in {percent(right, 0)} of {all_pairs} cases"
    caption = (
        "Each point: decisions that were said with about one probability, and the share of them that was "
        "right at the target; on the diagonal they are right as often as said. Beside it: how many decisions."
    )
    draw = partial(_draw_reliability, bins=bins)
    panels = responsive("reliability", draw, title=title, described=caption, wide=(760, 340), narrow=320)
    heads = ["said", "right", "decisions"]
    data = [[percent(one.says, 1), percent(one.right, 1), significant(one.pairs)] for one in bins]
    return figure("reliability", title, panels, caption, table(heads, data, class_="numbers"))


def _draw_accuracy(axes: Axes, *, found: Decisions) -> None:
    spent = [size.spent for size in found.sizes]
    below = [size.spent_below for size in found.sizes]
    log_axis(axes, "x", *padded([*spent, *below, 1.0], 0.04), short_power)
    axes.axhline(50, color=MUTED, linestyle=":", linewidth=1.4)
    write_label(axes, "a coin", (1.0, 50), (-2, -8), colour=MUTED, ha="right")
    if found.ceiling is not None:
        axes.axhline(100 * found.ceiling, color=MUTED, linewidth=1)
        at = (1.0, 100 * found.ceiling)
        write_label(axes, "target's own seeds", at, (-2, -8), colour=MUTED, ha="right")
    laws = [(x, size.by_law) for x, size in zip(below, found.sizes, strict=True) if size.by_law]
    ranked = [(x, size.ranking) for x, size in zip(spent, found.sizes, strict=True)]
    _draw_shares(axes, laws, INK, PAPER)
    _draw_shares(axes, ranked, ACCENT, ACCENT)
    axes.set_ylim(0, 106)
    axes.set_xlabel("compute, of the target's runs")
    axes.set_ylabel("pairs ordered rightly (%)")


def _draw_shares(axes: Axes, shares: list[tuple[float, Accuracy]], colour: str, fill: str) -> None:
    for x, one in shares:
        axes.plot([x, x], [100 * one.low, 100 * one.high], color=BAND, linewidth=5, zorder=1)
    ys = [100 * one.share for _, one in shares]
    axes.plot([x for x, _ in shares], ys, "o-", color=colour, markerfacecolor=fill, markersize=6, zorder=3)


def _draw_reliability(axes: Axes, *, bins: Sequence[ReliabilityBin]) -> None:
    axes.plot([50, 100], [50, 100], color=MUTED, linestyle=":", linewidth=1.4)
    says, right = ([100 * getattr(one, name) for one in bins] for name in ("says", "right"))
    axes.plot(says, right, "o-", color=ACCENT, markersize=7, zorder=3)
    for x, y, one in zip(says, right, bins, strict=True):
        write_label(axes, str(one.pairs), (x, y), (6, -9), colour=MUTED, size=10)
    axes.set_xlim(48, 102)
    axes.set_ylim(0, 104)
    axes.set_xlabel("said (%)")
    axes.set_ylabel("right (%)")
