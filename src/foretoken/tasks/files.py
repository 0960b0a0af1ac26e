r"""Tasks from files: a TOML beside its data, or the data alone, which is JSON lines or plain text.

name = "sums"                    # the file's own name unless given
data = "sums.jsonl"              # beside this file; .jsonl (.gz, .zst), or .txt for last_word
kind = "questions"               # or last_word, or cloze
examples = "solved.jsonl"        # what shots are drawn from; else the rows whose `split` is train
template = "{prompt} = "
instruction = "Add.\n"
between = "\n"
metrics = ["exact_match"]
choices = ["yes", "no"]          # of every question that has none of its own
masks = "together"               # how an encoder weighs answers of several tokens
columns = {prompt = "question", answer = "label"}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretoken.arguments import did_you_mean
from foretoken.bounded import limit, parse_json, parse_toml, read_file, require_values, too_large
from foretoken.errors import TaskError, shown
from foretoken.runs.content import read_content
from foretoken.tasks.metrics import check_metrics
from foretoken.tasks.task import BLANK, MASKS, Masks, PromptTask, Question

LARGEST_FILE, MOST_QUESTIONS, LARGEST_TOML = 2**27, 10**6, 2**20
"""Bytes and lines of a data file, bytes of a TOML."""
COLUMNS = ("prompt", "answer", "choices", "pair", "document", "count", "split")
"""Columns of a row."""
TRAIN_WORDS = ("train", "training", "example", "examples", "shot", "shots", "fewshot")
"""What a column `split` says of a row that is shown solved."""
KEYS: dict[str, type] = {
    **dict.fromkeys(("name", "data", "kind", "examples", "template", "instruction", "between", "masks"), str),
    **dict.fromkeys(("metrics", "choices"), list),
    "columns": dict,
}
"""Keys of a TOML, and what each holds."""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """What a TOML says of a task."""

    name: str
    data: Path
    kind: str = "questions"
    examples: Path | None = None
    template: str = "{prompt}"
    instruction: str = ""
    between: str = "\n"
    metrics: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    masks: Masks | None = None


@dataclass(frozen=True)
class TaskRow:
    """One row of a data file."""

    where: str
    """The file and its line."""
    cells_json: Mapping[str, Any]

    def refuse(self, message: str, expected: str, got: object, cure: str = "correct it, or leave it out") -> TaskError:
        """The error that names this row."""
        return TaskError(f"{self.where}: {message}", expected=expected, got=shown(got), cure=cure)


def read_prompt_task(path: str | Path) -> PromptTask:
    """The task in a file: a TOML, JSON lines with `prompt` and `answer`, or plain text with a passage in each line.

    In a row `choices` is a list, and the answer one of it, its number from 0, or its letter; `pair`, `document` and
    `count` are those of `Question`; a `split` of train makes the row an example. In plain text, and with the kind
    last_word, the last word of each text is asked for (LAMBADA); a cloze has XXXXX where a choice belongs (CBT).

    Raises TaskError with the file and line of what cannot be read or used, and with the nearest name that is known.
    """
    path = Path(path).expanduser()
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if path.suffix.lower() == ".toml":
        spec = _spec(path)
    else:
        kind = "last_word" if ".txt" in suffixes else "questions"
        spec = TaskFile(name=path.name.partition(".")[0] or path.name, data=path, kind=kind)
    make = KINDS[spec.kind]
    asked, solved = list[Question](), list[Question]()
    for row in _rows(spec.data, spec):
        question, is_example = make(row, spec), str(row.cells_json.get("split", "")).lower() in TRAIN_WORDS
        (solved if is_example else asked).append(question)
    if spec.examples is not None:
        solved += [make(row, spec) for row in _rows(spec.examples, spec)]
    if not asked:
        got = f"{len(solved)} examples to be shown, and nothing to be asked" if solved else "no rows"
        raise TaskError(
            f"{spec.data} has no questions", expected="one question or more", got=got, cure="give the task's questions"
        )
    usual = ("last_word_accuracy", "answer_probability", "answer_nll") if spec.kind == "last_word" else ()
    return PromptTask(
        name=spec.name,
        questions=tuple(asked),
        examples=_apart(solved, asked),
        metrics=spec.metrics or usual,
        instruction=spec.instruction,
        template=spec.template,
        between=spec.between,
        source=str(path),
        masks=spec.masks,
    )


def _apart(solved: Sequence[Question], asked: Sequence[Question]) -> tuple[Question, ...]:
    """The examples that are no questions themselves."""
    known = {(question.prompt, question.solved) for question in asked}
    return tuple(one for one in solved if (one.prompt, one.solved) not in known)


def _spec(path: Path) -> TaskFile:
    """What a TOML says. Raises TaskError with the line of what is wrong, where it has one."""
    content = read_file(path, TaskError, LARGEST_TOML)
    try:
        values = parse_toml(content)
    except ValueError as error:
        raise TaskError(f"{path} is not TOML", got=str(error), cure="correct it at this place") from None
    for key, value in values.items():
        _check_key(path, content, key, value)
    data = values.get("data")
    if not data:
        got = ", ".join(values) or "nothing"
        raise TaskError(f"{path} names no data", expected='data = "questions.jsonl"', got=got, cure="name its file")
    kind = values.get("kind", "last_word" if ".txt" in Path(data).suffixes else "questions")
    if kind not in KINDS:
        cure = did_you_mean(kind, KINDS) or "name one of these"
        raise TaskError(_at(path, content, "kind"), expected=", ".join(KINDS), got=shown(kind), cure=cure)
    masks = values.get("masks")
    if masks is not None and masks not in MASKS:
        cure = did_you_mean(masks, MASKS) or "name one of these"
        raise TaskError(_at(path, content, "masks"), expected=", ".join(MASKS), got=shown(masks), cure=cure)
    columns = values.get("columns", {})
    for ours in columns:
        if ours not in COLUMNS:
            cure = did_you_mean(ours, COLUMNS) or "name one of these"
            where = _at(path, content, ours, "columns")
            raise TaskError(f"{where}: no such column", expected=", ".join(COLUMNS), got=shown(ours), cure=cure)
    metrics = tuple(map(str, values.get("metrics", ())))
    check_metrics(metrics, _at(path, content, "metrics"))
    template = values.get("template", TaskFile.template)
    if template.count("{prompt}") != 1:
        where = _at(path, content, "template")
        raise TaskError(where, expected="text with {prompt} in it, once", got=shown(template), cure="write it so")
    return TaskFile(
        name=values.get("name", path.stem),
        data=path.parent / data,
        kind=kind,
        examples=path.parent / values["examples"] if "examples" in values else None,
        template=template,
        instruction=values.get("instruction", TaskFile.instruction),
        between=values.get("between", TaskFile.between),
        metrics=metrics,
        choices=tuple(map(str, values.get("choices", ()))),
        columns=tuple((ours, str(theirs)) for ours, theirs in columns.items()),
        masks=masks,
    )


def _check_key(path: Path, content: bytes, key: str, value: object) -> None:
    where = _at(path, content, key)
    if key not in KEYS:
        cure = did_you_mean(key, KEYS) or "leave it out"
        raise TaskError(f"{where}: no such key", expected=", ".join(KEYS), got=shown(key), cure=cure)
    if not isinstance(value, KEYS[key]):
        table = 'a table: {prompt = "question"}'
        words: dict[type, str] = {str: "a text in quotes", list: "a list of texts", dict: table}
        raise TaskError(f"{where} is of another kind", expected=words[KEYS[key]], got=shown(value), cure="write it so")


def _at(path: Path, content: bytes, key: str, table: str = "") -> str:
    """The file, the line on which a key stands, and the key."""
    lines = content.decode("utf-8", "replace").splitlines()
    begins = (key, table or key)
    found = [number for number, line in enumerate(lines, 1) if line.strip().strip("'\"").startswith(begins)]
    return f"{path}{f' line {found[0]}' if found else ''}: {key}"


def _rows(path: Path, spec: TaskFile) -> Iterator[TaskRow]:
    """The rows of a data file under our names."""
    content = read_content(path, TaskError, LARGEST_FILE)
    try:
        text = content.text
        require_values(content.data)
    except UnicodeDecodeError as error:
        raise TaskError(f"{path} is not in UTF-8", got=str(error), cure="convert it, for example with iconv") from None
    except ValueError as error:
        raise TaskError(f"cannot read {path}", got=str(error), cure="check that it is whole") from None
    lines = text.split("\n")
    if len(lines) > limit(MOST_QUESTIONS):
        raise too_large(str(path), MOST_QUESTIONS, "lines", TaskError, len(lines))
    for number, line in enumerate(lines, 1):
        where = f"{path} line {number}"
        if not line.strip():
            continue
        if content.suffix == ".txt":
            yield TaskRow(where, {"prompt": line.strip()})
        else:
            yield TaskRow(where, _renamed(where, _object_json(where, line), dict(spec.columns)))


def _object_json(where: str, line: str) -> dict[str, Any]:
    try:
        values = parse_json(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        expected = '{"prompt": "...", "answer": "..."}'
        raise TaskError(f"{where} is not a JSON object", expected=expected, got=line.strip()[:80], cure="correct it")
    return values


def _renamed(where: str, values: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """The row under our names; other columns are not read."""
    # a column that a row may leave out must not be named in `columns`
    missing = next((theirs for theirs in columns.values() if theirs not in values), None)
    if missing is not None:
        cure = did_you_mean(missing, values) or "name one of these"
        raise TaskError(f"{where} has no {missing!r}", expected=", ".join(values), got=shown(missing), cure=cure)
    return {ours: values[theirs] for ours in COLUMNS if (theirs := columns.get(ours, ours)) in values}


def _text(row: TaskRow, column: str) -> str:
    value = row.cells_json.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        got = shown(value) if column in row.cells_json else ", ".join(row.cells_json) or "other columns"
        cure = f'give it, or say in a .toml which column holds it: columns = {{{column} = "..."}}'
        raise TaskError(f"{row.where} has no {column}", expected=f"a text in {column}", got=got, cure=cure)
    return str(value)


def _choices(row: TaskRow, spec: TaskFile) -> tuple[str, ...]:
    value = row.cells_json.get("choices")
    if value is None:
        return spec.choices
    if not isinstance(value, list) or not all(isinstance(one, str | int | float) for one in value):
        raise row.refuse("choices is no list of texts", '["yes", "no"]', value)
    choices = tuple(map(str, value))
    if len(set(choices)) < len(choices) or len(choices) < 2:
        raise row.refuse("choices", "two or more, all different", value)
    return choices


def _answer(row: TaskRow, choices: Sequence[str]) -> str:
    """The answer; where it is the number or the letter of a choice, that choice."""
    answer = _text(row, "answer")
    # a choice that is itself a number wins over the number of a choice
    if not choices or answer in choices:
        return answer
    number = int(answer) if answer.isdecimal() and len(answer) < 4 else -1
    if len(answer) == 1 and answer.isalpha():
        number = ord(answer.upper()) - ord("A")
    if not 0 <= number < len(choices):
        raise row.refuse("the answer is not among the choices", " or ".join(map(shown, choices[:8])), answer)
    return choices[number]


def _asked(row: TaskRow, prompt: str, answer: str, choices: tuple[str, ...], after: str | None = None) -> Question:
    """A question with what else its row says of it."""
    values = row.cells_json
    count = values.get("count")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int | float)):
        raise row.refuse("count is no number", "a number", count)
    pair, document = ("" if values.get(name) is None else str(values[name]) for name in ("pair", "document"))
    try:
        return Question(
            prompt=prompt, answer=answer, choices=choices, pair=pair, document=document,
            count=None if count is None else float(count), after=after,
        )  # fmt: skip
    except TaskError as error:
        raise TaskError(f"{row.where}: {error.message}", expected=error.expected, got=error.got) from None


def _question(row: TaskRow, spec: TaskFile) -> Question:
    choices = _choices(row, spec)
    return _asked(row, _text(row, "prompt"), _answer(row, choices), choices)


def _last_word(row: TaskRow, spec: TaskFile) -> Question:
    """The last word of a text, with the blank before it, is the answer (Paperno et al. 2016, arXiv 1606.06031)."""
    text = _text(row, "prompt").rstrip()
    before = text[: len(text) - len(text.split()[-1])]
    if not before.strip():
        raise row.refuse("a text of one word has nothing before its last word", "two words or more", text)
    kept = before.rstrip()
    return _asked(row, kept, text[len(kept) :], ())


def _cloze(row: TaskRow, spec: TaskFile) -> Question:
    """A text with a blank for each of the choices."""
    text, choices = _text(row, "prompt"), _choices(row, spec)
    before, blank, after = text.partition(BLANK)
    if not blank or not choices:
        raise row.refuse("a cloze has choices, and a blank", f"choices, and {BLANK} in the text", text[-200:])
    # A blank between words goes with the word after it, as tokenizers have it.
    kept = before.rstrip(" ")
    space = before[len(kept) :]
    return _asked(row, kept, space + _answer(row, choices), tuple(space + choice for choice in choices), after)


KINDS = {"questions": _question, "last_word": _last_word, "cloze": _cloze}
"""How a row is made a question."""
