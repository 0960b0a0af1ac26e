"""One model on one task: the examples shown before each question, and its marks by metric and seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from foretoken.errors import TaskError
from foretoken.runs.task_score import TaskScore
from foretoken.scoring.answers import Answer, greedy_answers
from foretoken.scoring.likelihood import Likelihood, Reader, Request
from foretoken.scoring.marks import MARKS, Evidence, Floats, edit_distance, mean_over_questions
from foretoken.scoring.masks import AnyReader
from foretoken.tasks import METRICS, PromptTask, Question
from foretoken.tasks.metrics import MOST_MORE, MOST_TIMES, can_write, metrics_of
from foretoken.tasks.task import check_shots

Alone = dict[Question, tuple[Likelihood, ...]]
"""What a model says of a question's candidates without the question."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """How each question went."""

    task: PromptTask
    shots: int
    seeds: tuple[int, ...]
    questions: tuple[Question, ...]
    """Those that fit into the context."""
    left_out: int
    """Questions that did not."""
    with_fewer: int
    """Questions, over all seeds, before which examples were dropped because they did not fit."""
    fewest: int
    """Examples before the question that got the fewest."""
    by_metric: dict[str, Floats]
    """[S, N] by metric, for each seed and question."""

    def scores(self, among: Sequence[bool] | None = None) -> list[TaskScore]:
        """Means with their standard errors, of the questions `among` which are counted; all unless given."""
        counted = np.flatnonzero(np.ones(len(self.questions), bool) if among is None else np.array(among, bool))
        if not len(counted):
            return []
        found = []
        for metric, values_SN in self.by_metric.items():
            values, clusters = values_SN[:, counted], [_cluster(self.questions[n], int(n)) for n in counted]
            if METRICS[metric].pairs:
                values, clusters = _of_twins(values, [self.questions[number] for number in counted])
            if not values.size:
                continue
            mean = mean_over_questions(values, clusters)
            found.append(
                TaskScore(
                    task=self.task.name, metric=metric, shots=self.shots, score=mean.score, score_se=mean.se, n=mean.n
                )
            )
        return found


def run_task(
    reader: AnyReader,
    task: PromptTask,
    shots: int,
    seeds: Sequence[int],
    metrics: Sequence[str],
    limit: int | None = None,
) -> Marks:
    """The marks of a model on the questions of a task, or on the first `limit` of them.

    Raises TaskError for more shots than there are examples, and where no question fits into the context.
    """
    check_shots(task, shots)
    # without examples, or with those of each question's own, there is nothing to draw: every seed would give the same
    draws = shots and not all(question.examples for question in task.questions[:limit])
    drawn = tuple(dict.fromkeys(seeds)) if draws else tuple(seeds)[:1]
    runs = [_shown(reader, task, shots, seed, limit) for seed in drawn]
    # whether a question fits by itself does not depend on the seed
    fitting = [one for one in runs[0] if one.requests]
    if not fitting:
        shape = reader.model.network.shape
        raise TaskError(
            f"no question of {task.name} fits into the model's context",
            expected=f"at most {shape.context} tokens with the answer",
            got=f"{len(runs[0])} longer questions",
            cure="take a model with a longer context, or a shorter template",
        )
    alone = _alone(reader, task, [one.question for one in fitting]) if _any(metrics, "unconditional") else {}
    by_seed = [_marks(reader, task, [one for one in run if one.requests], metrics, alone) for run in runs]
    counts = [one.examples for run in runs for one in run if one.requests]
    return Marks(
        task=task,
        shots=shots,
        seeds=drawn,
        questions=tuple(one.question for one in fitting),
        left_out=len(runs[0]) - len(fitting),
        with_fewer=sum(count < shots for count in counts),
        fewest=min(counts),
        by_metric={metric: np.array([marks[metric] for marks in by_seed]) for metric in metrics},
    )


def metrics_for(reader: AnyReader, task: PromptTask, asked: Sequence[str] = ()) -> tuple[str, ...]:
    """The metrics of a task; of those that nobody named, the ones that the model can give.

    Raises TaskError as `metrics_of` does.
    """
    names = metrics_of(task, asked, writes=can_write(reader.model.family, reader.model.objective, task))
    if reader.begins_alone or asked or task.metrics or task.template.partition("{prompt}")[2].strip():
        return names
    return tuple(name for name in names if not METRICS[name].unconditional)


def _any(metrics: Iterable[str], need: str) -> bool:
    return any(getattr(METRICS[name], need) for name in metrics)


def _shown(reader: AnyReader, task: PromptTask, shots: int, seed: int, limit: int | None) -> list[Shown]:
    order = draw_order(task, seed) if shots else []
    return [
        show(reader, task, question, number, examples_for(task, question, order, shots))
        for number, question in enumerate(task.questions[:limit])
    ]


def _alone(reader: AnyReader, task: PromptTask, questions: Sequence[Question]) -> Alone:
    """The log-probability of each choice after what stands between a question and its answer, and nothing else.

    Where a gap is filled nothing stands behind it.
    """
    bare, asked = task.template.partition("{prompt}")[2], dict[Question, tuple[Request, ...]]()
    for question in questions:
        alone = replace(question, after="") if question.after is not None and reader.fills(question) else question
        asked[question] = _requests(reader, task, bare, alone)
    requests = list(dict.fromkeys(chain.from_iterable(asked.values())))
    found = dict(zip(requests, reader.weigh(requests), strict=True))
    return {question: tuple(found[one] for one in each) for question, each in asked.items()}


def _requests(reader: AnyReader, task: PromptTask, prompt: str, question: Question) -> tuple[Request, ...]:
    masks = task.masks_of(question)
    return tuple(reader.request(prompt, question, answer, masks) for answer in question.candidates)


def _marks(
    reader: AnyReader, task: PromptTask, shown: Sequence[Shown], metrics: Sequence[str], alone: Alone
) -> dict[str, list[float]]:
    """The mark of each question, by metric."""
    # Prompts with equally many examples begin alike, and what they share is read once.
    order = sorted(range(len(shown)), key=lambda number: shown[number].examples)
    base = "accuracy" if all(one.question.choices for one in shown) else "exact_match"
    of_each = {name: base if METRICS[name].pairs else name for name in metrics}
    weighed: dict[int, tuple[Likelihood, ...]] = {}
    written: dict[int, Answer] = {}
    for examples in dict.fromkeys(shown[number].examples for number in order):
        group = [number for number in order if shown[number].examples == examples]
        found = iter(reader.weigh(list(chain.from_iterable(shown[number].requests for number in group))))
        weighed |= {number: tuple(next(found) for _ in shown[number].requests) for number in group}
        if _any(of_each.values(), "writes"):
            assert isinstance(reader, Reader)  # of others `metrics_of` refuses such metrics
            written |= dict(zip(group, _answers(reader, task, [shown[number] for number in group]), strict=True))
    evidence = [
        _evidence(reader, one.question, weighed[number], alone.get(one.question, ()), written.get(number))
        for number, one in enumerate(shown)
    ]
    return {name: [MARKS[mark](one) for one in evidence] for name, mark in of_each.items()}


def _answers(reader: Reader, task: PromptTask, shown: Sequence[Shown]) -> list[Answer]:
    answers = [_right(one) for one in shown]
    most = MOST_TIMES * max(len(answer.text) for answer in answers) + MOST_MORE
    return greedy_answers(reader, [answer.prompt for answer in answers], most, [task.between or "\n"])


def _right(shown: Shown) -> Request:
    """The prompt with the right answer."""
    return shown.requests[shown.question.candidates.index(shown.question.answer)]


def _evidence(
    reader: AnyReader,
    question: Question,
    weighed: tuple[Likelihood, ...],
    alone: tuple[Likelihood, ...],
    written: Answer | None,
) -> Evidence:
    texts, edits = question.candidates, float("nan")
    if not reader.fills(question):
        texts = tuple(map(question.filled, texts))
    if written is not None:
        edits = edit_distance(*(reader.model.encode(text.strip()) for text in (written.text, question.solved)))
    return Evidence(question=question, texts=texts, weighed=weighed, alone=alone, written=written, edits=edits)


def _cluster(question: Question, number: int) -> Hashable:
    """What a question is not independent of: its document, else its twin, else nothing."""
    if question.document:
        return "document", question.document
    return ("pair", question.pair) if question.pair else number


def _of_twins(values_SN: Floats, questions: Sequence[Question]) -> tuple[Floats, list[Hashable]]:
    """Whether all questions of a pair are right, [S, pairs], and the cluster of each pair."""
    members: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        if question.pair:
            members.setdefault(question.pair, []).append(number)
    # Of twins of which one was left out nobody knows whether both are right.
    members = {pair: numbers for pair, numbers in members.items() if len(numbers) > 1}
    both = [values_SN[:, numbers].prod(axis=1) for numbers in members.values()]
    clusters = [_cluster(questions[numbers[0]], numbers[0]) for numbers in members.values()]
    return np.array(both).T.reshape(len(values_SN), len(both)), clusters


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A question as a model reads it."""

    question: Question
    number: int
    """Of the question in its task, from 0."""
    requests: tuple[Request, ...]
    """The prompt with each choice, or with the answer."""
    examples: int
    """Examples that stand before it: fewer than were asked for where they do not fit."""


def draw_order(task: PromptTask, seed: int) -> list[int]:
    """The order in which examples are taken: the same for all models and questions, and the first of five is the one.

    >>> some = tuple(Question(prompt=letter, answer="x") for letter in "abcd")
    >>> task = PromptTask(name="letters", questions=some[:1], examples=some[1:])
    >>> sorted(draw_order(task, seed=1)), draw_order(task, seed=1) == draw_order(task, seed=1)
    ([0, 1, 2], True)
    """
    return [int(number) for number in np.random.default_rng([seed, 1]).permutation(len(task.examples))]


def show(reader: AnyReader, task: PromptTask, question: Question, number: int, examples: Sequence[Question]) -> Shown:
    """The question with as many of the examples as fit: those farthest from it are dropped first.

    `requests` is empty where the question does not fit even by itself.
    """
    for kept in range(len(examples), -1, -1):
        prompt = task.prompt(question, examples[len(examples) - kept :])
        requests = _requests(reader, task, prompt, question)
        if all(map(reader.fits, requests)):
            return Shown(question=question, number=number, requests=requests, examples=kept)
    return Shown(question=question, number=number, requests=(), examples=0)


def examples_for(task: PromptTask, question: Question, order: Sequence[int], shots: int) -> list[Question]:
    """The question's own first examples; else those of the task in an order, without the question itself."""
    if question.examples:
        return list(question.examples[:shots])
    found: list[Question] = []
    for number in order:
        if len(found) == shots:
            break
        example = task.examples[number]
        if (example.prompt, example.solved) != (question.prompt, question.solved):
            found.append(example)
    return found
