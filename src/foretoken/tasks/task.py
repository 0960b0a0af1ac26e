"""A task as plain text: what a model reads, what it should write, and what it may choose from.

A prompt is an instruction, `shots` solved examples and the question itself; the model's answer follows it directly, so
whatever space there is between the two belongs to the template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from foretoken.errors import TaskError, shown


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question with its right answer."""

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    """All answers that may be chosen from, the right one among them; empty where the answer is written freely."""
    pair: str = ""
    """Twins, which differ in a word, have the same: a model is consistent where it is right on both."""
    document: str = ""
    """Questions about one document are not independent: standard errors are clustered by it."""
    examples: tuple[Question, ...] = ()
    """Solved examples of its own, of which the first are shown in place of the task's: they tell what is asked for."""
    count: float | None = None
    """How often what is asked for stands in the training text, where that is known."""

    def __post_init__(self) -> None:
        if not self.answer.strip():
            raise TaskError("a question has an empty answer", expected="text", got=shown(self.prompt))
        if "" in self.choices:
            # Nothing has probability 1: such a choice would always be the likeliest.
            raise TaskError(f"a choice of {shown(self.prompt)} is empty", expected="text", got=shown(self.choices))
        for text in (self.prompt, self.answer, *self.choices):
            if not is_text(text):
                raise TaskError("half a character, as no UTF-8 has", expected="text", got=shown(text))
        if self.count is not None and not 0 <= self.count < inf:
            raise TaskError(f"the count of {shown(self.prompt)} cannot be", expected="0 or more", got=shown(self.count))
        if self.choices and self.answer not in self.choices:
            raise TaskError(
                f"the answer of {shown(self.prompt)} is not among its choices",
                expected=" or ".join(map(shown, self.choices[:8])),
                got=shown(self.answer),
            )
        if len(set(self.choices)) < len(self.choices) or len(self.choices) == 1:
            raise TaskError(
                f"the choices of {shown(self.prompt)}", expected="two or more, all different", got=shown(self.choices)
            )


@dataclass(frozen=True, kw_only=True)
class PromptTask:
    """Questions to be scored on, solved examples that may be shown before them, and how both are written."""

    name: str
    questions: tuple[Question, ...]
    examples: tuple[Question, ...] = ()
    """What the shots are drawn from; none of them is a question."""
    metrics: tuple[str, ...] = ()
    """Names of metrics; those that suit the questions unless given."""
    instruction: str = ""
    """Stands before the first example."""
    template: str = "{prompt}"
    """How a question is written; the answer follows directly."""
    between: str = "\n"
    """Stands between an answer and the next question, and ends an answer that is written freely."""
    source: str = ""
    """Where it comes from: a file, or the function and the seed that made it."""

    def __post_init__(self) -> None:
        if not self.questions:
            raise TaskError(f"the task {self.name} has no questions", expected="one or more", got="none")
        if self.template.count("{prompt}") != 1:
            raise TaskError(
                f"the template of {self.name}", expected="text with {prompt} in it, once", got=shown(self.template)
            )

    def prompt(self, question: Question, shown_examples: Sequence[Question] = ()) -> str:
        r"""All that a model reads before it answers a question.

        >>> sums = PromptTask(name="sums", template="{prompt}=", questions=(Question(prompt="1+2", answer="3"),))
        >>> sums.prompt(sums.questions[0], [Question(prompt="2+2", answer="4")])
        '2+2=4\n1+2='
        """
        solved = (self.template.replace("{prompt}", one.prompt) + one.answer + self.between for one in shown_examples)
        return self.instruction + "".join(solved) + self.template.replace("{prompt}", question.prompt)


def check_shots(task: PromptTask, shots: int) -> None:
    """Raise TaskError where a task has fewer examples than are to be shown before one of its questions."""
    if shots < 0:
        raise TaskError("shots must not be negative", expected="0 or more", got=str(shots))
    # a question that stands among the examples is not shown before itself
    same = Counter((example.prompt, example.answer) for example in task.examples)
    known = min(
        len(question.examples) or len(task.examples) - same[question.prompt, question.answer]
        for question in task.questions
    )
    if shots > known:
        raise TaskError(
            f"the task {task.name} has too few solved examples",
            expected=f"{shots} or more to show before a question",
            got=str(known),
            cure="give more (`examples` of its file, or rows whose column split is train), or fewer --shots",
        )


def is_text(text: str) -> bool:
    r"""Whether a text can be written in UTF-8: JSON may hold half of a character.

    >>> is_text("é"), is_text("\ud83d")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_names(tasks: Sequence[PromptTask]) -> None:
    """Raise TaskError where there is no task, or two have one name: their scores could not be told apart."""
    names = [task.name for task in tasks]
    again = next((name for name in names if names.count(name) > 1), None)
    if not names or again is not None:
        raise TaskError(
            "scores are of tasks with names of their own",
            expected="one task or more, each once",
            got="none" if again is None else f"{again} several times",
            cure="name them differently",
        )
