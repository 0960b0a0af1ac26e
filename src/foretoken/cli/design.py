"""`foretoken design`: which runs a study plans, and what they would take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load
from foretoken.cli.printing import print_checks, print_json, print_table
from foretoken.units import format_count, format_duration, format_flops

if TYPE_CHECKING:
    from foretoken.designs import RunEstimate
    from foretoken.study.preview import StudyDesign


def design(
    study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print each planned run with its size, tokens, FLOPs and estimated seconds; nothing is trained.

    A design is refused when the study's law could not be fitted to its runs.

    Example: foretoken design quickstart
    """
    from foretoken.study.preview import design as preview

    planned = preview(load(study, seed), folder)
    if json:
        print_json(planned.to_json())
    else:
        _show(planned)
        print_checks(planned.checks)


def _show(planned: StudyDesign) -> None:
    target, count = planned.target, len(planned.runs)
    headings = ("group", "parameters", "tokens", "tokens/param", "FLOP", "estimated time")
    print_table(headings, map(_cells, [*planned.runs, target]))
    seconds = sum(run.seconds_estimated or 0.0 for run in planned.runs)
    typer.echo(
        f"\n{count} small runs: {format_flops(planned.total_flops)}, {100 * planned.share_of_target:.0f} % of the"
        f" target's; each trained from its own start they would take {format_flops(planned.separate_flops)}."
        f"\nThe target has {planned.compute_factor:.2f} times the FLOPs of the largest of them."
        f"\nEstimate on this machine: {format_duration(seconds / planned.workers)} for the small runs with"
        f" {planned.workers} workers, {_time(target.seconds_estimated)} for the target."
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
