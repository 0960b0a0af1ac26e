"""`foretoken score`: how well a model does on tasks, as it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Any

from foretoken.arguments import takes
from foretoken.errors import TaskError, shown
from foretoken.fits.check import Check, plural, worst_first
from foretoken.generation import Model, ModelSource, open_model
from foretoken.results import Result
from foretoken.runs.task_score import TaskScore
from foretoken.scoring.masks import reader_of
from foretoken.scoring.overlap import check_training, overlapping, question_text, training_texts
from foretoken.scoring.run_task import Marks, metrics_for, run_task
from foretoken.store.atomic import write_output
from foretoken.store.store import Store
from foretoken.store.weights import read_metadata
from foretoken.tasks import PromptTask, read_prompt_task
from foretoken.tasks.metrics import chance_of_task, metrics_of, needs_writing
from foretoken.tasks.task import check_names, check_shots

TaskSource = PromptTask | str | Path


@dataclass(frozen=True, kw_only=True)
class Chance:
    """What guessing scores."""

    task: str
    metric: str
    chance: float


@dataclass(frozen=True, kw_only=True)
class TaskRead:
    """What was read of a task, with so many examples shown."""

    task: str
    source: str
    shots: int
    seeds: tuple[int, ...]
    """Of the draws of the examples."""
    questions: int
    """Questions that were scored."""
    left_out: int
    """Questions that do not fit into the context."""
    with_fewer: int
    """Questions, over all seeds, that were shown fewer examples, because these did not fit."""


@dataclass(frozen=True, kw_only=True)
class TaskOverlap:
    """Questions of a task that stand in a training text."""

    task: str
    against: str
    questions: int
    """Questions that are long enough to be looked for."""
    found: int
    share: float | None
    """Found, of those looked for; None where none is long enough."""
    first: tuple[str, ...]
    """The first few that were found."""


@dataclass(frozen=True, kw_only=True)
class ModelScores(Result, rows="scores"):
    """How well a model does on tasks."""

    model: str
    params: int
    """All parameters of its network."""
    scores: tuple[TaskScore, ...]
    chances: tuple[Chance, ...]
    """Of the scores for which it is known."""
    tasks: tuple[TaskRead, ...]
    overlaps: tuple[TaskOverlap, ...] = ()
    """With the training text; empty where none was given."""
    clean_scores: tuple[TaskScore, ...] = ()
    """Without the questions that stand in the training text, of the tasks that have such."""
    tokens: float | None = None
    """Tokens that it was trained on; None where that is not known."""
    flops: float | None = None
    """What the training took."""
    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **asdict(self),
            "scores": [_row_json(one) for one in self.scores],
            "clean_scores": [_row_json(one) for one in self.clean_scores],
        }

    def save(self, path: str | Path) -> None:
        """Write a table of the scores, one per row, which `foretoken scores` and `downstream` read beside others.

        Raises StoreError where it cannot be written.
        """
        chances = {(one.task, one.metric): one.chance for one in self.chances}
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(("run", "params", "tokens", "flops", *ROW, "chance"))
        for one in self.scores:
            size = (self.model, self.params, self.tokens, self.flops)
            table.writerow((*size, *_row_json(one).values(), chances.get((one.task, one.metric))))
        write_output(Path(path), text.getvalue().encode())


ROW = ("task", "metric", "shots", "score", "score_se", "n")
"""What is told of a score, in JSON and in tables."""


def _row_json(one: TaskScore) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ROW}


@dataclass(frozen=True)
class ScoreRequest:
    """A model, tasks, and how it is scored on them."""

    source: ModelSource
    """A study with kept weights, or a folder of safetensors."""
    tasks: TaskSource | Sequence[TaskSource]
    """A task, the file of one, or several."""
    _: KW_ONLY
    shots: Sequence[int] = (0,)
    """Solved examples shown before each question; each number gives scores of its own."""
    seeds: Sequence[int] = (0,)
    """Of the draws of the examples: a score is the mean over them."""
    metrics: Sequence[str] | None = None
    """Names of metrics; those of the task, or those that suit it, unless given."""
    limit: int | None = None
    """Questions of each task that are read at most, the first ones."""
    against: str | Path | None = None
    """A training text (a file or a folder), or a study file: which questions stand in it, and the scores without them.
    """
    run: str | None = None
    """Of a study, the run whose key begins so, in place of its target."""


@takes(ScoreRequest)
def score(request: ScoreRequest) -> ModelScores:
    """Score a model on tasks, as it is: nothing is trained.

    The arguments are the fields of `ScoreRequest`. The examples shown, their order and the questions are the same for
    all models.

    An encoder weighs answers and writes none. Raises TaskError for a task that cannot be read, that no question of
    fits into the context, or that asks such a model to write, what `open_model` raises.
    """
    listed = [request.tasks] if isinstance(request.tasks, PromptTask | str | Path) else list(request.tasks)
    tasks = [_opened(one) for one in listed]
    _check_request(tasks, request)
    for task in tasks:  # before the weights are read
        metrics_of(task, request.metrics or ())
        check_shots(task, max(request.shots))
    if request.against is not None:
        check_training(request.against)
    reader = reader_of(open_model(request.source, request.run))
    wanted = [metrics_for(reader, task, request.metrics or ()) for task in tasks]
    marks = [
        run_task(reader, task, shots, request.seeds, metrics, request.limit)
        for task, metrics in zip(tasks, wanted, strict=True)
        for shots in dict.fromkeys(request.shots)
    ]
    # after the scores, since a training text may take long to read
    overlaps, clean = _overlaps(tasks, marks, request.against)
    checks = [check for one in marks for check in _checks(one)] + [_overlap_check(one) for one in overlaps if one.found]
    checks += [
        _metric_check(task, metric)
        for task, metrics in zip(tasks, wanted, strict=True)
        for metric in metrics_of(task, request.metrics or ())
        if metric not in metrics
    ]
    tokens, flops = _trained(reader.model)
    return ModelScores(
        model=reader.model.name,
        params=sum(weight.numel() for weight in reader.model.network.parameters()),
        scores=tuple(row for one in marks for row in one.scores()),
        chances=tuple(_chances(tasks, wanted)),
        tasks=tuple(_read(one) for one in marks),
        overlaps=tuple(overlaps),
        clean_scores=tuple(clean),
        tokens=tokens,
        flops=flops,
        checks=tuple(worst_first(checks)),
    )


def score_network(
    model: Model, task: PromptTask, shots: Sequence[int] = (0,), seeds: Sequence[int] = (0,)
) -> list[TaskScore]:
    """The scores of a network in memory on one task, for each number of shots; its weights stay as they are.

    Raises TaskError as `score` does.
    """
    reader = reader_of(model)
    metrics = metrics_for(reader, task)
    return [row for number in shots for row in run_task(reader, task, number, seeds, metrics).scores()]


def _opened(source: TaskSource) -> PromptTask:
    if isinstance(source, PromptTask):
        return source
    return read_prompt_task(source)


def _check_request(tasks: Sequence[PromptTask], request: ScoreRequest) -> None:
    """Raise TaskError for what no scores can be asked for."""
    check_names(tasks)
    for name, values in (("shots", request.shots), ("seeds", request.seeds)):
        if not values or not all(type(value) is int and value >= 0 for value in values):
            raise TaskError(f"{name} are whole numbers", expected="0 or more, one or several", got=shown(values))
    if request.limit is not None and request.limit < 1:
        raise TaskError("limit must be at least 1", expected="1 or more", got=str(request.limit))


def _trained(model: Model) -> tuple[float | None, float | None]:
    """Tokens and FLOPs of the run of a study that a model is."""
    metadata = None if model.folder is None else read_metadata(model.folder)
    if model.folder is None or metadata is None or model.folder.parent.name != metadata.run:
        return None, None
    record = Store(model.folder.parents[2]).record(metadata.run)
    return (None, None) if record is None else (float(record.spec.tokens), record.spec.flops)


def _overlaps(
    tasks: Sequence[PromptTask], marks: Sequence[Marks], against: str | Path | None
) -> tuple[list[TaskOverlap], list[TaskScore]]:
    """What of each task stands in a training text, which is read once, and the scores of the rest."""
    if against is None:
        return [], []
    asked = [question for task in tasks for question in task.questions]
    found = dict(zip(asked, overlapping([question_text(one) for one in asked], training_texts(against)), strict=True))
    overlaps, clean = [], []
    for task in tasks:
        scored = {question for one in marks if one.task is task for question in one.questions}
        told = [(question, found[question]) for question in task.questions if question in scored]
        judged, standing = sum(hit is not None for _, hit in told), [question.prompt for question, hit in told if hit]
        overlaps.append(
            TaskOverlap(
                task=task.name, against=str(against), questions=judged, found=len(standing),
                share=len(standing) / judged if judged else None, first=tuple(standing[:3]),
            )
        )  # fmt: skip
        if standing:
            alone = [one for one in marks if one.task is task]
            clean += [row for one in alone for row in one.scores([not found[question] for question in one.questions])]
    return overlaps, clean


def _overlap_check(overlap: TaskOverlap) -> Check:
    evidence = f"{overlap.task}: {overlap.found} of {plural(overlap.questions, 'question')} stand in {overlap.against}"
    cure = "take the scores without them, which stand beside these"
    return Check("in_training_text", "doubt", f"{evidence}, such as {shown(overlap.first[0])}", cure)


def _chances(tasks: Sequence[PromptTask], wanted: Sequence[Sequence[str]]) -> list[Chance]:
    known = (
        (task.name, metric, chance_of_task(task, metric))
        for task, metrics in zip(tasks, wanted, strict=True)
        for metric in metrics
    )
    return [Chance(task=task, metric=metric, chance=chance) for task, metric, chance in known if chance is not None]


def _read(marks: Marks) -> TaskRead:
    return TaskRead(
        task=marks.task.name,
        source=marks.task.source,
        shots=marks.shots,
        seeds=marks.seeds,
        questions=len(marks.questions),
        left_out=marks.left_out,
        with_fewer=marks.with_fewer,
    )


def _metric_check(task: PromptTask, metric: str) -> Check:
    if needs_writing(task, metric):
        evidence = f"{task.name}: {metric} is left out: this model fills gaps and writes no answers"
        return Check("metric_left_out", "note", evidence, "take the other metrics, or a decoder")
    evidence = f"{task.name}: {metric} is left out: nothing can stand before a choice without its question"
    cure = "give a template with words behind {prompt}, or a model whose tokenizer has a token between documents"
    return Check("metric_left_out", "note", evidence, cure)


def _checks(marks: Marks) -> list[Check]:
    """What is doubtful about the scores of a task."""
    found, name = [], f"{marks.task.name} with {plural(marks.shots, 'shot')}"
    if marks.left_out:
        evidence = f"{name}: {plural(marks.left_out, 'question')} of {marks.left_out + len(marks.questions)} left out:"
        cure = "compare models on the questions that all of them can read, or give a model with a longer context"
        found.append(Check("question_too_long", "doubt", f"{evidence} longer than the context by itself", cure))
    if marks.with_fewer:
        asked = len(marks.questions) * len(marks.seeds)
        evidence = f"{name}: {marks.with_fewer} of {plural(asked, 'prompt')} held fewer examples, {marks.fewest} at"
        cure = "ask for fewer shots, or give a model with a longer context"
        told = f"{evidence} least: the first ones were dropped because they do not fit into the context"
        found.append(Check("examples_dropped", "doubt", told, cure))
    return found
