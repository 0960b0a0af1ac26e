"""`foretoken scores`: every curve of a table of scores, told by its shape; the size of a level; jumps; shots."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    BetterOption,
    CeilingOption,
    ChanceOption,
    GroupOption,
    HtmlOption,
    ItemsOption,
    JsonOption,
    LevelOption,
    MapOption,
    TableArgument,
    UnitOption,
    WhereOption,
    given_together,
)
from foretoken.cli.printing import print_assumed, print_checks, print_json, print_table, print_text, write_page
from foretoken.cli.telling import say

if TYPE_CHECKING:
    from foretoken.abilities.pairs import MetricPair
    from foretoken.abilities.result import CurveVerdict, Scores
    from foretoken.abilities.shots import ShotGain

SECONDS = 5.0
"""Time between two lines on progress."""

LevelOfOption = Annotated[
    str, typer.Option("--level-of", help="The level whose size is looked for: human, ceiling, chance, or a score (90).")
]
AgainstOption = Annotated[
    str, typer.Option("--against", help="The axis: params, tokens, flops, loss, or auto (what varies).")
]
HumanOption = Annotated[float | None, typer.Option("--human", help="What people score.")]
MonotoneOption = Annotated[bool, typer.Option("--monotone", help="Leave out curves that turn back.")]


def scores(
    table: TableArgument,
    rename: MapOption = None,
    where: WhereOption = None,
    level_of: LevelOfOption = "human",
    against: AgainstOption = "auto",
    group: GroupOption = "",
    unit: UnitOption = "",
    better: BetterOption = "",
    chance: ChanceOption = None,
    ceiling: CeilingOption = None,
    human: HumanOption = None,
    items: ItemsOption = None,
    monotone: MonotoneOption = False,
    level: LevelOption = 0.9,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Say what each curve of scores does with size: flat, steady, saturating, sharp, u_shaped, or too few data to say.

    Also the size at which a level is reached, whether a jump is the metric's or the model's, and what shots gain.
    Scores in long form (task, metric, shots, score) or a column per task (acc_TASK, err_TASK).

    Example: foretoken scores scores.csv --level-of human --html scores.html
    """
    from foretoken.abilities import scores as classify
    from foretoken.runs.sources import parse_map

    result = classify(
        table,
        level_of=level_of,
        level=level,
        monotone=monotone,
        against=against,
        group=group,
        unit=unit,
        better=better,
        chance=chance,
        ceiling=ceiling,
        human=human,
        items=items,
        rename=parse_map(given_together(rename)),
        where=given_together(where),
        progress=_progress(),
    )
    write_page(html, result, table.name)
    if json:
        print_json(result.to_json())
    else:
        show(result)


def _progress() -> Callable[[int, int], None]:
    """Tells how many curves are done, every few seconds."""
    told = time.monotonic()

    def tell(done: int, count: int) -> None:
        nonlocal told
        if time.monotonic() - told >= SECONDS:
            told = time.monotonic()
            say(f"{done} of {count} curves")

    return tell


def show(result: Scores) -> None:
    """Print the verdicts, the levels, the pairs of metrics and the gain of shots."""
    from foretoken.fits.check import plural

    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result.counts().items())
    print_text(f"{plural(len(result.curves), 'curve')} against {result.against}: {counts}")
    headings = ("curve", "verdict", "shape", "sizes", "first", "last", "emergence", result.level_of)
    print_table(headings, map(_cells, result.curves), left=3)
    for curve in result.curves:
        if curve.level is None and getattr(curve, result.level_of, None) is not None:
            print_text(f"{curve.name}: {result.level_of} level: {curve.level_reason}")
    for pair in result.pairs:
        print_text(_pair(pair))
    for gain in result.shots:
        _print_gain(gain)
    print_checks(result.checks)
    print_assumed(result.assumed)


def _cells(curve: CurveVerdict) -> tuple[str, ...]:
    return (
        str(curve.name),
        curve.verdict.replace("_", " "),
        curve.shape or "",
        str(curve.sizes),
        f"{curve.points[0].score:.3g}",
        f"{curve.points[-1].score:.3g}",
        "" if curve.emergence_score is None else f"{curve.emergence_score:.1f}",
        "" if curve.level is None else factor_words(curve.level.factor, curve.level.low, curve.level.high),
    )


def factor_words(factor: float, low: float, high: float | None) -> str:
    """A factor with its interval.

    >>> factor_words(46.5, 20.0, None), factor_words(0.147, 0.09, 0.4)
    ('46.5x (20 or more)', '0.147x (0.09 to 0.4)')
    """
    ends = f"{low:.3g} or more" if high is None else f"{low:.3g} to {high:.3g}"
    return f"{factor:.3g}x ({ends})"


def _pair(pair: MetricPair) -> str:
    from foretoken.abilities.pairs import ORIGIN_WORDS

    seen = pair.resolution[0]
    return (
        f"{pair.name}: {pair.sharp} against {pair.smooth}: {ORIGIN_WORDS[pair.origin]}; {pair.evidence}."
        f" Answers are worth {pair.length:.3g} tokens ({pair.length_low:.3g} to {pair.length_high:.3g});"
        f" {pair.sharp} follows p^L at {pair.inside} of {len(pair.resolution)} scores;"
        f" to see one right answer at the smallest size takes {seen.items_needed:.3g} items"
    )


def _print_gain(gain: ShotGain) -> None:
    rows = [
        (
            f"{entry.size:.3g}",
            f"{100 * entry.mean:+.1f}",
            f"{100 * entry.low:+.1f} to {100 * entry.high:+.1f}",
            f"{entry.better} of {entry.tasks}",
            f"{entry.probability:.2g}",
        )
        for entry in gain.sizes
    ]
    title = f"gain of {gain.shots}-shot over {gain.base}-shot, in points" + (f" ({gain.group})" if gain.group else "")
    print_table(("size", "mean", "interval", "tasks that gain", "by chance"), rows, title, left=0)
    for told in gain.left_out:
        print_text(f"left out: {told}")
