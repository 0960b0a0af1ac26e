"""`foretoken approaches`: every known route from runs to the best size, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LevelOption,
    LossUnitOption,
    MapOption,
    ParamsOption,
    TableArgument,
    WhereOption,
    open_table,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page

if TYPE_CHECKING:
    from foretoken.routes.approaches import Approaches
    from foretoken.routes.route import Route
    from foretoken.runs.table import RunTable


def approaches(
    table: TableArgument,
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    params: ParamsOption = "auto",
    level: LevelOption = 0.9,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Compare the routes to N* = G C^a: envelope, IsoFLOP minima, parametric law, and Kaplan's.

    Rows that share `parent` or `run` are points of one training curve. A study's folder brings its own curves.

    Example: foretoken approaches runs.csv --map loss=val_loss --json
    """
    from foretoken.routes.approaches import approaches as compare

    runs = open_table(table, rename, where, loss_unit=loss_unit)
    compared = compare(runs, curves=_curves(table), params=params, level=level)
    write_page(html, compared, table.name, runs=runs)
    if json:
        print_json(compared.to_json())
    else:
        show(compared)


def _curves(path: Path) -> RunTable | None:
    """The training curves that a folder's records keep, if any."""
    import pandas as pd

    from foretoken.runs.table import RunTable, curve_rows
    from foretoken.store.read import records_in

    if not path.is_dir():
        return None
    rows = curve_rows(records_in(path))
    return RunTable(pd.DataFrame(rows), f"training curves of {path}") if rows else None


def show(compared: Approaches) -> None:
    """Print the routes."""
    largest = next((route.largest.flops for route in compared.routes if route.largest), 0.0)
    headings = ("route", "exponent a", f"{100 * compared.level:g} % interval", "G", "N* [parameters]", "bias of a")
    title = f"N* = G C^a, N counted by {compared.params_column}; N* at {largest:.3g} FLOP"
    title += f"; loss in {compared.loss_unit}"
    print_table(headings, map(_cells, compared.routes), title)
    for route in compared.routes:
        print_text(f"{route.name}: {route.reason or route.method}.")
    print_checks(compared.checks)
    print_assumed(compared.assumed)


def _cells(route: Route) -> tuple[str, ...]:
    """A route's row of the table: its name alone where the data do not allow it, N* alone where one budget has it."""
    if route.exponent is None or route.exponent_interval is None or route.largest is None:
        best = f"{route.largest.params:.3g} at {route.largest.flops:.3g} FLOP" if route.largest else ""
        return (route.name, "", "", "", best, "")
    return (
        route.name,
        f"{route.exponent:.3f}",
        "{:.3f} to {:.3f}".format(*route.exponent_interval),
        f"{route.prefactor:.3g}",
        f"{route.largest.params:.3g}",
        "" if route.bias is None else f"{route.bias.exponent:+.3f}",
    )
