"""`foretoken fit`: a law, fitted to a run table or to a study's runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LevelOption,
    MapOption,
    ParamsOption,
    TableArgument,
    WhereOption,
    open_table,
    parse_map,
    print_assumed,
    print_checks,
    print_json,
    write_page,
)

if TYPE_CHECKING:
    from rich.console import Console

    from foretoken.fits import Fit

__all__ = ["fit", "open_table", "parse_map", "plain_fit"]

KEYS = (
    "law",
    "status",
    "parameters",
    "intervals",
    "level",
    "forecast_parameters",
    "objective",
    "sensitivity",
    "profiles",
    "starts",
    "conditioning",
    "rows",
    "checks",
    "assumed",
    "noise",
    "ranges",
    "bootstrap",
    "params_column",
    "data_sha256",
    "version",
    "seconds",
    "interval_seconds",
)
"""What --json prints; the draws and residuals are in the file of --out."""


def fit(
    table: TableArgument,
    law: Annotated[str, typer.Option(help="Which law: chinchilla, coupled, power, or another of: foretoken laws")] = (
        "chinchilla"
    ),
    rename: MapOption = "",
    where: WhereOption = "",
    params: ParamsOption = "auto",
    level: LevelOption = 0.9,
    objective: Annotated[
        str, typer.Option(help="huber, least_squares, least_squares_raw, student_t or asymmetric.")
    ] = "huber",
    profile: Annotated[
        str, typer.Option(help="Profile likelihood of these too, beside that of E.", metavar="NAME,...")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the fit to this file, for predict.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Fit a law to runs, with its doubts.

    Example: foretoken fit runs.csv --map loss=val_loss -o fit.json
    """
    from foretoken.fits import fit as fit_table

    wanted = tuple(name.strip() for name in profile.split(",") if name.strip())
    found = fit_table(
        open_table(table, rename, where, law), law, params=params, level=level, objective=objective, profile=wanted
    )
    if out is not None:
        found.save(out)
    write_page(html, found, table.name)
    if json:
        print_json(plain_fit(found))
    else:
        _show(found)


def plain_fit(found: Fit) -> dict[str, Any]:
    """The keys of --json: numbers plain, `<name>_reason` beside a parameter that is null."""
    values = found.to_json()
    reasons = {f"{name}_reason": reason for name, reason in found.reasons.items()}
    return {**{key: values[key] for key in KEYS}, **reasons}


def _show(found: Fit) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = Table(title=f"{found.law}: {found.rows.used} runs, {found.status}", title_justify="left")
    for name in ("parameter", "estimate", f"{100 * found.level:g} % interval", "used by forecasts"):
        rows.add_column(name, justify="left" if name == "parameter" else "right")
    for name, value in found.parameters.items():
        low, high = found.intervals[name]
        estimate = "not identified" if value is None else f"{value:.5g}"
        rows.add_row(name, estimate, f"{low:.4g} to {high:.4g}", f"{found.map_parameters[name]:.5g}")
    console.print(rows)
    for dropped in found.rows.dropped:
        console.print(f"left out: {dropped.count} ({dropped.reason})", highlight=False)
    print_checks(found.checks)
    print_assumed(found.assumed)
    _show_sensitivity(console, found)


def _show_sensitivity(console: Console, found: Fit) -> None:
    """What another objective would have said."""
    from rich.table import Table

    rows = Table(title="by objective", title_justify="left")
    for name in ("objective", *found.unpenalised_parameters, "at 8 x compute"):
        rows.add_column(name, justify="left" if name == "objective" else "right")
    for entry in found.sensitivity:
        values = [f"{value:.4g}" for value in entry.parameters.values()]
        rows.add_row(entry.objective, *values, f"{entry.loss:.4f}")
    console.print(rows)
