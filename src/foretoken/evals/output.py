"""The new folder of a model that is trained further: empty, or the same call's unfinished work; at the end the model.

<folder>/unfinished/<name>/   checkpoints, under a name that stands for the run and for the weights it began with
<folder>/unfinished/lock      held (flock) while a process trains
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from foretoken.errors import StoreError
from foretoken.generation import Model
from foretoken.models import save_pretrained
from foretoken.models.checkpoint_files import read_config
from foretoken.objectives import ExampleBuilder
from foretoken.store import atomic
from foretoken.store.weights import FACTS, read_facts

UNFINISHED = "unfinished"
LOCK = "lock"
BESIDE = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "generation_config.json", "chat_template.jinja",
)  # fmt: skip
"""Files beside weights that go along into the new folder, as they are."""


def check_apart(home: Path, source: Path, text: Path) -> None:
    """Raise StoreError for a new folder that is, holds, or lies in the model's or the text's."""
    new = _resolved(home)
    for what, path in (("model", _resolved(source)), ("text", _resolved(text))):
        if new == path or new in path.parents or path in new.parents:
            told = f"the new folder and the {what}'s lie in each other"
            raise StoreError(told, expected="a folder apart", got=f"{home} and {path}")


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError("this is no path", expected="a file or folder", got=f"{path}: {error}") from None


@contextmanager
def claimed(home: Path, name: str) -> Iterator[Path]:
    """The folder for the checkpoints of this run, while no other process works there; gone when it is of no use.

    Raises StoreError when the folder holds anything else, cannot be written, or is another process's.
    """
    if home.exists() and not home.is_dir():
        raise StoreError(f"{home} is not a folder", expected="a new folder", got="a file", cure="give another folder")
    was_there, work = home.is_dir(), home / UNFINISHED / name
    _check_free(home, name)
    with atomic.writing(home):
        (home / UNFINISHED).mkdir(parents=True, exist_ok=True)
        lock = open(home / UNFINISHED / LOCK, "a")  # noqa: SIM115
    with lock:
        _take(lock, home)
        _check_free(home, name)
        with atomic.writing(work):
            work.mkdir(exist_ok=True)
        try:
            yield work
            atomic.delete_folder(work)
        finally:
            if not work.is_dir() or not any(work.iterdir()):
                _leave(work, keep=was_there)


def _check_free(home: Path, name: str) -> None:
    """Raise StoreError when a folder holds what is not of this run."""
    unfinished = home / UNFINISHED
    there = {path.name for path in home.iterdir()} - {UNFINISHED} if home.is_dir() else set()
    works = {path.name for path in unfinished.iterdir()} - {LOCK, name} if unfinished.is_dir() else set()
    if works or (there and not (unfinished / name).is_dir()):
        raise StoreError(
            f"{home} is in use",
            expected="a new or empty folder, or one in which this very training was stopped",
            got=", ".join(sorted([*there, *(f"{UNFINISHED}/{work}" for work in works)])[:5]),
            cure="give another folder; what was stopped goes on with the same choices only",
        )


def _take(lock: IO[str], home: Path) -> None:
    """Lock the file, which must still be the folder's. Raises StoreError."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.fstat(lock.fileno()).st_ino == (home / UNFINISHED / LOCK).stat().st_ino
    except OSError:
        ours = False
    if not ours:
        cure = "wait for it, or give another folder"
        raise StoreError(f"another process trains into {home}", expected="one at a time", cure=cure)


def _leave(work: Path, keep: bool) -> None:
    """Take away the empty folder of a run, the lock, and the folders that are empty then, but one that was there."""
    atomic.delete_folder(work)
    atomic.delete_file(work.parent / LOCK)
    with contextlib.suppress(OSError):
        work.parent.rmdir()
        if not keep:
            work.parent.parent.rmdir()


def write_model(model: Model, source: Path, builder: ExampleBuilder, home: Path, name: str) -> None:
    """The tokenizer and what else stood beside the weights in `source`, then the weights; config.json comes last."""
    for beside in BESIDE:
        if (source / beside).is_file():
            atomic.write_file(home / beside, (source / beside).read_bytes())
    facts = read_facts(source)
    if facts is not None:
        facts = replace(facts, run=name, objective=builder.objective, specials=dict(model.specials))
        atomic.write_json(home / FACTS, facts.to_json())
    config = read_config(source)
    save_pretrained(
        model.network, home, token_ids={name: config[name] for name in config if name.endswith("_token_id")}
    )
