"""Figure: the waterfall of the exponent of N*, step by step, with published values beside where there are any."""

from __future__ import annotations

from collections.abc import Sequence

from foretoken.checks.waterfall import Step
from foretoken.reports.elements import Html, figure, table
from foretoken.reports.forest import Line, forest
from foretoken.reports.numbers import interval, number


def waterfall_figure(
    steps: Sequence[Step], published: Sequence[float | None] = (), *, key: str = "waterfall", label: str = ""
) -> Html:
    """Each step's bar begins where the one before ended; `published` are others' values, in the order of the steps."""
    known = [step for step in steps if step.exponent is not None]
    others = [*published, *[None] * (len(steps) - len(published))]
    title = _title(known)
    caption = (
        "Exponent a of N* ~ C^a. A bar runs from the step before to this one; the line is this step's interval."
        + (" Hollow: the published value." if any(other is not None for other in others) else "")
    )
    panels = forest(key, _lines(steps, others), label or "exponent a of N* ~ C^a", title=title, described=caption)
    rows = [
        [
            step.name,
            number(step.exponent, 3),
            interval(step.interval),
            "" if step.change is None else number(step.change, 3),
            number(other, 3),
            number(step.parabola, 3),
            "" if step.budgets is None else f"{step.budgets} of {step.of_budgets}",
        ]
        for step, other in zip(steps, others, strict=True)
    ]
    heads = ["step", "exponent", "interval", "change", "published", "by parabolas", "budgets with a minimum"]
    return figure(key, title, panels, caption, table(heads, rows, class_="numbers"))


def _lines(steps: Sequence[Step], others: Sequence[float | None]) -> list[Line]:
    before: float | None = None
    lines = []
    for step, other in zip(steps, others, strict=True):
        change = "" if step.change is None else f" ({step.change:+.3f})".replace("-", "−")
        said = "no exponent" if step.exponent is None else f"{number(step.exponent, 3)}{change}"
        said += f", published {number(other, 3)}" if other is not None else ""
        start = step.exponent if before is None else before
        lines.append(Line(step.name, step.exponent, step.interval, said=said, start=start, beside=other))
        before = before if step.exponent is None else step.exponent
    return lines


def _title(known: Sequence[Step]) -> str:
    if len(known) < 2:
        return "Too few steps with an exponent"
    largest = max(known, key=lambda step: abs(step.change or 0.0))
    return (
        f"From {number(known[0].exponent, 3)} to {number(known[-1].exponent, 3)}; the largest step, "
        f"{number(largest.change, 3)}, is: {largest.name}"
    )
