"""`foretoken ledger freeze | score | show`: forecasts written down before a run, and scored after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LevelOption,
    MapOption,
    WhereOption,
    open_table,
    print_checks,
    print_json,
    write_page,
)
from foretoken.errors import ForetokenError

LedgerOption = Annotated[Path, typer.Option("--ledger", help="The ledger's folder.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the forecast in its ledger.")]
FitArgument = Annotated[Path, typer.Argument(metavar="FIT", help="A fit, written by: foretoken fit TABLE -o FIT")]
HERE = Path("ledger")

ledger = typer.Typer(
    help="Write a forecast down before its run begins, score it after, and see how all have fared.",
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

    An entry is written once and never changed.
    """
    from foretoken.fits.result import Check, Fit
    from foretoken.forecasts.scores import freeze_run
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
    if json:
        print_json(entry)
        return
    typer.echo(f"frozen in {path} at {entry['frozen_at']}")
    typer.echo(
        f"loss {entry['loss']:.4f} nats per token, {100 * level:g} % interval {entry['low']:.4f} to {entry['high']:.4f}"
    )
    print_checks(Check(**check) for check in entry["checks"])


@ledger.command(epilog="Example: foretoken ledger score big-run --loss 2.031 --started 2030-01-31T12:00:00Z")
def score(
    name: NameArgument,
    loss: Annotated[float | None, typer.Option(help="Final loss of the run, nats per token.")] = None,
    table: Annotated[
        Path | None, typer.Option(help="Take the loss from the one row of this table that --where leaves.")
    ] = None,
    rename: MapOption = "",
    where: WhereOption = "",
    at: Annotated[
        list[str] | None, typer.Option("--at", help="During the run: TOKENS:LOSS; may be given again.")
    ] = None,
    started: Annotated[str | None, typer.Option(help="When the run began (ISO 8601).")] = None,
    folder: LedgerOption = HERE,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Hold a frozen forecast against its run; with --at while it runs, which writes nothing."""
    path, entry = read_entry(folder, name)
    given = [value is not None for value in (loss, table, at or None)]
    if sum(given) != 1:
        raise ForetokenError("score needs one of --loss, --table and --at", got=f"{sum(given)} of them")
    if at:
        show_places(path.stem, entry, at, html, json)
        return
    run = ""
    if table is not None:
        loss, run, started = from_table(table, rename, where, started)
    assert loss is not None
    keep_score(path, entry, loss, run, started, html, json)


@ledger.command(epilog="Example: foretoken ledger show --ledger runs/quickstart/ledger")
def show(folder: LedgerOption = HERE, html: HtmlOption = None, json: JsonOption = False) -> None:
    """All forecasts of a ledger, their errors, and how often the intervals held."""
    from foretoken.forecasts import ledger as book
    from foretoken.forecasts.scores import summary

    if not folder.is_dir():
        raise ForetokenError(f"no ledger at {folder}", cure="name it with --ledger, or freeze a forecast first")
    entries = book.read(folder)
    found = summary(entries)
    write_page(html, entries, source=folder.resolve().name)
    if json:
        print_json(found)
        return
    show_entries(found)


def entry_path(folder: Path, name: str) -> Path:
    """Where an entry is; a name is letters, digits, and - _ . inside."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.endswith(".outcome"):
        raise ForetokenError("a name is letters, digits, - _ and .", got=repr(name), cure="for example big-run")
    return folder / f"{name}.json"


def parse_point(text: str) -> tuple[float, float]:
    """`16B:2.31` -> (1.6e10, 2.31)."""
    from foretoken.units import parse_count

    tokens, _, loss = text.partition(":")
    try:
        return parse_count(tokens, "tokens"), float(loss)
    except ValueError as error:
        raise ForetokenError("a point is not readable", expected="TOKENS:LOSS, 16B:2.31", got=repr(text)) from error


def from_table(path: Path, rename: str, where: str, started: str | None) -> tuple[float, str, str | None]:
    """Loss, name and start of the one run that a table holds under --where."""
    rows = open_table(path, rename, where).frame
    if len(rows) != 1:
        raise ForetokenError("--table must leave one row", got=f"{len(rows)} rows", cure="choose it: --where run=NAME")
    row = rows.iloc[0]
    begun = row.get("started_at")
    return float(row["loss"]), str(row.get("run", "")), started or (str(begun) if isinstance(begun, str) else None)


def read_entry(folder: Path, name: str) -> tuple[Path, dict[str, Any]]:
    """A frozen forecast and where it is; raises ForetokenError with the known ones."""
    from foretoken.forecasts import ledger as book
    from foretoken.store.atomic import read_sealed

    path = entry_path(folder, name)
    if not path.is_file():
        known = ", ".join(book.read(folder)) or "none"
        cure = "foretoken ledger freeze FIT NAME --params N --tokens D"
        raise ForetokenError(f"no forecast {name!r} in {folder}", expected=known, cure=cure)
    return path, read_sealed(path)


def keep_score(
    path: Path, entry: dict[str, Any], loss: float, run: str, started: str | None, html: Path | None, json: bool
) -> None:
    """Write the outcome beside its forecast, and print it."""
    from foretoken.forecasts import ledger as book
    from foretoken.forecasts.scores import score_loss

    outcome = book.keep_outcome(path, score_loss(entry, loss, run=run, started_at=started))
    write_page(html, {path.stem: {"forecast": entry, "outcome": outcome}}, source=path.stem)
    if json:
        print_json(outcome)
        return
    band = f"{entry['low']:.4f} to {entry['high']:.4f}"
    typer.echo(f"forecast {entry['loss']:.4f} ({band}), outcome {loss:.4f}: {_inside(outcome)}")
    rivals = ", ".join(f"{rival} {100 * error:+.2f} %" for rival, error in outcome["rivals"].items())
    typer.echo(f"error {100 * outcome['error']:+.2f} % (rivals: {rivals})")
    if started is None:
        typer.echo("when the run began is not known, so nothing shows that the forecast came first")


def _inside(outcome: dict[str, Any]) -> str:
    return "inside" if outcome["inside"] else "outside"


def show_places(name: str, entry: dict[str, Any], at: list[str], html: Path | None, json: bool) -> None:
    """Print where the points of a running target lie."""
    from foretoken.forecasts.scores import during

    places = during(entry, [parse_point(text) for text in at])
    write_page(html, {name: {"forecast": entry, "outcome": None}}, source=name, places={name: places})
    if json:
        print_json({"points": places})
        return
    for place in places:
        typer.echo(f"{place['text']}: loss {place['loss']:.4f}, band {place['low']:.4f} to {place['high']:.4f}")
    if any(place["place"] == "above" and place["share"] < 1 for place in places):
        typer.echo("the band is that of annealed runs: before the learning rate comes down a loss lies above it")


def show_entries(found: dict[str, Any]) -> None:
    """Print a ledger as a table, and the means."""
    from rich.console import Console
    from rich.table import Table

    shown = Table()
    shown.add_column("forecast")
    for name in ("N", "D", "beyond", "loss", "interval", "outcome", "error", ""):
        shown.add_column(name, justify="right")
    for entry in found["entries"]:
        outcome = entry["outcome"]
        result = ("", "", "open")
        if outcome is not None:
            result = (f"{outcome['loss']:.4f}", f"{100 * outcome['error']:+.2f} %", _inside(outcome))
        shown.add_row(
            entry["name"],
            f"{entry['params']:.3g}",
            f"{entry['tokens']:.3g}",
            f"{entry['compute_factor']:.3g} x",
            f"{entry['loss']:.4f}",
            f"{entry['low']:.4f} to {entry['high']:.4f}",
            *result,
        )
    Console().print(shown)
    if not found["scored"]:
        typer.echo(f"{found['frozen']} frozen, {found['reason']}")
        return
    rivals = ", ".join(f"{name} {100 * error:.2f} %" for name, error in found["rivals"].items())
    typer.echo(
        f"{found['scored']} of {found['frozen']} scored: mean error {100 * found['mean_error']:.2f} %, bias"
        f" {100 * found['bias']:+.2f} %, {100 * found['coverage']:.0f} % inside (rivals: {rivals})"
    )
