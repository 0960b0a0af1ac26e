"""Labelled examples from files: JSON lines (.jsonl), one array (.json), .csv or .tsv, with what their kind needs.

A text is a string, or a list of token numbers; for `labels` also a list of words. In a .csv file a list is written as
JSON. A column `split` (train, validation, test) says what an example is for; without it, of the examples in a fixed
random order three in five are learned from, one in five is to stop by and one in five is to be scored on.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from foretoken.arguments import nearest
from foretoken.bounded import limit, parse_json, require_size, require_values, too_large
from foretoken.data.formats import SAMPLE, inner_names, values_at
from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.encodings import likely_encodings
from foretoken.errors import TaskError, shown
from foretoken.escapes import for_shell
from foretoken.evals.tasks import (
    CHOICE,
    LABELS,
    NO_LABEL,
    PAIR,
    SIMILARITY,
    SINGLE,
    SPLITS,
    TEXT_TO_TEXT,
    Example,
    Split,
    Task,
    TaskKind,
    Tokens,
    check_kind,
)
from foretoken.runs.content import read_content
from foretoken.runs.delimited import separator_of

COLUMNS: dict[TaskKind, tuple[str, ...]] = {
    SINGLE: ("text", "label"),
    PAIR: ("text", "text_b", "label"),
    SIMILARITY: ("text", "text_b", "label"),
    CHOICE: ("text", "choices", "answer"),
    LABELS: ("text", "labels"),
    TEXT_TO_TEXT: ("source", "target"),
}
"""Columns of a row, by kind; the last one is the answer."""
CHOICE_LABELS = "labels of the choices"
"""Where a row keeps what its file calls each choice: A, B, ... or 1, 2, ..."""
SPLIT_WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev", "eval"),
    "test": ("test", "testing"),
}
"""What files call their splits."""
SPLIT_ENDS = (0.6, 0.8)
"""Where training and validation end, as shares of the examples."""
LARGEST_FILE, MOST_EXAMPLES = 2**27, 10**6
"""Bytes and lines of a file."""


@dataclass(frozen=True)
class Row:
    """One example as it stands in a file."""

    where: str
    """The file, and its line or row."""
    json_values: dict[str, Any]

    def refuse(self, message: str, expected: str, got: object, cure: str = "correct it, or leave it out") -> TaskError:
        """The error that names this row."""
        return TaskError(f"{self.where}: {message}", expected=expected, got=shown(got), cure=cure)


def read_task(
    path: str | Path,
    kind: str,
    tokenizer: Tokenizer,
    *,
    classes: Sequence[str] = (),
    cut: int = 0,
    rename: Mapping[str, str] | None = None,
    renames: bool = True,
) -> Task:
    """The task in a file, in the tokens of a tokenizer; it has the file's name.

    `classes` are those of the training examples unless given; of each text the first `cut` tokens are kept, 0 for all.
    `rename` maps our columns to the file's, as in `{"text": "sentence"}`; without `renames` nobody can be asked for it,
    as in a study, and the file is what has to be changed.
    Raises TaskError with the place of what cannot be read or used, such as a label outside the classes.
    """
    path, known_kind = Path(path), check_kind(kind)
    rows = [_renamed(row, rename or {}) for row in _json_rows(path)]
    for row in rows:
        missing = [name for name in COLUMNS[known_kind] if row.json_values.get(name) in (None, "", [])]
        if missing:
            columns = ", ".join(COLUMNS[known_kind])
            empty = missing[0] in row.json_values
            got = f"{missing[0]}={row.json_values[missing[0]]!r}" if empty else list(row.json_values)
            cure = "give it, or leave the example out" if empty else _proposed(row, missing, renames)
            if not empty and _is_example(row):
                cure = f"the first line looks like an example: put a line of names above it, such as {columns}"
            raise row.refuse(f"a {kind} example needs {missing[0]}" + ", which is empty" * empty, columns, got, cure)
    _refuse_hidden(known_kind, rows)
    splits = _split(rows, renames)
    names = tuple(classes) or _classes(known_kind, splits["train"] or rows)
    encoder = _RowEncoder(known_kind, tokenizer, names, cut)
    train, validation, test = (tuple(encoder.example(row) for row in splits[split]) for split in SPLITS)
    return Task(name=path.stem, kind=known_kind, classes=names, train=train, validation=validation, test=test)


HIDDEN = ("-1", "-1.0", "-")
"""What data sets have in place of a label that they keep to themselves, or that annotators did not agree on (SNLI)."""


def _renamed(row: Row, rename: Mapping[str, str]) -> Row:
    """The row under our names."""
    ours = {}
    for name, theirs in rename.items():
        if not theirs:
            continue
        found = list(values_at(row.json_values, theirs))
        if not found:
            nested = [f"{key}.{inner}" for key, value in row.json_values.items() for inner in inner_names(value)]
            known = [*map(str, row.json_values), *nested]
            near = nearest(theirs, known)
            raise TaskError(
                f"{row.where} has no {theirs!r}",
                expected=", ".join(known),
                cure=f"did you mean {near[0]!r}?" if near else "name one of these with --map",
            )
        # What lies below the entries of a list is a list: question.choices.text of [{"text": ..}, ..].
        ours[name] = found[0] if len(found) == 1 else found
        if name == "choices":
            labels = list(values_at(row.json_values, re.sub(r"(^|\.)text$", r"\1label", theirs)))
            ours[CHOICE_LABELS] = labels[0] if len(labels) == 1 else labels
    unread = {*rename.values(), *(name for name, theirs in rename.items() if not theirs)}
    rest = {name: value for name, value in row.json_values.items() if name not in unread}
    return Row(row.where, {**rest, **ours})


USUAL = {
    "text": ("sentence", "sentence1", "review", "premise", "question", "question.stem", "content", "input", "tokens"),
    "text_b": ("sentence2", "hypothesis", "question2", "answer", "sentence_b", "passage"),
    "label": ("sentiment", "class", "gold_label", "category", "target", "score", "stars", "rating"),
    "labels": ("ner_tags", "tags", "pos_tags"),
    "choices": ("choices.text", "question.choices.text", "endings", "options"),
    "answer": ("answerKey", "answer_key", "label", "answer_idx", "gold"),
    "source": ("input", "document", "article", "question", "prompt", "src"),
    "target": ("output", "summary", "highlights", "answer", "completion", "tgt"),
}
"""What public sets of examples call our columns, the likeliest first."""


def _is_example(row: Row) -> bool:
    """Whether what stands for the names of the columns is an example: a number, or a text of several words."""
    return any(re.fullmatch(r"-?\d+", name) or len(name.split()) > 4 for name in row.json_values)


def _proposed(row: Row, missing: Sequence[str], renames: bool) -> str:
    """A --map for the columns that are missing, from the names that are there; else how to change the file."""
    given = [name for name in USUAL if name not in missing]
    pairs = {
        ours: next((name for name in USUAL[ours] if name not in given and any(values_at(row.json_values, name))), None)
        for ours in missing
    }
    if renames:
        return for_shell("--map", ",".join(f"{ours}={theirs or 'YOUR_COLUMN'}" for ours, theirs in pairs.items()))
    told = [f"call {theirs} there {ours}" if theirs else f"give a column {ours}" for ours, theirs in pairs.items()]
    return f"change the file: {', '.join(told)}"


def _refuse_hidden(kind: TaskKind, rows: list[Row]) -> None:
    """Raise TaskError for labels such as -1 that are no class: the data set withholds them."""
    answer = COLUMNS[kind][-1]
    labels = [str(row.json_values[answer]) for row in rows]
    hidden = [row for row, label in zip(rows, labels, strict=True) if label in HIDDEN]
    label = next((label for label in labels if label in HIDDEN), "")
    # Beside one other label, -1 (or - beside +) is the other of two classes; a similarity is a number.
    if hidden and kind in (SINGLE, PAIR) and len({*labels} - {*HIDDEN}) != 1:
        raise TaskError(
            f"{hidden[0].where}: the label is {label!r}, as where labels are withheld or were not agreed on",
            expected="labels of classes",
            got=f"{len(hidden)} of {len(rows)} examples with the label {label!r}",
            cure="give the file with the labels (the validation set, often), leave such examples out (in a column split"
            " others must then be the test), or write the class in words",
        )


def _json_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, which may be packed (.gz, .zst), by its name and by what it begins with."""
    try:
        content = read_content(path, TaskError, LARGEST_FILE)
        text, lines = content.text, content.data.count(b"\n")
        require_values(content.data)
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path} is not in UTF-8",
            expected="JSON lines, .json, .csv or .tsv in UTF-8, or in UTF-16 with its mark",
            got=str(error),
            cure=f"convert it, for example: iconv -f {likely_encodings(error.object[:SAMPLE])[0]} -t utf-8",
        ) from None
    except (ValueError, OSError, EOFError) as error:
        raise TaskError(f"cannot read {path}", got=str(error), cure="check that it is whole") from None
    if lines > limit(MOST_EXAMPLES):
        raise too_large(str(path), MOST_EXAMPLES, "lines", TaskError, lines)
    if content.suffix in (".csv", ".tsv") or (content.suffix == ".txt" and not text.lstrip().startswith(("{", "["))):
        yield from _table_rows(path, text, content.suffix)
    elif content.suffix == ".json":
        yield from _json_array(path, text)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield Row(f"{path} line {number}", _json_object(f"{path} line {number}", line))


def _table_rows(path: Path, text: str, suffix: str) -> Iterator[Row]:
    """The rows of a table, with a header, between commas, semicolons or tabs."""
    separator = "\t" if suffix == ".tsv" else separator_of(text.split("\n", 1)[0])
    # A tab cannot stand in a field, so quotes between tabs are letters, unless they hold rows together (Excel).
    quotings: tuple[Literal[0, 3], ...] = (
        (csv.QUOTE_NONE, csv.QUOTE_MINIMAL) if separator == "\t" else (csv.QUOTE_MINIMAL,)
    )
    try:
        require_size(text.count("\n"), text.split("\n", 1)[0].count(separator) + 1, path, TaskError)
        readings = [
            list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting))
            for quoting in quotings
        ]
    except csv.Error as error:
        raise TaskError(f"cannot read {path}", expected="a table with a header", got=str(error)) from None
    names, *rows = min(readings, key=_ragged) if any(readings) else [[]]
    for number, cells in enumerate(rows, 2):  # row 1 holds the names of the columns
        if cells:
            row = Row(f"{path} row {number}", dict(zip(names, [*cells, *[None] * len(names)], strict=False)))
            if any(cells[len(names) :]):
                raise row.refuse("more cells than names", f"{len(names)} cells", cells, "put such texts in quotes")
            yield row


def _ragged(rows: Sequence[Sequence[str]]) -> int:
    """How many rows have not as many cells as the first."""
    return sum(len(row) not in (0, len(rows[0])) for row in rows)


def _json_array(path: Path, text: str) -> Iterator[Row]:
    """Rows of one array of objects; of JSON lines where the file holds these."""
    try:
        rows = parse_json(text)
    except ValueError:
        rows = None
    if isinstance(rows, list):
        for number, values in enumerate(rows, 1):
            yield Row(f"{path} entry {number}", _json_object(f"{path} entry {number}", json.dumps(values)))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield Row(f"{path} line {number}", _json_object(f"{path} line {number}", line))


def _json_object(where: str, line: str) -> dict[str, Any]:
    try:
        values = parse_json(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise TaskError(f"{where} is not a JSON object", expected='{"text": "...", ...}', got=line.strip()[:80])
    return values


def _split(rows: list[Row], renames: bool = True) -> dict[Split, list[Row]]:
    parts: dict[Split, list[Row]] = {split: [] for split in SPLITS}
    if not any("split" in row.json_values for row in rows):
        # The seed is fixed: the same file gives the same test examples to every model and every seed of tuning.
        order = np.random.default_rng(0).permutation(len(rows)).tolist()
        first, second = (round(share * len(rows)) for share in SPLIT_ENDS)
        for split, numbers in zip(SPLITS, (order[:first], order[first:second], order[second:]), strict=True):
            parts[split] = [rows[number] for number in numbers]
        return parts
    for row in rows:
        word = str(row.json_values.get("split")).lower()
        known = next((split for split, words in SPLIT_WORDS.items() if word in words), None)
        if known is None:
            unread = f"leave it unread: {for_shell('--map', 'split=')}" if renames else "leave it out of the file"
            cure = f"correct the column split, or {unread}"
            raise row.refuse("no such split", ", ".join(SPLITS), row.json_values.get("split"), cure)
        parts[known].append(row)
    return parts


def _classes(kind: TaskKind, rows: list[Row]) -> tuple[str, ...]:
    if kind == TEXT_TO_TEXT:
        return ()
    if kind == CHOICE:
        return tuple(str(number) for number in range(len(_list(rows[0], "choices")) if rows else 0))
    if kind == LABELS:
        return tuple(sorted({str(label) for row in rows for label in _list(row, "labels")}))
    return tuple(sorted({str(row.json_values["label"]).strip() for row in rows}))


def _list(row: Row, column: str) -> list[Any]:
    """A list; of labels also words between blanks, and in a .csv file its JSON."""
    value = row.json_values[column]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value)
        except ValueError:
            raise row.refuse(f"{column} cannot be read", "a list", value) from None
    elif isinstance(value, str) and column == "labels":
        value = value.split()
    if not isinstance(value, list):
        raise row.refuse(f"{column} is not a list", "a list", value)
    return value


def _numbered(answer: object, choices: int, labels: object) -> object:
    """The answer as the number of a choice from 0, where it is its label, or its letter: A is 0."""
    words = [str(label) for label in labels] if isinstance(labels, list) else []
    if len(words) == choices and str(answer) in words:
        return words.index(str(answer))
    letter = answer.strip().upper() if isinstance(answer, str) else ""
    number = ord(letter) - ord("A") if len(letter) == 1 else -1
    return number if 0 <= number < choices else answer


@dataclass(frozen=True)
class _RowEncoder:
    """Turns rows into examples."""

    kind: TaskKind
    tokenizer: Tokenizer
    classes: tuple[str, ...]
    cut: int

    def example(self, row: Row) -> Example:
        values = row.json_values
        if self.kind == LABELS:
            return self._labelled_words(row)
        if self.kind == CHOICE:
            choices = _list(row, "choices")
            if len(choices) != len(self.classes):
                raise row.refuse("all examples must have equally many choices", str(len(self.classes)), len(choices))
            answer = self._class(row, _numbered(values["answer"], len(choices), values.get(CHOICE_LABELS)))
            return Example(tuple(self._tokens(row, text) for text in [values["text"], *choices]), (answer,))
        if self.kind == TEXT_TO_TEXT:
            return Example(tuple(self._tokens(row, values[name]) for name in COLUMNS[self.kind]))
        texts = tuple(self._tokens(row, values[name]) for name in COLUMNS[self.kind][:-1])
        return Example(texts, (self._class(row, values["label"]),))

    def _class(self, row: Row, label: object) -> int:
        if str(label).strip() not in self.classes:
            cure = (
                "number choices from 0, or give their letters" if self.kind == CHOICE else "correct it, or leave it out"
            )
            raise row.refuse("a label outside the classes", ", ".join(self.classes[:8]), label, cure)
        return self.classes.index(str(label).strip())

    def _tokens(self, row: Row, text: object) -> Tokens:
        if isinstance(text, list) and all(type(token) is int for token in text):
            tokens = tuple(text)
        elif isinstance(text, str) and not isinstance(self.tokenizer, SymbolTokenizer):
            tokens = tuple(self.tokenizer.encode([text.encode("utf-8", "replace")])[0].tolist())
        else:
            symbols = isinstance(self.tokenizer, SymbolTokenizer)
            raise row.refuse("not a text", f"{'' if symbols else 'a string, or '}a list of token numbers", text)
        return tokens[: self.cut] if self.cut else tokens

    def _labelled_words(self, row: Row) -> Example:
        """A word's first token has its label, the others have none."""
        text, labels = row.json_values["text"], [self._class(row, label) for label in _list(row, "labels")]
        words = text.split() if isinstance(text, str) else text
        if not isinstance(words, list):
            raise row.refuse("not a text", "a string, or a list of words", text)
        if len(words) != len(labels):
            raise row.refuse("there must be one label per word", f"{len(words)} labels", len(labels))
        # Every word but the first is encoded with the blank before it: learned tokens hold that blank.
        tokens_of = [
            self._tokens(row, [word] if isinstance(word, int) else f"{' ' * bool(number)}{word}")
            for number, word in enumerate(words)
        ]
        tokens = tuple(token for part in tokens_of for token in part)
        tags = tuple(
            label if first == 0 else NO_LABEL
            for label, part in zip(labels, tokens_of, strict=True)
            for first in range(len(part))
        )
        return Example((tokens[: self.cut or None],), tags[: self.cut or None])
