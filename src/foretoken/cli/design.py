"""`foretoken design`: which runs a study plans, and what they would take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load
from foretoken.cli.printing import print_checks, print_json, print_table, print_text
from foretoken.errors import ForetokenError
from foretoken.units import format_count, format_duration, format_flops

if TYPE_CHECKING:
    from foretoken.designs import RunEstimate
    from foretoken.study.by_hand import Form
    from foretoken.study.preview import StudyDesign


CsvOption = Annotated[bool, typer.Option("--csv", help="Print the runs without a record as a table, with all fields.")]
ShellOption = Annotated[bool, typer.Option("--shell", help="Print a shell script that starts them.")]
SlurmOption = Annotated[bool, typer.Option("--slurm", help="Print a batch script of SLURM, an array of them.")]
SkypilotOption = Annotated[bool, typer.Option("--skypilot", help="Print a task of SkyPilot for them.")]


def design(
    study: StudyArgument,
    seed: SeedOption = None,
    folder: FolderOption = None,
    csv: CsvOption = False,
    shell: ShellOption = False,
    slurm: SlurmOption = False,
    skypilot: SkypilotOption = False,
    json: JsonOption = False,
) -> None:
    """Print each planned run with its size, tokens, FLOPs and estimated seconds; nothing is trained.

    A design is refused when the study's law could not be fitted to its runs. For runs that you start by hand, print
    them as a table or a script, and bring their results home with `foretoken record`.

    Example: foretoken design quickstart
    """
    forms: dict[Form, bool] = {"csv": csv, "shell": shell, "slurm": slurm, "skypilot": skypilot}
    asked = [form for form, is_asked in forms.items() if is_asked]
    if len(asked) + json > 1:
        raise ForetokenError(
            "one form at a time", got=", ".join(f"--{name}" for name in [*asked, "json"][: len(asked) + json])
        )
    if asked:
        from foretoken.study.by_hand import start_script

        print_text(start_script(load(study, seed), asked[0], folder).removesuffix("\n"))
        return
    from foretoken.study.preview import design as preview

    planned = preview(load(study, seed), folder)
    if json:
        print_json(planned.to_json())
    else:
        show(planned)


def show(planned: StudyDesign) -> None:
    """Print a design."""
    target, count = planned.target, len(planned.runs)
    headings = ("group", "parameters", "tokens", "tokens/param", "FLOP", "estimated time")
    print_table(headings, map(_cells, [*planned.runs, target]))
    print_text(
        f"\n{count} small runs: {format_flops(planned.total_flops)}, {100 * planned.share_of_target:.0f} % of the"
        f" target's{_shared(planned)}."
        f"\nThe target has {planned.compute_factor:.2f} times the FLOPs of the largest of them."
        f"\n{_times(planned)}"
    )
    print_checks(planned.checks)


def _shared(planned: StudyDesign) -> str:
    """What is saved by runs of one size that share what they have in common; nothing where none do."""
    if math.isclose(planned.separate_flops, planned.total_flops):
        return "; each is trained from its own start"
    return f"; each trained from its own start they would take {format_flops(planned.separate_flops)}"


def _times(planned: StudyDesign) -> str:
    seconds = [run.seconds_estimated for run in planned.runs if run.seconds_estimated is not None]
    if len(seconds) < len(planned.runs):
        return f"Estimate on this machine: {planned.target.seconds_estimated_reason}"
    return (
        f"Estimate on this machine: {format_duration(sum(seconds) / planned.workers)} for the small runs with"
        f" {planned.workers} workers, {_time(planned.target)} for the target."
    )


def _cells(run: RunEstimate) -> list[str]:
    return [
        run.group,
        format_count(run.params_total),
        format_count(run.tokens),
        f"{run.tokens / run.params_total:.0f}",
        format_flops(run.flops).removesuffix(" FLOP"),
        _time(run),
    ]


def _time(run: RunEstimate) -> str:
    """How long it takes, or the first words of why that is not known: not trained, not measured."""
    if run.seconds_estimated is None:
        return (run.seconds_estimated_reason or "").partition(":")[0]
    return format_duration(run.seconds_estimated)
