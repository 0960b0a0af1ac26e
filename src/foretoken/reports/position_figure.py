"""Figure: loss by place in the sequence: what the text before a token is worth, and up to where."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import count, number
from foretoken.reports.study_results import TARGET, StudyResults
from foretoken.reports.svg import ACCENT, MUTED, drawing, log_axis, short_count
from foretoken.runs.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 5
"""Runs that are drawn: the largest of the ladder, spread over sizes, and the target."""
CAPTION = (
    "Validation loss (nats per token) by the place of the token in its sequence, in doublings of the place; a point "
    "stands at the last place of its range. The more a curve still falls at its end, the more the model makes of "
    "distant text. Grey: runs of the ladder, the longest of some sizes; coloured: the target."
)


def positions_figure(study: StudyResults) -> Html | None:
    """One line per run; None where losses are not known by place (objectives other than next-token prediction)."""
    shown = _shown(study.records)
    if not shown:
        return None
    drawn = drawing("positions", (640, 300), partial(_draw, records=shown), title=_title(shown[-1]), described=CAPTION)
    return figure("positions", _title(shown[-1]), [drawn], CAPTION, _data(shown))


def _shown(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The longest run of each size, at most MOST, the largest last."""
    longest: dict[tuple[bool, int], RunRecord] = {}
    for record in records:
        key = (record.spec.group == TARGET, record.spec.parameters.total)
        if record.by_position and (key not in longest or record.spec.tokens > longest[key].spec.tokens):
            longest[key] = record
    ordered = [longest[key] for key in sorted(longest)]
    step = max(1, -(-len(ordered) // MOST))
    return ordered[::-1][::step][::-1]


def _title(record: RunRecord) -> str:
    first, last = record.by_position[0], record.by_position[-1]
    half = record.by_position[-2] if len(record.by_position) > 1 else first
    return (
        f"From place {half[0]:.0f}–{half[1]:.0f} to {last[0]:.0f}–{last[1]:.0f} the largest run gains "
        f"{number(half[2] - last[2], 3)} of {number(first[2] - last[2], 2)} nats"
    )


def _draw(axes: Axes, *, records: Sequence[RunRecord]) -> None:
    places = [row[1] for row in records[0].by_position]
    log_axis(axes, "x", 0.9, 1.5 * places[-1], short_count)
    named: list[tuple[float, str, str]] = []
    for rank, record in enumerate(records):
        target = record.spec.group == TARGET
        x, y = [row[1] for row in record.by_position], [row[2] for row in record.by_position]
        colour, width = (ACCENT, 2.0) if target else (MUTED, 1.0 + 0.3 * rank)
        axes.plot(x, y, "o-", color=colour, linewidth=width, markersize=3)
        named.append((y[-1], count(record.spec.parameters.total), colour))
    gap, low = 0.06 * (axes.get_ylim()[1] - axes.get_ylim()[0]), -float("inf")
    for place, name, colour in sorted(named):  # no two names closer than a line
        low = max(place, low + gap)
        axes.annotate(name, (places[-1], low), (6, 0), textcoords="offset points", color=colour, va="center")
    axes.set_xlabel("place in the sequence")
    axes.set_ylabel("loss (nats per token)")


def _data(records: Sequence[RunRecord]) -> Html:
    headers = ["places", *(f"{count(record.spec.parameters.total)} parameters" for record in records)]
    rows = [
        [f"{row[0]:.0f}–{row[1]:.0f}", *(number(record.by_position[place][2], 4) for record in records)]
        for place, row in enumerate(records[0].by_position)
    ]
    return table(headers, rows, class_="numbers")
