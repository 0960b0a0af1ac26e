"""`foretoken versus`: which of two recipes wins at a compute, and how well small runs rank many recipes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    BetterOption,
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
from foretoken.errors import ForetokenError

if TYPE_CHECKING:
    from foretoken.decisions.accuracy import Accuracy, Decisions
    from foretoken.decisions.result import Versus
    from foretoken.runs.table import RunTable


FirstArgument = Annotated[
    Path, typer.Argument(metavar="A", help="A fit (foretoken fit TABLE -o FIT) or a run table; with --by, one table.")
]
SecondArgument = Annotated[Path | None, typer.Argument(metavar="[B]", help="The same of the other recipe.")]
ComputeOption = Annotated[str | None, typer.Option(help="Training FLOP at which to decide: 1e21.")]
SizeOption = Annotated[str | None, typer.Option(help="Size of both runs; the best of each unless given.")]
LengthOption = Annotated[str | None, typer.Option(help="Training tokens of both runs; with --params, their ratio.")]
ByOption = Annotated[str, typer.Option(metavar="COLUMN", help="The column that tells the recipes of A apart.")]
NameOption = Annotated[str, typer.Option(metavar="NAME", help="The recipe of --by; with two tables, the side's name.")]
ScoreOption = Annotated[
    str, typer.Option(metavar="COLUMN", help="Rank all recipes by this column, not the loss; without a compute.")
]
KindOption = Annotated[str, typer.Option(help="mean, for the recipes' expected losses, or new-run, for one of each.")]


def versus(
    a: FirstArgument,
    b: SecondArgument = None,
    compute: ComputeOption = None,
    params: SizeOption = None,
    tokens: LengthOption = None,
    by: ByOption = "",
    first: NameOption = "",
    second: NameOption = "",
    score: ScoreOption = "",
    better: BetterOption = "",
    rename: MapOption = None,
    where: WhereOption = None,
    loss_unit: LossUnitOption = "",
    law: LawOption = "weighed",
    level: LevelOption = 0.9,
    kind: KindOption = "mean",
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Decide between two recipes at a compute: the difference, who wins, where they cross, what is saved.

    With --by alone, without a compute, all recipes of a table are ranked at each of its sizes, and the share of pairs
    is told that are ordered as at the largest.

    Example: foretoken versus recipes.csv --by recipe --first ours --second theirs --compute 1e21
    """
    from foretoken import decisions
    from foretoken.runs.sources import parse_map

    maps, conditions = parse_map(given_together(rename)), given_together(where)
    one = _source(a, rename, where, law, loss_unit)
    other = _source(b, rename, where, law, loss_unit) if b else None
    result: Versus | Decisions
    if by and b is None and not (compute or params or tokens or first or second):
        result = decisions.decision_accuracy(
            one, by, score=score, better=better, level=level, loss_unit=loss_unit, rename=maps, where=conditions
        )
    else:
        _refuse_scores(score, better)
        named = partial(decisions.versus, one, other, by=by, first=first, second=second, rename=maps, where=conditions)
        result = named(
            compute=compute, params=params, tokens=tokens, law=law, level=level, kind=kind, loss_unit=loss_unit
        )
    write_page(html, result, ", ".join(path.name for path in (a, b) if path))
    if json:
        print_json(result.to_json())
    else:
        print_text(result.summary())


def _refuse_scores(score: str, better: str) -> None:
    if score or better:
        raise ForetokenError(
            "two recipes are compared by their loss",
            got="--score" if score else "--better",
            cure="leave it out; or rank all recipes by it: --by COLUMN --score COLUMN, without a compute",
        )


def _source(path: Path, rename: list[str] | None, where: list[str] | None, law: str, loss_unit: str) -> Path | RunTable:
    """A file by its path, whether fit or table; a folder's runs."""
    return open_table(path, rename, where, law, loss_unit) if path.is_dir() else path


LINES = 9
"""Computes in the table of a decision."""


def show(found: Versus) -> None:
    """Print a decision between two recipes."""
    from foretoken.decisions import words

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
    from foretoken.decisions import words
    from foretoken.units import format_count, format_times

    print_text(words.ranking(found), bold=True)
    at = f"{format_count(found.target_params)} parameters, {format_count(found.target_tokens)} tokens"
    print_text(f"{found.by}, best first at the target ({at}): {', '.join(found.recipes)}")
    if found.ceiling is not None:
        print_text(f"two halves of the target's own seeds order {100 * found.ceiling:.0f} % of the pairs alike")
    rows = [
        (
            format_count(size.params),
            format_count(size.tokens),
            f"{format_times(100 * size.spent)} %",
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
