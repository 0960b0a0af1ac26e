"""The new folder of a model that is trained further: empty, or the same call's unfinished work; at the end the model.

<folder>/unfinished/<name>/   checkpoints, under a name that identifies the run and the weights it began with
<folder>/unfinished/lock      held while a process trains
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.compute.objective import Objective
from foretoken.errors import StoreError
from foretoken.generation import Model
from foretoken.models import save_pretrained
from foretoken.models.checkpoint_files import read_config_json
from foretoken.store import atomic
from foretoken.store.weights import METADATA_FILE, read_metadata

UNFINISHED = "unfinished"
LOCK = "lock"
COMPANION_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "generation_config.json",
    "chat_template.jinja",
)
"""Files beside weights that are copied into the new folder, as they are."""


def check_apart(home: Path, source: Path, text: Path) -> None:
    """Raise StoreError for a new folder that is, holds, or lies in the model's or the text's."""
    new = _resolved(home)
    for name, path in (("model", _resolved(source)), ("text", _resolved(text))):
        if new == path or new in path.parents or path in new.parents:
            raise StoreError(
                f"the new folder and that of the {name} overlap",
                expected="a separate folder",
                got=f"{home} and {path}",
            )


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError("this is not a path", expected="a file or folder", got=f"{path}: {error}") from None


@contextmanager
def claim_folder(home: Path, name: str) -> Iterator[Path]:
    """The folder for the checkpoints of this run, while no other process works there; deleted when nothing is in it.

    Raises StoreError when the folder holds anything else, cannot be written, or is another process's.
    """
    if home.exists() and not home.is_dir():
        raise StoreError(f"{home} is not a folder", expected="a new folder", got="a file", cure="give another folder")
    existed, work = home.is_dir(), home / UNFINISHED / name
    # Before anything is written, and again under the lock: another process may have begun in between.
    _check_free(home, name)
    with atomic.writing(home):
        (home / UNFINISHED).mkdir(parents=True, exist_ok=True)
    with _lock(home):
        _check_free(home, name)
        with atomic.writing(work):
            work.mkdir(exist_ok=True)
        try:
            yield work
            atomic.delete_folder(work)
        finally:
            if not work.is_dir() or not any(work.iterdir()):
                _clean_up(work, keep=existed)


def _check_free(home: Path, name: str) -> None:
    """Raise StoreError when a folder holds what is not of this run."""
    unfinished = home / UNFINISHED
    others = {path.name for path in home.iterdir()} - {UNFINISHED} if home.is_dir() else set()
    other_runs = {path.name for path in unfinished.iterdir()} - {LOCK, name} if unfinished.is_dir() else set()
    if other_runs or (others and not (unfinished / name).is_dir()):
        raise StoreError(
            f"{home} is in use",
            expected="a new or empty folder, or one in which this very training was stopped",
            got=", ".join(sorted([*others, *(f"{UNFINISHED}/{run}" for run in other_runs)])[:5]),
            cure="give another folder; a stopped training resumes with the same options only",
        )


@contextmanager
def _lock(home: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises StoreError where another process does, or where no file can be locked."""
    lock = FileLock(home / UNFINISHED / LOCK)
    with atomic.writing(home):
        try:
            # One try. Who ends may delete the file after we opened it: filelock sees that, and takes it for held.
            lock.acquire(timeout=0)
        except Timeout:
            cure = "wait for it, or give another folder"
            raise StoreError(f"another process trains into {home}", expected="one at a time", cure=cure) from None
    try:
        yield
    finally:
        lock.release()


def _clean_up(work: Path, keep: bool) -> None:
    """Delete the empty folder of a run, the lock, and the folders that are empty then; with `keep` not the user's."""
    atomic.delete_folder(work)
    atomic.delete_file(work.parent / LOCK)
    with contextlib.suppress(OSError):
        work.parent.rmdir()
        if not keep:
            work.parent.parent.rmdir()


def write_model(model: Model, source: Path, objective: Objective, home: Path, name: str) -> None:
    """The tokenizer and other companions of the weights in `source`, then the weights; config.json comes last."""
    for companion in COMPANION_FILES:
        if (source / companion).is_file():
            atomic.write_file(home / companion, read_file(source / companion, StoreError, LARGEST_JSON))
    metadata = read_metadata(source)
    if metadata is not None:
        metadata = replace(metadata, run=name, objective=objective, specials=dict(model.specials))
        atomic.write_json(home / METADATA_FILE, metadata.to_json())
    config = read_config_json(source)
    token_ids = {field: config[field] for field in config if field.endswith("_token_id")}
    save_pretrained(model.network, home, token_ids=token_ids)
