"""`foretoken trends`: how fast training compute and accelerators grow, and when text runs out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from foretoken.cli.compare import TOLD
from foretoken.cli.options import JsonOption, LevelOption, print_assumed, print_json


def trends(
    compute: Annotated[str | None, typer.Option(help="Budget: when will a run like it be ordinary?")] = None,
    law: Annotated[str, typer.Option(help="Published law that says what tokens a budget needs.")] = "besiroglu_2024",
    level: LevelOption = 0.9,
    json: JsonOption = False,
) -> None:
    """Show growth rates of training compute, training sets and accelerators, and when they reach an amount.

    Example: foretoken trends --compute 1e27
    """
    from foretoken.compute.budget import parse_budget
    from foretoken.plans.compute_trends import outlook

    budget = None if compute is None else parse_budget(compute)
    found = outlook(None if budget is None else budget.flops, law=law, level=level)
    if budget is not None:
        found["assumed"] += [
            f"{one.name} {one.value:g} {one.unit}: {one.source}" for one in budget.assumed if one.name in TOLD
        ]
    if json:
        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from foretoken.units import format_count

    for trend in found["trends"].values():
        low, high = trend["growth_interval"]
        level = f"{100 * found['level']:g} %"
        typer.echo(
            f"{trend['name']}: {trend['growth']:.3g} times a year ({level}: {low:.3g} to {high:.3g}),"
            f" doubling in {trend['doubling_months']:.3g} months, {len(trend['points'])} rows"
        )
    for name, row in found["text"].items():
        typer.echo(
            f"{format_count(row['stock'])} tokens of text ({name} guess): the most training tokens reach them in"
            f" {_year(row['tokens'])}, the best split of the largest run ({row['flops_needed']:.3g} FLOP) in"
            f" {_year(row['compute'])}"
        )
    if found["budget"]:
        budget, machines = found["budget"], found["budget"]["accelerators"]
        typer.echo(
            f"{budget['flops']:.3g} FLOP: notable runs reach it in {_year(budget['notable'])}, the largest in"
            f" {_year(budget['largest'])}; {machines['count']:,.0f} {machines['name']} for {machines['days']:g} days at"
            f" {machines['mfu']:.0%} of their peak"
        )
    print_assumed(found["assumed"])


def _year(when: dict[str, float | None]) -> str:
    year, low, high = ("never" if when[key] is None else f"{when[key]:.1f}" for key in ("year", "low", "high"))
    return f"{year} ({low} to {high})"
