"""The page of published laws: the best size and its tokens that each paper's numbers give, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from foretoken.laws import find_law
from foretoken.laws.published import Published
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, element, figure, section, table
from foretoken.reports.numbers import count, number, power, significant
from foretoken.reports.summary import Page, PageOptions, lead
from foretoken.reports.svg import (
    ACCENT,
    INK,
    MUTED,
    RULE,
    apart,
    is_wide,
    log_axis,
    padded,
    responsive,
    short_count,
    short_power,
    write_label,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMPUTES = (1e18, 1e21, 1e24, 1e26)
SMALL, LARGE = 1, 2
LABEL, AXIS = 230, 60
"""Pixels for the names at the right, and for the axis at the left."""
REFITTED = "besiroglu_2024"
"""Hoffmann's law fitted again, drawn in the accent colour."""
CAREFUL = (
    "Each law is taken in its own paper's counts of N, D and C, which differ: the distance between two lines is partly "
    "that of their conventions. Compute is split as C = 6 N D. Losses are of different texts and tokenizers and do not "
    "compare at all, so none is drawn."
)


@dataclass(frozen=True)
class Advice:
    """Best sizes and their tokens at COMPUTES by one published law."""

    name: str
    params: list[float]
    tokens: list[float]
    source: str
    counting: str

    @property
    def ratios(self) -> list[float]:
        """Tokens per parameter."""
        return [tokens / params for tokens, params in zip(self.tokens, self.params, strict=True)]


def published_page(entries: Mapping[str, Published], options: PageOptions) -> Page:
    """All published laws that split compute between size and tokens."""
    advices = [advice for name, entry in entries.items() if (advice := _advice(name, entry)) is not None]
    ratios = [advice.ratios[LARGE] for advice in advices]
    sentence = (
        f"At {power(COMPUTES[LARGE])} FLOP, {len(advices)} published laws ask for {significant(min(ratios), 2)} to "
        f"{significant(max(ratios), 2)} tokens per parameter."
    )
    return Page(
        title=options.source or "Published laws",
        kicker="foretoken laws",
        sentence=sentence,
        parts=[
            lead(sentence, []),
            section("split", "How to split compute", element("p", CAREFUL), _ratios(advices), _sizes(advices)),
            section("sources", "Sources", _sources(advices, entries)),
        ],
    )


def _advice(name: str, entry: Published) -> Advice | None:
    """None for laws that do not split compute, or need more than it."""
    import numpy as np

    law = find_law(entry.law)
    if law.optimum is None:
        return None
    # C = 6 N D for every law, so that all split the same compute.
    sizes, tokens = law.optimum(entry.parameters, np.array(COMPUTES), 6.0)
    return Advice(name, [float(n) for n in sizes], [float(d) for d in tokens], entry.source, entry.counting)


def _ratios(advices: Sequence[Advice]) -> Html:
    small, large = (power(COMPUTES[index]) for index in (SMALL, LARGE))
    ordered = sorted(advices, key=lambda advice: advice.ratios[LARGE])
    rising = sum(advice.ratios[LARGE] > 1.05 * advice.ratios[SMALL] for advice in advices)
    title = f"From {small} to {large} FLOP, {rising} of {len(advices)} laws ask for more tokens per parameter"
    caption = f"Tokens per parameter of the best run at {large} FLOP (filled) and at {small} FLOP (hollow)."
    lines = [
        Line(a.name, a.ratios[LARGE], text=significant(a.ratios[LARGE], 3), beside=a.ratios[SMALL]) for a in ordered
    ]
    panels = forest("ratios", lines, "tokens per parameter", title=title, described=caption, log=_tick)
    heads = ["id", *(f"at {power(flops)}" for flops in COMPUTES)]
    rows = [[advice.name, *(significant(ratio) for ratio in advice.ratios)] for advice in ordered]
    return figure("ratios", title, panels, caption, table(heads, rows, class_="numbers"))


def _tick(value: float) -> str:
    return f"{value:g}"


def _sizes(advices: Sequence[Advice]) -> Html:
    sizes = [advice.params[LARGE] for advice in advices]
    title = f"Best sizes at {power(COMPUTES[LARGE])} FLOP lie between {count(min(sizes))} and {count(max(sizes))}"
    caption = "Best size against compute. Dashed: Kaplan et al. 2020. Coloured: Hoffmann's law, refitted in 2024."
    draw = partial(_draw, advices=advices)
    panels = responsive("sizes", draw, title=title, described=caption, wide=(760, 460), narrow=340)
    heads = ["id", *(f"N* at {power(flops)}" for flops in COMPUTES), "exponent"]
    rows = [[advice.name, *map(count, advice.params), number(_exponent(advice), 3)] for advice in advices]
    return figure("sizes", title, panels, caption, table(heads, rows, class_="numbers"))


def _exponent(advice: Advice) -> float:
    # The slope of ln N* over ln C between two computes: the exponent itself where the law is a power of C.
    ends = advice.params[LARGE] / advice.params[SMALL]
    return math.log(ends) / math.log(COMPUTES[LARGE] / COMPUTES[SMALL])


def _draw(axes: Axes, *, advices: Sequence[Advice]) -> None:
    labelled = is_wide(axes)
    room = LABEL / (760 - LABEL - AXIS) if labelled else 0.0
    # Ticks end with the data: the part of the axis below the names would carry labels of no curve.
    low, high = padded(COMPUTES, 0.02)
    write = lambda flops: short_power(flops) if flops <= high else ""  # noqa: E731
    log_axis(axes, "x", low, high * (high / low) ** room, write)
    log_axis(axes, "y", *padded([size for advice in advices for size in advice.params], 0.03), short_count)
    for advice in advices:
        dashed = advice.name.startswith("kaplan_2020")
        style, order = "--" if dashed else "-", 3 if advice.name == REFITTED else 2
        axes.plot(COMPUTES, advice.params, color=_colour(advice), linestyle=style, linewidth=1.4, zorder=order)
    axes.set_xlabel("compute C (FLOP)")
    axes.set_ylabel("best size N*")
    if not labelled:
        return
    bottom, top = map(math.log, axes.get_ylim())
    ends = [math.log(advice.params[-1]) for advice in advices]
    heights, last = apart(ends, (top - bottom) * 15 / 400), COMPUTES[-1]
    for advice, end, height in zip(advices, ends, heights, strict=True):
        level = math.exp(height)
        axes.plot([1.1 * last, 2.5 * last], [math.exp(end), level], color=RULE, linewidth=0.8)
        write_label(axes, advice.name, (3 * last, level), colour=_colour(advice), size=10)


def _colour(advice: Advice) -> str:
    if advice.name == REFITTED:
        return ACCENT
    return MUTED if advice.name.startswith("kaplan_2020") else INK


def _sources(advices: Sequence[Advice], entries: Mapping[str, Published]) -> Html:
    rows = [
        [element("code", a.name), a.source, a.counting, entries[a.name].compute, entries[a.name].status]
        for a in advices
    ]
    return table(["id", "source", "N counts", "C counts", "how it was checked"], rows, class_="words")
