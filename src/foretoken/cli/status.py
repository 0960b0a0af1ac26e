"""`foretoken status`: how a study stands, from its files alone."""

from __future__ import annotations

from typing import Any

import typer

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, folder_of, print_json


def status(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print how many runs are planned, running, finished, diverged and failed, the forecast, and its outcome.

    Example: foretoken status studies/quickstart.toml
    """
    from foretoken.folder import status as study_status

    result = study_status(folder_of(study, seed, folder))
    if json:
        print_json(result)
    else:
        show(result)


def show(result: dict[str, Any]) -> None:
    """Print a status for people."""
    counts = result["counts"]
    done = ", ".join(f"{counts[name]} {name}" for name in ("finished", "running", "diverged", "failed") if counts[name])
    typer.echo(f"{result['study']}: {counts['planned']} runs planned{': ' + done if done else ''}")
    forecast, outcome = result["forecast"], result["outcome"]
    if forecast:
        typer.echo(
            f"forecast: {forecast['loss']:.4f} nats per token ({100 * forecast['level']:.0f} %: "
            f"{forecast['low']:.4f} to {forecast['high']:.4f}), {forecast['compute_factor']:.1f} times beyond the "
            f"largest small run, frozen {forecast['frozen_at']}"
        )
    if outcome:
        rivals = ", ".join(
            f"{name.replace('_', ' ')} {100 * error:+.2f} %" for name, error in outcome["rivals"].items()
        )
        typer.echo(
            f"outcome:  {outcome['loss']:.4f}, {'inside' if outcome['inside'] else 'outside'} the interval; "
            f"error {100 * outcome['error']:+.2f} % (rivals: {rivals})"
        )
    typer.echo(f"report:   {result['folder']}/report/index.html" if forecast else "no forecast yet")
