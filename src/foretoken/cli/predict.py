"""`foretoken predict`: the loss of a run that nobody has trained yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import HtmlOption, JsonOption, LevelOption
from foretoken.cli.printing import print_checks, print_json, print_table, print_text, write_page
from foretoken.runs.sources import parse_map

if TYPE_CHECKING:
    from foretoken.forecasts import Forecast, Forecasts


def predict(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A fit, written by: foretoken fit TABLE -o FIT")],
    params: Annotated[str | None, typer.Option(help="Parameters of the run, for example 7B.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Training tokens, for example 140B.")] = None,
    flops: Annotated[str | None, typer.Option(help="Training FLOP; from the fit's runs unless given.")] = None,
    at: Annotated[
        str, typer.Option(help="What some laws read besides: unique_tokens=1e9,experts=8.", metavar="NAME=NUMBER,...")
    ] = "",
    level: LevelOption = 0.9,
    kind: Annotated[str, typer.Option(help="new-run, for one more run, or mean, for the law itself.")] = "new-run",
    estimator: Annotated[
        str, typer.Option(help="map (forecast_parameters) or the objective of the fit, as huber (parameters).")
    ] = "map",
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Forecast the loss of a run, with its interval and its distance from the data.

    Example: foretoken predict fit.json --params 7B --tokens 140B
    """
    from foretoken.fits.result import Fit
    from foretoken.forecasts import predict as forecast_run
    from foretoken.units import parse_count, parse_flops

    fitted = Fit.load(fit_file)
    forecast = forecast_run(
        fitted,
        params=None if params is None else parse_count(params, "params"),
        tokens=None if tokens is None else parse_count(tokens, "tokens"),
        flops=None if flops is None else parse_flops(flops),
        at={name: parse_count(value, name) for name, value in parse_map(at, "--at", "size=1e6,data=2e4").items()},
        level=level,
        kind=kind,
        estimator=estimator,
    )
    write_page(html, forecast, fit_file.name, fit=fitted)
    if json:
        print_json(forecast.to_json())
    else:
        show(forecast)


def show(forecast: Forecast) -> None:
    """Print a forecast."""
    from foretoken.runs.loss_units import CARRIED
    from foretoken.units import format_times

    # A law of another column, for example of accuracy, names that column as its unit.
    what, unit = ("loss", f" {forecast.unit}") if forecast.unit in CARRIED else (forecast.unit, "")
    print_text(
        f"{what} {forecast.loss:.4f}{unit}, {100 * forecast.level:g} % interval {forecast.low:.4f} to"
        f" {forecast.high:.4f} ({forecast.kind}, {forecast.estimator} estimate)"
    )
    factors = ", ".join(f"{name} {format_times(factor, 3)} times" for name, factor in forecast.extrapolation.items())
    print_text(f"beyond the runs: {factors}")
    print_checks(forecast.checks)


MOST_LINES = 40
"""Forecasts of one table."""


def show_all(forecasts: Forecasts) -> None:
    """Print forecasts as a table."""
    from foretoken.units import format_count, format_times

    rows = [
        (
            format_count(one.params),
            format_count(one.tokens),
            f"{one.flops:.3g}",
            f"{one.loss:.4f}",
            f"{one.low:.4f} to {one.high:.4f}",
            f"{format_times(one.extrapolation.largest, 3)} times in {one.extrapolation.farthest}",
        )
        for one in forecasts[:MOST_LINES]
    ]
    first = forecasts[0]
    headings = ("parameters", "tokens", "FLOP", "loss", f"{100 * first.level:g} % interval", "beyond the runs")
    print_table(headings, rows, f"{len(forecasts)} forecasts, in {forecasts.unit}", left=0)
    if len(forecasts) > MOST_LINES:
        print_text(f"... and {len(forecasts) - MOST_LINES} more")
    print_checks(dict.fromkeys(check for one in forecasts for check in one.checks))
