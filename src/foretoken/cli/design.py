"""`foretoken design`: what would be run, and what it would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretoken.cli.options import (
    FolderOption,
    JsonOption,
    SeedOption,
    StudyArgument,
    load,
    print_checks,
    print_json,
)
from foretoken.units import format_count, format_duration, format_flops

if TYPE_CHECKING:
    from foretoken.designs import RunEstimate
    from foretoken.study.preview import StudyDesign


def design(
    study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print each planned run with its size, tokens, FLOPs and estimated seconds; nothing is trained.

    Runs to which the study's law could not be fitted are refused.

    Example: foretoken design studies/quickstart.toml
    """
    from foretoken.study.preview import design as preview

    planned = preview(load(study, seed), folder)
    if json:
        print_json(planned.to_json())
    else:
        _show(planned)
        print_checks(planned.checks)


def _show(planned: StudyDesign) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("group", "parameters", "tokens", "tokens/param", "FLOP", "estimate", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for run in [*planned.runs, planned.target]:
        table.add_row(*_cells(run))
    console, target = Console(), planned.target
    console.print(table)
    seconds = sum(run.seconds_estimated or 0.0 for run in planned.runs)
    console.print(
        f"\n{len(planned.runs)} small runs: {format_flops(planned.total_flops)}, "
        f"{100 * planned.share_of_target:.0f} % of the target's; trained one by one from the start they would take "
        f"{format_flops(planned.separate_flops)}."
        f"\nThe target has {planned.compute_factor:.2f} times the FLOPs of the largest of them."
        f"\nEstimate on this machine: {format_duration(seconds / planned.workers)} for the small runs with "
        f"{planned.workers} workers, {_time(target.seconds_estimated)} for the target.",
        highlight=False,
    )


def _cells(run: RunEstimate) -> list[str]:
    return [
        run.group,
        format_count(run.params_total),
        format_count(run.tokens),
        f"{run.tokens / run.params_total:.0f}",
        format_flops(run.flops).removesuffix(" FLOP"),
        _time(run.seconds_estimated),
    ]


def _time(seconds: float | None) -> str:
    return "no training" if seconds is None else format_duration(seconds)
