"""What every made task has in common: documents to train on, questions that never stand in them, wrong answers.

A document is a pure function of (options, seed, split, number). An input is held out when a hash of it says so,
whatever the seed: the questions of one seed are in no training text of another.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import ClassVar, Literal

from foretoken.errors import TaskError
from foretoken.runs.task_section import TaskSection
from foretoken.tasks.draws import Draws
from foretoken.tasks.task import Question

VERSION = 1
"""Part of the address of every corpus with made tasks: to be increased when the same options make other text."""
BETWEEN = "\n"
"""Ends each solved example."""
MOST_DRAWS = 1000
"""In a row, without an input that is wanted: then there are no more."""
Split = Literal["train", "validation", "question"]


@dataclass(frozen=True)
class Solved:
    """A solved example."""

    prompt: str
    answer: str
    key: str = ""
    """What is held out, or not, as one; the prompt unless given."""
    subjects: tuple[str, ...] = ()
    """What it mentions, where mentions are counted; a question asks for the first."""


@dataclass(frozen=True)
class Maker(ABC):
    """One task with its options, in the world of one seed."""

    options: TaskSection
    seed: int
    ANSWERS: ClassVar[tuple[str, ...]] = ()
    """Of a task that has no other: the choices of all its questions."""

    @abstractmethod
    def draw(self, draws: Draws) -> Solved:
        """A solved example, of all possible ones."""

    def wrong(self, solved: Solved, draws: Draws) -> str:
        """An answer that might be right; where by chance it is, another is drawn."""
        return draws.pick(self.ANSWERS)

    def document(self, split: Split, number: int) -> list[Solved]:
        """The solved examples of a document."""
        draws = self.draws(split, number)
        return [self.wanted(self.draw, draws, held_out=False) for _ in range(self.options.examples)]

    def texts(self, split: Split) -> Iterator[str]:
        """The documents of a split as text, without an end."""
        for number in count():
            yield "".join(solved.prompt + solved.answer + BETWEEN for solved in self.document(split, number))

    def ask(self, draws: Draws) -> Question:
        """A question whose input is held out."""
        solved = self.wanted(self.draw, draws, held_out=True)
        return self.question(solved, draws)

    def questions(self, number: int) -> list[Question]:
        """So many different questions, or all that there are."""
        found: dict[str, Question] = {}
        tried = 0
        while len(found) < number and tried < MOST_DRAWS:
            # A stream of its own for each try: how often one fails does not move those after it.
            question = self.ask(self.draws("question", len(found) * MOST_DRAWS + tried))
            shown = "".join(one.prompt + one.answer for one in question.examples) + question.prompt
            tried = tried + 1 if shown in found else 0
            found.setdefault(shown, question)
        return list(found.values())

    def question(self, solved: Solved, draws: Draws) -> Question:
        """A solved example as a question, with as many choices as the options say."""
        subject = solved.subjects[0] if solved.subjects else ""
        choices = self.choices(solved, draws)
        return Question(prompt=solved.prompt, answer=solved.answer, choices=choices, document=subject)

    def choices(self, solved: Solved, draws: Draws) -> tuple[str, ...]:
        """The right answer among wrong ones, in random order; all answers of a task of few; or none."""
        if not self.options.choices:
            return self.ANSWERS
        answers, tried = {solved.answer}, 0
        # A wrong answer may come twice, and may be the right one: drawn again until they are all different.
        while len(answers) < self.options.choices:
            answers.add(self.wrong(solved, draws))
            tried += 1
            if tried > MOST_DRAWS:
                raise TaskError(
                    f"{self.options.title} has too few wrong answers",
                    expected=f"{self.options.choices - 1} different ones",
                    got=str(len(answers) - 1),
                    cure="ask for fewer choices",
                )
        # Sorted first: the order of a set of texts differs between processes.
        return tuple(draws.shuffled(sorted(answers)))

    def mentions(self, documents: int) -> Counter[str]:
        """How often each subject is mentioned in the first so many training documents."""
        return Counter(
            subject
            for number in range(documents)
            for solved in self.document("train", number)
            # A number that is both operands of a sum is mentioned once.
            for subject in set(solved.subjects)
        )

    def draws(self, split: str, number: int) -> Draws:
        """The random choices of one document or question."""
        return Draws(f"{VERSION} {self.options.name} {self.seed} {split} {number}")

    def is_held_out(self, key: str) -> bool:
        """Whether an input is for questions alone."""
        # Not by the seed: a question of one seed must stand in no training text of another.
        digest = hashlib.sha256(f"{self.options.name} {key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.options.held_out * 2**64

    def wanted(self, draw: Callable[[Draws], Solved], draws: Draws, *, held_out: bool) -> Solved:
        """The first example drawn that is held out, or that is not. Raises TaskError when none is found."""
        for _ in range(MOST_DRAWS):
            solved = draw(draws)
            if self.is_held_out(solved.key or solved.prompt) == held_out:
                return solved
        raise TaskError(
            f"{self.options.title} has no input that is {'' if held_out else 'not '}held out",
            expected="inputs to learn from, and others to be asked",
            got=f"none in {MOST_DRAWS} draws",
            cure="change held_out, or let the task have more possible inputs",
        )


@dataclass(frozen=True)
class InContext(Maker):
    """A task in which each document has a hidden function of its own, that its solved examples tell.

    The functions of questions stand in no training document.
    """

    @abstractmethod
    def function(self, draws: Draws) -> Hidden:
        """A hidden function."""

    def draw(self, draws: Draws) -> Solved:
        """An example of some function."""
        return self.function(draws).examples(draws, 1)[0]

    def document(self, split: Split, number: int) -> list[Solved]:
        """Examples of one function."""
        draws = self.draws(split, number)
        return self._function(draws, held_out=False).examples(draws, self.options.examples)

    def ask(self, draws: Draws) -> Question:
        """The last of a function's examples; those before it are its own."""
        *shown, asked = self._function(draws, held_out=True).examples(draws, self.options.examples)
        own = tuple(Question(prompt=solved.prompt, answer=solved.answer) for solved in shown)
        return replace(self.question(asked, draws), examples=own)

    def _function(self, draws: Draws, *, held_out: bool) -> Hidden:
        functions: list[Hidden] = []

        def named(draws: Draws) -> Solved:
            functions.append(self.function(draws))
            return Solved("", "", key=functions[-1].key)

        self.wanted(named, draws, held_out=held_out)
        return functions[-1]


@dataclass(frozen=True)
class Hidden:
    """A function of one document."""

    key: str
    """What it is, in letters and digits."""
    examples: Callable[[Draws, int], list[Solved]]
    """So many solved examples of it, or as many as it has."""


def changed(answer: str, letters: str, draws: Draws) -> str:
    """A text with one of its letters changed."""
    place = draws.below(len(answer))
    return answer[:place] + draws.pick(letters) + answer[place + 1 :]
