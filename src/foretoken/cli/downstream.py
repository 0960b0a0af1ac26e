"""`foretoken downstream`: the scores that a run will reach which was not trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    BetterOption,
    CeilingOption,
    ChanceOption,
    GroupOption,
    HtmlOption,
    ItemsOption,
    JsonOption,
    LawOption,
    LevelOption,
    MapOption,
    TableArgument,
    UnitOption,
    WhereOption,
    given_together,
)
from foretoken.cli.printing import (
    print_assumed,
    print_checks,
    print_json,
    print_table,
    print_text,
    score_cells,
    write_page,
)
from foretoken.cli.telling import say
from foretoken.units import format_count, format_flops

if TYPE_CHECKING:
    from foretoken.abilities.downstream_result import Downstream, TaskForecast

AtOption = Annotated[
    list[str],
    typer.Option("--at", metavar="PARAMS,TOKENS", help="The run, as 7B,140B; may be given several times."),
]
TasksOption = Annotated[str, typer.Option("--tasks", help="The tasks, as hellaswag,arc_easy; all unless given.")]
RouteOption = Annotated[
    str,
    typer.Option(
        "--route",
        help="weighed (by what each foretold of larger runs), two_step (through the loss), direct (straight from size"
        " and tokens), or observational (what models of many families share).",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the result to this file (JSON).")
]


def downstream(
    table: TableArgument,
    at: AtOption,
    tasks: TasksOption = "",
    route: RouteOption = "weighed",
    rename: MapOption = None,
    where: WhereOption = None,
    law: LawOption = "weighed",
    group: GroupOption = "",
    unit: UnitOption = "",
    better: BetterOption = "",
    chance: ChanceOption = None,
    ceiling: CeilingOption = None,
    items: ItemsOption = None,
    level: LevelOption = 0.9,
    out: OutOption = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Forecast the scores of a run from those of smaller ones: through its loss and straight from its size, weighed.

    Example: foretoken downstream scores.csv --at 7B,300B --html downstream.html
    """
    from foretoken.abilities.downstream import downstream as forecast_scores
    from foretoken.abilities.table import ScoreReading
    from foretoken.runs.sources import parse_map

    result = forecast_scores(
        table,
        at=at,
        tasks=tasks,
        route=route,
        law=law,
        level=level,
        rename=parse_map(given_together(rename)),
        where=given_together(where),
        reading=ScoreReading(group=group, unit=unit, better=better, chance=chance, ceiling=ceiling, items=items),
    )
    _write(result, out)
    write_page(html, result, table.name)
    if json:
        print_json(result.to_json())
    else:
        show(result)


def _write(result: Downstream, path: Path | None) -> None:
    if path is not None:
        result.save(path)
        say(f"wrote {path}")


def show(result: Downstream) -> None:
    """Print the scores of each run, the losses they rest on, and what was doubtful."""
    for loss in result.losses:
        print_text(
            f"{loss.group + ': ' if loss.group else ''}{_run(loss.params, loss.tokens)}, {format_flops(loss.flops)}:"
            f" loss {loss.loss:.4g} [{loss.low:.4g}, {loss.high:.4g}]"
        )
    headings = ("curve", "run", "score", f"{100 * result.level:g} % interval", "route", "compute", "")
    title = "scores of a new run, as fractions, with the interval of one new measurement"
    print_table(headings, map(_cells, result.tasks), title, left=2)
    if result.held_out:
        inside = sum(score.is_inside for score in result.held_out)
        print_text(
            f"the table's own larger runs, each forecast once from smaller ones: {inside} of {len(result.held_out)}"
            " scores inside their 90 % interval"
        )
    print_checks(result.checks)
    print_assumed(result.assumed)


def _run(params: float, tokens: float) -> str:
    return f"{format_count(params)} on {format_count(tokens)} tokens"


def _cells(task: TaskForecast) -> tuple[str, ...]:
    """A row of the table of runs and scores."""
    name, score, ends, beyond, told = score_cells(task)
    weight = max((one.weight for one in task.routes), default=0.0)
    route = f"{task.route.replace('_', ' ')} {100 * weight:.0f} %" if len(task.routes) > 1 else task.route
    return (name, _run(task.params, task.tokens), score, ends, route, beyond, told)
