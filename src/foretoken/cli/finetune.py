"""`foretoken finetune`: tune a model on labelled examples and score it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.model_options import RunOption, SourceArgument
from foretoken.cli.options import JsonOption, given_together
from foretoken.cli.printing import print_json, print_text
from foretoken.errors import needing
from foretoken.runs.sources import parse_map

if TYPE_CHECKING:
    from foretoken.evals import FinetuneResult, SeedMean


TaskOption = Annotated[
    list[Path],
    typer.Option("--task", help="Labelled examples (.jsonl, .json, .csv, .tsv); text-to-text takes several files."),
]
TaskMapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="Columns by other names: text=sentence,label=class.", metavar="OURS=THEIRS,..."),
]


def finetune(
    source: SourceArgument,
    task: TaskOption,
    kind: Annotated[str, typer.Option(help="single, pair, similarity, choice, labels or text-to-text.")] = "single",
    seeds: Annotated[int, typer.Option(help="Trainings, each with its own head and order of examples.")] = 5,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Also from random weights, to compare.")] = False,
    metric: Annotated[str, typer.Option(help="accuracy, f1 or exact_match; that of the kind unless given.")] = "",
    learning_rate: Annotated[
        list[float] | None, typer.Option("--learning-rate", help="May be given again; the best on validation is taken.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Rounds over the training examples, at most.")] = 40,
    patience: Annotated[int, typer.Option(help="Stop after this many epochs without a lower validation loss.")] = 6,
    batch: Annotated[int, typer.Option(help="Examples in a step.")] = 16,
    classes: Annotated[str, typer.Option(metavar="A,B,...", help="All classes; those that occur unless given.")] = "",
    cut: Annotated[int, typer.Option(min=0, help="Keep this many first tokens of each text; 0 for all.")] = 0,
    cap: Annotated[int, typer.Option(help="Of several files: a larger one counts as this many examples.")] = 65_536,
    temperature: Annotated[float, typer.Option(help="Of several files: above 1 evens out their shares.")] = 1.0,
    rename: TaskMapOption = None,
    run: RunOption = None,
    json: JsonOption = False,
) -> None:
    """Tune a model on labelled examples, several times, and score it on held-out ones; the model itself is not changed.

    Example: foretoken finetune my_model --task reviews.jsonl --kind single --seeds 2 --epochs 3
    """
    with needing("fine-tuning"):
        from foretoken import evals

    result = evals.finetune(
        source,
        task,
        kind,
        seeds=seeds,
        from_scratch=from_scratch,
        metric=metric,
        learning_rates=tuple(learning_rate or evals.TuningOptions.learning_rates),
        epochs=epochs,
        patience=patience,
        batch=batch,
        classes=tuple(name for name in classes.split(",") if name),
        cut=cut,
        rename=parse_map(given_together(rename), example="text=sentence,label=class"),
        cap=cap,
        temperature=temperature,
        run=run,
    )
    if json:
        print_json(result.to_json())
    else:
        show(result)


def show(result: FinetuneResult) -> None:
    """Print what tuning gave."""
    task = result.task
    sizes = f"{len(task.train)} examples to learn from, {len(task.test)} to score on"
    print_text(f"{task.name} ({task.kind}, {sizes}): {result.metric} over {len(result.tuned)} seeds")
    if task.classes:
        print_text(f"  classes              {', '.join(task.classes)}")
    print_text(f"  from these weights   {_mean_text(result.score)}")
    if result.scratch_score is not None and result.difference is not None:
        print_text(f"  from random weights  {_mean_text(result.scratch_score)}")
        print_text(f"  difference           {_mean_text(result.difference)}")
    if result.chance is not None:
        print_text(f"  chance               {result.chance:.3f} (always the commonest class)")
    widest = max(result.tuned, key=lambda seed: seed.high - seed.low)
    print_text(
        f"  a test set of {len(task.test)} leaves {widest.low:.3f} to {widest.high:.3f} (95 %) of a score of"
        f" {widest.score:.3f}"
    )


def _mean_text(mean: SeedMean) -> str:
    """Mean, standard error, interval."""
    if mean.se is None:
        return f"{mean.mean:.3f}"
    return f"{mean.mean:.3f} ± {mean.se:.3f} (95 %: {mean.low:.3f} to {mean.high:.3f})"
