"""`foretoken versus`: which of two recipes wins at a compute, and how well small runs rank many recipes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LawOption,
    LevelOption,
    LossUnitOption,
    MapOption,
    WhereOption,
    given_together,
    open_table,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page

if TYPE_CHECKING:
    from foretoken.runs.table import RunTable
    from foretoken.versus.decisions import Accuracy, Decisions
    from foretoken.versus.result import Versus


def versus(
    first_table: Annotated[
        Path, typer.Argument(metavar="A", help="A fit (foretoken fit TABLE -o FIT) or a run table; with --by, of all.")
    ],
    second_table: Annotated[Path | None, typer.Argument(metavar="[B]", help="The same of the other recipe.")] = None,
    compute: Annotated[str | None, typer.Option(help="Training FLOP at which to decide: 1e21.")] = None,
    params: Annotated[str | None, typer.Option(help="Size of both runs; the best of each unless given.")] = None,
    tokens: Annotated[
        str | None, typer.Option(help="Training tokens of both runs; with --params, their ratio.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="The column that tells the recipes of A apart.")] = "",
    first: Annotated[str, typer.Option(metavar="NAME", help="The first recipe; with two tables, its name.")] = "",
    second: Annotated[str, typer.Option(metavar="NAME", help="The second recipe; with two tables, its name.")] = "",
    score: Annotated[
        str, typer.Option(metavar="COLUMN", help="Rank all recipes by this column and not by the loss; with --better.")
    ] = "",
    better: Annotated[str, typer.Option(help="lower or higher: which value of --score is better.")] = "",
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    law: LawOption = "weighed",
    level: LevelOption = 0.9,
    kind: Annotated[str, typer.Option(help="mean, for the recipes' expected losses, or new-run, for one of each.")] = (
        "mean"
    ),
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Decide between two recipes at a compute: the difference, who wins, where they cross, what is saved.

    With --by alone, without a compute, all recipes of a table are ranked at each of its sizes, and the share of pairs
    is told that are ordered as at the largest.

    Example: foretoken versus recipes.csv --by recipe --first ours --second theirs --compute 1e21
    """
    from foretoken.runs.sources import parse_map

    maps, conditions = parse_map(given_together(rename)), given_together(where)
    result: Versus | Decisions
    if second_table is None and by and not (compute or params or tokens or first or second):
        from foretoken.versus import decision_accuracy

        table = _source(first_table, rename, where, law, loss_unit)
        result = decision_accuracy(
            table, by, score=score, better=better, level=level, loss_unit=loss_unit, rename=maps, where=conditions
        )
    else:
        from foretoken.versus import versus as decide

        result = decide(
            _source(first_table, rename, where, law, loss_unit),
            None if second_table is None else _source(second_table, rename, where, law, loss_unit),
            compute=compute,
            params=params,
            tokens=tokens,
            by=by,
            first=first,
            second=second,
            law=law,
            level=level,
            kind=kind,
            loss_unit=loss_unit,
            rename=maps,
            where=conditions,
        )
    write_page(html, result, first_table.name if second_table is None else f"{first_table.name}, {second_table.name}")
    if json:
        print_json(result.to_json())
    else:
        print_text(result.summary())


def _source(path: Path, rename: list[str] | None, where: list[str] | None, law: str, loss_unit: str) -> Path | RunTable:
    """A file by its path, whether fit or table; a folder's runs."""
    return open_table(path, rename, where, law, loss_unit) if path.is_dir() else path


LINES = 9
"""Computes in the table of a decision."""


def show(found: Versus) -> None:
    """Print a decision between two recipes."""
    from foretoken.versus import words

    print_text(words.decision(found), bold=True)
    for told in (words.difference, words.crossing, words.saved):
        print_text(told(found))
    chosen = sorted({round(k * (len(found.points) - 1) / (LINES - 1)) for k in range(LINES)})
    rows = [
        (
            f"{point.flops:.3g}",
            f"{point.first.loss:.4f}",
            f"{point.second.loss:.4f}",
            f"{point.difference:+.4f}",
            f"{point.low:+.4f} to {point.high:+.4f}",
            f"{100 * point.p_first:.3g} %",
            f"{point.reach:.3g}",
        )
        for point in (found.points[k] for k in chosen)
    ]
    interval = f"{100 * found.level:g} % interval"
    headings = ("FLOP", found.first, found.second, "difference", interval, f"{found.first} wins", "times beyond")
    print_table(headings, rows, f"along compute, {found.split}; losses in {found.unit}", left=0)
    print_checks(found.checks)
    print_assumed(found.assumed)


def show_decisions(found: Decisions) -> None:
    """Print how well the sizes of a ladder rank recipes."""
    from foretoken.units import format_count
    from foretoken.versus import words

    print_text(words.ranking(found), bold=True)
    at = f"{format_count(found.target_params)} parameters, {format_count(found.target_tokens)} tokens"
    print_text(f"{found.by}, best first at the target ({at}): {', '.join(found.recipes)}")
    if found.ceiling is not None:
        print_text(f"two halves of the target's own seeds order {100 * found.ceiling:.0f} % of the pairs alike")
    rows = [
        (
            format_count(size.params),
            format_count(size.tokens),
            f"{100 * size.spent:.2g} %",
            _share(size.ranking),
            "" if size.says is None else f"{100 * size.says:.0f} %",
            "" if size.by_law is None else _share(size.by_law),
        )
        for size in found.sizes
    ]
    headings = ("parameters", "tokens", "of the compute", "decided rightly", "says", "by law")
    print_table(headings, rows, f"pairs of recipes ordered as at the target, by {found.ranked}", left=0)
    for one in found.reliability:
        print_text(f"said {100 * one.says:.0f} %, right {100 * one.right:.0f} % of {one.pairs}")
    print_checks(found.checks)
    print_assumed(found.assumed)


def _share(one: Accuracy) -> str:
    return f"{100 * one.share:.0f} % ({100 * one.low:.0f} to {100 * one.high:.0f})"
