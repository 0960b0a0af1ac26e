"""`foretoken compare`: what each published law would say of a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, LevelOption, print_assumed, print_json

if TYPE_CHECKING:
    from foretoken.plans.advice import Comparison


def compare(
    compute: Annotated[str, typer.Option(help="Budget: 5.76e23, '3640 PF-days' or '512 H100 for 30 days'.")],
    fit: Annotated[Path | None, typer.Option(help="Your own fit, beside the papers'.")] = None,
    estimator: Annotated[str, typer.Option(help="Of that fit: map or huber.")] = "map",
    level: LevelOption = 0.9,
    json: JsonOption = False,
) -> None:
    """Show how every published law would split a budget, what it counts, and how far beyond its runs that lies.

    Example: foretoken compare --compute 5.76e23
    """
    from foretoken.plans.advice import compare as compare_laws

    comparison = compare_laws(compute, fit=fit, estimator=estimator, level=level)
    if json:
        print_json(comparison.to_json())
    else:
        _show(comparison)


def _show(comparison: Comparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from foretoken.units import format_count, format_flops

    title = f"the best split of {format_flops(comparison.flops)}, by each law"
    shown = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("law", no_wrap=True)
    for name in ("N", "D", "D/N", "loss", "beyond its runs"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in comparison.laws:
        far = max(((factor, name) for name, factor in row.extrapolation.items()), default=None)
        shown.add_row(
            row.id,
            format_count(row.params),
            format_count(row.tokens),
            f"{row.tokens_per_param:.3g}",
            "" if row.loss is None else f"{row.loss:.3f}",
            "not recorded" if far is None else f"{far[0]:.3g}x in {far[1]}",
        )
    Console().print(shown)
    for row in comparison.laws:
        typer.echo(f"{row.id}: N {row.counting}; C {row.compute}; runs: {row.range}")
    for law in comparison.left_out:
        typer.echo(f"left out: {law.id}: {law.reason}")
    print_assumed(comparison.assumed)
    typer.echo("more: foretoken laws show NAME, docs/allocation.md")
