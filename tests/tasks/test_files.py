"""Tasks from files, and the file and line of what cannot be used."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from foretoken.abilities.metrics import SHARP, TOKEN, TOKEN_LOSS, metric_named
from foretoken.errors import TaskError
from foretoken.tasks import METRICS, PromptTask, Question
from foretoken.tasks.files import read_prompt_task
from foretoken.tasks.metrics import FOR_ANSWERS, FOR_CHOICES, chance_of_task, metrics_of


def written(folder: Path, toml: str, *rows: Any) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "task.toml").write_text('data = "rows.jsonl"\n' + toml)
    return folder / "task.toml"


def test_a_task_is_read_with_its_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'name = "sums"\ntemplate = "{prompt}="\ncolumns = {prompt = "q", answer = "label"}\n',
        {"q": "1+1", "label": 1, "choices": ["1", "2"], "pair": "a", "document": 7, "count": 3},
        {"q": "2+2", "label": "B", "choices": ["x", "4"], "split": "test"},
        {"q": "1+0", "label": "1", "choices": ["1", "0"], "split": "train"},
        {"q": "1+1", "label": "2", "choices": ["1", "2"], "split": "train"},
    )
    task = read_prompt_task(path)
    first = Question(prompt="1+1", answer="1", choices=("1", "2"), pair="a", document="7", count=3.0)
    assert task.questions == (first, Question(prompt="2+2", answer="4", choices=("x", "4")))
    assert [example.prompt for example in task.examples] == ["1+0", "1+1"]
    assert (task.name, task.prompt(first), task.source) == ("sums", "1+1=", str(path))


def test_an_answer_that_is_a_choice_is_no_number_of_one(tmp_path: Path) -> None:
    path = written(tmp_path, "", {"prompt": "1+0", "answer": 1, "choices": ["0", "1"]})
    assert read_prompt_task(path).questions[0].answer == "1"
    path = written(tmp_path, "", {"prompt": "1+0", "answer": 0, "choices": ["one", "two"]})
    assert read_prompt_task(path).questions[0].answer == "one"


def test_an_example_that_is_a_question_is_left_out(tmp_path: Path) -> None:
    row = {"prompt": "1+1", "answer": "2"}
    assert read_prompt_task(written(tmp_path, "", row, row | {"split": "train"})).examples == ()


def test_the_last_words_of_a_plain_text(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text("Tyger Tyger burning  bright\n\nin the forests\n")
    task = read_prompt_task(tmp_path / "poem.txt")
    assert [(one.prompt, one.answer) for one in task.questions] == [
        ("Tyger Tyger burning", "  bright"), ("in the", " forests"),
    ]  # fmt: skip
    assert (task.name, task.metrics[0]) == ("poem", "last_word_accuracy")


def test_a_cloze_knows_what_stands_behind_its_gap(tmp_path: Path) -> None:
    row = {"prompt": "The XXXXX sat; XXXXX slept.", "answer": "cat", "choices": ["cat", "hat"]}
    (one,) = read_prompt_task(written(tmp_path, 'kind = "cloze"', row)).questions
    assert (one.prompt, one.answer, one.choices) == ("The", " cat", (" cat", " hat"))
    assert tuple(map(one.filled, one.choices)) == (" cat sat; cat slept.", " hat sat; hat slept.")


def test_clozes_that_differ_behind_the_gap_are_different(tmp_path: Path) -> None:
    rows = [
        {"prompt": "XXXXX is in France", "answer": "Paris", "choices": ["Paris", "Rome"]},
        {"prompt": "XXXXX is a city", "answer": "Paris", "choices": ["Paris", "Blue"], "split": "train"},
        {"prompt": "It is XXXXX", "answer": "red", "choices": ["red", "Rome"]},
    ]
    task = read_prompt_task(written(tmp_path, 'kind = "cloze"\nmasks = "one_by_one"', *rows))
    assert len(task.examples) == 1
    assert task.prompt(task.questions[0], task.examples) == "Paris is a city\n"
    assert (task.questions[1].after, task.masks_of(task.questions[1])) == ("", "one_by_one")
    plain = replace(task, masks=None)
    assert plain.masks_of(plain.questions[1]) == "together"
    assert plain.masks_of(Question(prompt="a", answer="b")) == "left_to_right"


GOOD = {"prompt": "a", "answer": "b"}


@pytest.mark.parametrize(
    ("toml", "rows", "told"),
    [
        ("betwen = ''", [GOOD], r"task.toml line 2: betwen: no such key(.|\n)*'between'"),
        ("metrics = ['acuracy']", [GOOD], r"task.toml line 2: metrics: no such metric(.|\n)*'accuracy'"),
        ("template = 'x'", [GOOD], r"task.toml line 2: template(.|\n)*\{prompt\}"),
        ("kind = 'clozed'", [GOOD], "did you mean 'cloze'"),
        ("masks = 'togehter'", [GOOD], r"line 2: masks(.|\n)*did you mean 'together'"),
        ("between = 3", [GOOD], "line 2: between is of another kind"),
        ("columns = {promt = 'q'}", [GOOD], r"line 2: promt: no such column(.|\n)*'prompt'"),
        ("columns = {prompt = 'promt'}", [GOOD], r"rows.jsonl line 1 has no 'promt'(.|\n)*'prompt'"),
        ("= 3", [GOOD], "is not TOML"),
        ("", [], "has no questions"),
        ("", [GOOD | {"split": "train"}], "nothing to be asked"),
        ("", [GOOD, "{"], "rows.jsonl line 2 is not a JSON object"),
        ("", [GOOD, {"prompt": "a"}], "rows.jsonl line 2 has no answer"),
        ("", [GOOD, {"prompt": "a", "answer": ""}], "rows.jsonl line 2 has no answer"),
        ("", [{"prompt": "a", "answer": "c", "choices": ["a", "bb"]}], r"line 1: the answer is not among"),
        ("", [{"prompt": "a", "answer": 2, "choices": ["a", "bb"]}], r"line 1: the answer is not among"),
        ("", [{"prompt": "a", "answer": "b", "choices": ["b", "b"]}], r"line 1: choices(.|\n)*all different"),
        ("", [{"prompt": "a", "answer": "b", "choices": "b"}], "no list of texts"),
        ("", [GOOD | {"count": "many"}], "line 1: count is no number"),
        ("kind = 'cloze'", [GOOD], "a cloze has choices"),
        ("kind = 'last_word'", [GOOD], "two words or more"),
        ("examples = 'none.jsonl'", [GOOD], "none.jsonl"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, toml: str, rows: list[Any], told: str) -> None:
    with pytest.raises(TaskError, match=told):
        read_prompt_task(written(tmp_path, toml, *rows))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"prompt": "1+1=", "answer": "  "}, "line 1: a question has an empty answer"),
        ({"prompt": "1+1=", "answer": "2", "choices": ["2", ""]}, "line 1: a choice of '1\\+1=' is empty"),
        ({"prompt": "1+1=", "answer": "2", "count": -4}, "line 1: the count of '1\\+1=' cannot be"),
        ({"prompt": "1+1=", "answer": "2", "count": float("inf")}, "line 1: the count of '1\\+1=' cannot be"),
        ({"prompt": "\ud83d", "answer": "2"}, "line 1: half a character"),
        ({"prompt": "1+1=", "answer": "2", "choices": ["2", "\ud83d"]}, "line 1: half a character"),
    ],
)
def test_a_row_that_cannot_be_scored_is_refused(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    (tmp_path / "task.jsonl").write_text(json.dumps(row))
    with pytest.raises(TaskError, match=told):
        read_prompt_task(tmp_path / "task.jsonl")


@pytest.mark.parametrize(
    ("ending", "content"),
    [("gz", gzip.compress(b"{}" * 99)[:-9]), ("zst", b"{}"), ("gz", b"{}")],
    ids=["cut", "no zst", "no gz"],
)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path, ending: str, content: bytes) -> None:
    pytest.importorskip("zstandard")
    path = tmp_path / f"task.jsonl.{ending}"
    path.write_bytes(content)
    with pytest.raises(TaskError, match=f"cannot (read|unpack) .*task.jsonl.{ending}"):
        read_prompt_task(path)


@pytest.mark.parametrize("name", METRICS)
def test_tables_of_scores_understand_every_name(name: str) -> None:
    found = metric_named(name)
    assert found is not None
    assert found.better == ("down" if name in ("token_edit_distance", "answer_nll") else "up")
    assert found.bounded == (name != "answer_nll")
    assert bool(SHARP.search(name)) == (name in ("accuracy", "exact_match"))
    per_token = ("token_edit_distance", "token_probability")
    assert bool(TOKEN.search(name)) == (name in per_token)
    assert bool(TOKEN_LOSS.search(name)) == (name == "answer_nll")


def test_metrics_suit_the_questions() -> None:
    two = Question(prompt="a", answer="b", choices=("b", "c"), pair="x")
    chosen = PromptTask(name="t", questions=(two,))
    assert metrics_of(chosen) == (*FOR_CHOICES, "consistency")
    assert (chance_of_task(chosen, "accuracy"), chance_of_task(chosen, "answer_nll")) == (0.5, None)
    written_ = PromptTask(name="t", questions=(Question(prompt="a", answer="b"),))
    assert metrics_of(written_) == FOR_ANSWERS
    for name in ("accuracy", "consistency"):
        with pytest.raises(TaskError, match="cannot be scored"):
            metrics_of(written_, [name])
