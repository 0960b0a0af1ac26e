"""A figure of numbers with their intervals, one below the other; in a waterfall each begins at the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from foretoken.reports.html import Html
from foretoken.reports.numbers import significant
from foretoken.reports.svg import ACCENT, BAND_DEEP, INK, MUTED, PAPER, RULE, is_wide, log_axis, responsive, write_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 46
"""Pixels of one line: its name above, its mark below."""
BELOW = 52
WIDE_LETTERS, NARROW_LETTERS = 120, 50
"""Letters that a name and its number may have together, on a wide page and on a phone: at 11 pixels a letter of this
font is about 6 wide."""


@dataclass(frozen=True)
class Line:
    """One number."""

    name: str
    value: float | None
    interval: Sequence[float] | None = None
    text: str = ""
    """What stands at the right; the number with its interval unless given."""
    short: str = ""
    """The same where not all lines have room for it; the number unless given."""
    start: float | None = None
    """Where a waterfall's bar begins."""
    beside: float | None = None
    """Another source's number, drawn hollow."""
    strong: bool = False
    """Drawn in the accent colour."""

    @property
    def words(self) -> str:
        """The number as it stands at the right."""
        if self.text or self.value is None:
            return self.text or "none"
        band = " to ".join(significant(end) for end in self.interval) if self.interval else ""
        return significant(self.value) + (f" ({band})" if band else "")

    @property
    def short_words(self) -> str:
        """The number alone."""
        return self.short or ("" if self.value is None else significant(self.value))


def forest(
    key: str,
    lines: Sequence[Line],
    label: str,
    *,
    title: str,
    described: str,
    marks: Sequence[tuple[float, str]] = (),
    log: Callable[[float], str] | None = None,
) -> list[Html]:
    """The drawing for a wide page and for a phone; `marks` are upright lines with names, `log` writes a log axis."""
    draw = partial(_draw, lines=lines, label=label, marks=marks, log=log)
    height = ROW * len(lines) + BELOW + (18 if marks else 0)
    return responsive(key, draw, title=title, described=described, wide=(760, height), narrow=height)


def _draw(
    axes: Axes,
    *,
    lines: Sequence[Line],
    label: str,
    marks: Sequence[tuple[float, str]],
    log: Callable[[float], str] | None,
) -> None:
    low, high = _bounds(lines, [value for value, _ in marks], log is not None)
    if log is not None:
        log_axis(axes, "x", low, high, log)
    else:
        axes.set_xlim(low, high)
    # Rows go down the page; the first needs room for its name, which stands 0.36 of a row above its mark.
    axes.set_ylim(len(lines) - 0.35, -0.62)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for value, words in marks:
        axes.axvline(value, color=MUTED, linestyle=":", linewidth=1.2, zorder=1)
        # A name stands towards the middle of the axis, where there is room for it.
        middle = (low * high) ** 0.5 if log is not None else (low + high) / 2
        side = "left" if value < middle else "right"
        shift = (4 if side == "left" else -4, 2)
        write_label(axes, words, (value, 1), shift, colour=MUTED, ha=side, va="baseline", above=True)
    letters = WIDE_LETTERS if is_wide(axes) else NARROW_LETTERS
    whole = all(len(line.name) + len(line.words) <= letters for line in lines)
    for row, line in enumerate(lines):
        _draw_line(axes, row, line, letters, line.words if whole else line.short_words)
    axes.set_xlabel(label)


def _draw_line(axes: Axes, row: int, line: Line, letters: int, text: str) -> None:
    """Name and number above, as many `letters` of both as there is room for; bar and mark below."""
    style: Any = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 11}
    colour = ACCENT if line.strong else INK
    name = line.name if len(line.name) <= letters else line.name[: letters - 1] + "…"
    axes.text(0, row - 0.36, name, **style)
    if len(name) + len(text) <= letters:
        axes.text(1, row - 0.36, text, ha="right", color=MUTED, **style)
    axes.axhline(row, color=RULE, linewidth=0.5, zorder=0)
    if line.interval:
        axes.plot(list(line.interval), [row, row], color=colour, linewidth=2, zorder=3)
    if line.value is None:
        return
    if line.start is not None:
        axes.plot([line.start, line.value], [row, row], color=BAND_DEEP, linewidth=11, solid_capstyle="butt", zorder=2)
    if line.beside is not None:
        axes.plot(
            line.beside, row, "D", markerfacecolor=PAPER, color=MUTED, markersize=8, markeredgewidth=1.5, zorder=4
        )
    axes.plot(line.value, row, "o", color=colour, markersize=7, markeredgecolor=PAPER, zorder=5)


def _bounds(lines: Sequence[Line], marks: Sequence[float], log: bool) -> tuple[float, float]:
    """The axis: all numbers, their intervals and the marks, with some air."""
    values: list[float | None] = [*marks, *(end for line in lines for end in line.interval or ())]
    values += [value for line in lines for value in (line.value, line.start, line.beside)]
    # What a logarithm cannot take is not drawn, so it must not set the axis either.
    finite = [value for value in values if value is not None and math.isfinite(value) and (value > 0 or not log)]
    if not finite:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        air = max((high / low) ** 0.04, 1.02)
        return low / air, high * air
    air = 0.04 * (high - low) or 0.04 * abs(high) or 1.0
    return low - air, high + air
