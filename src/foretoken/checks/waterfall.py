"""A waterfall: how the exponent of N* moves, step by step, as one thing after another is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Step:
    """One bar of a waterfall."""

    name: str
    exponent: float | None
    """a in N* ~ C^a."""
    interval: Sequence[float] | None
    change: float | None
    """Against the step before that has an exponent."""
    parabola: float | None = None
    """The same by parabolas, where the step comes from IsoFLOP curves."""
    budgets: int | None = None
    """Budgets with an interior minimum, out of `of_budgets`."""
    of_budgets: int | None = None


def with_changes(steps: list[Step]) -> list[Step]:
    """Steps with `change` filled in."""
    before: float | None = None
    filled = []
    for step in steps:
        change = None if before is None or step.exponent is None else step.exponent - before
        filled.append(replace(step, change=change))
        before = before if step.exponent is None else step.exponent
    return filled


def draw_waterfall(steps: list[Step], width: int = 40) -> list[str]:
    """The steps as lines of text: a bar from 0, and the change that each step made."""
    top = max((step.exponent for step in steps if step.exponent is not None), default=1.0)
    lines = []
    for step in steps:
        if step.exponent is None:
            lines.append(f"{step.name:<44} no exponent")
            continue
        bar = "█" * round(width * step.exponent / top)
        change = "" if step.change is None else f" ({step.change:+.3f})"
        lines.append(f"{step.name:<44} {bar:<{width}} {step.exponent:.3f}{change}")
    return lines
