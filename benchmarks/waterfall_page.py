"""The page of waterfalls: how one thing after another moves the exponent of N*, with published values beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foretoken.checks.waterfall import Step
from foretoken.reports.diagnosis_page import waterfall_figure
from foretoken.reports.html import section
from foretoken.reports.numbers import number
from foretoken.reports.summary import Page, lead


def waterfall_page(
    steps_by_table: Mapping[str, Sequence[Step]], published: Mapping[str, Sequence[float]] | None = None
) -> Page:
    """One waterfall per table; `published` are exponents that a paper printed for the same steps."""
    printed = published or {}
    figures = [
        section(f"table-{rank}", name, waterfall_figure(steps, printed.get(name, ()), key=f"waterfall-{rank}"))
        for rank, (name, steps) in enumerate(steps_by_table.items())
    ]
    ends = [
        f"{name}: {number(known[0].exponent, 3)} to {number(known[-1].exponent, 3)}"
        for name, steps in steps_by_table.items()
        if (known := [step for step in steps if step.exponent is not None])
    ]
    sentence = f"The exponent of N*, step by step. {'; '.join(ends)}."
    title = "From Kaplan to Chinchilla"
    return Page(title=title, kicker="benchmarks/published.py", sentence=sentence, parts=[lead(sentence, []), *figures])
