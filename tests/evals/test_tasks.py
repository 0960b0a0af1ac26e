"""Labelled examples, from files too: what is read, and what is refused before anything is trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretoken.data.tokenizer import ByteTokenizer, SymbolTokenizer
from foretoken.errors import TaskError
from foretoken.evals.task_files import read_task
from foretoken.evals.tasks import CHOICE, LABELS, SINGLE, TEXT_TO_TEXT, Example, Task, mixture

from .small import task

BYTES = ByteTokenizer()
Rows = list[dict[str, Any]]
SENTIMENT: Rows = [
    {"text": f"{word} {n}", "label": label, "split": split}
    for split in ("train", "validation", "test")
    for n, (word, label) in enumerate([("fine", "good"), ("dull", "bad")] * 2)
]


def lines(folder: Path, rows: Rows, name: str = "rows.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def table(folder: Path, rows: Rows) -> Path:
    with open(folder / "rows.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({key: json.dumps(one) if isinstance(one, list) else one for key, one in row.items()}
                         for row in rows)  # fmt: skip
    return folder / "rows.csv"


@pytest.mark.parametrize("write", [lines, table])
@pytest.mark.parametrize(
    ("kind", "row", "texts", "labels"),
    [
        ("single", {"text": "ab", "label": "x"}, ((97, 98),), (0,)),
        ("pair", {"text": "ab", "text_b": "c", "label": "x"}, ((97, 98), (99,)), (0,)),
        ("choice", {"text": "a", "choices": ["b", "c"], "answer": 1}, ((97,), (98,), (99,)), (1,)),
        ("labels", {"text": "ab c", "labels": "x y"}, ((97, 98, 32, 99),), (0, -1, 1, -1)),
        ("text-to-text", {"source": "a", "target": "b"}, ((97,), (98,)), ()),
    ],
)
def test_every_kind_is_read_from_either_format(
    tmp_path: Path, write: Any, kind: str, row: dict[str, Any], texts: Any, labels: Any
) -> None:
    other = {"label": "y", "answer": 0, "labels": "y x"}
    rows = [{**one, "split": split} for split in ("train", "validation", "test")
            for one in (row, {key: other.get(key, value) for key, value in row.items()})]  # fmt: skip
    read = read_task(write(tmp_path, rows), kind, BYTES)
    assert (read.name, read.train[0]) == ("rows", Example(texts, labels))
    assert len(read.train) == len(read.test) == 2


def test_texts_may_be_given_as_tokens(tmp_path: Path) -> None:
    rows = [{**row, "text": [1, 2, 3]} for row in SENTIMENT]
    assert read_task(lines(tmp_path, rows), "single", SymbolTokenizer(8), cut=2).train[0].texts == ((1, 2),)
    with pytest.raises(TaskError, match="expected: a list of token numbers"):
        read_task(lines(tmp_path, SENTIMENT), "single", SymbolTokenizer(8))


def test_without_a_split_examples_are_shared_out_at_random_and_always_alike(tmp_path: Path) -> None:
    rows = [{"text": f"{n}", "label": n % 2} for n in range(50)]
    read = read_task(lines(tmp_path, rows), "single", BYTES)
    assert [len(part) for part in (read.train, read.validation, read.test)] == [30, 10, 10]
    assert read == read_task(lines(tmp_path, rows), "single", BYTES)
    assert {one.texts for part in (read.train, read.validation, read.test) for one in part} == {
        (tuple(str(n).encode()),) for n in range(50)
    }


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"label": "ugly"}, "single", r"rows.jsonl line 12: a label outside the classes\n  expected: bad, good"),
        ({"label": None}, "single", "line 12: a single example needs label"),
        ({"text": 3}, "single", "line 12: not a text"),
        ({"text": ""}, "single", "needs text"),
        ({"split": "middle"}, "single", "line 12: no such split"),
        ({}, "pair", "a pair example needs text_b"),
        ({}, "triple", "no such kind of task"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, change: dict[str, Any], kind: str, message: str) -> None:
    path = lines(tmp_path, [*SENTIMENT[:-1], {**SENTIMENT[-1], **change}])
    with pytest.raises(TaskError, match=message):
        read_task(path, kind, BYTES)


@pytest.mark.parametrize("text", ["", "[1]\n", '{"text": \n', "\xff", "[" * 100_000])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text, encoding="latin-1")
    with pytest.raises(TaskError):
        read_task(tmp_path / "rows.jsonl", "single", BYTES)
    with pytest.raises(TaskError, match="cannot read"):
        read_task(tmp_path / "nothing.jsonl", "single", BYTES)


def test_a_class_that_is_named_but_never_seen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"a class without an example to learn from(.|\n)*none of ugly"):
        read_task(lines(tmp_path, SENTIMENT), "single", BYTES, classes=("bad", "good", "ugly"))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (SINGLE, {"test": (Example(((1,),), (2,)),)}, "test example 1 of a has a label outside the classes"),
        (SINGLE, {"train": (Example(((1,),), (-1,)),)}, "outside the classes"),
        (SINGLE, {"train": (Example(((1,),), (0,)),)}, "a class without an example"),
        (SINGLE, {"validation": ()}, "no validation examples"),
        (SINGLE, {"classes": ("one",), "train": (Example(((1,),), (0,)),)}, "outside the classes"),
        (SINGLE, {"test": (Example(((),), (0,)),)}, "an empty text"),
        (CHOICE, {"test": (Example(((1,), (2,)), (0,)),)}, "too many or too few texts"),
        (LABELS, {"test": (Example(((1, 2),), (0,)),)}, "too many or too few labels"),
        (LABELS, {"test": (Example(((1, 2),), (-1, -1)),)}, "no label at all"),
        ("riddle", {"train": ()}, "no such kind"),
    ],
)
def test_a_task_is_checked_when_it_is_made(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        task(kind, **changes)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=4), st.integers(1, 40), st.floats(0.5, 8))
def test_a_mixture_draws_by_capped_size_and_temperature(sizes: list[int], cap: int, temperature: float) -> None:
    some = Example(((1,), (2,)))
    tasks = [Task(name=f"t{n}", kind=TEXT_TO_TEXT, train=(some,) * size, validation=(some,), test=(some,))
             for n, size in enumerate(sizes)]  # fmt: skip
    mixed = mixture(tasks, cap=cap, temperature=temperature)
    shares = [sum(w for w, one in zip(mixed.weights, mixed.train, strict=True) if one.task == f"t{n}")
              for n in range(len(sizes))]  # fmt: skip
    wanted = np.minimum(sizes, cap) ** (1 / temperature)
    np.testing.assert_allclose(shares, wanted / wanted.sum())


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(TaskError, match="names of their own"):
        mixture([task(TEXT_TO_TEXT), task(TEXT_TO_TEXT)])
    with pytest.raises(TaskError, match="kind single"):
        mixture([task(TEXT_TO_TEXT), task(SINGLE, name="b")])


@pytest.mark.parametrize(
    ("cap", "temperature"), [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf"))]
)
def test_a_cap_or_a_temperature_that_cannot_be_is_refused(cap: int, temperature: float) -> None:
    told = rf"(?s)invalid mixture settings.*expected: .*got: cap {cap}, temperature {temperature}.*cure: "
    with pytest.raises(TaskError, match=told):
        mixture([task(TEXT_TO_TEXT), task(TEXT_TO_TEXT, name="b")], cap=cap, temperature=temperature)


@pytest.mark.parametrize("temperature", [0.001, 1e-320])
def test_the_largest_task_takes_all_at_a_low_temperature(temperature: float) -> None:
    some = Example(((1,), (2,)))
    mixed = mixture([task(TEXT_TO_TEXT), task(TEXT_TO_TEXT, name="b", train=(some,) * 50)], temperature=temperature)
    assert sum(mixed.weights[:6]) == 0
    assert sum(mixed.weights) == pytest.approx(1)
