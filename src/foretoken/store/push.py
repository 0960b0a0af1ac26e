"""What of a study's folder goes to its bucket, and in which order, so that what is there is whole at any moment.

As in the folder, a file is there before anything says so: contents before their commit mark, records before their
seals, the mark of a finished study last; and what vouches for a file goes before that file is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from foretoken.bounded import LARGEST_JSON, read_file, sha256_of
from foretoken.errors import ForetokenError, LeaseLostError, StoreError
from foretoken.store import atomic, checkpoints
from foretoken.store.bucket import CHECKPOINT, PART, SMALL, Bucket, reason
from foretoken.store.chain import Chain
from foretoken.store.claim import Claim
from foretoken.store.finished import MARK, SEALS
from foretoken.store.format import format_json
from foretoken.store.lease import Lease
from foretoken.store.own_files import OwnFiles, own_name
from foretoken.store.scores import EVALUATIONS, score_files
from foretoken.store.seals import read_seals

LOOK_SECONDS = 2.0
"""Time between two looks at the folder."""
WAIT_SECONDS, SHARE = 30.0, 0.05
"""Longest time between two looks, after failures or where a look takes more than such a share of the time."""
LEDGER_SEALS = f"ledger/{SEALS}"
SCORES = re.compile(r"runs/[^/]+/scores/[^/]+\.json")
Step = tuple[str, Callable[[], None]]
"""The name of what is copied, and what does it."""


class NoCopy:
    """Of a study without a bucket; what a study asks of the copy of its folder."""

    number = 0
    """The newest attempt at the bucket, to be known before the folder is leased."""

    def holds(self) -> bool:
        """Whether the end of the study is there as it is here."""
        return True

    @contextmanager
    def opened(self, lease: Lease) -> Iterator[None]:
        """While the study runs: nothing to fetch, nothing to copy."""
        yield

    def check(self) -> None:
        """Raise LeaseLostError when another machine has taken the study over."""

    def flush(self, seconds: float) -> None:
        """Wait at most so long until what is written is there: before something begins that rests on it."""


NO_COPY = NoCopy()


class Pusher:
    """Copies what is new in a folder to a bucket, from a thread of its own.

    `there` is the sha256 by name of what is known to be there; "" for an object that is to be replaced. `tell` is
    called once where something cannot be copied, and once when it can again.
    """

    def __init__(self, bucket: Bucket, claim: Claim, folder: Path, there: dict[str, str]) -> None:
        self.bucket, self.claim, self.folder, self.there = bucket, claim, folder, there
        self.failures: dict[str, str] = {}
        """What went wrong at the last look, by name."""
        self._own = OwnFiles(folder)
        self._hashes: dict[Path, tuple[tuple[int, int, int], str]] = {}
        self._begun, self._looks, self._asked, self._ended = 0, 0, 0, False
        self._turn = threading.Condition()

    def start(self, tell: Callable[[str], None]) -> None:
        """Begin to copy."""
        self._tell = tell
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until all that is in the folder now is in the bucket; False where that takes longer."""
        until = time.monotonic() + seconds
        with self._turn:
            wanted = self._begun + 1  # a look under way may have passed what was written since
            while self._looks < wanted or self.failures:
                left = until - time.monotonic()
                if left <= 0 or self.claim.lost or not self._thread.is_alive():
                    return False
                self._asked = max(self._asked, wanted, self._looks + 1)
                self._turn.notify_all()
                self._turn.wait(min(left, 0.5))
        return True

    def end(self) -> None:
        """Copy nothing more."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def _loop(self) -> None:
        failing, pause = False, LOOK_SECONDS
        while not self._ended:
            began = time.monotonic()
            with self._turn:
                self._begun += 1
            try:
                self.look()
            except LeaseLostError:
                break
            failed = bool(self.failures)
            if failed != failing:
                with contextlib.suppress(Exception):  # a terminal that is gone must not end the copying
                    self._tell(self._told() if failed else f"{self.bucket.url} takes what it is given again")
            failing, took = failed, time.monotonic() - began
            pause = pause_after(took, 2 * pause if failed else LOOK_SECONDS)
            with self._turn:
                self._looks += 1
                self._turn.notify_all()
                if not self._ended and self._asked < self._looks + 1:
                    self._turn.wait(pause)
        with self._turn:
            self._turn.notify_all()

    def _told(self) -> str:
        name, why = next(iter(self.failures.items()))
        more = f" and {len(self.failures) - 1} more" if len(self.failures) > 1 else ""
        return f"cannot copy {name}{more} to {self.bucket.url} ({why}): training goes on, and it is tried again"

    def look(self) -> None:
        """Copy what is new; what fails is kept in `failures`. Raises LeaseLostError."""
        failures: dict[str, str] = {}
        if self.claim.emptied.is_set():
            self.claim.emptied.clear()
            self.there.clear()
        try:
            for name, step in self._steps(failures):
                self._try(name, step, failures)
        except LeaseLostError:
            raise
        except Exception as error:  # of the folder, which the study goes on to change meanwhile
            failures[str(self.folder)] = reason(error)
        self.failures = failures

    def _try(self, name: str, step: Callable[[], None], failures: dict[str, str]) -> None:
        try:
            self.claim.confirm()
            step()
        except LeaseLostError:
            raise
        except Exception as error:
            # What went away while it was read is seen at the next look.
            if not isinstance(error, FileNotFoundError) or (self.folder / name).exists():
                failures[name] = reason(error)

    def _steps(self, failures: dict[str, str]) -> Iterator[Step]:
        """What is to be done, each when the one before is done or has failed, which `failures` then says."""
        mark = self._content(MARK)
        files = [name for name in self._files() if self.there.get(name) != self._hash(name)]
        if MARK in self.there and (files or mark is None or self._sha(mark) != self.there[MARK]):
            yield MARK, partial(self._delete, MARK)
            if MARK in failures:
                return
        yield from self._small(files, failures)
        yield from ((folder, partial(self._put_folder, folder)) for folder in self._folders())
        own = partial(self._own.push, bucket=self.bucket, there=self.there, claim=self.claim)
        yield from ((own_name(key), partial(own, key)) for key in self._own.keys())  # noqa: SIM118
        yield from ((folder, partial(self._delete_folder, folder)) for folder in self._gone())
        if mark is not None and not failures and MARK not in self.there and mark == self._content(MARK):
            yield MARK, partial(self._put_content, MARK, mark)
        yield "progress.json", self._put_progress

    def _small(self, files: list[str], failures: dict[str, str]) -> Iterator[Step]:
        """Files and their seals."""
        dropped = [name for name in self.there if SCORES.fullmatch(name) and not (self.folder / name).is_file()]
        replaced = [name for name in files if name in self.there]
        self.there |= dict.fromkeys([*replaced, *dropped], "")
        if replaced or dropped:
            yield SEALS, partial(self._put_seals, SEALS)
        # Before checkpoints are copied: a run that goes on from one must not find what was dropped before it.
        yield from ((name, partial(self._delete, name)) for name in dropped if SEALS not in failures)
        for name in files:
            if name in replaced and SEALS in failures:
                continue
            yield name, partial(self._put, name)
            # Each file of the ledger follows the one before, which must be sealed by then.
            if name.startswith("ledger/") and name not in failures:
                yield LEDGER_SEALS, partial(self._put_seals, LEDGER_SEALS)
            if name.startswith("ledger/") and {name, LEDGER_SEALS} & set(failures):
                break
        yield from ((name, partial(self._put_seals, name)) for name in (SEALS, LEDGER_SEALS))

    def _files(self) -> Iterator[str]:
        """Small files that stand for themselves, each after those that it rests on."""
        yield "design.json"
        with contextlib.suppress(StoreError):
            chain = Chain.read(self.folder / "ledger", alone=False)
            order = sorted(chain.links, key=lambda name: (chain.places.get(name, 0), name))
            yield from (f"ledger/{name}" for name in order)
        found = [*self.folder.glob(f"{EVALUATIONS}/*"), *score_files(self.folder)]  # a record comes after its scores
        names = (path.relative_to(self.folder).as_posix() for path in sorted(found))
        yield from (name for name in names if SMALL.fullmatch(name))
        for key in self._keys("runs"):
            there = sorted(os.listdir(self.folder / "runs" / key))
            yield from (f"runs/{key}/{name}" for name in there if re.fullmatch(r"record(-\d{1,9})?\.json", name))
        yield from ("fit.json", "approach3.json", "report/index.html", "spent.json")

    def _folders(self) -> list[str]:
        """Folders under a commit mark that are not there yet: checkpoints, and weights of older records."""
        found = [f"runs/{key}/weights" for key in self._keys("runs")]
        for home in ("runs", "trunks"):
            for key in self._keys(home):
                saved = checkpoints.in_folder(self.folder / home / key)
                found += [one.path.relative_to(self.folder).as_posix() for one in saved if one.is_committed]
        return [name for name in found if self._is_new(name)]

    def _is_new(self, folder: str) -> bool:
        mark = f"{folder}/{atomic.COMMIT}"
        return (self.folder / mark).is_file() and self.there.get(mark) != self._hash(mark)

    def _gone(self) -> list[str]:
        """Checkpoints that are deleted here, or that never got their mark there."""
        named = {name.rpartition("/")[0] for name in self.there if PART.fullmatch(name)}
        return sorted(
            name for name in named if CHECKPOINT.fullmatch(name) and not (self.folder / name / atomic.COMMIT).is_file()
        )

    def _keys(self, home: str) -> list[str]:
        try:
            with os.scandir(self.folder / home) as entries:
                return sorted(entry.name for entry in entries if re.fullmatch("[0-9a-f]{16}", entry.name))
        except OSError:
            return []

    def _put(self, name: str) -> None:
        if name.endswith("/record.json") and self._is_new(weights := f"{name.rpartition('/')[0]}/weights"):
            self._put_folder(weights)
        content = self._content(name)
        if content is not None and SMALL.fullmatch(name):
            self._put_content(name, content)

    def _put_content(self, name: str, content: bytes) -> None:
        if name in self.there:
            self.bucket.put(name, content)
        elif not self.bucket.create(name, content) and self.bucket.read([name]).get(name) != content:
            # Written by an owner that was late. Seals and ledger of this one rest on its own file, so that stands.
            self.claim.look()
            self.bucket.put(name, content)
            self._tell(f"another {name} was written to {self.bucket.url} meanwhile: that of this folder stands")
        self.there[name] = self._sha(content)

    def _put_seals(self, name: str) -> None:
        """The seals of what is there."""
        folder = (self.folder / name).parent
        below = folder.relative_to(self.folder).as_posix().removeprefix(".")
        known = {f"{below}/{one}".lstrip("/"): (one, seal) for one, seal in read_seals(folder).items()}
        content = format_json(
            {"files": {one: seal for path, (one, seal) in known.items() if self.there.get(path) == seal}}
        )
        if (self.folder / name).is_file() and self.there.get(name) != self._sha(content):
            self.bucket.put(name, content)
            self.there[name] = self._sha(content)

    def _put_folder(self, name: str) -> None:
        """A folder under a commit mark, its contents first."""
        if f"{name}/{atomic.COMMIT}" in self.there:
            self._delete_folder(name)
        mark = read_file(self.folder / name / atomic.COMMIT, StoreError, LARGEST_JSON, inside=True)
        for path in sorted((self.folder / name).iterdir()):
            one = f"{name}/{path.name}"
            if path.name != atomic.COMMIT and path.is_file() and PART.fullmatch(one):
                self.claim.confirm()
                self.there[one] = ""
                self.bucket.put_file(one, path)
        self.claim.confirm()
        # Deleted meanwhile, or made anew: then what was copied may be of two writings.
        if self._content(f"{name}/{atomic.COMMIT}") == mark:
            self.bucket.put(f"{name}/{atomic.COMMIT}", mark)
            self.there[f"{name}/{atomic.COMMIT}"] = self._sha(mark)

    def _delete_folder(self, name: str) -> None:
        """A checkpoint that is deleted here too; its mark first."""
        parts = [one for one in self.there if one.startswith(f"{name}/")]
        for one in sorted(parts, key=lambda one: (not one.endswith(f"/{atomic.COMMIT}"), one)):
            self._delete(one)

    def _delete(self, name: str) -> None:
        self.bucket.delete(name)
        self.there.pop(name, None)

    def _put_progress(self) -> None:
        """What runs now; it is of no weight, and is not waited for."""
        with contextlib.suppress(Exception):
            content = self._content("progress.json") or b"{}"
            if self.there.get("progress.json", self._sha(b"{}")) != self._sha(content):
                self.bucket.put("progress.json", content)
                self.there["progress.json"] = self._sha(content)

    def _content(self, name: str) -> bytes | None:
        try:
            return read_file(self.folder / name, StoreError, LARGEST_JSON, inside=True)
        except ForetokenError:
            return None

    def _hash(self, name: str) -> str | None:
        """sha256 of a file as it is now, read again only where it has changed; None where there is none."""
        path = self.folder / name
        try:
            state = path.stat()
        except OSError:
            return self.there.get(name)
        signature = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._hashes.get(path)
        if known is None or known[0] != signature:
            known = self._hashes[path] = signature, sha256_of(path, StoreError)
        return known[1]

    @staticmethod
    def _sha(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()


def pause_after(took: float, least: float) -> float:
    """Seconds until the next look, after one that took so many.

    A look that copied much is long, too, and what is written during it must not wait for twenty times as long.

    >>> pause_after(0.01, least=2.0), pause_after(0.5, least=2.0), pause_after(600.0, least=2.0)
    (2.0, 10.0, 30.0)
    """
    return min(max(least, took / SHARE), WAIT_SECONDS)
