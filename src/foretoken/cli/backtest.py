"""`foretoken backtest`: how wrong forecasts of a table's larger runs, made from its smaller ones, would have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    print_assumed,
    print_checks,
    print_json,
    write_page,
)

if TYPE_CHECKING:
    from foretoken.forecasts import BackTest


def backtest(
    table: TableArgument,
    train_fraction: Annotated[
        float | None, typer.Option(help="Learn from the runs up to this quantile of FLOPs; else the origin rolls.")
    ] = None,
    rename: MapOption = "",
    where: WhereOption = "",
    params: ParamsOption = "auto",
    law: Annotated[str, typer.Option(help="Which law.")] = "coupled",
    estimator: Annotated[
        str,
        typer.Option(help="map, or by objective: huber, least_squares, student_t, asymmetric, ..."),
    ] = "map",
    level: LevelOption = 0.9,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Forecast a table's larger runs from its smaller ones, and score the forecasts.

    Example: foretoken backtest runs.csv --train-fraction 0.5 --map loss=val_loss --json
    """
    from foretoken.forecasts import backtest as score

    found = score(
        open_table(table, rename, where, law), train_fraction, law=law, estimator=estimator, level=level, params=params
    )
    write_page(html, found, table.name)
    if json:
        print_json(found.to_json())
    else:
        _show(found)


def _show(found: BackTest) -> None:
    typer.echo(f"{found.n_test} runs forecast from the {found.n_train} with less compute ({found.estimator})")
    typer.echo(
        f"error {100 * found.test_error:.2f} % (median {100 * found.median_error:.2f},"
        f" most {100 * found.max_error:.2f}), bias {100 * found.bias:+.2f} %"
    )
    typer.echo(
        f"{100 * found.coverage:.0f} % inside their {100 * found.level:g} % interval, median half-width"
        f" {100 * found.median_half_width:.2f} %"
    )
    for origin in found.origins if len(found.origins) > 1 else []:
        typer.echo(
            f"  up to the {100 * origin.train_fraction:g} % quantile: {origin.n_train} runs,"
            f" next {origin.n_test}: error {100 * origin.test_error:.2f} %, bias {100 * origin.bias:+.2f} %"
        )
    print_checks(found.checks)
    print_assumed(found.assumed)
