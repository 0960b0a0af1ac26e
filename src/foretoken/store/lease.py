"""Who runs a study: a lease that is renewed by touching a file, and numbered, so that a late owner can be told apart.

    attempts/000000007.json     the newest has the study, until its `ended_at` is set or it is not renewed any more

The owner of attempt 7 is whoever created that name; of many who try, the file system lets one. It touches its file now
and then. Whether an owner is gone is decided by the clock of the file server (the age of the file beside one touched
now), never by a process id; on the same machine the kernel says at once that an owner has died, for it held a lock on
its file. An owner that was frozen and taken over finds a newer attempt, and stops.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from foretoken.errors import ForetokenError, LeaseLostError, StoreError, StudyBusyError
from foretoken.runs.spec import read_as
from foretoken.store import atomic
from foretoken.store.clock import boot_id

RENEWALS = 6
"""How often a lease is renewed in the time after which it expires."""
SETTLE_TRIES = 20
NAME = re.compile(r"(\d{9})\.json")


@dataclass(frozen=True)
class Attempt:
    """Who runs a study, as its file says."""

    attempt: int
    host: str
    """The machine and its last start, see `_host`."""
    pid: int
    since: str
    """UTC, ISO 8601; so is `ended_at`, which is None while the attempt lasts."""
    ended_at: str | None = None

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host.partition(' ')[0]}"


class Lease:
    """The right to write in a study's folder; a context manager. Its attempt is beyond `after`."""

    def __init__(self, folder: Path, seconds: float, after: int = 0) -> None:
        self.folder, self.seconds, self.after = folder / "attempts", seconds, after
        self._made = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        self.attempt = 0
        self._own: Attempt | None = None
        self._ended = threading.Event()

    def __enter__(self) -> Lease:
        for left in reversed(range(SETTLE_TRIES)):
            try:
                self._contend()
                break
            except StoreError as error:
                if not left or not _was_deleted(error):
                    raise
        threading.Thread(target=self._renew, daemon=True).start()
        try:
            for old in self.folder.glob("*.json"):
                if (name := NAME.fullmatch(old.name)) and int(name[1]) < self.attempt:
                    atomic.delete_file(old)
        except StoreError:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """Give the study back: in place, for a file that is torn by a death on the way is no sign of life either.

        A refusal before anything was written leaves no folder that was not there before.
        """
        self._ended.set()
        with self._file as file, contextlib.suppress(OSError):
            if self._own and newest_attempt(self.folder) == self.attempt:
                file.truncate(0)
                ended = replace(self._own, ended_at=_now())
                atomic.system.write(file, json.dumps(asdict(ended), indent=1).encode())
        if kind and issubclass(kind, ForetokenError) and self._is_alone():
            with contextlib.suppress(OSError):  # another process may have begun here since
                self.path.unlink()
                for made in self._made:
                    made.rmdir()

    def _is_alone(self) -> bool:
        """Whether nothing but this attempt is in the study's folder, and nobody has run the study before."""
        with contextlib.suppress(OSError):
            there = os.listdir(self.folder.parent) + os.listdir(self.folder)
            return self.folder in self._made and there == [self.folder.name, self.path.name]
        return False

    @property
    def path(self) -> Path:
        """The file of this attempt."""
        return _path(self.folder, self.attempt)

    @property
    def own(self) -> Attempt:
        """Who runs the study: this process."""
        assert self._own
        return self._own

    def check(self) -> None:
        """Raise LeaseLostError when another process has taken the study over, or its folder is gone."""
        check_owner(self.folder.parent, self.attempt)
        # A folder that was removed and begun anew by another process counts its attempts from 1 again.
        owner = _read(self.path)
        if owner not in (None, self._own):
            raise taken_over(self.folder.parent, owner)

    def _contend(self) -> None:
        """Become the newest attempt, or raise StudyBusyError."""
        self._probe()
        while not self.attempt:
            newest = newest_attempt(self.folder)
            if newest:
                self._must_be_over(newest)
            self._take(max(newest, self.after) + 1)

    def _take(self, attempt: int) -> None:
        """Create an attempt, locked from the first moment on; if another was faster nothing happens."""
        own = Attempt(attempt, _host(), os.getpid(), _now())
        draft = self.folder / f".{attempt}-{secrets.token_hex(4)}{atomic.TEMPORARY}"
        atomic.write_json(draft, asdict(own))
        with atomic.writing(draft):
            file = open(draft, "r+b", buffering=0)  # noqa: SIM115
        _try_lock(file)
        try:
            with atomic.writing(draft):
                atomic.system.link(draft, _path(self.folder, attempt))
            atomic.delete_file(draft)
        except StoreError as error:
            file.close()  # whatever was linked by now is seen as left by a dead owner
            with contextlib.suppress(StoreError):
                atomic.delete_file(draft)
            if not isinstance(error.__cause__, FileExistsError):
                raise
            return
        if newest_attempt(self.folder) == attempt:
            self.attempt, self._own, self._file = attempt, own, file
        else:  # it was taken from a listing that is long past
            file.close()

    def _must_be_over(self, attempt: int) -> None:
        """Raise StudyBusyError while the owner of an attempt lives."""
        path = _path(self.folder, attempt)
        owner = _read(path)
        if owner is None or owner.ended_at or _has_died(path, owner):
            return
        age = self._age(path)
        if age > self.seconds:
            return
        if age < -self.seconds:
            # The clock was set back, and would have to come this far again. An owner that lives renews its lease at
            # once; for one that is gone it runs out from here on.
            with atomic.writing(path):
                os.utime(path)
        raise busy(self.folder.parent, owner)

    def _age(self, path: Path) -> float:
        """Seconds since the owner renewed its lease, by the file server's clock."""
        clock = self.folder / f".clock-{secrets.token_hex(4)}{atomic.TEMPORARY}"
        with atomic.writing(clock):
            clock.touch()
            try:
                return clock.stat().st_mtime - path.stat().st_mtime
            finally:
                clock.unlink(missing_ok=True)

    def _probe(self) -> None:
        """Find out before anything is started whether the folder keeps what is written into it."""
        first, second = (self.folder / f".probe-{secrets.token_hex(4)}{atomic.TEMPORARY}" for _ in range(2))
        try:
            atomic.write_file(first, b"1")
            with atomic.writing(second):
                atomic.system.link(first, second)
                atomic.system.rename(first, second)
        except StoreError as error:
            raise StoreError(
                f"the folder {self.folder.parent} cannot hold a study",
                expected="a file system that can be written, with atomic rename and hard links",
                got=error.got or error.message,
                cure="give rights, free space, or give another --folder",
            ) from error
        finally:
            for path in (first, second):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / RENEWALS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def newest_attempt(folder: Path) -> int:
    """The number of the newest attempt in a folder of attempts; 0 when there is none."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return max((int(match[1]) for name in names if (match := NAME.fullmatch(name))), default=0)


def newest_owner(study: Path) -> Attempt | None:
    """Who runs the study, or ran it last; None where nobody did, or its file does not say it."""
    attempt = newest_attempt(study / "attempts")
    return _read(_path(study / "attempts", attempt)) if attempt else None


def check_owner(study: Path, attempt: int) -> None:
    """Raise LeaseLostError when a newer attempt than this has the study, or the folder is gone."""
    newest = newest_attempt(study / "attempts")
    if newest > attempt:
        raise taken_over(study, _read(_path(study / "attempts", newest)))
    # Our own attempt is deleted by nobody but the owner of a newer one.
    if newest < attempt:
        raise LeaseLostError(
            f"the folder {study} is gone: it was removed, renamed or replaced while the study ran",
            expected=f"{_path(study / 'attempts', attempt)}",
            cure="put it back and run the study again, or run it to begin anew",
        )


def taken_over(study: Path | str, owner: Attempt | None) -> LeaseLostError:
    """The error for an owner that finds a newer attempt."""
    return LeaseLostError(
        f"the study in {study} was taken over by another process while this one stood still",
        got=str(owner or "an owner that has left no name"),
        cure="nothing: what this one did is kept or repeated by the other",
    )


def busy(study: Path | str, owner: Attempt) -> StudyBusyError:
    """The error for who finds that the study has an owner."""
    return StudyBusyError(
        f"the study in {study} is being run by another process",
        got=f"{owner} since {owner.since}",
        cure="wait for it, or stop it with Ctrl-C",
    )


def is_owned(study: Path, seconds: float) -> bool:
    """Whether a process runs the study now; nothing is written to find out."""
    attempt = newest_attempt(study / "attempts")
    owner = _read(path := _path(study / "attempts", attempt)) if attempt else None
    if owner is None or owner.ended_at or _has_died(path, owner):
        return False
    try:
        return abs(time.time() - path.stat().st_mtime) <= seconds  # one from a later time was not renewed since
    except FileNotFoundError:  # a newer attempt has just taken its place
        return is_owned(study, seconds)


def _was_deleted(error: BaseException | None) -> bool:
    """Whether one of our temporary files went away: another owner was faster, and has mended the folder."""
    return error is not None and (isinstance(error, FileNotFoundError) or _was_deleted(error.__cause__))


def _path(folder: Path, attempt: int) -> Path:
    return folder / f"{attempt:09d}.json"


def _read(path: Path) -> Attempt | None:
    """What an attempt's file says; None when it is gone by now or damaged, so that nobody can own by it."""
    try:
        return read_as(Attempt, atomic.read_json(path, inside=True))
    except (StoreError, TypeError):
        return None


def _has_died(path: Path, owner: Attempt) -> bool:
    """Whether the owner ran on this machine and the kernel has let go of its lock."""
    if owner.host != _host():
        return False
    for _ in range(SETTLE_TRIES):
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            return _try_lock(file, shared=True)
        time.sleep(0.01)
    return False


def _try_lock(file: IO[Any], shared: bool = False) -> bool:
    """Lock an open file until it is closed or its process dies; False where another holds it.

    False also where there are no such locks (Windows, some file systems): the lease alone decides there.
    """
    # Not filelock: it opens its file by name, and may empty or delete it. Here the file holds who owns the study, it is
    # locked under one name and linked to another, and those who look share the lock.
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False


def _host() -> str:
    """The machine, since it was started."""
    return f"{socket.gethostname()} {boot_id()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
