"""`foretoken diagnose`: what is doubtful about a run table, before any law is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    MapOption,
    ParamsOption,
    TableArgument,
    WhereOption,
    open_table,
    print_assumed,
    print_checks,
    print_json,
    write_page,
)

if TYPE_CHECKING:
    from foretoken.checks.conventions import Conventions


def diagnose(
    table: TableArgument,
    rename: MapOption = "",
    where: WhereOption = "",
    params: ParamsOption = "auto",
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Name what is wrong or doubtful with a table, with the evidence and the cure; also where a fit is refused.

    Ends with the exponent of N* under every convention of N and C that the columns allow.

    Example: foretoken diagnose runs.csv --map loss=val_loss
    """
    from foretoken.checks.diagnose import diagnose as look

    found = look(open_table(table, rename, where), params=params)
    write_page(html, found, table.name)
    if json:
        print_json(found.to_json())
        return
    typer.echo(f"{found.rows.used} usable runs, N counted by {found.params_column}, {found.flops}")
    for dropped in found.rows.dropped:
        typer.echo(f"left out: {dropped.count} ({dropped.reason})")
    print_checks(found.checks)
    if not found.checks:
        typer.echo("nothing is doubtful by the checks that these columns allow")
    for entry in found.unchecked:
        typer.echo(f"not looked for: {entry.what} (needs {' or '.join(entry.columns)})")
    print_assumed(found.assumed)
    _show(found.conventions)


def _show(found: Conventions) -> None:
    from rich.console import Console
    from rich.table import Table

    from foretoken.checks.waterfall import draw_waterfall

    if found.reason:
        typer.echo(f"no table of conventions: {found.reason}")
        return
    shown = Table(title="exponent of N* by convention", title_justify="left")
    for name in ("N", "C"):
        shown.add_column(name)
    for name in ("a", "90 %", "N* at the largest C"):
        shown.add_column(name, justify="right")
    for entry in found.entries:
        band = "{:.3f} to {:.3f}".format(*entry.interval)
        shown.add_row(entry.params, entry.compute, f"{entry.exponent:.3f}", band, f"{entry.largest.params:.3g}")
    Console().print(shown)
    for line in draw_waterfall(found.waterfall):
        typer.echo(line)
    if found.absent:
        typer.echo(f"the columns do not allow: {', '.join(found.absent)}")
