"""The mark of a finished study: it holds while nothing has changed, and remembers a refusal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from foretoken.errors import RefusedError
from foretoken.store import atomic
from foretoken.store.finished import FinishedMark, changed_files, is_finished, mark_finished, read_mark, unmark
from foretoken.store.format import format_json

INPUTS = {"study": {"seed": 0}, "source": ["c0ffee", "2.13.0"]}
FILES = ("design.json", "fit.json", "approach3.json", "report/index.html", "runs/a/record.json", "ledger/t.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*FILES, "calibration.json", "log/workers.txt"):
        atomic.write_file(tmp_path / name, name.encode())
    mark_finished(tmp_path, INPUTS)
    return tmp_path


def test_it_holds_while_nothing_changes(folder: Path) -> None:
    assert is_finished(folder, INPUTS)
    for name in ("calibration.json", "log/workers.txt", "attempts/000000001.json"):
        atomic.write_file(folder / name, b"other")
    assert is_finished(folder, INPUTS)
    assert changed_files(folder) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", ["edit", "delete"])
def test_a_changed_file_ends_it_and_is_named(name: str, change: str, folder: Path) -> None:
    if change == "edit":
        (folder / name).write_bytes(b"edited")
    else:
        (folder / name).unlink()
    assert not is_finished(folder, INPUTS)
    assert changed_files(folder) == [folder / name]


def test_other_inputs_or_a_new_file_end_it(folder: Path) -> None:
    assert not is_finished(folder, {**INPUTS, "study": {"seed": 1}})
    assert not is_finished(folder, {**INPUTS, "source": ["c0ffee", "2.14.0"]})
    atomic.write_file(folder / "runs" / "b" / "record.json", b"")
    assert not is_finished(folder, INPUTS)


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"sha256": "1",\n "inputs": ""\n}\n'])
def test_without_a_whole_mark_nothing_is_finished(content: bytes | None, folder: Path) -> None:
    unmark(folder)
    if content is not None:
        (folder / "finished.json").write_bytes(content)
    assert not is_finished(folder, INPUTS)
    assert changed_files(folder) == []


def test_marking_again_writes_nothing(folder: Path) -> None:
    os.utime(folder / "finished.json", (1e9, 1e9))
    mark_finished(folder, INPUTS)
    assert (folder / "finished.json").stat().st_mtime == 1e9


def test_a_refusal_is_remembered_word_for_word(folder: Path) -> None:
    refusal = RefusedError("too_few_sizes", "one size", "add sizes")
    mark_finished(folder, INPUTS, refusal)
    with pytest.raises(RefusedError) as again:
        is_finished(folder, INPUTS)
    assert (again.value.code, str(again.value)) == (refusal.code, str(refusal))
    assert not is_finished(folder, {})


def test_the_mark_is_read_as_what_was_written(folder: Path) -> None:
    mark = read_mark(folder)
    assert mark
    assert set(mark.files) == set(FILES)
    assert all(len(sha256) == 64 for sha256 in [mark.inputs, *mark.files.values()])
    assert mark.refusal is None
    unmark(folder)
    assert read_mark(folder) is None


@pytest.mark.parametrize(
    "change",
    [{"files": []}, {"files": {"a": 1}}, {"inputs": None}, {"refusal": {"code": "a"}}, {"mood": "good"}],
    ids=str,
)
def test_a_mark_of_other_types_marks_nothing(change: dict[str, object], folder: Path) -> None:
    atomic.write_file(folder / "finished.json", format_json({"inputs": "", "files": {}, **change}))
    assert read_mark(folder) is None
    assert not is_finished(folder, INPUTS)


def test_a_mark_of_another_format_marks_nothing(folder: Path) -> None:
    atomic.write_file(folder / "finished.json", atomic.checksummed_json({"inputs": "", "files": {}}))
    assert read_mark(folder) is None
    atomic.write_file(folder / "finished.json", format_json({"inputs": "", "files": {}}))
    assert read_mark(folder) == FinishedMark()
