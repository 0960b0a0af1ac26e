"""`foretoken fit`: a law, fitted to a run table or to a study's runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LawOption,
    LevelOption,
    LossUnitOption,
    MapOption,
    ParamsOption,
    TableArgument,
    WhereOption,
    listed,
    open_table,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page
from foretoken.cli.telling import wrote

if TYPE_CHECKING:
    from foretoken.fits import Fit

logger = logging.getLogger(__name__)
IN_THE_FILE_ALONE = (
    "reasons",
    "unpenalised_parameters",
    "unpenalised_draws",
    "map_draws",
    "features",
    "runs",
    "held_out",
    "guessing",
    "format",
)
"""Fields of a `Fit` that --json leaves out; --out writes them. A reason is printed beside its parameter instead."""


def fit(
    table: TableArgument,
    law: LawOption = "weighed",
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    params: ParamsOption = "auto",
    level: LevelOption = 0.9,
    objective: Annotated[
        str, typer.Option(help="huber, least_squares, least_squares_raw, student_t or asymmetric.")
    ] = "huber",
    profile: Annotated[
        str, typer.Option(help="Parameters whose likelihood is profiled too, beside E.", metavar="NAME,...")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the fit to this file, for `foretoken predict`.")
    ] = None,
    keep_outliers: Annotated[
        bool, typer.Option("--keep-outliers", help="Keep runs far above all others, which are set aside otherwise.")
    ] = False,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Fit a law to runs: parameters with intervals, and every doubt about them.

    Example: foretoken fit runs.csv --map loss=val_loss -o fit.json
    """
    from foretoken.fits import fit as fit_table

    runs = open_table(table, rename, where, law, loss_unit)
    profiled = tuple(listed(profile))
    fitted = fit_table(
        runs, law, params=params, level=level, objective=objective, profile=profiled, keep_outliers=keep_outliers
    )
    logger.info("fitted in %.2f s, intervals in %.2f s", fitted.seconds, fitted.interval_seconds)
    if out is not None:
        fitted.save(out)
        wrote(out)
    write_page(html, fitted, table.name)
    if json:
        print_json(fit_to_json(fitted))
    else:
        show(fitted)


def fit_to_json(fitted: Fit) -> dict[str, Any]:
    """The keys of --json: numbers plain, `<name>_reason` beside a parameter that is null."""
    printed = {name: value for name, value in fitted.to_json().items() if name not in IN_THE_FILE_ALONE}
    printed["laws"] = [
        {"law": entry.law, "weight": entry.weight, "parameters": entry.parameters} for entry in fitted.laws
    ]
    printed["unit"] = fitted.unit
    return printed | {f"{name}_reason": reason for name, reason in fitted.reasons.items()}


def show(fitted: Fit) -> None:
    """Print a fit."""
    units, rows = fitted.parameter_units, []
    for name, value in fitted.parameters.items():
        low, high = fitted.intervals[name]
        estimate = "not identified" if value is None else f"{value:.5g}"
        rows.append((name, estimate, f"{low:.4g} to {high:.4g}", f"{fitted.map_parameters[name]:.5g}", units[name]))
    headings = ("parameter", "estimate", f"{100 * fitted.level:g} % interval", "used by forecasts", "unit")
    title = f"{fitted.law}: {fitted.rows.used} runs, {fitted.status.replace('_', ' ')}; in {fitted.unit}"
    print_table(headings, rows, title)
    print_text(fitted.status_words)
    for dropped in fitted.rows.dropped:
        print_text(f"left out: {dropped.count} ({dropped.reason})")
    print_checks(fitted.checks)
    print_assumed(fitted.assumed)
    _show_sensitivity(fitted)


def _show_sensitivity(fitted: Fit) -> None:
    """Print what other objectives give; of a parameter that the runs do not identify, nothing."""
    told = [name for name in fitted.unpenalised_parameters if name not in fitted.reasons]
    headings = ("objective", *told, "at 8 x compute")
    rows = [
        (entry.objective, *(f"{entry.parameters[name]:.4g}" for name in told), f"{entry.loss:.4f}")
        for entry in fitted.sensitivity
    ]
    print_table(headings, rows, "the same runs fitted by each objective, and the loss at 8 times the largest compute")
