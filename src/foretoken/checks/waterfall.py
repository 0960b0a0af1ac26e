"""A waterfall: how the exponent of N* moves, step by step, as one thing after another is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.errors import RefusedError
from foretoken.routes.isoflop import IsoflopFit, isoflop
from foretoken.runs.table import RunTable


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

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def with_changes(steps: list[Step]) -> list[Step]:
    """Steps with `change` filled in."""
    before: float | None = None
    filled = []
    for step in steps:
        change = None if before is None or step.exponent is None else step.exponent - before
        filled.append(Step(**{**step.to_json(), "change": change}))
        before = before if step.exponent is None else step.exponent
    return filled


def isoflop_waterfall(tables: Mapping[str, RunTable], *, params: str = "auto", level: float = 0.9) -> list[Step]:
    """One step per table, all by one rule.

    The minimum of Akima's interpolant over ln N per budget, budgets whose minimum sits at an edge left out, a power law
    through the rest; the exponent of the parabolas beside it.
    """
    steps = []
    for name, table in tables.items():
        found, parabola = (_isoflop(table, params, minimum, level) for minimum in ("interpolated", "parabola"))
        steps.append(
            Step(
                name,
                found.params_exponent if found else None,
                found.params_exponent_interval if found else None,
                None,
                parabola.params_exponent if parabola else None,
                len(found.interior) if found else 0,
                len(found.budgets) if found else 0,
            )
        )
    return with_changes(steps)


def _isoflop(table: RunTable, params: str, minimum: str, level: float) -> IsoflopFit | None:
    try:
        return isoflop(table, params=params, minimum=minimum, level=level)
    except RefusedError:
        return None


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
