"""Files of a study from a bucket into a folder, and a study at a URL as a folder that whatever reads one can read."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from foretoken.bounded import parse_json
from foretoken.errors import StoreError
from foretoken.store import atomic
from foretoken.store.bucket import PART, READ_SECONDS, SMALL, Bucket, as_url, telling, within
from foretoken.store.claim import newest_attempt
from foretoken.store.lease import newest_owner

DESIGN = "design.json"


def study_folder_at(place: str | Path, *, whole: bool = False) -> Path:
    """The folder; of a URL a copy that lasts as long as this process, if `whole` with checkpoints and weights.

    Raises StoreError where the URL cannot be read or no study is there.
    """
    url = as_url(place)
    if url is None:
        return Path(place)
    bucket = Bucket(url)
    home = Path(tempfile.mkdtemp(prefix="foretoken-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    copy = home / re.sub(r"[^\w.-]", "_", url.rpartition("/")[2])
    with telling(bucket, "cannot be read"):
        names = within(READ_SECONDS, bucket.names)
        if DESIGN not in names:
            raise StoreError(f"no study has been started in {url}", expected="a URL with design.json below it")
        within(READ_SECONDS, lambda: fetch_small(bucket, names, copy))
        _fetch_owner(bucket, names, copy)
        for name in names:
            if whole and PART.fullmatch(name):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                bucket.fetch(name, copy / name)
    return copy


def _fetch_owner(bucket: Bucket, names: Mapping[str, int], copy: Path) -> None:
    """Fetch what says who runs the study, and how far it is."""
    last = f"attempts/{newest_attempt(names):09d}.json"
    for name, content in bucket.read([name for name in ("progress.json", last) if name in names]).items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
        moment = bucket.modified(name).timestamp()
        os.utime(copy / name, (moment, moment))
    owner = newest_owner(copy)
    if owner:
        # The kernel of this machine knows of no lock on the copy, which says nothing of its owner.
        written = (copy / last).stat().st_mtime
        (copy / last).write_bytes(json.dumps(asdict(replace(owner, host=f"{owner.host} elsewhere"))).encode())
        os.utime(copy / last, (written, written))


def fetch_small(bucket: Bucket, names: Mapping[str, int], copy: Path) -> None:
    """Write the small files of a study into an empty folder."""
    small = sorted(name for name in names if SMALL.fullmatch(name))
    contents = bucket.read(small)
    copy.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/own.json"):
            (copy / name).write_bytes(content)


def fetch_folder(bucket: Bucket, name: str, parts: Sequence[str], mark: bytes, folder: Path) -> str:
    """Fetch a folder under a commit mark, unless it is here; what is wrong with it there, or nothing."""
    home = folder / name
    if (home / atomic.COMMIT).is_file():
        return ""
    try:
        marks = parse_json(mark)
        files = {part.rpartition("/")[2] for part in parts} - {atomic.COMMIT}
        if not isinstance(marks, dict) or set(marks) != files:
            return "its commit mark does not mark what is there"
    except ValueError:
        return "its commit mark is damaged"
    if home.exists():
        atomic.delete_folder(home)
    atomic.system.make_folder(home)
    for file, hash_ in sorted(marks.items()):
        if bucket.fetch(f"{name}/{file}", home / file) != hash_:
            atomic.delete_folder(home)
            return f"{file} is damaged"
    # As it was written: the mark says that all before it is whole.
    atomic.write_file(home / atomic.COMMIT, mark)
    return ""
