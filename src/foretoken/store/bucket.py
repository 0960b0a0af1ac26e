"""A study's files at a URL that fsspec knows (s3://, gs://, file://, ...): names, bytes, and what may be there.

Names are those of the study's folder. Only what the store writes is known; any other object is refused, so that no name
from a bucket leads out of a folder. Objects are read as bytes and bounded in size; nothing is unpickled or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from foretoken.bounded import LARGEST_JSON, limit, too_large
from foretoken.errors import ForetokenError, MissingExtraError, StoreError, without_secrets
from foretoken.store import atomic
from foretoken.store.store import KEY

ANSWER_SECONDS = 20.0
"""Time within which a bucket must have answered the first questions that it is asked."""
READ_SECONDS = 300.0
"""... and in which all that is small must have been read."""
MOST_OBJECTS = 2_000_000
EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcs"), "gcs": ("gcsfs", "gcs")}
"""Package and extra of a protocol."""
URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(\S+)")
SMALL = re.compile(
    rf"(design|fit|approach3|finished|spent)\.json|seals|report/index\.html|runs/{KEY}/(record(-\d{{1,9}})?|own)\.json"
    rf"|evaluations/(current\.json|{KEY}\.(json|jsonl|csv|tsv))|runs/{KEY}/scores/{KEY}-\d{{9,15}}\.json"
    r"|ledger/([\w.+-]+\.(json|begun)|seals)",
    re.ASCII,
)
"""Files that are read whole."""
CHECKPOINT = re.compile(rf"(runs|trunks)/{KEY}/step-\d{{9,15}}-\d{{1,9}}", re.ASCII)
PART = re.compile(rf"(runs/{KEY}/weights|{CHECKPOINT.pattern})/(?P<file>\w[\w.-]*)", re.ASCII)
"""Files that count only with their commit mark, beside it."""
BLOB = re.compile(rf"runs/{KEY}/own/[0-9a-f]{{64}}", re.ASCII)
"""What an own trainer's command keeps, by its sha256; runs/<key>/own.json says which file that is."""
OTHER = re.compile(r"attempts/\d{9}\.json|progress\.json|probe-[0-9a-f]{8}", re.ASCII)
Answer = TypeVar("Answer")


def as_url(place: str | Path) -> str | None:
    """The URL that is meant, also where it went through a Path, which makes one slash of two; None for a path.

    >>> as_url(Path("s3://bucket/study")), as_url("runs/study"), as_url("file:///mnt/study")
    ('s3://bucket/study', None, 'file:///mnt/study')
    """
    found = URL.fullmatch(str(place))
    if not found or (isinstance(place, Path) and place.exists()):
        return None
    protocol, rest = found.groups()
    return f"{protocol}://{'/' if protocol in ('file', 'local') else ''}{rest.strip('/')}"


class Bucket:
    """The objects below a URL. Methods raise what the file system raises; `told` makes a StoreError of it."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files, self._root = self._opened()
        self._is_local = {self._files.protocol} & {"file", ("file", "local")} != set()

    def _opened(self) -> tuple[Any, str]:
        protocol = self.url.partition(":")[0]
        package, extra = EXTRAS.get(protocol, ("fsspec", "s3"))
        try:
            import fsspec

            # Listings that another machine may have changed are never remembered.
            files, root = fsspec.core.url_to_fs(
                self.url, use_listings_cache=False, skip_instance_cache=protocol != "memory"
            )
        except ImportError as error:
            if protocol in EXTRAS or error.name == "fsspec":
                raise MissingExtraError(package, extra, f"launch.bucket = {self.url!r}") from None
            raise StoreError(f"{self.url}: its package is not installed", got=str(error)) from None
        except Exception as error:
            raise self.told("cannot be opened", error, "give a URL as s3://bucket/study, gs:// or file://") from None
        return files, str(root).rstrip("/")

    def refuse_folder(self, folder: Path) -> None:
        """Raise StoreError where the objects and a study's own folder lie in one another, and would be mixed."""
        there, here = Path(self._root).resolve(), folder.resolve()
        if self._is_local and (there.is_relative_to(here) or here.is_relative_to(there)):
            raise StoreError(
                "the bucket and the study's own folder lie in one another",
                expected=f"a place outside of {here} that is the copy's alone",
                got=self.url,
                cure="give another launch.bucket",
                code="bucket",
            )

    def probe(self) -> None:
        """Write, read and delete an object. Raises StoreError, after some seconds where nothing answers."""
        name, content = f"probe-{secrets.token_hex(4)}", secrets.token_bytes(16)

        def ask() -> None:
            self.put(name, content)
            read = self.read([name])[name]
            self.age(name, name)
            self.delete(name)
            if read != content:
                raise OSError("what was written is not what is read")

        try:
            within(ANSWER_SECONDS, ask)
        except ForetokenError:
            raise
        except Exception as error:
            raise self.told("cannot hold a study", error, _cure(error)) from None

    def told(self, what: str, error: Exception, cure: str = "") -> StoreError:
        """The error for its user: in the words of the file system, without anything secret."""
        return StoreError(f"{self.url} {what}", got=reason(error), cure=cure or _cure(error), code="bucket")

    def names(self) -> dict[str, int]:
        """Bytes of each object by its name. Raises StoreError for what is not a study's."""
        sizes = self._listed(self._root)
        if len(sizes) > limit(MOST_OBJECTS):
            raise too_large(self.url, MOST_OBJECTS, "objects", StoreError, len(sizes))
        if foreign := sorted(name for name in sizes if not is_known(name)):
            raise StoreError(
                f"{self.url} holds {len(foreign)} things that are not of a study",
                got=", ".join(foreign[:3]) + (" ..." if foreign[3:] else ""),
                cure="give a prefix that is the study's alone",
            )
        for name, size in sizes.items():
            if not (PART.fullmatch(name) or BLOB.fullmatch(name)) and size > limit(LARGEST_JSON):
                raise too_large(f"{self.url}/{name}", LARGEST_JSON, "bytes", StoreError, size)
        return sizes

    def attempts(self) -> list[str]:
        """Names of the objects that say who runs the study."""
        return [name for name in self._listed(self._path("attempts")) if is_known(name)]

    def _listed(self, path: str) -> dict[str, int]:
        try:
            found = self._files.find(path, detail=True)
        except FileNotFoundError:
            return {}
        sizes = {path[len(self._root) :].lstrip("/"): int(info.get("size") or 0) for path, info in found.items()}
        sizes = {name: size for name, size in sizes.items() if name and not name.endswith("/")}
        if self._is_local:  # of a write that was cut off
            sizes = {name: size for name, size in sizes.items() if not atomic.is_temporary(Path(name))}
        return sizes

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """The bytes of small objects, those that are there, many at once."""
        if not names:
            return {}
        # Whole, and without a question beforehand for each, as `cat` has it.
        found = self._files.cat_ranges([self._path(name) for name in names], None, None, on_error="return")
        contents = {}
        for name, content in zip(names, found, strict=True):
            if isinstance(content, FileNotFoundError):
                continue
            if isinstance(content, Exception):
                raise content
            contents[name] = content
        return contents

    def fetch(self, name: str, path: Path) -> str:
        """Write an object of any size into a file of ours, and give its sha256."""
        digest = hashlib.sha256()
        with self._files.open(self._path(name), "rb") as source, atomic.new_file(path) as file:
            while block := source.read(2**22):
                digest.update(block)
                atomic.system.append(file, block)
        return digest.hexdigest()

    def put(self, name: str, content: bytes) -> None:
        """Write an object, in the place of one that is there."""
        if self._is_local:
            atomic.write_file(Path(self._path(name)), content)
        else:
            self._files.pipe_file(self._path(name), content)

    def put_file(self, name: str, path: Path) -> None:
        """Write an object of any size from a file."""
        if self._is_local:
            Path(self._path(name)).parent.mkdir(parents=True, exist_ok=True)
        self._files.put_file(str(path), self._path(name))

    def create(self, name: str, content: bytes) -> bool:
        """Write an object that must not be there yet; False where it is. Of many who try, one wins."""
        if self._is_local:
            return atomic.create_file(Path(self._path(name)), content)
        try:
            self._files.pipe_file(self._path(name), content, mode="create")
            return True
        except FileExistsError:
            return False
        except TypeError:  # a file system without such a mode: what is read back says who came last
            if self.read([name]):
                return False
            self.put(name, content)
        except Exception:
            # What the server says of a name that is taken has many forms, and an answer may be lost on its way.
            there = self.read([name])
            if name not in there:
                raise
        return self.read([name]).get(name) == content

    def delete(self, name: str) -> None:
        """Delete an object, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))
        if self._is_local:  # elsewhere there are no folders that could be left empty
            with contextlib.suppress(OSError):
                for folder in list(Path(self._path(name)).parents)[: name.count("/")]:
                    folder.rmdir()

    def clear(self) -> None:
        """Delete what is left of writes that were cut off, where there can be any."""
        for path in Path(self._root).rglob(f".*{atomic.TEMPORARY}") if self._is_local else ():
            if atomic.is_temporary(path):
                path.unlink(missing_ok=True)

    def age(self, name: str, clock: str) -> float:
        """Seconds between two objects' last writing, by the server's clock: `name` before `clock`."""
        return (self.modified(clock) - self.modified(name)).total_seconds()

    def modified(self, name: str) -> datetime:
        """When an object was last written, by the server's clock."""
        moment: datetime = self._files.modified(self._path(name))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def is_known(name: str) -> bool:
    """Whether an object is one that a study may have.

    >>> is_known("runs/0123456789abcdef/record.json"), is_known("runs/../../etc/passwd")
    (True, False)
    """
    return any(pattern.fullmatch(name) for pattern in (SMALL, PART, BLOB, OTHER))


def commits(names: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    """The folders that have their commit mark, each with the names of all its objects."""
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        if file == atomic.COMMIT:
            yield folder, [other for other in names if other.startswith(f"{folder}/")]


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` gives or raises; TimeoutError where it takes longer, and it is left alone."""
    answers: queue.Queue[tuple[Answer | None, Exception | None]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((ask(), None))
        except Exception as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:.0f} seconds") from None
    if error:
        raise error
    return answer  # type: ignore[return-value]


@contextmanager
def telling(bucket: Bucket, what: str) -> Iterator[None]:
    """Turn whatever a file system raises into a StoreError."""
    try:
        yield
    except ForetokenError:
        raise
    except Exception as error:
        raise bucket.told(what, error) from None


def reason(error: Exception) -> str:
    """What went wrong, in one line without secrets: keys, tokens and passwords of the environment or in a URL.

    >>> reason(OSError("cannot reach https://me:hidden@host/x?Signature=abc"))
    'OSError: cannot reach https://...@host/x?...'
    """
    text = (str(error) or repr(error)).strip().splitlines()[0][:400]
    text = without_secrets(text)
    for name, value in os.environ.items():
        if re.search("KEY|SECRET|TOKEN|PASSW|CREDENTIAL", name.upper()) and len(value) >= 8:
            text = text.replace(value, "...")
    return f"{type(error).__name__}: {text}"


def _cure(error: Exception) -> str:
    name = f"{type(error).__name__} {error}".lower()
    if isinstance(error, FileNotFoundError) or "nosuchbucket" in name or "does not exist" in name:
        return "make the bucket first, or mend its name"
    if isinstance(error, PermissionError) or "credential" in name or "denied" in name or "forbidden" in name:
        return "give the rights to list, read, write and delete there, as the file system's own settings say"
    return "mend the URL, or the network's and the file system's own settings (as AWS_ENDPOINT_URL); then run again"
