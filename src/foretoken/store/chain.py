"""A folder of files that are written once, each of which names those before it by their sha256, as commits do.

What came first is read off the chain, and never off a clock. A file that is left out, edited or added shows by the
names in those after it; the last one, which nothing follows yet, by its seal (see seals.py).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from foretoken.errors import StoreError
from foretoken.runs.spec import read_as
from foretoken.store import atomic
from foretoken.store.clock import Moment, Uptime, moved
from foretoken.store.finished import KINDS, SEALS
from foretoken.store.seals import EDITED, read_seals, sha256_of, write_seals
from foretoken.units import format_duration

FOLLOWS = "follows"
"""Key of the names and hashes of the files before; absent in what an earlier version wrote."""
STAMPS = ("frozen_at", "began_at", "scored_at")
"""Keys of the time at which a file was written; each has one."""
BEGAN = {"began_at", "scored_at"}
"""Those of the files that are written once a run has begun."""
WAIT_SECONDS = 10.0
"""How long a writer waits for another one."""
Follows = dict[str, str]


@dataclass(frozen=True)
class Link:
    """A file of the chain."""

    path: Path
    sha256: str
    values_json: Mapping[str, Any]

    @property
    def follows(self) -> Follows | None:
        """sha256 by name of the files that were the last ones when it was written; None where nothing says it."""
        follows = self.values_json.get(FOLLOWS)
        return follows if isinstance(follows, dict) else None

    @property
    def moment(self) -> Moment:
        """When it was written. Raises ForetokenError where nobody can read it."""
        at = next(str(self.values_json[key]) for key in STAMPS if key in self.values_json)
        uptime = self.values_json.get("uptime")
        return Moment(at, read_as(Uptime, uptime) if uptime else None)


@dataclass(frozen=True)
class Fault:
    """A file of the chain that is not as it was."""

    path: Path
    problem: str
    lost: bool = False
    """Whether it is gone; what is there is all as it was."""


@dataclass(frozen=True)
class Chain:
    """The files of a folder, and their seals."""

    folder: Path
    links: dict[str, Link] = field(default_factory=dict)
    """By file name."""
    seals: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, *, alone: bool = True) -> Chain:
        """All files of a folder; what is no link of a chain is passed over unless the folder holds a chain `alone`.

        Raises StoreError for a damaged file, with its line.
        """
        while True:
            seals = read_seals(folder)
            paths = sorted(path for kind in KINDS for path in folder.glob(kind))
            links = {path.name: link for path in paths if (link := _read(path, alone or path.name in seals))}
            # Read again: a file that was written meanwhile would look as if it had been added without its seal.
            if read_seals(folder) == seals:
                return cls(folder, links, seals)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What was edited, added or left out, by its path."""
        found: dict[str, Fault] = {}
        for fault in [*self._unlike(self.seals, "its seal"), *self._broken_links(), *self._without_seal()]:
            found.setdefault(fault.path.name, fault)
        return tuple(found.values())

    def check(self, name: str = "") -> None:
        """Raise StoreError for the first file that was edited or added, or for this one if it was."""
        for fault in self.faults:
            if not fault.lost and name in ("", fault.path.name):
                cure = "restore it, or begin another ledger: what was frozen is not made again"
                raise StoreError(f"{fault.path}: {fault.problem}", cure=cure, code=EDITED)

    @property
    def lost(self) -> tuple[str, ...]:
        """Names of the files that were here and are gone."""
        return tuple(fault.path.name for fault in self.faults if fault.lost)

    def before(self, name: str) -> set[str]:
        """Names of all files that are known to have been there when this one was written."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            link = self.links.get(waiting.pop())
            new = set(link.follows or {}) - found if link else set()
            found |= new
            waiting += new
        return found

    def of_run(self, run: str) -> set[str]:
        """Names of the files that say that this run had begun, or what it reached."""
        return {
            name
            for name, link in self.links.items()
            if run and link.values_json.get("run") == run and BEGAN & set(link.values_json)
        }

    def clock_moves(self, until: str = "") -> Iterator[str]:
        """Where the clock was moved between two files that follow each other, a sentence each; `until` one of them."""
        names = self.before(until) | {until} if until else set(self.links)
        for name, link in self.links.items():
            if name not in names:
                continue
            since = link.values_json.get("since")
            earlier = {"the start of its process": read_as(Moment, since)} if since else {}
            earlier |= {before: self.links[before].moment for before in link.follows or {} if before in self.links}
            for before, moment in earlier.items():
                if by := moved(moment, link.moment).total_seconds():
                    way = "back" if by < 0 else "forward"
                    yield f"the clock was set {way} by {format_duration(abs(by))} between {before} and {name}"

    @cached_property
    def places(self) -> dict[str, int]:
        """How many files stand before each, by its name; 0 for what no chain holds."""
        places: dict[str, int] = {}
        for name in self._in_order():
            follows = (self.links[name].follows or {}).keys() & places.keys()
            places[name] = max((places[before] + 1 for before in follows), default=0)
        return places

    def _in_order(self) -> list[str]:
        """Names of the files, each after those that it follows."""
        graph = {name: set(link.follows or {}) & set(self.links) for name, link in self.links.items()}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:  # no hash is known before its file: somebody made this up, and the faults say so
            return []

    def _unlike(self, marks: Mapping[str, str], witness: str) -> Iterator[Fault]:
        for name, mark in marks.items():
            if name not in self.links:
                yield Fault(self.folder / name, f"left out: {witness} is here, and the file is gone", lost=True)
            elif self.links[name].sha256 != mark:
                yield Fault(self.folder / name, f"edited and sealed anew: {witness} says another sha256")

    def _broken_links(self) -> Iterator[Fault]:
        for name, link in self.links.items():
            yield from self._unlike(link.follows or {}, f"{name}, which was written after it,")

    def _without_seal(self) -> Iterator[Fault]:
        """Files without a seal, but for one that was written on what is sealed: a death came before its seal."""
        chained = {name for name, link in self.links.items() if link.follows is not None}
        if not self.seals and len(chained) > 1:
            yield Fault(self.folder / SEALS, "left out: the files are sealed there", lost=True)
            return
        # Where nothing is sealed yet, all that an earlier version wrote is what the first link follows.
        sealed = set(self.seals) if self.seals else set(self.links) - chained
        last = self.last(sealed)
        for name in sorted(set(self.links) - sealed):
            if self.links[name].follows != last:
                yield Fault(self.folder / name, "not written here: no file of this ledger knows it, and it has no seal")

    def last(self, names: set[str]) -> Follows:
        """Those of the files that none of them follows, with their sha256."""
        links = {name: self.links[name] for name in names if name in self.links}
        followed = {before for link in links.values() for before in link.follows or {}}
        return {name: link.sha256 for name, link in sorted(links.items()) if name not in followed}


def add(path: Path, values_json: Mapping[str, Any]) -> Follows | None:
    """Write the next file of a chain, and give what it follows; None, and nothing written, when the file is there.

    Raises StoreError for a chain that was edited, and for the name of a file that is gone.
    """
    if not path.parent.is_dir():
        with atomic.writing(path):
            atomic.system.make_folder(path.parent)
    with _alone_in(path.parent):
        chain = Chain.read(path.parent, alone=False)
        if path.name in chain.links or path.exists():
            return None
        if path.name in chain.lost:
            raise StoreError(f"{path} was written before and is gone", cure="restore it, or give another name")
        # Of a writer that died there may be one file without a seal, which must have it before another follows.
        seal(path.parent)
        follows = chain.last(set(chain.links))
        if not atomic.create_file(path, atomic.checksummed_json({**values_json, FOLLOWS: follows})):
            return None
        seal(path.parent)
    return follows


def seal(folder: Path) -> None:
    """Seal what is not sealed yet: the newest file, or one whose writer died before it came to that.

    Raises StoreError for a chain that was edited.
    """
    chain = Chain.read(folder, alone=False)
    chain.check()
    # Before the first link there is nothing to seal: what an earlier version wrote is what that will follow.
    if any(link.follows is not None for link in chain.links.values()):
        write_seals(folder, {name: link.sha256 for name, link in chain.links.items()} | chain.seals)


def _read(path: Path, needed: bool) -> Link | None:
    try:
        values = atomic.read_checksummed_json(path)
    except StoreError:
        if needed:
            raise
        return None
    return Link(path, sha256_of(path), values) if needed or set(STAMPS) & set(values) else None


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock a folder until the end, or the death of this process; where there are no such locks it is not locked."""
    locked = None
    with contextlib.suppress(ImportError, OSError):
        locked = os.open(folder, os.O_RDONLY)
    try:
        if locked is not None:
            _lock(locked, folder)
        yield
    finally:
        if locked is not None:
            os.close(locked)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                cure = "wait for it, or end it; then do the same again"
                raise StoreError(f"another process is writing in {folder}", cure=cure) from None
            time.sleep(0.02)
        except OSError:
            return  # a file system without such locks
        else:
            return
