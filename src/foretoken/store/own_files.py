"""What an own trainer's command keeps of a run, copied: each file by its hash, and a list of them that is written last.

    runs/<key>/own.json           sha256 by path below own/, as it was at one moment
    runs/<key>/own/<sha256>       the files

Nobody knows when a command has finished a file, but that it has not changed for some seconds: what lies side by side in
the folder (a file, or a folder as checkpoint-500/) is copied when none of it has, and stays as it was copied before
that. Links are not copied.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from foretoken.bounded import sha256_of
from foretoken.errors import StoreError
from foretoken.store import atomic
from foretoken.store.bucket import Bucket
from foretoken.store.claim import Claim
from foretoken.store.store import OWN

SETTLED_SECONDS = 3.0
"""Time without a change after which something counts as written."""
Signature = tuple[int, int]


class OwnFiles:
    """The folders `own` of a study's runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hashes: dict[Path, tuple[Signature, str]] = {}

    def keys(self) -> list[str]:
        """Keys of the runs that have such a folder."""
        return sorted(path.parent.name for path in self.folder.glob(f"runs/*/{OWN}") if path.is_dir())

    def push(self, key: str, bucket: Bucket, there: dict[str, str], claim: Claim) -> None:
        """Copy what has settled; files that the list names no more are deleted after it."""
        home = self.folder / "runs" / key / OWN
        has_ended = (home.parent / "record.json").is_file()
        listed = read_list(bucket, key) if own_name(key) in there else {}
        files = {
            name: hash_ for entry in _entries(home) for name, hash_ in self._settled(home, entry, listed, has_ended)
        }
        if files == listed:
            return
        for name, hash_ in sorted(files.items()):
            blob = f"runs/{key}/{OWN}/{hash_}"
            if not there.get(blob):
                claim.confirm()
                bucket.put_file(blob, home / name)
                # The command may have written it meanwhile: then the blob is not what its name says.
                if sha256_of(home / name, StoreError) != hash_:
                    raise OSError(f"{name} changed while it was copied")
                there[blob] = hash_
        claim.confirm()
        content = atomic.checksummed_json({"files": files})
        bucket.put(own_name(key), content)
        there[own_name(key)] = "listed"
        needed = {f"runs/{key}/{OWN}/{hash_}" for hash_ in files.values()}
        # Last, when the list names them no more: whoever reads the old list still finds them until then.
        for blob in [name for name in there if name.startswith(f"runs/{key}/{OWN}/") and name not in needed]:
            bucket.delete(blob)
            there.pop(blob)

    def _settled(
        self, home: Path, entry: Path, listed: Mapping[str, str], has_ended: bool
    ) -> Iterator[tuple[str, str]]:
        """Name and hash of each file of something side by side, as it is or as it was listed before."""
        files = list(_files(entry))
        states = [path.stat() for path in files]
        # What a command is still writing is left as it was listed, whole, rather than half of it new.
        if not has_ended and any(time.time() - state.st_mtime < SETTLED_SECONDS for state in states):
            top = entry.relative_to(home).as_posix()
            yield from ((name, hash_) for name, hash_ in listed.items() if name == top or name.startswith(f"{top}/"))
            return
        for path, state in zip(files, states, strict=True):
            signature = (state.st_mtime_ns, state.st_size)
            known = self._hashes.get(path)
            if known is None or known[0] != signature:
                known = self._hashes[path] = signature, sha256_of(path, StoreError)
            yield path.relative_to(home).as_posix(), known[1]


def fetch_own(key: str, bucket: Bucket, folder: Path, *, replace: bool) -> list[str]:
    """Fetch what an own trainer's command has kept of a run; sentences on what is damaged and was left out.

    Files that are there are kept unless they are to be replaced.
    """
    home, problems = folder / "runs" / key / OWN, []
    for name, hash_ in read_list(bucket, key).items():
        path = home / name
        if not path.parent.resolve().is_relative_to(home.resolve()) or (path.exists() and not replace):
            continue
        if path.is_file() and sha256_of(path, StoreError) == hash_:
            continue
        temporary = path.with_name(f".{path.name}.1-{hash_[:8]}{atomic.TEMPORARY}")
        with atomic.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.unlink(missing_ok=True)
            try:
                got = bucket.fetch(f"runs/{key}/{OWN}/{hash_}", temporary)
            except FileNotFoundError:
                got = "nothing"
            # Hashed as it came: the bucket is not trusted to hold what was put there.
            if got == hash_:
                os.replace(temporary, path)
            else:
                temporary.unlink(missing_ok=True)
                problems.append(f"runs/{key}/{OWN}/{name} is damaged there and was left out")
    return problems


def read_list(bucket: Bucket, key: str) -> dict[str, str]:
    """sha256 of each file by its path; empty where the list is gone or damaged, so that none of it counts."""
    content = bucket.read([own_name(key)]).get(own_name(key), b"")
    try:
        values = atomic.parse_checksummed_json(content, own_name(key))
    except StoreError:
        return {}
    files = values.get("files")
    sound = isinstance(files, dict) and all(
        isinstance(hash_, str) and re.fullmatch("[0-9a-f]{64}", hash_) and _stays_inside(name)
        for name, hash_ in files.items()
    )
    return files if isinstance(files, dict) and sound else {}


def own_name(key: str) -> str:
    """The object that lists the files of a run."""
    return f"runs/{key}/{OWN}.json"


def _stays_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and name.isprintable() and not name.startswith("/") and not {"..", "."} & set(name.split("/"))


def _entries(home: Path) -> list[Path]:
    return [path for path in sorted(home.iterdir()) if not path.is_symlink() and not atomic.is_temporary(path)]


def _files(entry: Path) -> Iterator[Path]:
    if entry.is_file():
        yield entry
    elif entry.is_dir():
        for home, folders, names in os.walk(entry):
            folders.sort()
            yield from (Path(home) / name for name in sorted(names) if not (Path(home) / name).is_symlink())
