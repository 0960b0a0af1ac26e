"""`foretoken ledger freeze | score | show`: forecasts written down before a run, and scored after it."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LevelOption,
    LossUnitOption,
    MapOption,
    WhereOption,
    open_table,
)
from foretoken.cli.printing import print_checks, print_json, print_table, print_text, rivals_text, write_page
from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from foretoken.forecasts.anchor import AnchorCheck
    from foretoken.forecasts.band import PlacedPoint
    from foretoken.forecasts.entry import Entry, Outcome
    from foretoken.forecasts.ledger import LedgerLine, LedgerSummary
    from foretoken.forecasts.scores import ScoreLine

LedgerOption = Annotated[Path, typer.Option("--ledger", help="The ledger's folder.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the forecast in its ledger.")]
FitArgument = Annotated[Path, typer.Argument(metavar="FIT", help="A fit, written by: foretoken fit TABLE -o FIT")]
HERE = Path("ledger")

ledger = typer.Typer(
    help="Write a forecast down before its run begins, score it afterwards, and see how good they all were.",
    epilog="Example: foretoken ledger freeze fit.json big-run --params 7B --tokens 140B",
    no_args_is_help=True,
)


@ledger.command(epilog="Example: foretoken ledger freeze fit.json big-run --params 7B --tokens 140B")
def freeze(
    fit: FitArgument,
    name: NameArgument,
    params: Annotated[str, typer.Option(help="Parameters of the run, in the fit's own count: 7B.")],
    tokens: Annotated[str, typer.Option(help="Training tokens: 140B.")],
    flops: Annotated[str | None, typer.Option(help="Training FLOP; from the fit's runs unless given.")] = None,
    folder: LedgerOption = HERE,
    level: LevelOption = 0.9,
    json: JsonOption = False,
) -> None:
    """Freeze the forecast of a run: loss, interval, band along the run, rivals, data hash and conventions.

    An entry is written once and never changed. Its last line proves it to others: put it where you cannot change it.
    """
    from foretoken.fits.result import Fit
    from foretoken.forecasts.ledger import freeze_run, read_line
    from foretoken.units import parse_count, parse_flops

    path = entry_path(folder, name)
    entry = freeze_run(
        path,
        Fit.load(fit),
        params=parse_count(params, "params"),
        tokens=parse_count(tokens, "tokens"),
        flops=None if flops is None else parse_flops(flops),
        level=level,
    )
    anchor = str(read_line(path).anchor)
    if json:
        print_json({**entry.to_json(), "anchor": anchor})
        return
    show_entry(entry, f" in {path}")
    print_text("to prove it to others, put this line where you cannot change it (a commit, a mail, a post):")
    print_text(anchor)


@ledger.command(epilog="Example: foretoken ledger score big-run --loss 2.031 --started 2030-01-31T12:00:00Z")
def score(
    name: NameArgument,
    loss: Annotated[float | None, typer.Option(help="Final loss of the run, in the forecast's unit.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="Take the loss from the one row of this table that --where leaves.")
    ] = None,
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    at: Annotated[
        list[str] | None, typer.Option("--at", help="During the run: TOKENS:LOSS; may be given again.")
    ] = None,
    started: Annotated[str | None, typer.Option(help="When the run began (ISO 8601).")] = None,
    folder: LedgerOption = HERE,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Compare a frozen forecast with its run; with --at while the run trains, which writes nothing."""
    path, entry = open_entry(folder, name)
    sources = sum(value is not None for value in (loss, table, at or None))
    if sources != 1:
        raise ForetokenError("score needs one of --loss, --table and --at", got=f"{sources} of them")
    if at:
        show_points(path.stem, entry, at, html, json)
        return
    run = ""
    if table is not None:
        loss, loss_unit, run, started = from_table(table, rename, where, loss_unit, started)
    assert loss is not None
    keep_score(path, entry, entry.score(loss, run=run, loss_unit=loss_unit, started_at=started), html, json)


@ledger.command(epilog="Example: foretoken ledger show --ledger runs/quickstart/ledger")
def show(
    folder: LedgerOption = HERE,
    check: Annotated[
        str | None, typer.Option("--check", metavar="LINE", help="A line of ledger freeze: is all as it was then?")
    ] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Show all forecasts of a ledger, their errors, and how often the intervals held."""
    from foretoken.forecasts.anchor import check_anchor
    from foretoken.forecasts.ledger import Ledger
    from foretoken.store.bucket import as_url
    from foretoken.store.fetch import study_folder_at

    if url := as_url(folder):
        folder = study_folder_at(url.removesuffix("/ledger")) / "ledger"
    if not folder.is_dir():
        raise ForetokenError(f"no ledger at {folder}", cure="name it with --ledger, or freeze a forecast first")
    if check is not None:
        show_check(check_anchor(folder, check), json)
        return
    book = Ledger.read(folder)
    write_page(html, book, folder.resolve().name)
    if json:
        print_json(book.summary().to_json())
        return
    show_summary(book.summary())


def show_check(found: AnchorCheck, json: bool = False) -> None:
    """Print what a line proves; ends with 1 where the ledger is another one."""
    if json:
        print_json({**asdict(found), "holds": found.holds})
    elif found.holds:
        files = "1 file" if found.before == 1 else f"{found.before} files"
        earlier = f"; so is all before it ({files})" if found.before else ""
        print_text(f"{found.anchor.name} is as it was when the line was made: forecast, data and version{earlier}")
    else:
        print_text(f"{found.anchor.name} is not as it was when the line was made")
        for difference in found.differences:
            print_text(f"  {difference}")
    if not found.holds:
        raise typer.Exit(1)


def entry_path(folder: Path, name: str) -> Path:
    """Where an entry is; a name is letters, digits, and - _ . inside."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.endswith(".outcome"):
        raise ForetokenError(
            "a name of a forecast is letters, digits, - _ and .", got=repr(name), cure="for example big-run"
        )
    return folder / f"{name}.json"


def parse_point(text: str) -> tuple[float, float]:
    """`16B:2.31` -> (1.6e10, 2.31)."""
    from foretoken.units import parse_count

    tokens, _, loss = text.partition(":")
    try:
        return parse_count(tokens, "tokens"), float(loss)
    except ValueError as error:
        raise ForetokenError("a point is not readable", expected="TOKENS:LOSS, 16B:2.31", got=repr(text)) from error


def from_table(
    path: Path, rename: list[str] | None, where: list[str] | None, loss_unit: str, started: str | None
) -> tuple[float, str, str, str | None]:
    """Loss, its unit, name and start of the one run that a table holds under --where."""
    table = open_table(path, rename, where, loss_unit=loss_unit)
    rows = table.frame
    if len(rows) != 1:
        raise ForetokenError("--table must leave one row", got=f"{len(rows)} rows", cure="choose it: --where run=NAME")
    row = rows.iloc[0]
    start = row.get("started_at")
    begun = started or (start if isinstance(start, str) else None)
    return float(row["loss"]), table.loss_unit, str(row.get("run", "")), begun


def open_entry(folder: Path, name: str) -> tuple[Path, Entry]:
    """The file of a frozen forecast, and the forecast; raises ForetokenError with the known ones."""
    from foretoken.arguments import nearest
    from foretoken.forecasts.ledger import Ledger, read_entry

    path = entry_path(folder, name)
    if not path.is_file():
        known = list(Ledger.read(folder))
        near = nearest(name, known)
        cure = f"did you mean {near[0]}?" if near else "foretoken ledger freeze FIT NAME --params N --tokens D"
        raise ForetokenError(f"no forecast {name!r} in {folder}", expected=", ".join(known) or "none", cure=cure)
    return path, read_entry(path)


def keep_score(path: Path, entry: Entry, outcome: Outcome, html: Path | None, json: bool) -> None:
    """Write the outcome beside its forecast, and print it."""
    from foretoken.forecasts.ledger import Ledger, LedgerLine, keep_outcome

    outcome = keep_outcome(path, outcome)
    write_page(html, Ledger((LedgerLine(path.stem, entry, outcome),)), path.stem)
    if json:
        print_json(outcome.to_json())
        return
    forecast = entry.forecast
    interval = f"{forecast.low:.4f} to {forecast.high:.4f}"
    show_outcome(outcome, f"forecast {forecast.loss:.4f} {forecast.unit} ({interval}), ")


def show_points(name: str, entry: Entry, at: list[str], html: Path | None, json: bool) -> None:
    """Print where the points of a running target lie."""
    from foretoken.forecasts.ledger import Ledger, LedgerLine, placed

    points = placed(entry, [parse_point(text) for text in at])
    write_page(html, Ledger((LedgerLine(name, entry),)), name, points={name: points})
    if json:
        print_json({"points": [point.to_json() for point in points]})
        return
    for point in points:
        show_point(point, f" {entry.forecast.unit}")
    if any(point.is_above and point.share < 1 for point in points):
        print_text("the band is that of annealed runs: a loss lies above it until the learning rate comes down")


def show_entry(entry: Entry, where: str = "") -> None:
    """Print a frozen forecast."""
    forecast = entry.forecast
    print_text(f"frozen{where} at {entry.frozen_at}")
    interval = f"{100 * forecast.level:g} % interval {forecast.low:.4f} to {forecast.high:.4f}"
    print_text(f"loss {forecast.loss:.4f} {forecast.unit}, {interval}")
    print_checks([*entry.checks, *entry.score_checks])


def show_outcome(outcome: Outcome, forecast: str = "") -> None:
    """Print how a forecast did."""
    print_text(f"{forecast}outcome {outcome.loss:.4f}: {outcome.verdict}")
    print_text(f"error {100 * outcome.error:+.2f} %{rivals_text(outcome.rivals)}")
    hint = "" if outcome.came_after or outcome.started_at else " (--started says when that began)"
    print_text(f"the forecast: {outcome.order}{hint}")


def show_point(point: PlacedPoint, unit: str = "") -> None:
    """Print where a point of a running target lies."""
    print_text(f"{point.text}: loss {point.loss:.4f}{unit}, band {point.low:.4f} to {point.high:.4f}")


def show_summary(summary: LedgerSummary) -> None:
    """Print a ledger as a table, and the means."""
    results = ("outcome", "error", "verdict", "frozen", "unit")
    headings = ("forecast", "N", "D", "beyond the runs", "loss", "interval", *results)
    print_table(headings, map(_cells, summary.entries))
    for sentence in summary.told:
        print_text(sentence)
    _show_means(summary)
    for line in summary.entries:
        if line.scores:
            _show_scores(line)
        if line.entry.score_checks:
            print_text(f"Doubts about the scores of {line.name}", bold=True)
            print_checks(line.entry.score_checks)


def _show_means(summary: LedgerSummary) -> None:
    if summary.mean_error is None or summary.bias is None or summary.coverage is None:
        print_text(f"{summary.frozen} frozen, {summary.reason}")
        return
    rivals = ", ".join(f"{name.replace('_', ' ')} {100 * error:.2f} %" for name, error in summary.rivals.items())
    print_text(
        f"{summary.scored} of {summary.frozen} scored: mean error {100 * summary.mean_error:.2f} %, bias"
        f" {100 * summary.bias:+.2f} %, {100 * summary.coverage:.0f} % inside (rivals: {rivals})"
    )
    print_text(summary.order)


def _show_scores(line: LedgerLine) -> None:
    """Print the scores that were forecast beside a loss, and how they did."""
    scored = [one for one in line.scores if one.verdict in ("inside", "outside")]
    held = sum(one.verdict == "inside" for one in scored)
    told = f"; {held} of {len(scored)} scored are inside" if scored else ""
    headings = ("task", "metric", "shots", "forecast", "interval", "outcome", "verdict")
    print_table(headings, map(_score_cells, line.scores), f"Scores of {line.name}{told}", left=2)
    for one in line.scores:
        if one.verdict == "not forecast" and one.forecast.reason:
            print_text(f"{one.forecast.task}, {one.forecast.metric} is not forecast: {one.forecast.reason}")


def _score_cells(one: ScoreLine) -> tuple[str, ...]:
    forecast, outcome = one.forecast, one.outcome
    interval = "" if forecast.low is None or forecast.high is None else f"{forecast.low:.4f} to {forecast.high:.4f}"
    score = "" if forecast.score is None else f"{forecast.score:.4f}"
    found = "" if outcome is None else f"{outcome.score:.4f}"
    return (forecast.task, forecast.metric, str(forecast.shots), score, interval, found, one.verdict)


def _cells(line: LedgerLine) -> tuple[str, ...]:
    """A forecast's row of the table; it is open until its run is scored."""
    from foretoken.runs.loss_units import short_unit
    from foretoken.units import format_times

    forecast, outcome = line.entry.forecast, line.outcome
    result = ("", "", "open", "")
    if outcome is not None:
        result = (f"{outcome.loss:.4f}", f"{100 * outcome.error:+.2f} %", outcome.verdict, outcome.order)
    return (
        line.name,
        f"{forecast.params:.3g}",
        f"{forecast.tokens:.3g}",
        f"{format_times(line.entry.compute_factor, 3)} times",
        f"{forecast.loss:.4f}",
        f"{forecast.low:.4f} to {forecast.high:.4f}",
        *result,
        short_unit(forecast.unit),
    )
