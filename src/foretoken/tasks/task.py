"""A task as plain text: what a model reads, what it should write, and what it may choose from.

A prompt is an instruction, `shots` solved examples and the question itself; the model's answer follows it directly, so
whatever space there is between the two belongs to the template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from foretoken.arguments import did_you_mean
from foretoken.errors import TaskError, shown

BLANK = "XXXXX"
"""What stands for the missing word of a cloze (Hill et al. 2015, arXiv 1511.02301)."""
Masks = Literal["together", "left_to_right", "one_by_one"]
"""How an encoder weighs an answer of several tokens, each of which stands at a mask: all are hidden at once; each is
hidden with those after it (Kauf and Ivanova 2023, arXiv 2305.10588); each is hidden alone (the pseudo-log-likelihood of
Salazar et al. 2020, arXiv 1910.14659, which is high for words of several tokens, since these tell each other)."""
MASKS: tuple[Masks, ...] = get_args(Masks)


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
    after: str | None = None
    """What stands behind the answer, which fills a gap then; XXXXX in it is filled, too. None where there is no gap."""

    def __post_init__(self) -> None:
        if not self.answer.strip():
            raise TaskError("a question has an empty answer", expected="text", got=shown(self.prompt))
        if "" in self.choices:
            # Nothing has probability 1: such a choice would always be the likeliest.
            raise TaskError(f"a choice of {shown(self.prompt)} is empty", expected="text", got=shown(self.choices))
        for text in (self.prompt, self.answer, *self.choices, self.after or ""):
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

    @property
    def candidates(self) -> tuple[str, ...]:
        """What is weighed: its choices, or the answer alone."""
        return self.choices or (self.answer,)

    def pieces(self, answer: str) -> tuple[str, ...]:
        """An answer and what stands behind it, in turn where there are several gaps; the first is an answer.

        >>> Question(prompt="The", answer=" cat", after=" sat; XXXXX slept.").pieces(" hat")
        (' hat', ' sat; ', 'hat', ' slept.')
        """
        first, *later = (self.after or "").split(BLANK)
        return (answer, first, *(text for rest in later for text in (answer.strip(), rest)))

    def filled(self, answer: str) -> str:
        """An answer with all that stands behind it."""
        return "".join(self.pieces(answer))

    @property
    def solved(self) -> str:
        """The right answer with all that stands behind it."""
        return self.filled(self.answer)


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
    masks: Masks | None = None
    """How an encoder weighs answers of several tokens; `together` in gaps and else `left_to_right`, unless given."""

    def __post_init__(self) -> None:
        if not self.questions:
            raise TaskError(f"the task {self.name} has no questions", expected="one or more", got="none")
        if self.template.count("{prompt}") != 1:
            raise TaskError(
                f"the template of {self.name}", expected="text with {prompt} in it, once", got=shown(self.template)
            )
        if self.masks is not None and self.masks not in MASKS:
            cure = did_you_mean(self.masks, MASKS) or "name one of these"
            raise TaskError(f"the masks of {self.name}", expected=", ".join(MASKS), got=shown(self.masks), cure=cure)

    def masks_of(self, question: Question) -> Masks:
        """How an encoder weighs the answers to a question."""
        return self.masks or ("left_to_right" if question.after is None else "together")

    def prompt(self, question: Question, shown_examples: Sequence[Question] = ()) -> str:
        r"""All that a model reads before it answers a question.

        >>> sums = PromptTask(name="sums", template="{prompt}=", questions=(Question(prompt="1+2", answer="3"),))
        >>> sums.prompt(sums.questions[0], [Question(prompt="2+2", answer="4")])
        '2+2=4\n1+2='
        """
        solved = (self.template.replace("{prompt}", one.prompt) + one.solved + self.between for one in shown_examples)
        return self.instruction + "".join(solved) + self.template.replace("{prompt}", question.prompt)


def check_shots(task: PromptTask, shots: int) -> None:
    """Raise TaskError where a task has fewer examples than are to be shown before one of its questions."""
    if shots < 0:
        raise TaskError("shots must not be negative", expected="0 or more", got=str(shots))
    # a question that stands among the examples is not shown before itself
    same = Counter((example.prompt, example.solved) for example in task.examples)
    known = min(
        len(question.examples) or len(task.examples) - same[question.prompt, question.solved]
        for question in task.questions
    )
    if shots > known:
        raise TaskError(
            f"the task {task.name} has too few solved examples",
            expected=f"{shots} or more to show before a question",
            got=str(known),
            cure="give more (`examples` of its file, or rows whose column split is train), or fewer"
            " --shots (of a study: evaluate.shots)",
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
