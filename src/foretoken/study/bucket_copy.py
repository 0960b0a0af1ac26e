"""A study whose files go to a bucket: fetched and merged before it runs, copied while it does, and read from there."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.errors import RefusedError, StoreError
from foretoken.launchers.calibration import CALIBRATION
from foretoken.runs.record import RunRecord
from foretoken.runs.study_file import Study
from foretoken.store import atomic
from foretoken.store.bucket import BLOB, CHECKPOINT, READ_SECONDS, SMALL, Bucket, commits, telling, within
from foretoken.store.claim import Claim, newest_attempt
from foretoken.store.fetch import fetch_folder, fetch_small
from foretoken.store.finished import MARK, SEALS
from foretoken.store.format import format_json
from foretoken.store.integrity import PAGE, check_belongs
from foretoken.store.lease import Lease, newest_owner
from foretoken.store.own_files import fetch_own
from foretoken.store.push import LEDGER_SEALS, NoCopy, Pusher
from foretoken.store.seals import read_seals, sha256_of
from foretoken.store.store import read_record, record_name
from foretoken.study.design_file import NAME as DESIGN
from foretoken.study.design_file import usable_design
from foretoken.study.maintenance import look_over

STAGE_SECONDS, END_SECONDS, STOP_SECONDS = 10.0, 600.0, 20.0
"""Longest waits for a bucket: before the target begins, when a study has ended, and when it was stopped."""
FAILING_SECONDS = 15.0
"""Time after which a bucket that fails is no longer waited for at the end."""
Tell = Callable[[str], None]


class BucketCopy(NoCopy):
    """The copy of a study's folder at `launch.bucket`. Raises StoreError for one that cannot be written or read."""

    def __init__(self, study: Study, folder: Path, tell: Tell) -> None:
        self.bucket, self.folder, self.study, self.tell = Bucket(study.launch.bucket), folder, study.name, tell
        self.claim = Claim(self.bucket, study.launch.lease_seconds)
        self.bucket.refuse_folder(folder)
        self.bucket.probe()
        with telling(self.bucket, "cannot be read"):
            self.names = within(READ_SECONDS, self.bucket.names)
        self.number = newest_attempt(self.names)
        # Before the lease is taken, which deletes it: whether the last who ran the study ran it in this folder.
        self.before = newest_owner(folder)

    def holds(self) -> bool:
        """Whether the mark of the finished study is there as it is here."""
        path = self.folder / MARK
        if not path.is_file() or MARK not in self.names:
            return False
        with telling(self.bucket, "cannot be read"):
            return sha256_of(path) == _sha(self.bucket.read([MARK]).get(MARK, b""))

    @contextmanager
    def opened(self, lease: Lease) -> Iterator[None]:
        """Claim the URL under the lease's number, fetch what the folder lacks, and copy what is written meanwhile.

        Raises StudyBusyError where another machine runs the study, StoreError where folder and bucket contradict each
        other.
        """
        with telling(self.bucket, "cannot be used"):
            ours = within(READ_SECONDS, lambda: self.claim.take(lease.own, self.names, self.before))
        try:
            with telling(self.bucket, "cannot be read"):
                self.bucket.clear()
                there = self._pull(ours)
        except BaseException:
            self.claim.give_back()
            raise
        pusher = Pusher(self.bucket, self.claim, self.folder, there)
        pusher.start(self.tell)
        self._pusher, wait = pusher, STOP_SECONDS
        try:
            yield
            wait = END_SECONDS
        except RefusedError:
            wait = END_SECONDS
            raise
        finally:
            self._close(pusher, wait)

    def check(self) -> None:
        """Raise LeaseLostError when another machine has taken the study over."""
        self.claim.check()

    def flush(self, seconds: float) -> None:
        """Wait at most so long until what is written is there: before something begins that rests on it."""
        self._pusher.flush(seconds)

    def _close(self, pusher: Pusher, seconds: float) -> None:
        """Wait until all is there, as long as it takes within bounds, and give the study back."""
        until, failing = time.monotonic() + seconds, 0.0
        try:
            while not self.claim.lost and not pusher.flush(1.0) and time.monotonic() < until:
                failing = failing + 1.0 if pusher.failures else 0.0
                if failing > FAILING_SECONDS:
                    break
        finally:
            pusher.end()
            with contextlib.suppress(Exception):
                within(STOP_SECONDS, self.claim.give_back)
            if pusher.failures and not self.claim.lost:
                names = sorted(pusher.failures)
                told = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                self.tell(f"{len(names)} things are not in {self.bucket.url}: {told}; run again to copy them")

    def _pull(self, ours: bool) -> dict[str, str]:
        """Fetch what the folder lacks; sha256 by name of what is there, "" for what is to be replaced."""
        with tempfile.TemporaryDirectory(prefix="foretoken-") as home:
            copy = Path(home) / self.study
            there = dict.fromkeys(self.names, "")
            fetch_small(self.bucket, self.names, copy)
            check_belongs(copy, self.study, self.bucket.url)
            rejected = _reject(copy, self.bucket.url)
            there |= {name: sha256_of(copy / name) for name in self.names if (copy / name).is_file()}
            for name in sorted(rejected):
                self.tell(f"{self.bucket.url}/{name} is not as it was written: it is left out, and made anew")
            merge(copy, self.folder, self.bucket.url, ours, self.tell)
        there |= self._fetch_folders()
        for name in self.names:
            if name.endswith("/own.json"):
                there[name] = "listed"
                for problem in fetch_own(name.split("/")[1], self.bucket, self.folder, replace=not ours):
                    self.tell(f"{self.bucket.url}: {problem}")
            elif BLOB.fullmatch(name):
                there[name] = name.rpartition("/")[2]
        return there

    def _fetch_folders(self) -> dict[str, str]:
        """Fetch checkpoints and kept weights that are whole there and not here."""
        there = {}
        for name, parts in commits(self.names):
            if CHECKPOINT.fullmatch(name) and (self.folder / record_name(name.split("/")[1])).is_file():
                continue  # of a run that has its record: nobody goes on from it
            mark = self.bucket.read([f"{name}/{atomic.COMMIT}"]).get(f"{name}/{atomic.COMMIT}", b"")
            problem = fetch_folder(self.bucket, name, parts, mark, self.folder)
            if problem:
                self.tell(f"{self.bucket.url}/{name}: {problem}: it is left out")
            elif (self.folder / name / atomic.COMMIT).is_file():
                there[f"{name}/{atomic.COMMIT}"] = _sha(mark)
        return there


def joined_folder(study: Study, folder: Path, home: Path) -> Path:
    """A folder in `home` with what `run` would find: of `folder` and the study's bucket, neither of which is changed.

    Of checkpoints and kept weights the commit marks stand there alone. Raises StoreError for a bucket that cannot be
    read, is another study's, or contradicts the folder.
    """
    bucket = Bucket(study.launch.bucket)
    bucket.refuse_folder(folder)
    copy, joined = home / "bucket" / study.name, home / "joined" / study.name
    with telling(bucket, "cannot be read"):
        names = within(READ_SECONDS, bucket.names)
        within(READ_SECONDS, lambda: fetch_small(bucket, names, copy))
        ours = Claim(bucket, study.launch.lease_seconds).was_of(names, newest_owner(folder))
    check_belongs(copy, study.name, bucket.url)
    _reject(copy, bucket.url)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        # What this machine has measured is in no bucket.
        if (SMALL.fullmatch(name) or name == CALIBRATION) and path.is_file():
            atomic.write_file(joined / name, read_file(path, StoreError, LARGEST_JSON))
    merge(copy, joined, bucket.url, ours, lambda told: None)
    here = (path.parent.relative_to(folder).as_posix() for path in folder.glob(f"*/*/*/{atomic.COMMIT}"))
    for name in [*here, *(name for name, _ in commits(names))]:
        atomic.write_file(joined / name / atomic.COMMIT, b"{}")
    return joined


def merge(copy: Path, folder: Path, url: str, ours: bool, tell: Tell) -> None:
    """Take into a folder what a copy of its bucket has and it lacks; nothing is written where they contradict.

    With `ours` the folder is the one that was copied, and what it has is at least as new. Else the bucket's files
    replace those that can be made again, and records that agree. Raises StoreError, with both told, for two designs
    that both have runs of their own, two results of one run, and two ledgers.
    """
    _refuse_forks(copy, folder, url, ours)
    names = sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file())
    taken = [name for name in names if _is_taken(copy / name, folder / name, name, url, ours)]
    records = {name for name in taken if name.endswith("/record.json")}
    replaced = [name for name in records if (folder / name).is_file()]
    if replaced:
        tell(f"{len(replaced)} records of this folder are now those of {url}, which say the same")
    if taken:
        atomic.delete_file(folder / MARK)
    for seals in (SEALS, LEDGER_SEALS):
        _drop_seals(folder / seals, {name.removeprefix("ledger/") if "/" in seals else name for name in taken})
    for name in taken:
        if name not in (MARK, SEALS, LEDGER_SEALS):
            atomic.write_file(folder / name, read_file(copy / name, StoreError, LARGEST_JSON))
    for seals in (SEALS, LEDGER_SEALS):
        _join_seals(copy / seals, folder / seals)
    mine = {path.relative_to(folder).as_posix() for path in folder.glob("runs/*/record.json")}
    # Beside results of which it does not know, the mark of the end would be of another study.
    if MARK in taken and mine <= set(names):
        atomic.write_file(folder / MARK, read_file(copy / MARK, StoreError, LARGEST_JSON))


def _reject(copy: Path, url: str) -> set[str]:
    """Take out of a copy what is damaged or edited. Raises StoreError for a ledger that is."""
    gone = set()
    for finding in look_over(copy):
        name = finding.path.relative_to(copy).as_posix()
        if finding.refuses:
            raise StoreError(f"{url}/{name}: {finding.problem}", cure="restore it there")
        # Kept weights are not fetched yet, so nothing is known of them.
        if finding.path.is_file() and finding.path.name != PAGE:
            finding.path.unlink()
            gone.add(name)
    return gone


def _is_taken(theirs: Path, mine: Path, name: str, url: str, ours: bool) -> bool:
    if name in (SEALS, LEDGER_SEALS):
        return False
    if not mine.is_file():
        return True
    if ours or sha256_of(theirs) == sha256_of(mine):
        return False
    if theirs.name == "record.json":
        return _is_better(theirs, mine, url)
    if name.startswith("ledger/"):
        raise _both(f"{name} was frozen twice", mine, f"{url}/{name}")
    return True


def _is_better(theirs: Path, mine: Path, url: str) -> bool:
    """Whether a record takes the place of another. Raises StoreError for two results."""
    here, there = _record(mine), _record(theirs)
    if here is None or here.has_failed or there is None or there.has_failed:
        return there is not None and (here is None or not there.has_failed)
    if not there.agrees(here):
        raise _both(f"run {here.spec.key} has two results", f"{mine} (loss {here.loss})", f"{url} (loss {there.loss})")
    return True


def _record(path: Path) -> RunRecord | None:
    try:
        return read_record(path)
    except StoreError:
        return None


def _refuse_forks(copy: Path, folder: Path, url: str, ours: bool) -> None:
    """Raise StoreError where folder and bucket have each gone on without the other."""
    if ours:
        return
    mine, theirs = ({path.name for path in (home / "ledger").glob("*.*")} for home in (folder, copy))
    if mine - theirs and theirs - mine:
        raise _both("two ledgers", f"{folder}: {min(mine - theirs)}", f"{url}: {min(theirs - mine)}")
    here, there = usable_design(folder), usable_design(copy)
    if here and there:
        keys = [{run.key for run in one.design.runs} for one in (here, there)]
        chosen = [one.target_threads and one.target_threads.threads for one in (here, there)]
        if (keys[0] - keys[1] and keys[1] - keys[0]) or (all(chosen) and chosen[0] != chosen[1]):
            told = [f"{len(key - other)} runs that the other lacks" for key, other in (keys, keys[::-1])]
            raise _both("two designs", f"{folder / DESIGN}: {told[0]}", f"{url}/{DESIGN}: {told[1]}")


def _both(what: str, mine: object, theirs: str) -> StoreError:
    return StoreError(
        f"folder and bucket contradict each other: {what}",
        got=f"{mine}; {theirs}",
        cure="keep one: an empty folder goes on from the bucket, another launch.bucket from this folder",
        code="bucket_conflict",
    )


def _drop_seals(path: Path, names: set[str]) -> None:
    """Take the seals off files before they are replaced."""
    seals = _seals(path.parent)
    if names & set(seals):
        atomic.write_file(path, format_json({"files": {n: s for n, s in seals.items() if n not in names}}))


def _join_seals(theirs: Path, mine: Path) -> None:
    """Seal what the other has sealed, of what is here as it was sealed there."""
    there, here = _seals(theirs.parent), _seals(mine.parent)
    new = {name: seal for name, seal in there.items() if name not in here and (mine.parent / name).is_file()}
    if new:
        atomic.write_file(mine, format_json({"files": {**here, **new}}))


def _seals(folder: Path) -> dict[str, str]:
    try:
        return read_seals(folder)
    except StoreError:  # it is set aside before the study runs
        return {}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
