"""Who runs a study whose files go to a bucket: the lease of lease.py again, at a URL, under the same number.

    attempts/000000007.json     created by its owner, if nobody was faster, and written again as a sign of life

An owner is gone when its object says so, or is older than the lease by the server's clock. One that was frozen finds a
newer attempt before it writes anything more, and stops.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime

from foretoken.bounded import parse_json
from foretoken.errors import LeaseLostError
from foretoken.runs.spec import read_as
from foretoken.store.bucket import Bucket
from foretoken.store.clock import Moment
from foretoken.store.lease import RENEWALS, Attempt, busy, taken_over

NAME = re.compile(r"attempts/(\d{9})\.json")


class Claim:
    """The right to write at a URL. It is renewed by a thread of its own, however long an upload takes."""

    def __init__(self, bucket: Bucket, seconds: float) -> None:
        self.bucket, self.seconds = bucket, seconds
        self.lost: LeaseLostError | None = None
        self.emptied = threading.Event()
        """Set when our own object was deleted by somebody: what was written may be gone too."""
        self._own: Attempt | None = None
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._seen = 0.0

    def take(self, own: Attempt, names: Iterable[str], before: Attempt | None) -> bool:
        """Become the newest attempt; whether the last one was `before`, of the folder that now has the local lease.

        `names` are the objects that are there. Raises StudyBusyError while another machine's owner lives.
        """
        newest = newest_attempt(names)
        last = self._read(newest) if newest else None
        was_ours = _is_same(last, before)
        if newest and not was_ours:
            self._must_be_over(newest, last)
        if not self.bucket.create(_name(own.attempt), _content(own)):
            raise busy(self.bucket.url, self._read(own.attempt) or own)
        # Somebody with another number may have come between the listing and the creation: then nobody has it for now.
        if (there := newest_attempt(self.bucket.attempts())) > own.attempt:
            self.bucket.delete(_name(own.attempt))
            raise busy(self.bucket.url, self._read(there) or own)
        for name in names:
            if (found := NAME.fullmatch(name)) and int(found[1]) < own.attempt:
                self.bucket.delete(name)
        self._own, self._seen = own, _seconds()
        threading.Thread(target=self._renew, daemon=True).start()
        return was_ours

    def was_of(self, names: Iterable[str], before: Attempt | None) -> bool:
        """Whether the newest attempt among the objects was `before`; nothing is written."""
        newest = newest_attempt(names)
        return bool(newest) and _is_same(self._read(newest), before)

    def check(self) -> None:
        """Raise LeaseLostError once another machine has been seen to have taken the study over."""
        if self.lost:
            raise self.lost

    def confirm(self) -> None:
        """Before a write: look again, unless that was lately. Raises LeaseLostError, or what the file system raises."""
        self.check()
        if _seconds() - self._seen > self.seconds / 2:
            self.look()

    def look(self) -> None:
        """See that nobody else has the study, and give a sign of life."""
        with self._lock:
            self.check()
            if self._own is None or self._ended.is_set():
                return
            began, name = _seconds(), _name(self._own.attempt)
            there = self.bucket.attempts()
            if (newest := newest_attempt(there)) > self._own.attempt:
                self.lost = taken_over(self.bucket.url, self._read(newest))
                raise self.lost
            if name in there:
                self.bucket.put(name, _content(self._own))
            else:
                self.emptied.set()
                self.bucket.create(name, _content(self._own))
            self._seen = began

    def give_back(self) -> None:
        """Say that this attempt has ended, as far as the bucket answers."""
        with self._lock, contextlib.suppress(Exception):
            self._ended.set()
            if self._own and not self.lost and newest_attempt(self.bucket.attempts()) == self._own.attempt:
                ended = replace(self._own, ended_at=datetime.now(UTC).isoformat(timespec="seconds"))
                self.bucket.put(_name(self._own.attempt), _content(ended))

    def _renew(self) -> None:
        while not self._ended.wait(self.seconds / RENEWALS):
            try:
                self.look()
            except LeaseLostError:
                return
            except Exception:
                continue

    def _must_be_over(self, attempt: int, owner: Attempt | None) -> None:
        """Raise StudyBusyError while the owner of an attempt lives; one that says nothing legible does for its time."""
        if owner and owner.ended_at:
            return
        clock = f"probe-{secrets.token_hex(4)}"
        self.bucket.put(clock, b"")
        try:
            age = self.bucket.age(_name(attempt), clock)
        finally:
            self.bucket.delete(clock)
        if age <= self.seconds:
            raise busy(self.bucket.url, owner or Attempt(attempt, "another machine", 0, "a short time"))

    def _read(self, attempt: int) -> Attempt | None:
        name = _name(attempt)
        try:
            return read_as(Attempt, parse_json(self.bucket.read([name])[name]))
        except (KeyError, TypeError, ValueError):
            return None


def _is_same(last: Attempt | None, before: Attempt | None) -> bool:
    """Whether an attempt in a bucket is one of a folder, which may not know yet that it has ended."""
    return last is not None and before is not None and replace(before, ended_at=last.ended_at) == last


def newest_attempt(names: Iterable[str]) -> int:
    """The largest number of an attempt among the names of objects; 0 where there is none."""
    return max((int(found[1]) for name in names if (found := NAME.fullmatch(name))), default=0)


def _name(attempt: int) -> str:
    return f"attempts/{attempt:09d}.json"


def _content(attempt: Attempt) -> bytes:
    return json.dumps(asdict(attempt), indent=1).encode()


def _seconds() -> float:
    """Of a clock that goes on while the machine sleeps."""
    uptime = Moment.now().uptime
    assert uptime
    return uptime.seconds
