"""`foretoken next`: the ladder to run first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text
from foretoken.cli.request_options import takes_options
from foretoken.cli.telling import say
from foretoken.escapes import command
from foretoken.ladders.request import NextRunRequest

if TYPE_CHECKING:
    from foretoken.ladders.ladder import NextRun


@takes_options(NextRunRequest)
def next(
    request: NextRunRequest,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a study of these runs, which foretoken run trains.")
    ] = None,
    context: Annotated[int, typer.Option(help="Tokens of a sequence, in the study file.")] = 4096,
    json: JsonOption = False,
) -> None:
    """Choose the small runs to train before a target: those that tell most about it per FLOP, and when to stop.

    Example: foretoken next --compute 1e22 --law besiroglu_2024 --spend 5e20
    """
    from foretoken.ladders.ladder import choose_ladder

    ladder = choose_ladder(request, _ignore if json else say)
    _write(ladder, out, context)
    print_json(ladder.to_json()) if json else show(ladder)


def _ignore(text: str) -> None:
    """Beside JSON nothing is told."""


def _write(ladder: NextRun, out: Path | None, context: int) -> None:
    """The ladder as a study file named like the file, if one was asked for."""
    if out is None:
        return
    from foretoken.ladders.study_toml import ladder_toml
    from foretoken.store.atomic import write_output

    write_output(out, ladder_toml(ladder, out.stem, context).encode())
    say(f"wrote {out}; {command('run', out)}, when its [corpus] names your text")


def show(ladder: NextRun) -> None:
    """A table of the runs, then what they are worth."""
    from foretoken.units import format_count, format_flops

    rows = [
        (
            format_count(run.params),
            format_count(run.tokens),
            f"{run.flops:.3g}",
            f"{run.seeds}",
            f"{run.learning_rates}",
        )
        for run in ladder.runs
    ]
    if rows:
        print_table(("parameters", "tokens", "FLOP", "seeds", "learning rates"), rows, left=0)
        price = "" if ladder.total_usd is None else f", ${ladder.total_usd:,.0f}"
        print_text(f"together {format_flops(ladder.total_flops)}{price}")
    else:
        print_text("no runs")
    expected, grid = ladder.expected, ladder.isoflop
    now = "" if expected.half_width_before is None else f" (now {100 * expected.half_width_before:.2f} %)"
    within = f"within {100 * expected.half_width_after:.2f} % (90 %){now}"
    print_text(f"expected: the target's loss ({ladder.loss_unit}) {within}")
    as_precise = grid.same_precision_flops
    precise = (
        grid.same_precision_flops_reason if as_precise is None else (f"one as precise costs {format_flops(as_precise)}")
    )
    if rows:
        print_text(f"an IsoFLOP grid of this cost: within {100 * grid.half_width:.2f} %; {precise}")
    where = f"stop at {format_flops(ladder.stop.flops)}" if ladder.stop.flops else "train none"
    print_text(f"{where}: {ladder.stop.reason}")
    print_checks(ladder.checks)
    print_assumed(ladder.assumed)
