"""Figure: training curves, one panel per size, with the cooldown branches joined to their trunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from foretoken.reports.elements import Html, figure, table
from foretoken.reports.numbers import count, number, power
from foretoken.reports.study_results import TARGET, StudyResults
from foretoken.reports.svg import ACCENT, INK, MUTED, Budget, drawing, log_axis, padded, short_count
from foretoken.runs.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 60
"""Points of a curve that are drawn; the records keep all."""
EARLY = 0.1
"""Share of a run that does not count for the axes: its steep start would flatten the rest."""


def curves_figure(study: StudyResults, budgets: dict[str, Budget]) -> Html | None:
    """Small multiples with shared axes; None before any run has a curve."""
    sizes = _by_size(study.records)
    if not sizes:
        return None
    shown = [record for records in sizes.values() for record in records]
    bounds = _bounds(shown)
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
            partial(_draw, records=records, budgets=budgets, bounds=bounds, name=name),
            title=f"Training curves of {name}",
            described=caption,
        )
        for rank, (name, records) in enumerate(sizes.items())
    ]
    return figure("curves", _title(shown), panels, caption, _data(shown), columns=4)


def _by_size(records: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Records that have a curve, by number of parameters; the target comes last."""
    found: dict[tuple[bool, int], list[RunRecord]] = defaultdict(list)
    for record in records:
        if len(record.curve) > 1:
            found[record.spec.group == TARGET, record.spec.parameters.total].append(record)
    names = {key: f"{count(key[1])} parameters" if not key[0] else f"target, {count(key[1])}" for key in found}
    return {names[key]: sorted(found[key], key=lambda record: record.spec.tokens) for key in sorted(found)}


def _title(records: Sequence[RunRecord]) -> str:
    trunks = {record.parent or record.spec.key for record in records}
    shared = (
        f"{len(records)} runs grew on {len(trunks)} trunks" if len(trunks) < len(records) else f"{len(records)} runs"
    )
    lost = sum(record.status == "diverged" for record in records)
    return f"{shared}; {lost or 'none'} diverged"


def _bounds(records: Sequence[RunRecord]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shared axes of tokens and loss; the steep start of a run, before EARLY of its tokens, may leave them."""
    points = [(record, p) for record in records for p in record.curve]
    late = [(record, p) for record, p in points if p[0] >= EARLY * record.spec.tokens] or points
    healthy = [p[1] for record, p in late if record.status != "diverged"] or [p[1] for _, p in late]
    losses = healthy + [record.loss for record in records if record.loss is not None]
    low, high = min(losses), max(losses)
    return padded([p[0] for _, p in late], 0.03), (low - 0.08 * (high - low), high + 0.04 * (high - low))


def _draw(
    axes: Axes,
    *,
    records: Sequence[RunRecord],
    budgets: dict[str, Budget],
    bounds: tuple[tuple[float, float], tuple[float, float]],
    name: str,
) -> None:
    log_axis(axes, "x", *bounds[0], short_count)
    axes.set_ylim(*bounds[1])
    for record in reversed(records):
        budget = budgets.get(record.spec.group)
        colour = ACCENT if record.spec.group == TARGET else budget.colour if budget else INK
        start = record.spec.tokens - record.spec.cooldown_steps * record.spec.batch_tokens
        first = record is max((r for r in records if r.parent == record.parent), key=lambda r: r.spec.tokens)
        trunk = [point for point in record.curve if point[0] <= start]
        if first or record.parent is None:
            axes.plot(*_columns(_thinned(trunk)), color=MUTED, linewidth=1, zorder=2)
        branch = trunk[-1:] + [point for point in record.curve if point[0] > start]
        axes.plot(*_columns(_thinned(branch)), color=colour, linewidth=1.5, zorder=3)
        if record.status == "diverged":
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

    places = np.unique(np.geomspace(1, len(points), MOST_POINTS).round().astype(int) - 1)
    return [points[place] for place in places]


def _data(records: Sequence[RunRecord]) -> Html:
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
