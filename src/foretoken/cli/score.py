"""`foretoken score`: how well a trained model does on tasks, and what it expects next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.model_options import RunOption, SourceArgument, readable
from foretoken.cli.options import JsonOption, listed
from foretoken.cli.printing import print_checks, print_json, print_table, print_text
from foretoken.cli.telling import wrote
from foretoken.errors import ForetokenError, needing, shown

if TYPE_CHECKING:
    from foretoken.scoring import ModelScores, NextTokens

TasksArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[TASK]...", help="Files of tasks: a .toml, or its data alone (.jsonl, or .txt)."),
]
ShotsOption = Annotated[str, typer.Option(help="Solved examples before each question: 0, or several, as 0,1,5.")]
SeedsOption = Annotated[
    str, typer.Option("--seed", help="Seeds of the draws of the examples, as 0,1,2: a score is the mean over them.")
]
MetricsOption = Annotated[str, typer.Option(help="Metrics, as accuracy,answer_nll; unless given what suits.")]
LimitOption = Annotated[int | None, typer.Option(help="Read the first so many questions of each task.")]
AgainstOption = Annotated[
    Path | None,
    typer.Option(metavar="TEXT", help="A training text, or a study file: tell which questions stand in it."),
]
NextOption = Annotated[
    str | None, typer.Option("--next", metavar="PROMPT", help="In place of tasks: the likeliest tokens after a text.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", metavar="FILE", help="Write a table of the scores, for foretoken scores (CSV)."),
]


def score(
    source: SourceArgument,
    tasks: TasksArgument = None,
    shots: ShotsOption = "0",
    seed: SeedsOption = "0",
    metrics: MetricsOption = "",
    limit: LimitOption = None,
    against: AgainstOption = None,
    next_after: NextOption = None,
    top: Annotated[int, typer.Option(help="With --next: how many tokens.")] = 10,
    out: OutOption = None,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Score a trained model on tasks as it is: choices, answers, probabilities, with solved examples or without.

    Example: foretoken score my_model my_task.toml --shots 0,2 -o scores.csv
    """
    with needing("scoring a model"):
        from foretoken import scoring

    if (next_after is None) == (not tasks):
        raise ForetokenError(
            "what is to be scored?",
            expected="files of tasks, or --next PROMPT",
            got="both" if tasks else "neither",
            cure="give one of them",
        )
    if next_after is not None:
        expected = scoring.next_tokens(source, next_after, top=top, run=run)
        print_json(expected.to_json()) if json else show_next(expected)
        return
    scores = scoring.score(
        source,
        list(tasks or ()),
        shots=_numbers("--shots", shots),
        seeds=_numbers("--seed", seed),
        metrics=listed(metrics) or None,
        limit=limit,
        against=against,
        run=run,
    )
    print_json(scores.to_json()) if json else show(scores)
    if out is not None:
        scores.save(out)
        wrote(out)


def _numbers(option: str, text: str) -> list[int]:
    words = listed(text)
    if not words or not all(word.isdecimal() and len(word) < 10 for word in words):
        raise ForetokenError(f"{option} takes whole numbers", expected="0, or several, as 0,1,5", got=shown(text))
    return [int(word) for word in words]


def show(scores: ModelScores) -> None:
    """Print scores on tasks."""
    chances = {(one.task, one.metric): one.chance for one in scores.chances}
    clean = {(one.task, one.metric, one.shots): one for one in scores.clean_scores}
    headings = ["task", "metric", "shots", "score", "±", "chance", "n"] + ["without overlap", "n"] * bool(clean)
    rows = []
    for one in scores.scores:
        chance = chances.get((one.task, one.metric))
        error = "" if one.score_se is None else f"{one.score_se:.4f}"
        cells = [one.task, one.metric, str(one.shots), f"{one.score:.4f}", error]
        cells += ["" if chance is None else f"{chance:.4f}", str(one.n)]
        if clean:
            rest = clean.get((one.task, one.metric, one.shots))
            cells += ["", ""] if rest is None else [f"{rest.score:.4f}", str(rest.n)]
        rows.append(cells)
    print_table(headings, rows, left=2)
    for overlap in scores.overlaps:
        told = "none is long enough to be judged" if overlap.share is None else f"{100 * overlap.share:.3g} %"
        print_text(f"{overlap.task}: questions that stand in {overlap.against}: {told}")
    print_checks(scores.checks)


def show_next(expected: NextTokens) -> None:
    """Print the likeliest tokens after a prompt."""
    rows = [
        [readable(repr(one.text)), str(one.token), f"{one.probability:.4f}", f"{one.logprob:.4f}"]
        for one in expected.tokens
    ]
    print_table(["next", "token", "probability", "log p"], rows)
    print_text(f"entropy {expected.entropy:.4f} nats")
