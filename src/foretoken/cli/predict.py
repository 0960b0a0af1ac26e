"""`foretoken predict`: the loss of a run that nobody has trained yet."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer


def predict(
    fit_file: Annotated[Path, typer.Argument(metavar="FIT", help="A fit, written by: foretoken fit TABLE -o FIT")],
    params: Annotated[str, typer.Option(help="Parameters of the run, for example 7B.")],
    tokens: Annotated[str, typer.Option(help="Training tokens, for example 140B.")],
    flops: Annotated[str | None, typer.Option(help="Training FLOP; from the fit's runs unless given.")] = None,
    level: Annotated[float, typer.Option(help="Probability that the interval holds.")] = 0.9,
    kind: Annotated[str, typer.Option(help="new-run (one more run) or mean (the law itself).")] = "new-run",
    estimator: Annotated[
        str, typer.Option(help="pooled (forecast_parameters: weak prior, runs by their noise) or plain (parameters).")
    ] = "pooled",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forecast the loss of a run, with its interval and its distance from the data.

    Example: foretoken predict fit.json --params 7B --tokens 140B
    """
    from foretoken.fits.result import Fit
    from foretoken.forecasts import Forecast
    from foretoken.forecasts import predict as forecast_run
    from foretoken.units import parse_count, parse_flops

    told: Forecast = forecast_run(
        Fit.load(fit_file),
        params=parse_count(params, "params"),
        tokens=parse_count(tokens, "tokens"),
        flops=None if flops is None else parse_flops(flops),
        level=level,
        kind=kind,
        estimator=estimator,
    )
    if json:
        typer.echo(json_module.dumps(told.to_json(), indent=1, allow_nan=False))
        return
    typer.echo(
        f"loss {told.loss:.4f} nats per token, {100 * level:g} % interval {told.low:.4f} to {told.high:.4f}"
        f" ({kind}, {estimator} estimate)"
    )
    reach = ", ".join(f"{name} {factor:.3g}" for name, factor in told.extrapolation.items())
    typer.echo(f"times beyond the runs: {reach}")
    for check in told.checks:
        typer.echo(f"{check.severity}: {check.code}: {check.evidence}. {check.cure}.")
