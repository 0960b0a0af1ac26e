"""What a verb tells on standard error beside its result: `-q` errors alone, `-v` also what is read, and when."""

from __future__ import annotations

import inspect
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

from foretoken.cli.request_options import OptionValue
from foretoken.errors import ForetokenError, StoreError
from foretoken.escapes import for_terminal, in_one_line

QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the result and errors alone: no progress, no `wrote` lines.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell what is read, how long it takes, and every warning.")
]
LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
"""What of the package's own log is shown, by how much is to be told."""

ANSWER_SECONDS = 10.0
"""Time in which a file system must say whether a file is there."""

loudness = ContextVar("loudness", default=0)
"""-1 after --quiet, 1 after --verbose."""


def set_loudness(quiet: bool, verbose: bool) -> None:
    """Of the whole command line; options behind a verb stand above it."""
    loudness.set(_asked(quiet, verbose, 0))


def is_quiet() -> bool:
    """Whether errors alone are to be told."""
    return loudness.get() < 0


def say(text: str) -> None:
    """A line on standard error, unless quiet."""
    if not is_quiet():
        typer.echo(for_terminal(text), err=True)


def wrote(path: Path) -> None:
    """Say that a file was written."""
    say(f"wrote {path}")


def tells(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb --quiet and --verbose, after its own options."""
    signature = inspect.signature(verb, eval_str=True)

    @wraps(verb)
    def called(quiet: bool = False, verbose: bool = False, **values: OptionValue) -> None:
        with _telling(_asked(quiet, verbose, loudness.get())):
            for path in (Path(), *(value for value in values.values() if isinstance(value, Path))):
                must_answer(path)
            verb(**values)

    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=option)
        for name, option in (("quiet", QuietOption), ("verbose", VerboseOption))
    ]
    parameters = [*signature.parameters.values(), *options]
    vars(called)["__signature__"] = signature.replace(parameters=parameters)
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def must_answer(path: Path) -> None:
    """Raise StoreError where the file system that holds a path gives no answer, as a network share that is gone."""
    # In a thread: one who waits for such an answer can be neither woken nor ended.
    asking = threading.Thread(target=_ask, args=(path,), daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    if asking.is_alive():
        raise StoreError(
            f"{path.absolute()} gives no answer",
            expected=f"a file system that answers within {ANSWER_SECONDS:g} s",
            cure="look after the network share or disk that holds it, or name another place",
        )


def _ask(path: Path) -> None:
    with suppress(OSError, ValueError):  # what is wrong with the path is told by whoever opens it
        os.stat(path)


def _asked(quiet: bool, verbose: bool, otherwise: int) -> int:
    if quiet and verbose:
        raise ForetokenError("--quiet and --verbose contradict each other", cure="give one of them")
    return -1 if quiet else 1 if verbose else otherwise


class _Legible(logging.Formatter):
    """Messages that steer no terminal and begin no line, whatever names are in them."""

    def format(self, record: logging.LogRecord) -> str:
        return in_one_line(super().format(record))


@contextmanager
def _telling(level: int) -> Iterator[None]:
    """Show as much of the package's log, and of Python's warnings, as is asked for."""
    logger, began, before = logging.getLogger("foretoken"), time.monotonic(), loudness.set(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Legible())
    level_before = logger.level
    logger.addHandler(handler)
    logger.setLevel(LEVELS[level])
    try:
        with warnings.catch_warnings():
            if level:
                warnings.simplefilter("always" if level > 0 else "ignore")
            else:  # last, so that whoever asked Python for warnings has them: those of libraries are no reader's affair
                warnings.simplefilter("ignore", append=True)
            yield
    finally:
        logger.info("took %.2f s", time.monotonic() - began)
        logger.removeHandler(handler)
        logger.setLevel(level_before)
        loudness.reset(before)
