"""`foretoken next`: the ladder to run first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from foretoken.cli.options import JsonOption, listed, print_assumed, print_checks, print_json

if TYPE_CHECKING:
    from foretoken.ladders.next_run import NextRun

Compute = Annotated[str | None, typer.Option(help="Of the target: 1e22 FLOP, 512 H100 for 30 days.")]
Spend = Annotated[
    str | None, typer.Option(help="For the ladder: 5e20, $5000 of H100; what pays for itself if left out.")
]
Largest = Annotated[str | None, typer.Option(help="Most of one run, as --spend; a third of it if left out.")]
Sizes = Annotated[str, typer.Option(help="Sizes that can be built: 10M,25M,60M; any if left out.")]
Noise = Annotated[float | None, typer.Option(help="Spread of one long run's ln loss; from the fit, or 0.004.")]
RateError = Annotated[float, typer.Option(help="What the rule's learning rate may cost; offers runs with three rates.")]
GoalOption = Annotated[
    Literal["both", "loss", "size"], typer.Option(help="What counts: both, loss (the forecast), size (the best split).")
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="A study file that trains these runs.")]


def next(
    compute: Compute = None,
    params: Annotated[str | None, typer.Option(help="Parameters of the target, instead of --compute.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Its training tokens.")] = None,
    fit: Annotated[Path | None, typer.Option(help="What is known: a fit. Its runs count.")] = None,
    law: Annotated[str | None, typer.Option(help="Or a published law, taken loosely.")] = None,
    spend: Spend = None,
    runs: Annotated[int, typer.Option(help="Most trainings.")] = 50,
    seeds: Annotated[int, typer.Option(help="Most seeds of one size and length.")] = 1,
    largest: Largest = None,
    sizes: Sizes = "",
    usd_per_flop: Annotated[float | None, typer.Option(help="Price, for example 1.4e-18.")] = None,
    noise: Noise = None,
    learning_rate_error: RateError = 0.0,
    goal: GoalOption = "both",
    formula: Annotated[str, typer.Option(help="The law that will be fitted, where there is no --fit.")] = "coupled",
    seed: Annotated[int, typer.Option(help="Of the draws and of the search.")] = 0,
    out: Out = None,
    context: Annotated[int, typer.Option(help="Tokens of a sequence, in that file.")] = 4096,
    json: JsonOption = False,
) -> None:
    """Say which small runs to train before a target: the most certainty about it per FLOP, and when to stop.

    Example: foretoken next --compute 1e22 --law besiroglu_2024 --spend 5e20
    """
    from foretoken.ladders.next_run import next_run

    ladder = next_run(
        compute,
        params=params,
        tokens=tokens,
        fit=fit,
        law=law,
        spend=spend,
        runs=runs,
        seeds=seeds,
        largest=largest,
        sizes=listed(sizes),
        usd_per_flop=usd_per_flop,
        noise=noise,
        learning_rate_error=learning_rate_error,
        goal=goal,
        formula=formula,
        seed=seed,
    )
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
