"""`foretoken backtest`: how wrong forecasts of a table's larger runs, made from its smaller ones, would have been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
    open_table,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page

if TYPE_CHECKING:
    from foretoken.forecasts import BackTest


def backtest(
    table: TableArgument,
    train_fraction: Annotated[
        float | None, typer.Option(help="Fit the runs up to this quantile of FLOPs; else several, in turn.")
    ] = None,
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    params: ParamsOption = "auto",
    law: LawOption = "weighed",
    estimator: Annotated[
        str,
        typer.Option(help="map, or an objective: huber, least_squares, student_t, asymmetric, ..."),
    ] = "map",
    level: LevelOption = 0.9,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Forecast a table's larger runs from its smaller ones, and score the forecasts.

    Example: foretoken backtest runs.csv --train-fraction 0.5 --map loss=val_loss --json
    """
    from foretoken.forecasts import backtest as backtest_table

    runs = open_table(table, rename, where, law, loss_unit)
    result = backtest_table(runs, train_fraction, law=law, estimator=estimator, level=level, params=params)
    write_page(html, result, table.name)
    if json:
        print_json(result.to_json())
    else:
        show(result)


def show(result: BackTest) -> None:
    """Print a back-test."""
    seen = f"the {result.n_train}" if len(result.origins) == 1 else f"those before, {result.n_train} at most,"
    print_text(
        f"{result.n_test} runs forecast from {seen} with less compute ({result.estimator} estimate), in {result.unit}"
    )
    print_text(
        f"error {100 * result.test_error:.2f} % (median {100 * result.median_error:.2f} %,"
        f" largest {100 * result.max_error:.2f} %), bias {100 * result.bias:+.2f} %"
    )
    print_text(
        f"{100 * result.coverage:.0f} % inside their {100 * result.level:g} % interval, whose median half-width is"
        f" {100 * result.median_half_width:.2f} %"
    )
    if len(result.origins) > 1:
        rows = [
            (
                f"{100 * origin.train_fraction:g} %",
                f"{origin.n_train}",
                f"{origin.n_test}",
                f"{100 * origin.test_error:.2f} %",
                f"{100 * origin.bias:+.2f} %",
            )
            for origin in result.origins
        ]
        headings = ("compute quantile", "runs fitted", "runs forecast", "error", "bias")
        print_table(headings, rows, "by origin: fitted up to a quantile of compute, the next runs forecast", left=0)
    print_checks(result.checks)
    print_assumed(result.assumed)
