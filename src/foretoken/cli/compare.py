"""`foretoken compare`: what each published law would say of a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, LevelOption, print_assumed, print_json

if TYPE_CHECKING:
    from foretoken.plans.compare import Comparison

TOLD = ("peak", "mfu")
"""What turns machines and hours into FLOP."""


def compare(
    compute: Annotated[str, typer.Option(help="Budget: 5.76e23, '3640 PF-days' or '512 H100 for 30 days'.")],
    fit_file: Annotated[Path | None, typer.Option("--fit", help="Your own fit, beside the papers'.")] = None,
    estimator: Annotated[str, typer.Option(help="Of that fit: map or huber.")] = "map",
    level: LevelOption = 0.9,
    json: JsonOption = False,
) -> None:
    """Show how every published law would split a budget, what it counts, and how far beyond its runs that lies.

    Example: foretoken compare --compute 5.76e23
    """
    from foretoken.compute.budget import parse_budget
    from foretoken.plans.compare import compare as compared
    from foretoken.plans.loss_model import fitted

    own = None
    if fit_file is not None:
        from foretoken.fits.result import Fit

        own = fitted(Fit.load(fit_file), estimator=estimator, level=level)
    budget = parse_budget(compute)
    found = compared(budget.flops, own)
    found.assumed.extend(
        f"{one.name} {one.value:g} {one.unit}: {one.source}" for one in budget.assumed if one.name in TOLD
    )
    if json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: Comparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from foretoken.units import format_count, format_flops

    title = f"the best split of {format_flops(found.flops)}, by each law"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("law", no_wrap=True)
    for name in ("N", "D", "D/N", "loss", "beyond its runs"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in found.laws:
        far = max(((factor, name) for name, factor in row.extrapolation.items()), default=None)
        shown.add_row(
            row.id,
            format_count(row.params),
            format_count(row.tokens),
            f"{row.tokens_per_param:.3g}",
            "" if row.loss is None else f"{row.loss:.3f}",
            "not told" if far is None else f"{far[0]:.3g}x in {far[1]}",
        )
    Console().print(shown)
    for row in found.laws:
        typer.echo(f"{row.id}: N {row.counting}; C {row.compute}; runs: {row.range}")
    for one in found.left_out:
        typer.echo(f"left out: {one['id']}: {one['reason']}")
    print_assumed(found.assumed)
    typer.echo("more: foretoken laws show NAME, docs/allocation.md")
