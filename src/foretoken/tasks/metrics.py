"""What a task can be scored by: names that tables of scores understand, and what each needs. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from foretoken.arguments import nearest
from foretoken.compute.families import Family
from foretoken.compute.objective import Objective
from foretoken.errors import TaskError, shown
from foretoken.tasks.task import PromptTask


@dataclass(frozen=True)
class TaskMetric:
    """What a metric needs of a task."""

    meaning: str
    chooses: bool = False
    """Whether it is about choosing: every question must have choices."""
    writes: bool = False
    """Whether the model must write its answer freely, which takes longer than weighing one."""
    unconditional: bool = False
    """Whether the choices are also weighed without their question."""
    pairs: bool = False
    """Whether it is about twins."""


METRICS: dict[str, TaskMetric] = {
    "accuracy": TaskMetric("share of questions whose right choice is the likeliest", chooses=True),
    "accuracy_per_token": TaskMetric("the same by log-probability per token of the choice", chooses=True),
    "accuracy_per_byte": TaskMetric("the same by log-probability per byte of the choice", chooses=True),
    "accuracy_unconditional": TaskMetric(
        "the same by log-probability less that of the choice without its question", chooses=True, unconditional=True
    ),
    "choice_probability": TaskMetric("probability of the right choice among the choices", chooses=True),
    "exact_match": TaskMetric("share of answers, written freely, that are the right one", writes=True),
    "token_edit_distance": TaskMetric(
        "edits from the answer, written freely, to the right one, over the tokens of the longer", writes=True
    ),
    "f1": TaskMetric("words that the answer, written freely, shares with the right one (SQuAD's F1)", writes=True),
    "last_word_accuracy": TaskMetric("share of answers each of whose tokens is the likeliest where it stands"),
    "answer_probability": TaskMetric("probability of the whole right answer"),
    "token_probability": TaskMetric("probability of the right answer per token, the geometric mean"),
    "answer_nll": TaskMetric("minus log-probability of the right answer, in nats per token"),
    "consistency": TaskMetric("share of twins of which both are right", pairs=True),
}
"""By name. The names are words that `abilities.metrics` reads a direction, bounds and sharpness from."""
MOST_TIMES, MOST_MORE = 2, 8
"""An answer is written until it ends, for at most so many times the tokens of the longest right answer, and more."""
FOR_CHOICES = (
    "accuracy",
    "accuracy_per_token",
    "accuracy_per_byte",
    "accuracy_unconditional",
    "choice_probability",
    "answer_probability",
    "answer_nll",
)
FOR_ANSWERS = (
    "exact_match",
    "token_edit_distance",
    "f1",
    "answer_probability",
    "token_probability",
    "answer_nll",
)
"""What tasks are scored by unless they say it, with choices and without."""


def check_metrics(names: Sequence[str], where: str) -> None:
    """Raise TaskError for a name that is no metric, with the nearest that is one.

    >>> check_metrics(["acuracy"], "the task sums")
    Traceback (most recent call last):
        ...
    foretoken.errors.TaskError: the task sums: no such metric
      expected: accuracy, accuracy_per_token, accuracy_per_byte, accuracy_unconditional, choice_probability, \
exact_match, token_edit_distance, f1, last_word_accuracy, answer_probability, token_probability, answer_nll, consistency
      got: 'acuracy'
      cure: did you mean 'accuracy'?
    """
    for name in names:
        if name not in METRICS:
            near = nearest(str(name), METRICS)
            cure = f"did you mean {near[0]!r}?" if near else "name one of these"
            raise TaskError(f"{where}: no such metric", expected=", ".join(METRICS), got=shown(name), cure=cure)


def can_write(family: Family, objective: Objective, task: PromptTask) -> bool:
    """Whether a network writes answers to a task: not an encoder, and nothing into gaps that sentinels stand for."""
    has_gaps = any(question.after is not None for question in task.questions)
    return family.generates and not (objective.corrupts_spans and has_gaps)


def metrics_of(task: PromptTask, asked: Sequence[str] = (), *, writes: bool = True) -> tuple[str, ...]:
    """The metrics that are asked for, else those of the task, else those that suit its questions.

    Of a model that writes no answers (`can_write`) there are none of written answers.

    Raises TaskError for one that the questions, or such a model, cannot be scored by.
    """
    names = tuple(dict.fromkeys(asked or task.metrics))
    check_metrics(names, f"the task {task.name}")
    with_choices = [bool(question.choices) for question in task.questions]
    with_pairs = any(question.pair for question in task.questions)
    if not names:
        names = (FOR_CHOICES if all(with_choices) else FOR_ANSWERS) + ("consistency",) * with_pairs
        names = tuple(name for name in names if writes or not needs_writing(task, name))
    for name in names:
        if not writes and needs_writing(task, name):
            raise TaskError(
                f"the task {task.name} cannot be scored by {name}: this model fills gaps and writes no answers",
                expected=", ".join(one for one in METRICS if not needs_writing(task, one)),
                got=name,
                cure="score it by these, give choices, or take a decoder",
            )
        if METRICS[name].chooses and not all(with_choices):
            raise TaskError(
                f"the task {task.name} cannot be scored by {name}",
                expected="choices at every question",
                got=f"none at {with_choices.count(False)} of {len(with_choices)}: "
                + shown(task.questions[with_choices.index(False)].prompt),
                cure="give choices, or score it by exact_match or another metric of answers",
            )
        if METRICS[name].pairs and not with_pairs:
            raise TaskError(
                f"the task {task.name} cannot be scored by {name}",
                expected="questions with a pair, which twins share",
                got="none",
                cure="name the twins, or leave this metric out",
            )
    return names


def needs_writing(task: PromptTask, metric: str) -> bool:
    """Whether a model must write its answers freely for a metric: twins without choices are right where both are
    written.
    """
    chosen = all(question.choices for question in task.questions)
    return METRICS[metric].writes or (METRICS[metric].pairs and not chosen)


def chance_of_task(task: PromptTask, metric: str) -> float | None:
    """What guessing among the choices gives by this metric; None where nothing is known.

    >>> from foretoken.tasks import Question
    >>> two = Question(prompt="2 < 3", answer=" yes", choices=(" yes", " no"))
    >>> chance_of_task(PromptTask(name="order", questions=(two,)), "accuracy_per_byte")
    0.5
    """
    if not all(question.choices for question in task.questions):
        return None
    if METRICS[metric].pairs:
        shares: dict[str, float] = {}
        for question in task.questions:
            if question.pair:
                shares[question.pair] = shares.get(question.pair, 1.0) / len(question.choices)
        return sum(shares.values()) / len(shares)
    if not METRICS[metric].chooses:
        return None
    return sum(1 / len(question.choices) for question in task.questions) / len(task.questions)
