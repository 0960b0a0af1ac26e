"""Figures of the runs: training curves by size, and loss by position in the sequence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.reports.html import Html, figure, table
from foretoken.reports.numbers import count, number, power
from foretoken.reports.palette import Budgets, colour_of
from foretoken.reports.study_results import TARGET
from foretoken.reports.svg import ACCENT, MUTED, drawing, log_axis, padded, short_count, write_label
from foretoken.runs.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 60
"""Points of a curve that are drawn; the records keep all."""
EARLY = 0.1
"""Share of a run that does not count for the axes: its steep start would flatten the rest."""


def curves_figure(records: Sequence[RunRecord], budgets: Budgets) -> Html | None:
    """Small multiples with shared axes; None before any run has a curve."""
    sizes = _by_size(records)
    if not sizes:
        return None
    shown = [record for same_size in sizes.values() for record in same_size]
    bounds = _curve_bounds(shown)
    caption = (
        "Training loss (nats per token) against tokens seen, the same axes in every panel, the first steps left out. "
        "Grey: the trunk at constant learning rate. "
        "Coloured by compute budget: the cooldown at the end of a run. Circle: its validation loss, which the law is "
        "fitted to. Cross: diverged."
    )
    panels = [
        drawing(
            f"curves-{rank}",
            (215, 180),
            partial(_draw_curves, records=same_size, budgets=budgets, bounds=bounds, name=name),
            title=f"Training curves of {name}",
            described=caption,
        )
        for rank, (name, same_size) in enumerate(sizes.items())
    ]
    return figure("curves", _curves_title(shown), panels, caption, _curves_data(shown), columns=4)


def _by_size(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records that have a curve, by number of parameters; the target comes last."""
    by_size: dict[tuple[bool, int], list[RunRecord]] = defaultdict(list)
    for record in records:
        if len(record.curve) > 1:
            by_size[record.spec.group == TARGET, record.spec.parameters.total].append(record)
    names = {key: f"{count(key[1])} parameters" if not key[0] else f"target, {count(key[1])}" for key in by_size}
    return {names[key]: sorted(by_size[key], key=lambda record: record.spec.tokens) for key in sorted(by_size)}


def _curves_title(records: Sequence[RunRecord]) -> str:
    trunks = {record.parent or record.spec.key for record in records}
    shared = (
        f"{len(records)} runs branch from {len(trunks)} trunk{'s' * (len(trunks) > 1)}"
        if len(trunks) < len(records)
        else f"{len(records)} run{'s' * (len(records) != 1)}"
    )
    lost = sum(record.has_diverged for record in records)
    return f"{shared}; {lost or 'none'} diverged"


def _curve_bounds(records: Sequence[RunRecord]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shared axes of tokens and loss; the steep start of a run, before EARLY of its tokens, may leave them."""
    points = [(record, p) for record in records for p in record.curve]
    # A diverged run would set the axis to its last losses, so healthy runs alone do, where there are any.
    late = [(record, p) for record, p in points if p[0] >= EARLY * record.spec.tokens] or points
    healthy = [p[1] for record, p in late if not record.has_diverged] or [p[1] for _, p in late]
    losses = healthy + [record.loss for record in records if record.loss is not None]
    low, high = min(losses), max(losses)
    return padded([p[0] for _, p in late], 0.03), (low - 0.08 * (high - low), high + 0.04 * (high - low))


def _draw_curves(
    axes: Axes,
    *,
    records: Sequence[RunRecord],
    budgets: Budgets,
    bounds: tuple[tuple[float, float], tuple[float, float]],
    name: str,
) -> None:
    log_axis(axes, "x", *bounds[0], short_count)
    axes.set_ylim(*bounds[1])
    for record in reversed(records):
        colour = ACCENT if record.spec.group == TARGET else colour_of(record.spec.group, budgets)
        start = record.spec.tokens - record.spec.cooldown_steps * record.spec.batch_tokens
        # Branches share their trunk: only the longest of them draws it.
        first = record is max((r for r in records if r.parent == record.parent), key=lambda r: r.spec.tokens)
        trunk = [point for point in record.curve if point[0] <= start]
        if first or record.parent is None:
            axes.plot(*_columns(_thinned(trunk)), color=MUTED, linewidth=1, zorder=2)
        # The branch begins with the trunk's last point, so that the two lines meet.
        branch = trunk[-1:] + [point for point in record.curve if point[0] > start]
        axes.plot(*_columns(_thinned(branch)), color=colour, linewidth=1.5, zorder=3)
        if record.has_diverged:
            last = record.curve[-1]
            axes.plot(
                last[0], min(last[1], 0.96 * bounds[1][1]), "x", color=colour, markersize=8, markeredgewidth=2, zorder=4
            )
        elif record.loss is not None:
            axes.plot(
                record.spec.tokens, record.loss, "o", markerfacecolor="none", color=colour, markersize=5, zorder=4
            )
    axes.set_title(name)


def _columns(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]


def _thinned(points: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """At most MOST_POINTS of a curve, evenly spread over log tokens, the last one included."""
    if len(points) <= MOST_POINTS:
        return points
    import numpy as np

    # The axis is logarithmic in tokens, so even steps of log index are even on paper.
    indices = np.unique(np.geomspace(1, len(points), MOST_POINTS).round().astype(int) - 1)
    return [points[index] for index in indices]


def _curves_data(records: Sequence[RunRecord]) -> Html:
    rows = [
        [
            record.spec.key[:8],
            count(record.spec.parameters.total),
            count(record.spec.tokens),
            power(record.spec.flops),
            record.parent[:8] if record.parent else "—",
            number(record.curve[-1][1], 4),
            number(record.loss, 4),
        ]
        for record in records
    ]
    headers = ["run", "N", "D", "C (FLOP)", "trunk", "last training loss", "validation loss"]
    return table(headers, rows, class_="numbers")


MOST_SIZES = 5
"""Runs that are drawn: the largest of the ladder, spread over sizes, and the target."""
POSITIONS_CAPTION = (
    "Validation loss (nats per token) by the position of the token in its sequence, in doublings; a point "
    "stands at the last position of its range. The more a curve still falls at its end, the more the model uses "
    "distant text. Grey: runs of the ladder, the longest of some sizes; coloured: the target."
)


def positions_figure(records: Sequence[RunRecord]) -> Html | None:
    """One line per run; None where losses by position are not known (objectives other than next-token prediction)."""
    shown = _longest_runs(records)
    if not shown:
        return None
    drawn = drawing(
        "positions",
        (640, 300),
        partial(_draw_positions, records=shown),
        title=_positions_title(shown[-1]),
        described=POSITIONS_CAPTION,
    )
    return figure("positions", _positions_title(shown[-1]), [drawn], POSITIONS_CAPTION, _positions_data(shown))


def _longest_runs(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The longest run of each size, at most MOST_SIZES, the largest last."""
    longest: dict[tuple[bool, int], RunRecord] = {}
    for record in records:
        key = (record.spec.group == TARGET, record.spec.parameters.total)
        if record.by_position and (key not in longest or record.spec.tokens > longest[key].spec.tokens):
            longest[key] = record
    ordered = [longest[key] for key in sorted(longest)]
    # Every step-th size counted from the largest, which is the last and always among them.
    step = max(1, -(-len(ordered) // MOST_SIZES))
    return ordered[::-1][::step][::-1]


def _positions_title(record: RunRecord) -> str:
    first, last = record.by_position[0], record.by_position[-1]
    # The last range is the second half of the sequence, the one before it the quarter before that.
    half = record.by_position[-2] if len(record.by_position) > 1 else first
    return (
        f"From position {half[0]:.0f}–{half[1]:.0f} to {last[0]:.0f}–{last[1]:.0f} the largest run gains "
        f"{number(half[2] - last[2], 3)} of {number(first[2] - last[2], 2)} nats"
    )


def _draw_positions(axes: Axes, *, records: Sequence[RunRecord]) -> None:
    positions = [row[1] for row in records[0].by_position]
    log_axis(axes, "x", 0.9, 1.5 * positions[-1], short_count)
    named: list[tuple[float, str, str]] = []
    for rank, record in enumerate(records):
        target = record.spec.group == TARGET
        x, y = [row[1] for row in record.by_position], [row[2] for row in record.by_position]
        colour, width = (ACCENT, 2.0) if target else (MUTED, 1.0 + 0.3 * rank)
        axes.plot(x, y, "o-", color=colour, linewidth=width, markersize=3)
        named.append((y[-1], count(record.spec.parameters.total), colour))
    gap, low = 0.06 * (axes.get_ylim()[1] - axes.get_ylim()[0]), -float("inf")
    # Upwards through the names: each at its own curve, or one line above the name below it.
    for loss, name, colour in sorted(named):
        low = max(loss, low + gap)
        write_label(axes, name, (positions[-1], low), (6, 0), colour=colour, size=12)
    axes.set_xlabel("position in the sequence")
    axes.set_ylabel("loss (nats per token)")


def _positions_data(records: Sequence[RunRecord]) -> Html:
    headers = ["positions", *(f"{count(record.spec.parameters.total)} parameters" for record in records)]
    rows = [
        [f"{row[0]:.0f}–{row[1]:.0f}", *(number(record.by_position[index][2], 4) for record in records)]
        for index, row in enumerate(records[0].by_position)
    ]
    return table(headers, rows, class_="numbers")
