"""Abilities that were reported to emerge, against the compute of a plan: a figure, and what it does not say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from foretoken.compute.abilities import CAREFUL, SOURCE, AbilityReach
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, as_sentence, element, figure, section, table
from foretoken.reports.numbers import count, power


def abilities_section(flops: float, rows: Sequence[AbilityReach]) -> Html:
    """Training FLOP of the smallest model in which each ability was seen, beside those of the plan."""
    reached = sum(row.reached for row in rows)
    title = f"{reached} of {len(rows)} were first seen in models of no more compute"
    caption = (
        f"Training FLOP of the smallest model in which each ability was reported ({SOURCE}). Coloured: at most the "
        "plan's compute, which is dotted."
    )
    lines = [_line(flops, list(alike)) for flops, alike in groupby(rows, key=lambda row: row.flops)]
    panels = forest(
        "abilities", lines, "training FLOP", title=title, described=caption, marks=[(flops, "this plan")], log=power
    )
    cells = [[row.ability, power(row.flops), f"{row.model} {count(row.params)}", _yes(row.reached)] for row in rows]
    data = table(["ability", "FLOP", "first seen in", "reached"], cells, class_="plain")
    words = [element("p", as_sentence(warning), class_="doubt") for warning in CAREFUL]
    drawn = figure("abilities", title, panels, caption, data)
    return section("abilities-reported", "What was reported to emerge by this compute?", *words, drawn)


def _line(flops: float, alike: list[AbilityReach]) -> Line:
    """The abilities that were first seen at one compute."""
    more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
    models = ", ".join(dict.fromkeys(f"{row.model} {count(row.params)}" for row in alike))
    return Line(f"{alike[0].ability}{more}", flops, text=models, strong=alike[0].reached)


def _yes(reached: bool) -> str:
    return "yes" if reached else "no"
