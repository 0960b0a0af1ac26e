"""Labelled examples from files: JSON lines (.jsonl) or .csv, with the columns that their kind needs.

A text is a string, or a list of token numbers; for `labels` also a list of words. In a .csv file a list is written as
JSON. A column `split` (train, validation, test) tells what an example is for; without it, of the examples in a fixed
random order three in five are learned from, one in five is to stop by and one in five is to be scored on.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foretoken.data.tokenizer import SymbolTokenizer, Tokenizer
from foretoken.errors import TaskError, shown
from foretoken.evals.tasks import (
    CHOICE,
    KINDS,
    LABELS,
    NO_LABEL,
    PAIR,
    SIMILARITY,
    SINGLE,
    SPLITS,
    TEXT_TO_TEXT,
    Example,
    Task,
    Tokens,
)

COLUMNS = {
    SINGLE: ("text", "label"),
    PAIR: ("text", "text_b", "label"),
    SIMILARITY: ("text", "text_b", "label"),
    CHOICE: ("text", "choices", "answer"),
    LABELS: ("text", "labels"),
    TEXT_TO_TEXT: ("source", "target"),
}
"""What a row has, by kind; the last one is the answer."""
SHARES = (0.6, 0.8)
LARGEST = 2**28
"""Bytes of a file."""


@dataclass(frozen=True)
class Row:
    """One example as it stands in a file."""

    place: str
    values: dict[str, Any]

    def refuse(self, message: str, expected: str, got: Any) -> TaskError:
        """What is wrong with it."""
        return TaskError(f"{self.place}: {message}", expected=expected, got=shown(got))


def read_task(path: str | Path, kind: str, tokenizer: Tokenizer, *, classes: Sequence[str] = (), cut: int = 0) -> Task:
    """The task in a file, in the tokens of a tokenizer; it has the file's name.

    `classes` are those of the training examples unless given; of each text the first `cut` tokens are kept, 0 for all.
    Raises TaskError with the place of what cannot be read or used, as a label outside the classes.
    """
    path = Path(path)
    if kind not in KINDS:
        raise TaskError("no such kind of task", expected=", ".join(KINDS), got=shown(kind))
    rows = list(_rows(path))
    for row in rows:
        lacking = [name for name in COLUMNS[kind] if row.values.get(name) in (None, "", [])]
        if lacking:
            raise row.refuse(f"a {kind} example needs {lacking[0]}", ", ".join(COLUMNS[kind]), list(row.values))
    splits = _split(rows, path)
    names = tuple(classes) or _classes(kind, splits["train"] or rows)
    coder = _Coder(kind, tokenizer, names, cut)
    train, validation, test = (tuple(coder.example(row) for row in splits[split]) for split in SPLITS)
    return Task(name=path.stem, kind=kind, classes=names, train=train, validation=validation, test=test)


def _rows(path: Path) -> Iterator[Row]:
    try:
        if path.stat().st_size > LARGEST:
            raise TaskError(f"{path} is too large", expected=f"up to {LARGEST} bytes", cure="give fewer examples")
        with open(path, encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                for number, values in enumerate(csv.DictReader(file), 2):
                    yield Row(f"{path} row {number}", {str(name): value for name, value in values.items()})
            else:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield Row(f"{path} line {number}", _parsed(path, number, line))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TaskError(f"cannot read {path}", expected="JSON lines or .csv in UTF-8", got=str(error)) from error


def _parsed(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise TaskError(f"{path} line {number} is no JSON object", expected='{"text": "...", ...}', got=line[:80])
    return values


def _split(rows: list[Row], path: Path) -> dict[str, list[Row]]:
    if not any("split" in row.values for row in rows):
        order = np.random.default_rng(0).permutation(len(rows)).tolist()
        first, second = (round(share * len(rows)) for share in SHARES)
        parts = order[:first], order[first:second], order[second:]
        return {split: [rows[number] for number in part] for split, part in zip(SPLITS, parts, strict=True)}
    for row in rows:
        if row.values.get("split") not in SPLITS:
            raise row.refuse("no such split", ", ".join(SPLITS), row.values.get("split"))
    return {split: [row for row in rows if row.values["split"] == split] for split in SPLITS}


def _classes(kind: str, rows: list[Row]) -> tuple[str, ...]:
    if kind == TEXT_TO_TEXT:
        return ()
    if kind == CHOICE:
        return tuple(str(number) for number in range(len(_listed(rows[0], "choices")) if rows else 0))
    if kind == LABELS:
        return tuple(sorted({str(label) for row in rows for label in _listed(row, "labels")}))
    return tuple(sorted({str(row.values["label"]) for row in rows}))


def _listed(row: Row, column: str) -> list[Any]:
    """A list; of labels also words between blanks, and in a .csv file its JSON."""
    value = row.values[column]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise row.refuse(f"{column} cannot be read", "a list", value) from None
    elif isinstance(value, str) and column == "labels":
        value = value.split()
    if not isinstance(value, list):
        raise row.refuse(f"{column} is no list", "a list", value)
    return value


@dataclass(frozen=True)
class _Coder:
    """Turns rows into examples."""

    kind: str
    tokenizer: Tokenizer
    classes: tuple[str, ...]
    cut: int

    def example(self, row: Row) -> Example:
        if self.kind == LABELS:
            return self._tagged(row)
        if self.kind == CHOICE:
            choices = _listed(row, "choices")
            if len(choices) != len(self.classes):
                raise row.refuse("all examples must have as many choices", str(len(self.classes)), len(choices))
            answer = self._class(row, row.values["answer"])
            return Example(tuple(self._tokens(row, text) for text in [row.values["text"], *choices]), (answer,))
        if self.kind == TEXT_TO_TEXT:
            return Example(tuple(self._tokens(row, row.values[name]) for name in COLUMNS[self.kind]))
        texts = tuple(self._tokens(row, row.values[name]) for name in COLUMNS[self.kind][:-1])
        return Example(texts, (self._class(row, row.values["label"]),))

    def _class(self, row: Row, label: Any) -> int:
        if str(label) not in self.classes:
            raise row.refuse("a label outside the classes", ", ".join(self.classes[:8]), label)
        return self.classes.index(str(label))

    def _tokens(self, row: Row, text: Any) -> Tokens:
        if isinstance(text, list) and all(type(one) is int for one in text):
            tokens = tuple(text)
        elif isinstance(text, str) and not isinstance(self.tokenizer, SymbolTokenizer):
            tokens = tuple(self.tokenizer.encode([text.encode("utf-8", "replace")])[0].tolist())
        else:
            symbols = isinstance(self.tokenizer, SymbolTokenizer)
            raise row.refuse("not a text", f"{'' if symbols else 'a string, or '}a list of token numbers", text)
        return tokens[: self.cut] if self.cut else tokens

    def _tagged(self, row: Row) -> Example:
        """A word's first token has its label, the others have none."""
        text, labels = row.values["text"], [self._class(row, one) for one in _listed(row, "labels")]
        words = text.split() if isinstance(text, str) else text
        if not isinstance(words, list):
            raise row.refuse("not a text", "a string, or a list of words", text)
        if len(words) != len(labels):
            raise row.refuse("as many labels as words", f"{len(words)} labels", len(labels))
        parts = [
            self._tokens(row, [one] if isinstance(one, int) else f"{' ' * bool(number)}{one}")
            for number, one in enumerate(words)
        ]
        tokens = tuple(token for part in parts for token in part)
        told = [[label, *[NO_LABEL] * (len(part) - 1)][: len(part)] for label, part in zip(labels, parts, strict=True)]
        tags = tuple(tag for some in told for tag in some)
        return Example((tokens[: self.cut or None],), tags[: self.cut or None])
