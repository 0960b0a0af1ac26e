"""Folders that cannot hold a study, or hold something else: told before anything is started, and nothing changed."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from foretoken.errors import StoreError
from foretoken.reports import page_of
from foretoken.runs.record import RunRecord
from foretoken.store import atomic
from foretoken.store.format import FORMAT, format_json
from foretoken.store.store import Store
from foretoken.study.maintenance import verify
from foretoken.study.progress import ProgressListener
from foretoken.study.results import gather
from foretoken.study.run_study import run
from foretoken.study.study_status import status

from . import tiny
from .drivers import contents
from .shim import RefusingSystem
from .sweep import Undisturbed

pytestmark = [pytest.mark.usefixtures("in_process")]

CALLS = ("append", "write", "rename", "link", "make_folder", "unlink", "remove_folder")


@pytest.mark.parametrize(
    ("error", "calls", "told"),
    [
        (errno.EROFS, CALLS, "Read-only file system"),
        (errno.EACCES, CALLS, "Permission denied"),
        (errno.ENOSPC, ("append", "write", "make_folder"), "disk full"),
        (errno.EXDEV, ("rename",), "Invalid cross-device link"),
        (errno.EPERM, ("link",), "Operation not permitted"),
    ],
)
def test_a_file_system_that_cannot_keep_a_study(error: int, calls: tuple[str, ...], told: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    for home in (tmp_path, folder):  # a folder that is not there yet, and one that is
        home.mkdir(exist_ok=True)
        with pytest.raises(StoreError, match=rf"(?s)cannot hold a study.*hard links.*got: {told}.*cure: .*folder="):
            tiny.run(folder, RefusingSystem(error, *calls))
        assert contents(tmp_path) == {}


def foreign_file(folder: Path) -> None:
    (folder / "thesis.tex").write_text("ten years of work")


def link_out(folder: Path) -> None:
    (folder / "report").symlink_to(folder.parent)


def newer_version(folder: Path) -> None:
    atomic.write_file(folder / "design.json", atomic.checksummed_json({"format": "foretoken study 3"}))


def another_study(folder: Path) -> None:
    atomic.write_file(folder / "design.json", format_json({"study": {"name": "another"}}))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (foreign_file, "thesis.tex"),
        (link_out, "report"),
        (newer_version, f"expected: {FORMAT}\n  got: format foretoken study 3"),
        (another_study, "expected: 'tiny'\n  got: 'another'"),
    ],
)
def test_a_folder_of_something_else_stays_as_it_is(make: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    make(folder)
    before = contents(tmp_path)
    with pytest.raises(StoreError, match="cure: ") as refused:
        tiny.run(folder)
    assert told in str(refused.value)
    assert contents(tmp_path) == before


def test_tokens_that_have_changed_are_refused_with_both_hashes(tmp_path: Path, expected: Undisturbed) -> None:
    """One bit, before anything is trained; where the folder of tokens is deleted, the study goes on."""
    tiny.run(tmp_path / "first" / "tiny")
    (tmp_path / "first" / "corpora").rename(tmp_path / "corpora")
    (tokens,) = tmp_path.glob("corpora/*/train.bin")
    content = bytearray(tokens.read_bytes())
    content[len(content) // 2] ^= 1
    tokens.write_bytes(content)
    with pytest.raises(StoreError, match=r"(?s)not what was tokenised.*sha256 [0-9a-f]{64}.*got: [0-9a-f]{64}.*delete"):
        tiny.run(tmp_path / "tiny")
    assert not any((tmp_path / "tiny").glob("runs/*"))


def half_done(home: Path) -> tuple[Store, Store]:
    """A finished study, and the folder of one that is planned the same and has no runs yet."""
    tiny.run(home / "done" / "tiny")
    done, folder = Store(home / "done" / "tiny"), home / "tiny"
    atomic.write_file(folder / "design.json", (done.folder / "design.json").read_bytes())
    return done, Store(folder)


def test_a_report_of_some_of_the_runs_says_so(tmp_path: Path, expected: Undisturbed) -> None:
    done, store = half_done(tmp_path)
    for record in done.records()[:4]:
        store.put_record(record)
    planned = status(store.folder).counts.planned
    assert f"4 of {planned} runs" in page_of(gather(store.folder))


def test_readers_never_see_half_of_what_is_being_written(tmp_path: Path, expected: Undisturbed) -> None:
    """Status, table and report made while records come in one by one."""
    done, store = half_done(tmp_path)
    runs = {record.spec.key for record in done.records()}
    seen = [0]

    def write() -> None:
        for record in done.records():
            store.put_record(record)

    writer = threading.Thread(target=write)
    writer.start()
    while seen[-1] < len(runs):
        before = len(store.records())
        counts = status(store.folder).counts
        assert before <= counts.finished <= len(store.records())
        assert counts.planned == len(runs)
        results = gather(store.folder)
        assert results.counts.finished == len(results.records) == len(results.table)
        seen.append(counts.finished)
    writer.join()
    assert seen == sorted(seen)
    assert store.table().digest == expected.digest


def test_two_results_of_one_run_are_both_kept_and_told(tmp_path: Path, expected: Undisturbed) -> None:
    """Another process has just written the same run with another loss: training is not deterministic there."""
    put, twins, notes = Store.put_record, [], []

    def put_second(store: Store, record: RunRecord) -> bool:
        if not twins:
            assert record.loss
            twins.append(replace(record, loss=record.loss + 1e-9))
            put(store, twins[0])
        return put(store, record)

    class Listening(ProgressListener):
        def note(self, text: str) -> None:
            notes.append(text)

    with patch.object(Store, "put_record", put_second):
        run(tiny.tiny_study(), tmp_path / "tiny", Listening())
    (twin,) = twins
    assert [note for note in notes if twin.spec.key in note and "not deterministic" in note]
    assert Store(tmp_path / "tiny").record(twin.spec.key) == twin
    assert len(list((tmp_path / "tiny" / "runs" / twin.spec.key).glob("record-*.json"))) == 1
    assert verify(tmp_path / "tiny") == []
