"""`foretoken fit`: a law, fitted to a run table or to a study's runs."""

from __future__ import annotations

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from foretoken.fits import Fit
    from foretoken.runs.table import RunTable

KEYS = (
    "law",
    "status",
    "parameters",
    "intervals",
    "level",
    "forecast_parameters",
    "objective",
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
    table: Annotated[Path, typer.Argument(help="Run table (.csv, .jsonl, .parquet), or a study's folder.")],
    law: Annotated[str, typer.Option(help="Which law: chinchilla, coupled or power.")] = "chinchilla",
    rename: Annotated[
        str, typer.Option("--map", help="Columns by other names: loss=val_loss,tokens=D", metavar="OURS=THEIRS,...")
    ] = "",
    params: Annotated[str, typer.Option(help="Column that is N, or auto.")] = "auto",
    level: Annotated[float, typer.Option(help="Probability that an interval holds.")] = 0.9,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the fit to this file, for predict.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fit a law to runs, with its doubts.

    Example: foretoken fit runs.csv --map loss=val_loss -o fit.json
    """
    from foretoken.fits import fit as fit_table

    found = fit_table(open_table(table, rename), law, params=params, level=level)
    if out is not None:
        found.save(out)
    if json:
        typer.echo(json_module.dumps(plain_fit(found), indent=1, allow_nan=False))
    else:
        _show(found)


def open_table(path: Path, rename: str = "") -> RunTable:
    """A run table from a file, or from a study's folder (its ladder, without the target)."""
    from foretoken.folder import ladder_table
    from foretoken.runs.table import read_table

    if not path.is_dir():
        return read_table(path, parse_map(rename))
    table = ladder_table(path)
    return replace(table, assumed=(*table.assumed, "the study's target is left out of the fit"))


def parse_map(text: str) -> dict[str, str]:
    """`loss=val_loss,tokens=D` -> {"loss": "val_loss", "tokens": "D"}."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    for ours, equals, theirs in pairs:
        if not (ours.strip() and equals and theirs.strip()):
            raise ForetokenError("--map is not readable", expected="loss=val_loss,tokens=D", got=repr(text))
    names = [ours.strip() for ours, _, _ in pairs]
    if len(set(names)) < len(names):
        raise ForetokenError("--map names one of our columns twice", expected="loss=val_loss,tokens=D", got=repr(text))
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def plain_fit(found: Fit) -> dict[str, Any]:
    """The keys of --json: numbers plain, `<name>_reason` beside a parameter that is null."""
    values = found.to_json()
    reasons = {f"{name}_reason": reason for name, reason in found.reasons.items()}
    return {**{key: values[key] for key in KEYS}, **reasons}


def _show(found: Fit) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = Table(title=f"{found.law}: {found.rows['used']} runs, {found.status}", title_justify="left")
    for name in ("parameter", "estimate", f"{100 * found.level:g} % interval", "used by forecasts"):
        rows.add_column(name, justify="left" if name == "parameter" else "right")
    for name, value in found.parameters.items():
        band = found.intervals[name]
        interval = "" if band is None else f"{band[0]:.4g} to {band[1]:.4g}"
        estimate = "not identified" if value is None else f"{value:.5g}"
        rows.add_row(name, estimate, interval, f"{found.forecast_parameters[name]:.5g}")
    console.print(rows)
    for dropped in found.rows["dropped"]:
        console.print(f"left out: {dropped['count']} ({dropped['reason']})", highlight=False)
    for check in found.checks:
        console.print(f"{check.severity}: {check.code}: {check.evidence}. {check.cure}.", highlight=False, markup=False)
    for sentence in found.assumed:
        console.print(f"assumed: {sentence}", highlight=False, markup=False)
