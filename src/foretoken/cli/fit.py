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

__all__ = ["fit", "fit_to_json", "open_table", "parse_map"]

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

    profiled = tuple(name.strip() for name in profile.split(",") if name.strip())
    fitted = fit_table(
        open_table(table, rename, where, law), law, params=params, level=level, objective=objective, profile=profiled
    )
    if out is not None:
        fitted.save(out)
    write_page(html, fitted, table.name)
    if json:
        print_json(fit_to_json(fitted))
    else:
        _show(fitted)


def fit_to_json(fitted: Fit) -> dict[str, Any]:
    """The keys of --json: numbers plain, `<name>_reason` beside a parameter that is null."""
    values = fitted.to_json()
    reasons = {f"{name}_reason": reason for name, reason in fitted.reasons.items()}
    return {**{key: values[key] for key in KEYS}, **reasons}


def _show(fitted: Fit) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = Table(title=f"{fitted.law}: {fitted.rows.used} runs, {fitted.status}", title_justify="left")
    for name in ("parameter", "estimate", f"{100 * fitted.level:g} % interval", "used by forecasts"):
        rows.add_column(name, justify="left" if name == "parameter" else "right")
    for name, value in fitted.parameters.items():
        low, high = fitted.intervals[name]
        estimate = "not identified" if value is None else f"{value:.5g}"
        rows.add_row(name, estimate, f"{low:.4g} to {high:.4g}", f"{fitted.map_parameters[name]:.5g}")
    console.print(rows)
    for dropped in fitted.rows.dropped:
        console.print(f"left out: {dropped.count} ({dropped.reason})", highlight=False)
    print_checks(fitted.checks)
    print_assumed(fitted.assumed)
    _show_sensitivity(console, fitted)


def _show_sensitivity(console: Console, fitted: Fit) -> None:
    """What another objective would have said."""
    from rich.table import Table

    rows = Table(title="by objective", title_justify="left")
    for name in ("objective", *fitted.unpenalised_parameters, "at 8 x compute"):
        rows.add_column(name, justify="left" if name == "objective" else "right")
    for entry in fitted.sensitivity:
        values = [f"{value:.4g}" for value in entry.parameters.values()]
        rows.add_row(entry.objective, *values, f"{entry.loss:.4f}")
    console.print(rows)
