"""How verbs print their results: JSON, tables, checks, what was assumed, pages, and how a study stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from foretoken.cli.options import typed_command
from foretoken.cli.telling import wrote
from foretoken.escapes import for_terminal, in_one_line

if TYPE_CHECKING:
    from foretoken.abilities.downstream_result import TaskForecast
    from foretoken.fits.check import Check
    from foretoken.fits.result import Fit
    from foretoken.forecasts.band import PlacedPoint
    from foretoken.plans.loss_model import LossModel
    from foretoken.runs.record import RunCounts
    from foretoken.runs.table import RunTable
    from foretoken.store.diff import Change
    from foretoken.study.study_status import FrozenForecast, ScoredOutcome, StudyStatus


_heard: ContextVar[list[str] | None] = ContextVar("_heard", default=None)
"""Where the text of a result goes that Python asks for; the terminal otherwise."""


def print_text(text: str, *, bold: bool = False) -> None:
    """Print one or more lines of a result."""
    heard, text = _heard.get(), for_terminal(text)
    if heard is None:
        typer.secho(text, bold=bold)
    else:
        heard.append(text)


def text_of(show: Callable[[Any], None], result: object) -> str:
    """What `show` says of a result, as text; nothing is printed."""
    lines: list[str] = []
    token = _heard.set(lines)
    try:
        show(result)
    finally:
        _heard.reset(token)
    return "\n".join(lines)


def print_json(value: Any) -> None:
    """Print plain values as JSON on standard output."""
    # JSON escapes what steers a terminal but for DEL.
    typer.echo(json.dumps(value, indent=1, allow_nan=False).replace("\x7f", "\\u007f"))


def table_lines(headings: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """The headings and the rows, in columns: the first `left` of them flush left, the others flush right.

    >>> table_lines(["law", "N"], [["power", "7B"], ["chinchilla", "70B"]])
    ['law           N', 'power        7B', 'chinchilla  70B']
    """
    # Lines are never cut or broken: a program like grep or a wide terminal reads them, and a number without its
    # last digits is a wrong number.
    cells = [[in_one_line(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", left: int = 1) -> None:
    """Print a table under its title: see `table_lines`."""
    if title:
        print_text(title, bold=True)
    for line in table_lines(headings, rows, left):
        print_text(line)


def print_checks(checks: Iterable[Check]) -> None:
    """Print named checks, each with its cure."""
    for check in checks:
        print_text(in_one_line(f"{check.severity}: {check.code}: {check.evidence}"))
        print_text(f"  cure: {in_one_line(check.cure)}")


def print_assumed(assumptions: Iterable[str]) -> None:
    """Print what was assumed, one line each."""
    for assumption in assumptions:
        print_text(f"assumed: {in_one_line(assumption)}")


def write_page(
    path: Path | None,
    result: object,
    source: str = "",
    *,
    fit: Fit | None = None,
    losses: LossModel | None = None,
    runs: RunTable | None = None,
    points: Mapping[str, Sequence[PlacedPoint]] | None = None,
) -> None:
    """Write the page of a result, if one was asked for; the command that made it stands at its foot.

    `source` names the table or file behind the result; the others are fields of `reports.PageOptions`.
    """
    if path is None:
        return
    from foretoken.reports import PageOptions, save_page

    command = typed_command.get()
    options = PageOptions(source=source, rebuild=command, fit=fit, losses=losses, runs=runs, points=points or {})
    save_page(result, path, options)
    wrote(path)


def score_cells(task: TaskForecast) -> tuple[str, ...]:
    """Name, score, interval, compute beyond the runs, and a remark."""
    name, beyond = str(task.curve), f"{task.compute_factor:.3g}x"
    if task.score is None or task.low is None or task.high is None:
        return (name, "", "", beyond, task.reason)
    told = "at chance or flat so far" if task.reason else ""
    return (name, f"{task.score:.3f}", f"{task.low:.3f} to {task.high:.3f}", beyond, told)


def print_status(status: StudyStatus) -> None:
    """Print how a study stands."""
    print_text(f"{status.study}: {_counts(status.counts)}")
    if status.forecast:
        print_text(_forecast(status.forecast))
    if status.outcome:
        print_text(_outcome(status.outcome))
    print_new_runs([run.because for run in status.new])
    for key, (old, new) in status.edited.items():
        print_text(f"the study file has changed since: {key} {_plain(old)} -> {_plain(new)}")
    if status.edited:
        print_text("to see what that means for each run: foretoken run STUDY --dry-run")
    if not status.forecast:
        print_text("no forecast yet")
    if status.spent.limit:
        print_text(f"spent:    {', '.join(status.spent.told)}")
    if status.spent.reached:
        print_text(status.spent.reached)
    for sentence in status.told:
        print_text(f"doubtful: {sentence}")
    if status.report:
        print_text(f"report:   {status.report}")


def print_new_runs(reasons: Iterable[Change | None]) -> None:
    """Print why runs are new; those for which the same fields have changed share a line."""
    alike: dict[tuple[str, ...], list[Change]] = {}
    for change in filter(None, reasons):
        alike.setdefault(tuple(change), []).append(change)
    for changes in alike.values():
        fields = ", ".join(f"{field} ({_plain(old)} -> {_plain(new)})" for field, (old, new) in changes[0].items())
        count = "1 run is new" if len(changes) == 1 else f"{len(changes)} runs are new"
        which = "" if len(changes) == 1 else " (values of the first run)"
        print_text(f"{count}; what has changed{which}: {fields}")


def _counts(counts: RunCounts) -> str:
    values = asdict(counts)
    done = ", ".join(f"{values[name]} {name}" for name in ("finished", "running", "diverged", "failed") if values[name])
    return f"{counts.planned} runs planned{': ' + done if done else ''}"


def _forecast(forecast: FrozenForecast) -> str:
    return (
        f"forecast: {forecast.loss:.4f} nats per token ({100 * forecast.level:.0f} % interval {forecast.low:.4f} to"
        f" {forecast.high:.4f}), at {forecast.compute_factor:.1f} times the compute of the largest small run,"
        f" frozen {forecast.frozen_at}"
    )


def _outcome(outcome: ScoredOutcome) -> str:
    where = "inside" if outcome.inside else "outside"
    return (
        f"outcome:  {outcome.loss:.4f} nats per token, {where} the interval; error {100 * outcome.error:+.2f} %"
        f"{rivals_text(outcome.rivals)}"
    )


def rivals_text(errors: Mapping[str, float]) -> str:
    """The signed errors of the rival forecasts, in brackets; nothing where there are none.

    >>> rivals_text({"power_law": -0.127})
    ' (rivals: power law -12.70 %)'
    """
    rivals = ", ".join(f"{name.replace('_', ' ')} {100 * error:+.2f} %" for name, error in errors.items())
    return f" (rivals: {rivals})" if rivals else ""


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
