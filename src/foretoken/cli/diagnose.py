"""`foretoken diagnose`: what is doubtful about a run table, before any law is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LossUnitOption,
    MapOption,
    ParamsOption,
    TableArgument,
    WhereOption,
    open_table,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page

AllOption = Annotated[bool, typer.Option("--all", help="list the checks that the columns did not allow, too")]

if TYPE_CHECKING:
    from foretoken.checks.conventions import Conventions
    from foretoken.checks.diagnose import Diagnosis


def diagnose(
    table: TableArgument,
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    params: ParamsOption = "auto",
    all_checks: AllOption = False,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Say what is wrong or doubtful with a table, with evidence and cure, also where `foretoken fit` refuses it.

    Ends with the exponent of N* under every convention of N and C that the columns allow. --all lists what the columns
    did not allow to check.

    Example: foretoken diagnose runs.csv --map loss=val_loss
    """
    from foretoken.checks.diagnose import diagnose as diagnose_table

    diagnosis = diagnose_table(open_table(table, rename, where, loss_unit=loss_unit), params=params)
    write_page(html, diagnosis, table.name)
    if json:
        print_json(diagnosis.to_json())
    else:
        show(diagnosis, all_checks)


def show(diagnosis: Diagnosis, all_checks: bool = False) -> None:
    """Print a diagnosis."""
    from foretoken.fits.check import plural

    rows = diagnosis.rows
    counted = f"N counted by {diagnosis.params_column}, {diagnosis.flops}; loss in {diagnosis.loss_unit}"
    print_text(f"{rows.used} usable runs, {counted}")
    for dropped in rows.dropped:
        print_text(f"left out: {dropped.count} ({dropped.reason})")
    print_checks(diagnosis.checks)
    if not diagnosis.checks:
        print_text("nothing is doubtful by the checks that these columns allow")
    print_assumed(diagnosis.assumed)
    show_conventions(diagnosis.conventions)
    if diagnosis.unchecked and not all_checks:
        print_text(f"{plural(len(diagnosis.unchecked), 'check')} could not be made without further columns (--all)")
    for entry in diagnosis.unchecked if all_checks else []:
        print_text(f"not checked: {entry.what} (needs the column {' or '.join(entry.columns)})")


def show_conventions(conventions: Conventions) -> None:
    """Print the exponents by convention."""
    from foretoken.checks.waterfall import draw_waterfall

    if conventions.reason:
        print_text(f"no table of conventions: {conventions.reason}")
        return
    rows = [
        (
            entry.params,
            entry.compute,
            f"{entry.exponent:.3f}",
            "{:.3f} to {:.3f}".format(*entry.interval),
            f"{entry.largest.params:.3g}",
        )
        for entry in conventions.entries
    ]
    headings = ("N counts", "C counts", "exponent", "90 % interval", "N* at the largest C [parameters]")
    print_table(headings, rows, "exponent of N* by convention", left=2)
    for line in draw_waterfall(conventions.waterfall):
        print_text(line)
    if conventions.absent:
        print_text(f"the columns do not allow: {', '.join(conventions.absent)}")
