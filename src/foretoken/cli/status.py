"""`foretoken status`: how a study stands, from its files alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from foretoken.cli.options import FolderArgument, FolderOption, JsonOption, SeedOption, folder_of, load, print_json

if TYPE_CHECKING:
    from foretoken.reports import RunCounts
    from foretoken.store.diff import Change
    from foretoken.study.study_status import FrozenForecast, ScoredOutcome, StudyStatus


def status(
    study: FolderArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print how many runs are planned, running, finished, diverged and failed, why some are new, forecast and outcome.

    Example: foretoken status studies/quickstart.toml
    """
    from foretoken.study.study_status import status as study_status

    edited = None if study.is_dir() else load(study, seed)
    result = study_status(folder_of(study, seed, folder), edited)
    if json:
        print_json(result.to_json())
    else:
        show(result)


def show(status: StudyStatus) -> None:
    """Print a status for people."""
    typer.echo(f"{status.study}: {_counts(status.counts)}")
    if status.forecast:
        typer.echo(_forecast(status.forecast))
    if status.outcome:
        typer.echo(_outcome(status.outcome))
    show_new([run.because for run in status.new])
    for key, (old, new) in status.edited.items():
        typer.echo(f"the study file has changed since: {key} {_plain(old)} -> {_plain(new)}")
    if status.edited:
        typer.echo("what that means for each run: foretoken run STUDY --dry-run")
    typer.echo(f"report:   {status.folder}/report/index.html" if status.forecast else "no forecast yet")


def show_new(reasons: Sequence[Change | None]) -> None:
    """Print why runs are new, those for which the same fields moved together."""
    alike: dict[tuple[str, ...], list[Change]] = {}
    for because in filter(None, reasons):
        alike.setdefault(tuple(because), []).append(because)
    for changes in alike.values():
        moved = ", ".join(f"{field} ({_plain(old)} -> {_plain(new)})" for field, (old, new) in changes[0].items())
        first = " (in the first)" if len(changes) > 1 else ""
        typer.echo(f"{len(changes)} runs are new: what moved{first} is {moved}")


def _counts(counts: RunCounts) -> str:
    values = asdict(counts)
    done = ", ".join(f"{values[name]} {name}" for name in ("finished", "running", "diverged", "failed") if values[name])
    return f"{counts.planned} runs planned{': ' + done if done else ''}"


def _forecast(forecast: FrozenForecast) -> str:
    return (
        f"forecast: {forecast.loss:.4f} nats per token ({100 * forecast.level:.0f} %: "
        f"{forecast.low:.4f} to {forecast.high:.4f}), {forecast.compute_factor:.1f} times beyond the "
        f"largest small run, frozen {forecast.frozen_at}"
    )


def _outcome(outcome: ScoredOutcome) -> str:
    rivals = ", ".join(f"{name.replace('_', ' ')} {100 * error:+.2f} %" for name, error in outcome.rivals.items())
    where = "inside" if outcome.inside else "outside"
    return f"outcome:  {outcome.loss:.4f}, {where} the interval; error {100 * outcome.error:+.2f} % (rivals: {rivals})"


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
