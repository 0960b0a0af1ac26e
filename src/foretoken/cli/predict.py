"""`foretoken predict`: the loss of a run that nobody has trained yet."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from foretoken.cli.options import HtmlOption, parse_map, write_page


def predict(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A fit, written by: foretoken fit TABLE -o FIT")],
    params: Annotated[str | None, typer.Option(help="Parameters of the run, for example 7B.")] = None,
    tokens: Annotated[str | None, typer.Option(help="Training tokens, for example 140B.")] = None,
    flops: Annotated[str | None, typer.Option(help="Training FLOP; from the fit's runs unless given.")] = None,
    at: Annotated[
        str, typer.Option(help="What some laws read besides: unique_tokens=1e9,experts=8", metavar="NAME=NUMBER,...")
    ] = "",
    level: Annotated[float, typer.Option(help="Probability that the interval holds.")] = 0.9,
    kind: Annotated[str, typer.Option(help="new-run (one more run) or mean (the law itself).")] = "new-run",
    estimator: Annotated[
        str, typer.Option(help="map (forecast_parameters: weak prior, runs by their noise) or huber (parameters).")
    ] = "map",
    html: HtmlOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast the loss of a run, with its interval and its distance from the data.

    Example: foretoken predict fit.json --params 7B --tokens 140B
    """
    from foretoken.fits.result import Fit
    from foretoken.forecasts import Forecast
    from foretoken.forecasts import predict as forecast_run
    from foretoken.units import parse_count, parse_flops

    found = Fit.load(fit_file)
    told: Forecast = forecast_run(
        found,
        params=None if params is None else parse_count(params, "params"),
        tokens=None if tokens is None else parse_count(tokens, "tokens"),
        flops=None if flops is None else parse_flops(flops),
        at={name: parse_count(value, name) for name, value in parse_map(at, "--at", "size=1e6,data=2e4").items()},
        level=level,
        kind=kind,
        estimator=estimator,
    )
    write_page(html, told, fit_file.name, fit=found)
    if json:
        typer.echo(json_module.dumps(told.to_json(), indent=1, allow_nan=False))
        return
    what, unit = ("loss", f" {told.unit}") if told.unit == "nats per token" else (told.unit, "")
    typer.echo(
        f"{what} {told.loss:.4f}{unit}, {100 * level:g} % interval {told.low:.4f} to {told.high:.4f}"
        f" ({kind}, {estimator} estimate)"
    )
    reach = ", ".join(f"{name} {factor:.3g}" for name, factor in told.extrapolation.items())
    typer.echo(f"times beyond the runs: {reach}")
    for check in told.checks:
        typer.echo(f"{check.severity}: {check.code}: {check.evidence}. {check.cure}.")
