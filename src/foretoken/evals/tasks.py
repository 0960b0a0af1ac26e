"""Labelled examples of a task, as tokens, checked before anything is trained. No torch here.

`single`        the class of one text
`pair`          the class of two texts in their order: does the second follow from the first
`similarity`    the class of two texts whose order does not matter
`choice`        which of several texts follows another
`labels`        a class for each token of a text
`text-to-text`  a text from a text
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from foretoken.arguments import nearest
from foretoken.errors import TaskError, shown

TaskKind = Literal["single", "pair", "similarity", "choice", "labels", "text-to-text"]
Split = Literal["train", "validation", "test"]
KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
SPLITS: tuple[Split, ...] = get_args(Split)
SINGLE, PAIR, SIMILARITY, CHOICE, LABELS, TEXT_TO_TEXT = KINDS
TEXTS: dict[TaskKind, int] = {SINGLE: 1, PAIR: 2, SIMILARITY: 2, LABELS: 1, TEXT_TO_TEXT: 2}
"""Texts of an example; a choice has one more than there are choices."""
NO_LABEL = -1
"""In place of a class, at a token that has none (a word's tokens after its first)."""

Tokens = tuple[int, ...]


def check_kind(kind: str) -> TaskKind:
    """The kind, if it is one of `KINDS`. Raises TaskError with the nearest one."""
    if kind not in KINDS:
        near = nearest(str(kind), KINDS)
        cure = f"did you mean {near[0]!r}?" if near else "name one of these"
        raise TaskError("no such kind of task", expected=", ".join(KINDS), got=shown(kind), cure=cure)
    return kind


@dataclass(frozen=True)
class Example:
    """One labelled example."""

    texts: tuple[Tokens, ...]
    """One text; two; a text and what may follow it; source and target."""
    labels: tuple[int, ...] = ()
    """The number of its class or of the right choice; of each token's class; nothing beside a target."""
    task: str = ""
    """In a mixture, the task that it is of."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Examples to learn from, to stop by, and to be scored on.

    Raises TaskError for a label outside the classes, a class without an example to learn from, an empty split, and
    examples that are not of the kind.
    """

    name: str
    kind: TaskKind
    classes: tuple[str, ...] = ()
    """Names of the classes; of a choice, of the positions."""
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    weights: tuple[float, ...] = ()
    """How often each training example is drawn, beside the others; empty: each once an epoch."""
    ceiling: float | None = None
    """The best possible score on fresh examples, where it is known."""
    ceiling_from: str = ""

    def __post_init__(self) -> None:
        check_kind(self.kind)
        for split in SPLITS:
            if not self.split(split):
                raise TaskError(
                    f"the task {self.name} has no {split} examples",
                    expected=f"one {split} example or more",
                    got="none",
                    cure=f"give more examples, mark some as {split}, or leave out the column split:"
                    " then three in five are learned from, one in five is to stop by, one in five to score",
                )
        for where, example in self.examples():
            self._check_texts(where, example)
            self._check_labels(where, example)
        self._check_classes()

    def split(self, name: Split) -> tuple[Example, ...]:
        """The examples of a split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def examples(self) -> Iterator[tuple[str, Example]]:
        """All examples, each with a description of where it stands."""
        for split in SPLITS:
            for number, example in enumerate(self.split(split), 1):
                yield f"{split} example {number} of {self.name}", example

    def _check_texts(self, where: str, example: Example) -> None:
        expected = TEXTS.get(self.kind, 1 + len(self.classes))
        if len(example.texts) != expected:
            raise TaskError(
                f"{where} has too many or too few texts",
                expected=str(expected),
                got=str(len(example.texts)),
                cure=f"correct it, or leave it out; each {self.kind} example has as many",
            )
        if not all(example.texts):
            raise TaskError(
                f"{where} has an empty text",
                expected="one token or more in each text",
                got="none in one of them",
                cure="leave it out",
            )

    def _check_labels(self, where: str, example: Example) -> None:
        expected = {LABELS: len(example.texts[0]), TEXT_TO_TEXT: 0}.get(self.kind, 1)
        if len(example.labels) != expected:
            raise TaskError(
                f"{where} has too many or too few labels",
                expected=str(expected),
                got=str(len(example.labels)),
                cure="correct it, or leave it out",
            )
        lowest = NO_LABEL if self.kind == LABELS else 0
        for label in example.labels:
            if not lowest <= label < len(self.classes):
                raise TaskError(
                    f"{where} has a label outside the classes",
                    expected=f"0 to {len(self.classes) - 1} ({', '.join(self.classes[:8])})",
                    got=str(label),
                    cure="correct it, or name its class too",
                )
        if self.kind == LABELS and set(example.labels) == {NO_LABEL}:
            raise TaskError(
                f"{where} has no label at all",
                expected="a label at one token or more",
                got="none",
                cure="leave it out",
            )

    def _check_classes(self) -> None:
        if self.kind == TEXT_TO_TEXT:
            return
        if len(self.classes) < 2:
            raise TaskError(
                "a task needs at least two classes",
                expected="two classes or more",
                got=f"{', '.join(self.classes) or 'none'}",
                cure="give examples of another class too",
            )
        counts = Counter(label for example in self.train for label in example.labels)
        empty = [name for number, name in enumerate(self.classes) if not counts[number]]
        if empty and self.kind != CHOICE:
            raise TaskError(
                "a class without an example to learn from",
                expected=f"training examples of {', '.join(self.classes[:8])}",
                got=f"none of {', '.join(empty[:8])}",
                cure="give some, or leave the class out",
            )


def check_mixing(cap: int, temperature: float) -> None:
    """Raise TaskError for a cap or a temperature that no mixture can have."""
    if not cap >= 1 or not 0 < temperature < math.inf:
        raise TaskError(
            "invalid mixture settings",
            expected="a cap of 1 or more, a finite temperature above 0",
            got=f"cap {cap}, temperature {temperature}",
            cure="leave both out: a cap of 65536 and a temperature of 1",
        )


def mixture(tasks: Sequence[Task], *, cap: int = 65_536, temperature: float = 1.0) -> Task:
    """One text-to-text task of several: each is drawn in proportion to its examples, counted up to a cap.

    The proportions are taken to the power 1 / temperature: 1 keeps them, a large one draws all tasks equally (Raffel et
    al. 2019, arXiv 1910.10683, section 3.5.2). A token before the source names the task.
    Raises TaskError when there are not two tasks with names of their own, one is not text-to-text, or for settings that
    `check_mixing` refuses.

    >>> def task(name, examples):
    ...     some = (Example(((1,), (2,))),)
    ...     return Task(name=name, kind="text-to-text", train=some * examples, validation=some, test=some)
    >>> mixed = mixture([task("copy", 1), task("sort", 9)], temperature=2)
    >>> round(sum(mixed.weights[:1]), 3), round(sum(mixed.weights[1:]), 3)
    (0.25, 0.75)
    """
    _check_mixable(tasks)
    check_mixing(cap, temperature)
    counts = [min(len(task.train), cap) for task in tasks]
    # Relative to the largest count each rate is at most 1, so no low temperature overflows.
    rates = [(count / max(counts)) ** (1 / temperature) for count in counts]
    per_example = [rate / sum(rates) / len(task.train) for rate, task in zip(rates, tasks, strict=True)]
    train, validation, test = (
        tuple(Example(example.texts, (), task.name) for task in tasks for example in task.split(split))
        for split in SPLITS
    )
    ceilings = [task.ceiling for task in tasks if task.ceiling is not None]
    return Task(
        name="+".join(task.name for task in tasks),
        kind=TEXT_TO_TEXT,
        train=train,
        validation=validation,
        test=test,
        weights=tuple(weight for weight, task in zip(per_example, tasks, strict=True) for _ in task.train),
        ceiling=sum(ceilings) / len(tasks) if len(ceilings) == len(tasks) else None,
    )


def _check_mixable(tasks: Sequence[Task]) -> None:
    names = [task.name for task in tasks]
    if len(set(names)) < max(2, len(names)) or not all(names):
        raise TaskError(
            "a mixture needs tasks with names of their own",
            expected="two names or more, each once",
            got=", ".join(map(repr, names)) or "no tasks",
            cure="rename the tasks (a file's task has the file's name)",
        )
    other = [task.kind for task in tasks if task.kind != TEXT_TO_TEXT]
    if other:
        raise TaskError(
            "these tasks cannot be mixed",
            expected=f"the kind {TEXT_TO_TEXT}",
            got=f"kind {other[0]}",
            cure="tune on one task at a time, or write them as text-to-text",
        )
