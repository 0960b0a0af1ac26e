"""`foretoken status`: how a study stands, from its files alone."""

from __future__ import annotations

from typing import Any

import typer

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, folder_of, load, print_json


def status(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print how many runs are planned, running, finished, diverged and failed, why some are new, forecast and outcome.

    Example: foretoken status studies/quickstart.toml
    """
    from foretoken.study.results import status as study_status

    edited = None if study.is_dir() else load(study, seed)
    result = study_status(folder_of(study, seed, folder), edited)
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
    show_new(result["new"])
    for place, (old, new) in result["edited"].items():
        typer.echo(f"the study file has changed since: {place} {_plain(old)} -> {_plain(new)}")
    if result["edited"]:
        typer.echo("what that means for each run: foretoken run STUDY --dry-run")
    typer.echo(f"report:   {result['folder']}/report/index.html" if forecast else "no forecast yet")


def show_new(rows: list[dict[str, Any]]) -> None:
    """Say why runs are new, those with one reason together."""
    reasons: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["because"]:
            reasons.setdefault(tuple(row["because"]), []).append(row)
    for mine in reasons.values():
        moved = ", ".join(
            f"{field} ({_plain(old)} -> {_plain(new)})" for field, (old, new) in mine[0]["because"].items()
        )
        typer.echo(f"{len(mine)} runs are new: what moved{' (in the first)' if len(mine) > 1 else ''} is {moved}")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
