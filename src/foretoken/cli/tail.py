"""`foretoken tail`: accuracy by how often facts stand in the training text, by size; what rarity costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    CeilingOption,
    ChanceOption,
    HtmlOption,
    JsonOption,
    LevelOption,
    MapOption,
    TableArgument,
    WhereOption,
    given_together,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page

if TYPE_CHECKING:
    from foretoken.abilities.tail_result import ModelTail, Slope, Tail


def tail(
    table: TableArgument,
    rename: MapOption = None,
    where: WhereOption = None,
    unit: Annotated[
        str, typer.Option("--unit", help="What scores are in, where numbers do not tell: fraction, percent.")
    ] = "",
    chance: ChanceOption = None,
    ceiling: CeilingOption = None,
    level: LevelOption = 0.9,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Tell how accuracy falls with how rarely facts stand in the training text, and what size makes up for it.

    Rows are answers (params, question, count, correct) or bins (params, count, score, n); `foretoken count` counts. A
    study that was scored on tasks made by code with counts (facts, operands) is read from its folder.

    Example: foretoken tail answers.csv --html tail.html
    """
    from foretoken.abilities import tail as long_tail
    from foretoken.runs.sources import parse_map

    result = long_tail(
        table,
        level=level,
        chance=chance,
        ceiling=ceiling,
        unit=unit,
        rename=parse_map(given_together(rename)),
        where=given_together(where),
    )
    write_page(html, result, table.name)
    if json:
        print_json(result.to_json())
    else:
        show(result)


def show(result: Tail) -> None:
    """Print the price of a decade, the slopes, and accuracy by decade of mentions for each model."""
    from foretoken.abilities.tail_result import sentence

    for task in result.tasks:
        print_text(sentence(task, result.level), bold=True)
        slopes = [f"{_slope(task.count_slope)} per decade of mentions"]
        slopes += [f"{_slope(task.params_slope)} per decade of parameters"] if task.params_slope else []
        print_text(f"log odds: {', '.join(slopes)}")
        decades = sorted({one.low for model in task.models for one in model.bins})
        headings = ("model", *(_decade(low) for low in decades), "per decade", "commonest less rarest tenth")
        title = f"accuracy by mentions, %, with {100 * result.level:g} % intervals"
        print_table(headings, (_row(model, decades) for model in task.models), title)
    print_checks(result.checks)
    print_assumed(result.assumed)


def _slope(slope: Slope) -> str:
    return f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"


def _decade(low: float) -> str:
    from foretoken.units import format_count

    return f"from {format_count(low) if low >= 1 else f'{low:g}'}" if low else "never"


def _row(model: ModelTail, decades: list[float]) -> tuple[str, ...]:
    # Decades that this model has no question of stay empty.
    found = {one.low: one for one in model.bins}
    cells = (
        f"{100 * one.accuracy:.1f} ({100 * one.accuracy_low:.0f} to {100 * one.accuracy_high:.0f})" if one else ""
        for one in map(found.get, decades)
    )
    gap = model.gap
    told = f"{100 * gap.gap:+.0f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})" if gap else ""
    return (model.name, *cells, _slope(model.slope), told)
