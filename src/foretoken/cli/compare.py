"""`foretoken compare`: how each published law would split a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, LevelOption
from foretoken.cli.printing import print_assumed, print_json, print_table, print_text

if TYPE_CHECKING:
    from foretoken.plans.advice import Comparison, LawAdvice


def compare(
    compute: Annotated[str, typer.Option(help="Budget: 5.76e23, '3640 PF-days' or '512 H100 for 30 days'.")],
    fit: Annotated[Path | None, typer.Option(help="Your own fit, beside the papers'.")] = None,
    estimator: Annotated[str, typer.Option(help="Which estimate of that fit: map or huber.")] = "map",
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
        show(comparison)


def show(comparison: Comparison) -> None:
    """Print a comparison."""
    from foretoken.units import format_flops

    headings = ("law", "parameters", "tokens", "tokens/param", "loss", "beyond its runs")
    title = f"the best split of {format_flops(comparison.flops)} by each law, losses in its own unit"
    print_table(headings, map(_cells, comparison.laws), title)
    for row in comparison.laws:
        loss = "" if row.loss is None else f"; loss: {row.loss_unit}"
        print_text(f"{row.id}: N {row.counting}; C {row.compute}; runs: {row.range}{loss}")
    for law in comparison.left_out:
        print_text(f"left out: {law.id}: {law.reason}")
    print_assumed(comparison.assumed)
    print_text("more: foretoken laws show NAME")


def _cells(row: LawAdvice) -> tuple[str, ...]:
    """A law's row of the table."""
    from foretoken.units import format_count, format_times

    factor, name = max(((factor, name) for name, factor in row.extrapolation.items()), default=(0.0, ""))
    reach = f"{format_times(factor, 3)} times in {name}" if factor > 1 else "inside" if name else "not recorded"
    return (
        row.id,
        format_count(row.params),
        format_count(row.tokens),
        f"{row.tokens_per_param:.3g}",
        "" if row.loss is None else f"{row.loss:.3f}",
        reach,
    )
