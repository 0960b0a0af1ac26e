"""The page of waterfalls: how one thing after another moves the exponent of N*, with published values beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foretoken.checks.waterfall import Step
from foretoken.reports.diagnosis_page import waterfall_figure
from foretoken.reports.html import section
from foretoken.reports.numbers import number
from foretoken.reports.summary import Page, lead


@dataclass(frozen=True)
class Waterfalls:
    """The steps of one or more tables, by the name of the table."""

    steps: Mapping[str, Sequence[Step]]
    published: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Exponents that a paper printed for the same steps, by the name of the table."""


def waterfall_page(found: Waterfalls, source: str = "") -> Page:
    """One waterfall per table, with the published values of its steps."""
    figures = [
        section(
            f"table-{place}", name, waterfall_figure(steps, found.published.get(name, ()), key=f"waterfall-{place}")
        )
        for place, (name, steps) in enumerate(found.steps.items())
    ]
    ends = [
        f"{name}: {number(known[0].exponent, 3)} to {number(known[-1].exponent, 3)}"
        for name, steps in found.steps.items()
        if (known := [step for step in steps if step.exponent is not None])
    ]
    sentence = f"The exponent of N*, step by step. {'; '.join(ends)}."
    title = source or "Waterfall of the exponent"
    return Page(title=title, kicker="foretoken waterfall", sentence=sentence, parts=[lead(sentence, []), *figures])
