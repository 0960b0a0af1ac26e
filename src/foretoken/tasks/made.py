"""Tasks that are made by code with a seed, from easy to hard: their questions, and the text to learn them from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pydantic import ValidationError

from foretoken.arguments import did_you_mean
from foretoken.errors import TaskError, shown
from foretoken.runs.task_section import DEFAULTS, TaskSection
from foretoken.tasks.maker import BETWEEN, Solved, Split
from foretoken.tasks.makers import MAKERS
from foretoken.tasks.task import PromptTask, Question

SHOWN_DOCUMENTS = 8
"""Their solved examples may be shown before the questions; those of the validation text, which is not trained on."""


def make_task(
    name: str, *, seed: int = 0, questions: int = 200, documents: int | None = None, **options: int | float | str | bool
) -> PromptTask:
    """A task that is made by code: questions whose inputs stand in no training text of `make_documents`.

    There are fewer questions where not so many inputs are held out. Those of `lookup` and `linear`, whose function is
    hidden, have solved examples of their own (`Question.examples`). With `documents`, the number of training documents
    that were made, each question of `facts` and `operands` has the number of mentions in them (`Question.count`).

    Raises TaskError for a name, an option or a value that is not known.

    >>> task = make_task("addition", digits=2, questions=3)
    >>> task.prompt(task.questions[0]), task.questions[0].answer
    ('52+90=', '142')
    """
    section = task_section(name, options)
    if questions < 1 or seed < 0 or (documents is not None and documents < 0):
        got = f"questions={questions}, seed={seed}, documents={documents}"
        raise TaskError("a task needs questions", expected="one or more, and no negative number", got=got)
    return task_of(section, seed, questions, documents)


def make_documents(
    name: str, *, seed: int = 0, split: Split = "train", **options: int | float | str | bool
) -> Iterator[str]:
    r"""The training text of a made task, document by document and without an end: solved examples, a line each.

    Raises TaskError as `make_task` does.

    >>> next(make_documents("addition", digits=2, examples=2))
    '52+25=77\n36+4=40\n'
    """
    return MAKERS[name](task_section(name, options), seed).texts(split)


def task_of(
    section: TaskSection,
    seed: int,
    questions: int,
    documents: int | None = None,
    mentions: Mapping[str, int] | None = None,
) -> PromptTask:
    """The task that a section describes; `mentions` in the training documents where they were counted before."""
    maker = MAKERS[section.name](section, seed)
    asked = maker.questions(questions)
    if documents is not None and any(question.document for question in asked):
        counts = maker.mentions(documents) if mentions is None else mentions
        asked = [replace(question, count=float(counts.get(question.document, 0))) for question in asked]
    own = any(question.examples for question in asked)
    examples = [solved for number in range(SHOWN_DOCUMENTS) for solved in maker.document("validation", number)]
    given = "".join(f", {key}={value!r}" for key, value in section.options[1:])
    return PromptTask(
        name=section.title,
        questions=tuple(asked),
        examples=() if own else tuple(_examples(examples)),
        between=BETWEEN,
        source=f"make_task({section.name!r}, seed={seed}{given})",
    )


def task_section(name: str, options: dict[str, int | float | str | bool]) -> TaskSection:
    """A name and options, checked. Raises TaskError."""
    if name not in DEFAULTS:
        cure = did_you_mean(str(name), DEFAULTS) or "name one of these"
        raise TaskError("no such made task", expected=", ".join(DEFAULTS), got=shown(name), cure=cure)
    known = DEFAULTS[name]
    for key in options:
        if key not in known:
            cure = did_you_mean(key, known) or "name one of these"
            raise TaskError(f"the task {name} has no such option", expected=", ".join(known), got=shown(key), cure=cure)
    try:
        return TaskSection.model_validate({"name": name, **options})
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".strip(": ") for one in error.errors()]
        raise TaskError(f"the options of the task {name} cannot be", got="; ".join(mistakes)) from None


def _examples(solved: list[Solved]) -> Iterator[Question]:
    """Each input once."""
    for one in {one.prompt: one for one in solved}.values():
        yield Question(prompt=one.prompt, answer=one.answer)
