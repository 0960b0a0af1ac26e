"""`foretoken next`: the ladder to run first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, print_assumed, print_checks, print_json
from foretoken.cli.request_options import takes_options
from foretoken.ladders.request import NextRunRequest

if TYPE_CHECKING:
    from foretoken.ladders.ladder import NextRun


@takes_options(NextRunRequest)
def next(
    request: NextRunRequest,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A study file that trains these runs.")] = None,
    context: Annotated[int, typer.Option(help="Tokens of a sequence, in that file.")] = 4096,
    json: JsonOption = False,
) -> None:
    """Say which small runs to train before a target: the most certainty about it per FLOP, and when to stop.

    Example: foretoken next --compute 1e22 --law besiroglu_2024 --spend 5e20
    """
    from foretoken.ladders.ladder import choose_ladder

    ladder = choose_ladder(request)
    _write(ladder, out, context)
    print_json(ladder.to_json()) if json else _print(ladder)


def _write(ladder: NextRun, out: Path | None, context: int) -> None:
    """The ladder as a study file named like the file, if one was asked for."""
    if out is None:
        return
    from foretoken.ladders.study_toml import ladder_toml
    from foretoken.store.atomic import write_file

    write_file(out, ladder_toml(ladder, out.stem, context).encode())
    typer.echo(f"wrote {out}; see `foretoken design {out}`, then `foretoken run {out}`", err=True)


def _print(ladder: NextRun) -> None:
    """A table of the runs, then what they are worth."""
    from foretoken.units import format_count, format_flops

    typer.echo("    params     tokens             FLOP  seeds  learning rates")
    for run in ladder.runs:
        columns = f"{format_count(run.params):>10s} {format_count(run.tokens):>10s} {format_flops(run.flops):>16s}"
        typer.echo(f"{columns} {run.seeds:6d} {run.learning_rates:15d}")
    price = "" if ladder.total_usd is None else f", ${ladder.total_usd:,.0f}"
    typer.echo(f"together {format_flops(ladder.total_flops)}{price}")
    expected, grid = ladder.expected, ladder.isoflop
    now = "" if expected.half_width_before is None else f" (now {100 * expected.half_width_before:.2f} %)"
    typer.echo(f"expected: the target's loss within {100 * expected.half_width_after:.2f} % (90 %){now}")
    same = grid.same_precision_flops
    as_good = grid.same_precision_flops_reason if same is None else f"one as good costs {format_flops(same)}"
    typer.echo(f"an IsoFLOP grid of this cost: {100 * grid.half_width:.2f} %; {as_good}")
    typer.echo(f"stop at {format_flops(ladder.stop.flops)}: {ladder.stop.reason}")
    print_checks(ladder.checks)
    print_assumed(ladder.assumed)
