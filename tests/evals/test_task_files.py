"""Files of labelled examples, row by row: what each column may hold, and the place of what cannot be read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.data.tokenizer import ByteTokenizer, SymbolTokenizer
from foretoken.errors import TaskError
from foretoken.evals import task_files as module
from foretoken.evals.task_files import COLUMNS, Row, read_task
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
    TaskKind,
)

BYTES = ByteTokenizer()
ROWS: dict[TaskKind, tuple[dict[str, Any], dict[str, Any]]] = {
    SINGLE: ({"text": "fine", "label": "good"}, {"text": "dull", "label": "bad"}),
    PAIR: ({"text": "a", "text_b": "b", "label": 1}, {"text": "c", "text_b": "d", "label": 0}),
    SIMILARITY: ({"text": "a", "text_b": "b", "label": 1}, {"text": "c", "text_b": "d", "label": 0}),
    CHOICE: (
        {"text": "a", "choices": ["b", "c"], "answer": 1},
        {"text": "d", "choices": ["e", "f"], "answer": 0},
    ),
    LABELS: ({"text": "Ann left", "labels": ["N", "V"]}, {"text": "go Bob", "labels": ["V", "N"]}),
    TEXT_TO_TEXT: ({"source": "ab", "target": "ba"}, {"source": "cd", "target": "dc"}),
}
"""Two rows of each kind, of different classes."""


def whole(kind: TaskKind, **changes: Any) -> list[dict[str, Any]]:
    """Both rows in each split; the very last one with changes."""
    rows = [{**row, "split": split} for split in SPLITS for row in ROWS[kind]]
    rows[-1] = {**rows[-1], **changes}
    return rows


def as_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def as_csv(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        cells = [{key: json.dumps(v) if isinstance(v, list) else v for key, v in row.items()} for row in rows]
        writer.writerows(cells)
    return path


def tokens(text: str) -> tuple[int, ...]:
    return tuple(text.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_both_formats_of_a_file_give_the_same_task(tmp_path: Path, kind: TaskKind) -> None:
    from_lines, from_csv = (read_task(write(tmp_path, whole(kind)), kind, BYTES) for write in (as_lines, as_csv))
    assert from_lines == from_csv
    assert len(from_lines.train) == len(from_lines.validation) == len(from_lines.test) == 2
    assert from_lines.train == from_lines.test


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in COLUMNS[kind]])
@pytest.mark.parametrize("empty", [None, "", []])
def test_a_cell_that_is_needed_and_empty_is_named_with_its_place(
    tmp_path: Path, kind: TaskKind, name: str, empty: object
) -> None:
    path = as_lines(tmp_path, whole(kind, **{name: empty}))
    with pytest.raises(TaskError, match=rf"rows\.jsonl line 6: a {kind} example needs {name}") as refused:
        read_task(path, kind, BYTES)
    assert refused.value.expected == ", ".join(COLUMNS[kind])


@pytest.mark.parametrize("kind", [SINGLE, PAIR, SIMILARITY, CHOICE])
def test_an_answer_outside_the_classes_is_named_with_its_place(tmp_path: Path, kind: TaskKind) -> None:
    path = as_csv(tmp_path, whole(kind, **{COLUMNS[kind][-1]: "7"}))
    with pytest.raises(TaskError, match=r"rows\.csv row 7: a label outside the classes(.|\n)*got: '7'"):
        read_task(path, kind, BYTES)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (CHOICE, {"choices": ["b", "c", "d"]}, "equally many choices\n  expected: 2\n  got: 3"),
        (CHOICE, {"choices": "[broken"}, "choices cannot be read\n  expected: a list"),
        (CHOICE, {"choices": "b c"}, "choices is not a list"),
        (CHOICE, {"choices": {"b": 1}}, "choices is not a list"),
        (CHOICE, {"choices": ["b", 4.5]}, "not a text"),
        (LABELS, {"labels": ["N"]}, "one label per word\n  expected: 2 labels\n  got: 1"),
        (LABELS, {"labels": "N V N"}, "one label per word\n  expected: 2 labels\n  got: 3"),
        (LABELS, {"labels": ["N", "X"]}, "a label outside the classes\n  expected: N, V"),
        (LABELS, {"text": 5}, "not a text\n  expected: a string, or a list of words"),
        (TEXT_TO_TEXT, {"target": 5}, "not a text\n  expected: a string, or a list of token numbers"),
        (SINGLE, {"text": [1, "two"]}, "not a text"),
        (SINGLE, {"text": [True, 2]}, "not a text"),
        (SINGLE, {"split": "middle"}, "no such split\n  expected: train, validation, test\n  got: 'middle'"),
        (SINGLE, {"split": None}, "no such split"),
    ],
)
def test_what_a_row_cannot_hold_is_named(tmp_path: Path, kind: TaskKind, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=f"line 6: .*{message}"):
        read_task(as_lines(tmp_path, whole(kind, **changes)), kind, BYTES)


@pytest.mark.parametrize("labels", [["N", "V"], "N V", '["N", "V"]', "  N   V "])
def test_labels_may_be_a_list_words_or_json(tmp_path: Path, labels: object) -> None:
    rows = [{**row, "labels": labels} for row in whole(LABELS)]
    assert read_task(as_lines(tmp_path, rows), LABELS, BYTES).train[0].labels[0] == 0


def test_the_first_token_of_a_word_has_its_label_and_the_others_none(tmp_path: Path) -> None:
    (first, _) = read_task(as_lines(tmp_path, whole(LABELS)), LABELS, BYTES).train
    assert first.texts == (tokens("Ann left"),)
    assert first.labels == (0, NO_LABEL, NO_LABEL, 1, NO_LABEL, NO_LABEL, NO_LABEL, NO_LABEL)


def test_words_may_be_tokens_each_with_its_label(tmp_path: Path) -> None:
    rows = [{**row, "text": [3, 1]} for row in whole(LABELS)]
    (first, second) = read_task(as_lines(tmp_path, rows), LABELS, SymbolTokenizer(8)).train
    assert (first, second) == (Example(((3, 1),), (0, 1)), Example(((3, 1),), (1, 0)))


@given(st.integers(1, 9))
@settings(max_examples=9, deadline=None)
def test_a_cut_keeps_the_first_tokens_of_each_text_and_their_labels(cut: int) -> None:
    row = Row("here", {"text": "Ann left", "labels": ["N", "V"]})
    labelled = module._RowEncoder(LABELS, BYTES, ("N", "V"), cut).example(row)
    uncut = module._RowEncoder(LABELS, BYTES, ("N", "V"), 0).example(row)
    assert labelled == Example((uncut.texts[0][:cut],), uncut.labels[:cut])
    pair = module._RowEncoder(TEXT_TO_TEXT, BYTES, (), cut).example(Row("x", {"source": "abcdef", "target": "ab"}))
    assert pair.texts == (tokens("abcdef"[:cut]), tokens("ab"[:cut]))


@pytest.mark.parametrize("kind", [SINGLE, PAIR, SIMILARITY])
def test_classes_are_those_of_the_training_examples_in_order(tmp_path: Path, kind: TaskKind) -> None:
    read = read_task(as_lines(tmp_path, whole(kind)), kind, BYTES)
    assert read.classes == tuple(sorted({str(row["label"]) for row in ROWS[kind]}))
    turned = read_task(as_lines(tmp_path, whole(kind)), kind, BYTES, classes=read.classes[::-1])
    assert [1 - example.labels[0] for example in turned.train] == [example.labels[0] for example in read.train]


def test_a_choice_counts_its_answers_from_zero_and_a_text_has_no_classes(tmp_path: Path) -> None:
    choice = read_task(as_lines(tmp_path, whole(CHOICE)), CHOICE, BYTES)
    assert (choice.classes, [example.labels for example in choice.train]) == (("0", "1"), [(1,), (0,)])
    assert choice.train[0].texts == (tokens("a"), tokens("b"), tokens("c"))
    assert read_task(as_lines(tmp_path, whole(TEXT_TO_TEXT)), TEXT_TO_TEXT, BYTES).classes == ()


@given(st.integers(5, 200))
@settings(max_examples=30, deadline=None)
def test_without_a_split_three_in_five_are_learned_from_and_all_are_used_once(count: int) -> None:
    rows = [Row(f"line {number}", {"text": "a"}) for number in range(count)]
    parts = module._split(rows)
    assert len(parts["train"]) == round(0.6 * count)
    assert len(parts["train"]) + len(parts["validation"]) == round(0.8 * count)
    places = [row.where for split in SPLITS for row in parts[split]]
    assert sorted(places) == sorted(row.where for row in rows)


def test_empty_lines_are_no_rows_but_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = whole(SINGLE, label="ugly")
    path.write_text("\n\n" + "\n\n".join(json.dumps(row) for row in rows))
    with pytest.raises(TaskError, match=r"line 13: a label outside"):
        read_task(path, SINGLE, BYTES)


@pytest.mark.parametrize("line", ["[1]", '"text"', "3", "{broken", "null"])
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(whole(SINGLE)[0]) + "\n" + line + "\n")
    with pytest.raises(TaskError, match=r"line 2 is not a JSON object") as refused:
        read_task(path, SINGLE, BYTES)
    assert refused.value.got == line


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 20)
    with pytest.raises(TaskError, match="too large"):
        read_task(as_lines(tmp_path, whole(SINGLE)), SINGLE, BYTES)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_what_has_no_end_is_no_file_of_examples(suffix: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(TaskError, match="is not a file"):
            read_task(tmp_path / f"{name}{suffix}", SINGLE, BYTES)


def test_the_columns_and_values_of_examples_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("text,label" + ",x" * 12_000 + "\na,b\n")
    with pytest.raises(TaskError, match="at most 10000 columns"):
        read_task(tmp_path / "wide.csv", SINGLE, BYTES)
    (tmp_path / "many.jsonl").write_bytes(b'{"text": [' + b"[]," * 5_000_000)
    with pytest.raises(TaskError, match="more than 8000000 values"):
        read_task(tmp_path / "many.jsonl", SINGLE, BYTES)


@pytest.mark.parametrize(("kind", "near"), [("singel", "single"), ("label", "labels"), ("text-to-txt", "text-to-text")])
def test_a_kind_that_is_nearly_right_is_named(tmp_path: Path, kind: str, near: str) -> None:
    with pytest.raises(TaskError, match=f"did you mean '{near}'"):
        read_task(tmp_path / "not read.jsonl", kind, BYTES)


def test_columns_go_by_other_names(tmp_path: Path) -> None:
    """SST-2 as it is handed out: sentence, label, idx; as .csv, .tsv and one JSON array."""
    rows = [{"sentence": row["text"], "label": row["label"], "idx": i} for i, row in enumerate(whole(SINGLE))]
    rows = [{**row, "split": split} for row, split in zip(rows, [s for s in SPLITS for _ in range(2)], strict=True)]
    tsv = tmp_path / "rows.tsv"
    tsv.write_text("\n".join("\t".join(map(str, row)) for row in [list(rows[0]), *(row.values() for row in rows)]))
    array = tmp_path / "rows.json"
    array.write_text(json.dumps(rows))
    expected = read_task(as_lines(tmp_path, whole(SINGLE)), SINGLE, BYTES)
    for path in (as_csv(tmp_path, rows), tsv, array):
        assert read_task(path, SINGLE, BYTES, rename={"text": "sentence"}).test == expected.test
    with pytest.raises(TaskError, match="did you mean 'sentence'"):
        read_task(array, SINGLE, BYTES, rename={"text": "sentences"})


def test_labels_that_are_withheld_are_no_class(tmp_path: Path) -> None:
    hidden = [{**row, "label": -1} for row in whole(SINGLE)]
    partly = [*whole(SINGLE), {"text": "a", "label": -1, "split": "test"}]
    undecided = [*whole(SINGLE), {"text": "a", "label": "-", "split": "test"}]
    for rows in (hidden, partly, undecided):
        with pytest.raises(TaskError, match="withheld"):
            read_task(as_lines(tmp_path, rows), SINGLE, BYTES)
    signs = [{**row, "label": 1 if row["label"] == "good" else -1} for row in whole(SINGLE)]
    assert set(read_task(as_lines(tmp_path, signs), SINGLE, BYTES).classes) == {"1", "-1"}


def question(key: object, labels: list[object] | None = None) -> dict[str, Any]:
    """One question of four choices, as public sets nest them."""
    choices: dict[str, Any] = {"text": ["a", "b", "c", "d"]} | ({"label": labels} if labels else {})
    return {"question": {"stem": "which?", "choices": choices}, "answerKey": key}


@pytest.mark.parametrize(
    ("labels", "keys"),
    [
        (["A", "B", "C", "D"], ["A", "B", "C", "D"]),
        (["1", "2", "3", "4"], ["1", "2", "3", "4"]),
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        (None, ["a", "B", "C", "D"]),
        (None, [0, 1, 2, 3]),
        (None, ["0", "1", "2", "3"]),
    ],
)
def test_an_answer_is_a_label_of_its_choices_a_letter_or_a_number(
    tmp_path: Path, labels: list[object] | None, keys: list[object]
) -> None:
    path = as_lines(tmp_path, [question(key, labels) for key in keys * 5])
    names = {"text": "question.stem", "choices": "question.choices.text", "answer": "answerKey"}
    task = read_task(path, CHOICE, BYTES, rename=names)
    right = [example.texts[1 + example.labels[0]] for _, example in task.examples()]
    assert sorted(bytes(text).decode() for text in right) == sorted("abcd" * 5)


def test_columns_that_are_missing_are_proposed_from_the_names_that_are_there(tmp_path: Path) -> None:
    path = as_lines(tmp_path, [{"premise": "a", "hypothesis": "b", "gold_label": "c"}])
    with pytest.raises(TaskError, match="pair example needs text") as told:
        read_task(path, PAIR, BYTES)
    assert told.value.cure == 'rename={"text": "premise", "text_b": "hypothesis", "label": "gold_label"}'
    with pytest.raises(TaskError, match=r"no 'question\.stems'") as near:
        read_task(as_lines(tmp_path, [question("A")]), CHOICE, BYTES, rename={"text": "question.stems"})
    assert near.value.cure == "did you mean 'question.stem'?"


EXAMPLES = [*((f"good {n}\nor so", "a") for n in range(6)), *((f"bad {n}", "b") for n in range(6))]


@pytest.mark.parametrize(
    ("name", "separator", "encoding"),
    [
        ("t.csv", ",", "utf-8"),
        ("t.csv", ";", "utf-8-sig"),
        ("t.csv", "\t", "utf-16"),
        ("t.txt", "\t", "utf-16"),
        ("t.tsv", "\t", "utf-16"),
        ("t.csv.gz", ";", "utf-8"),
    ],
)
def test_examples_as_spreadsheets_write_them(tmp_path: Path, name: str, separator: str, encoding: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([("text", "label"), *EXAMPLES])
    data = text.getvalue().encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    task = read_task(tmp_path / name, SINGLE, BYTES)
    assert task.classes == ("a", "b")
    texts = {bytes(example.texts[0]).decode() for _, example in task.examples()}
    assert {text.replace("\r\n", "\n") for text in texts} == {text for text, _ in EXAMPLES}


def test_a_file_without_names_and_one_in_another_encoding_are_called_that(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,Oil meets a fox today\n2,Honey\n")
    with pytest.raises(TaskError, match="looks like an example"):
        read_task(tmp_path / "a.csv", SINGLE, BYTES)
    (tmp_path / "b.csv").write_bytes("text,label\nÜbung – ja,1\n".encode("cp1252"))
    with pytest.raises(TaskError, match="iconv -f cp1252"):
        read_task(tmp_path / "b.csv", SINGLE, BYTES)


@pytest.mark.parametrize("nested", [True, False])
def test_choices_that_are_objects_have_labels_too(tmp_path: Path, nested: bool) -> None:
    choices = [{"label": str(n + 1), "text": text} for n, text in enumerate("abcd")]
    rows = [{"q": "?", "choices": choices, "key": str(n % 4 + 1)} for n in range(20)]
    path = as_lines(tmp_path, [{"q": {"c": row}} for row in rows] if nested else rows)
    way = "q.c." if nested else ""
    names = {"text": f"{way}q", "choices": f"{way}choices.text", "answer": f"{way}key"}
    task = read_task(path, CHOICE, BYTES, rename=names)
    right = [bytes(example.texts[1 + example.labels[0]]).decode() for _, example in task.examples()]
    assert sorted(right) == sorted("abcd" * 5)


@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "dev", "testing")])
def test_splits_go_by_their_usual_names_or_unread(tmp_path: Path, words: tuple[str, str, str]) -> None:
    path = as_lines(tmp_path, [{"text": f"t{n}", "label": n % 2, "split": words[n // 10]} for n in range(30)])
    task = read_task(path, SINGLE, BYTES)
    assert [len(task.split(split)) for split in SPLITS] == [10, 10, 10]
    unread = read_task(path, SINGLE, BYTES, rename={"split": ""})
    assert [len(unread.split(split)) for split in SPLITS] == [18, 6, 6]


def test_cells_beyond_the_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\ngood, great movie,pos\nbad,neg\n")
    with pytest.raises(TaskError, match="row 2: more cells than names"):
        read_task(tmp_path / "a.csv", SINGLE, BYTES)
    (tmp_path / "b.csv").write_text("text,label\n" + "a, pos\nb,neg\nc,pos,\n" * 5)
    assert read_task(tmp_path / "b.csv", SINGLE, BYTES).classes == ("neg", "pos")


@pytest.mark.parametrize("key", [1, "1"])
def test_an_answer_is_compared_with_labels_as_text(tmp_path: Path, key: object) -> None:
    path = as_lines(tmp_path, [question(key, ["1", "2", "3", "4"])] * 10)
    names = {"text": "question.stem", "choices": "question.choices.text", "answer": "answerKey"}
    task = read_task(path, CHOICE, BYTES, rename=names)
    assert {example.labels for _, example in task.examples()} == {(0,)}
