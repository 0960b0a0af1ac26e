"""The study's folder: one door for all writes, one small immutable file per result.

    runs/quickstart/
        design.json                 the planned runs
        runs/<key>/record.json      one per run; only a failed one is ever replaced
        trunks/<key>/step-<n>/      checkpoints: files first, then commit.json with the sha256 of each
        fit.json, approach3.json    the fits of the ladder
        ledger/<name>.json          forecasts, frozen; <name>.outcome.json what happened
        report/index.html
        calibration.json            what this machine can do
        progress.json               which runs are under way; log/ holds the output of the workers
        lock                        held (flock) while a process runs the study

The run table is a fold over the records; nothing shared is ever appended to.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from foretoken.errors import StoreError, StudyBusyError
from foretoken.runs.record import RunRecord
from foretoken.runs.table import RunTable, table_from_records

COMMIT = "commit.json"
LOCK_TRIES = 10


def write_file(path: Path, content: bytes) -> None:
    """The one door: write to a temporary name in the same folder, flush, rename, flush the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}", got=str(error), cure="free space or rights, then run again") from error
    _flush_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON through the one door; NaN and infinities are refused."""
    write_file(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file of ours; raises StoreError with the path when it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise StoreError(
            f"cannot read {path}", got=str(error), cure="restore it, or delete it to make it anew"
        ) from error


def write_commit(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write several files as one: an older mark goes first, the new one, with the sha256 of each, comes last."""
    (folder / COMMIT).unlink(missing_ok=True)
    for name, content in contents.items():
        write_file(folder / name, content)
    marks = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    write_json(folder / COMMIT, marks)


def read_commit(folder: Path) -> dict[str, bytes] | None:
    """The files of a committed folder, or None when it is not committed or does not match its hashes."""
    try:
        marks = json.loads((folder / COMMIT).read_text(encoding="utf-8"))
        contents = {name: (folder / Path(name).name).read_bytes() for name in marks}
    except (OSError, ValueError):
        return None
    intact = all(hashlib.sha256(content).hexdigest() == marks[name] for name, content in contents.items())
    return contents if intact else None


def delete_commit(folder: Path) -> None:
    """Delete a committed folder; the mark goes first, so a death midway leaves nothing that looks whole."""
    (folder / COMMIT).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


class Store:
    """A study's folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def record_path(self, key: str) -> Path:
        """Where the record of a run is."""
        return self.folder / "runs" / key / "record.json"

    def trunk_folder(self, key: str) -> Path:
        """Where the checkpoints of a trunk (or of a run without one) are."""
        return self.folder / "trunks" / key

    def branch_folder(self, key: str) -> Path:
        """Where the checkpoints of a run's own cooldown are."""
        return self.folder / "runs" / key

    def put_record(self, record: RunRecord) -> None:
        """Write a record."""
        write_json(self.record_path(record.spec.key), record.to_json())

    def record(self, key: str) -> RunRecord | None:
        """The record of a run, or None when it has none yet."""
        path = self.record_path(key)
        return _read_record(path) if path.is_file() else None

    def records(self) -> list[RunRecord]:
        """All records, ordered by key."""
        paths = sorted((self.folder / "runs").glob("*/record.json"))
        return [_read_record(path) for path in paths]

    def table(self) -> RunTable:
        """The run table of all records."""
        return table_from_records(self.records(), str(self.folder))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Own the study; raises StudyBusyError while another process does. Ends with the process, however it ends."""
        with self._lock_file() as file:
            if not _locked(file):
                file.seek(0)
                raise StudyBusyError(
                    f"the study in {self.folder} is being run by another process",
                    got=file.read().strip() or None,
                    cure="wait for it, or stop it with Ctrl-C",
                )
            file.truncate(0)
            file.write(f"pid {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            file.flush()
            yield

    def _lock_file(self) -> IO[str]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return open(self.folder / "lock", "a+")
        except OSError as error:
            raise StoreError(f"cannot write in {self.folder}", got=str(error), cure="give another --folder") from error

    @property
    def busy(self) -> bool:
        """Whether a process runs this study now."""
        if not (self.folder / "lock").exists():
            return False
        with open(self.folder / "lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False


def _read_record(path: Path) -> RunRecord:
    try:
        return RunRecord.from_json(read_json(path))
    except (KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path} is no record of this version", got=repr(error), cure="delete it to train the run again"
        ) from error


def _locked(file: IO[str]) -> bool:
    """Take the lock; a `status` that looks at it holds it for a moment, so try for half a second."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.05)
    return False


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
