"""`foretoken trends`: how fast training compute and accelerators grow, and when text runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import JsonOption, LevelOption
from foretoken.cli.printing import print_assumed, print_json, print_text

if TYPE_CHECKING:
    from foretoken.plans import Trends
    from foretoken.plans.growth import Reach


def trends(
    compute: Annotated[str | None, typer.Option(help="A budget: when will runs reach it?")] = None,
    law: Annotated[str, typer.Option(help="Published law for the tokens that a budget needs.")] = "besiroglu_2024",
    level: LevelOption = 0.9,
    json: JsonOption = False,
) -> None:
    """Show growth rates of training compute, training sets and accelerators, and when they reach an amount.

    Example: foretoken trends --compute 1e27
    """
    from foretoken.plans import trends as fit_trends

    outlook = fit_trends(compute, law=law, level=level)
    if json:
        print_json(outlook.to_json())
    else:
        show(outlook)


def show(outlook: Trends) -> None:
    """Print trends."""
    from foretoken.units import format_count

    for trend in outlook.trends.values():
        low, high = trend.growth_interval
        print_text(
            f"{trend.name}: {trend.growth:.3g} times a year ({100 * outlook.level:g} %: {low:.3g} to {high:.3g}),"
            f" doubling in {trend.doubling_months:.3g} months, {len(trend.points)} rows"
        )
    for name, row in outlook.text.items():
        print_text(
            f"{format_count(row.stock)} tokens of text ({name} guess): the largest training sets reach them in"
            f" {_year(row.tokens)}, the best split of the largest run ({row.flops_needed:.3g} FLOP) in"
            f" {_year(row.compute)}"
        )
    if outlook.budget:
        budget, machines = outlook.budget, outlook.budget.accelerators
        print_text(
            f"{budget.flops:.3g} FLOP: notable runs reach that in {_year(budget.notable)}, the largest in"
            f" {_year(budget.largest)}; {machines.count:,.0f} {machines.name} for {machines.days:g} days at"
            f" {machines.mfu:.0%} of their peak"
        )
    print_assumed(outlook.assumed)


def _year(reach: Reach) -> str:
    year, low, high = ("never" if year is None else f"{year:.1f}" for year in (reach.year, reach.low, reach.high))
    return f"{year} ({low} to {high})"
