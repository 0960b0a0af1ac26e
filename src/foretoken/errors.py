"""Every error that foretoken raises for its user.

    ForetokenError              the user can mend it; the command line prints it and exits with 2
    ├── StudyFileError          the study file: every mistake in it at once
    ├── CorpusError             text, tokenizer, or too few tokens for the runs asked for
    ├── DesignError             a budget or grid that cannot be run
    ├── TableError              a run table that cannot be read or trusted
    ├── RefusedError            the data give no usable answer; carries the check's code
    ├── StoreError              a study's folder that is damaged, foreign or not writable
    │   ├── StudyBusyError      another process runs this study now
    │   └── LeaseLostError      another process has taken this study over
    ├── PausedError             somebody asked the study to save and stop
    │   └── LimitReachedError   launch.limit is reached: what was trained is saved
    ├── CheckpointError         weights that no network here has, or that do not fit their configuration
    ├── TaskError               labelled examples that no network can be tuned on
    └── MissingExtraError       an optional part is not installed

Each says what was expected, what was got, and the cure; options in it (`--map`) are told to Python as arguments
(`rename=`). `assert` is for our own mistakes.
"""

from __future__ import annotations

import json
import re
import reprlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from foretoken.escapes import for_terminal

LONGEST_MESSAGE, LONGEST_PART = 6_000, 800
"""Characters of an error's message and of each of its other parts; a file of someone else's may hold megabytes."""


def legible(text: str, most: int = LONGEST_PART) -> str:
    r"""The text as it can stand in a terminal: cut where nobody reads on, nothing that steers the terminal.

    >>> print(legible("a" * 9, most=4), legible("\x1b[2J"))
    aaaa... (9 characters) \x1b[2J
    """
    shown = text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"
    return for_terminal(shown)


_REPR = reprlib.Repr()
_REPR.maxstring, _REPR.maxother, _REPR.maxlevel = 200, 200, 3


def shown(value: object) -> str:
    """`repr` of somebody else's value: of any depth and size, in a few words.

    >>> shown([[[[[1.5]]]]])
    '[[[[...]]]]'
    """
    return _REPR.repr(value)


def without_secrets(text: str) -> str:
    """The text with what stands before an @ or behind a ? in its URLs left out: keys and passwords.

    >>> print(without_secrets("s3://key:secret@host/x?token=abc"))
    s3://...@host/x?...
    """
    return re.sub(r"://[^/\s@]*@", "://...@", re.sub(r"(://[^\s?]*)\?[^\s']+", r"\1?...", text))


ARGUMENTS = {"map": "rename"}
"""What Python calls an option that has another name there; for all others `-` is `_`."""
FLAGS = ("keep-outliers", "repeat", "cut", "force")
"""Options that take no value."""
_verbs_running = 0
"""Of the whole process and not of a context: a library may call back from a thread of its own."""
# A value ends before the punctuation of the sentence that it stands in.
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)(?:[ ]((?:'[^']*'|\"[^\"]*\")+|[^\s'\"()`]*[^\s'\"(),.:;`]))?")


@contextmanager
def for_command_line() -> Iterator[None]:
    """While a verb runs: errors name options, as they are written."""
    global _verbs_running
    _verbs_running += 1
    try:
        yield
    finally:
        _verbs_running -= 1


def for_its_reader(text: str) -> str:
    """The text for whoever called: with options while a verb runs, else with arguments.

    >>> for_its_reader("say --map loss=val_loss, or --loss-unit bits/byte; or fit with --keep-outliers")
    'say rename={"loss": "val_loss"}, or loss_unit="bits/byte"; or fit with keep_outliers=True'
    """
    return text if _verbs_running else _OPTION.sub(_argument, text)


def _argument(option: re.Match[str]) -> str:
    """An option and its value as an argument."""
    name = ARGUMENTS.get(option[1], option[1].replace("-", "_"))
    if option[1] in FLAGS:
        return f"{name}=True" + (f" {option[2]}" if option[2] else "")
    if option[2]:
        another = "," if option.string.startswith(" --", option.end()) else ""
        return f"{name}={_value(option[1], option[2])}{another}"
    return name if option.string[option.end() : option.end() + 1] == ":" else f"{name}="


def _value(option: str, text: str) -> str:
    text = shlex.split(text)[0] if text[0] in "'\"" else text
    if option == "map":
        pairs = (pair.partition("=") for pair in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', text))
        return json.dumps({ours: theirs.strip('"') for ours, _, theirs in pairs}, ensure_ascii=False)
    return text if re.fullmatch(r"[\d.]+(e[+-]?\d+)?", text) else json.dumps(text, ensure_ascii=False)


class ForetokenError(Exception):
    """A mistake that the user can mend; `code` names the kinds that programs may want to tell apart.

    >>> print(ForetokenError("the batch is empty", expected="at least 1 run", got="0", cure="add runs"))
    the batch is empty
      expected: at least 1 run
      got: 0
      cure: add runs
    """

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        cure: str | None = None,
        code: str | None = None,
    ) -> None:
        self.code = code
        # Somebody's name may hold an end of line, which must not begin a line of ours.
        self.message = legible(for_its_reader(message), LONGEST_MESSAGE).replace("\n", "\n  ")
        self.expected, self.got, self.cure = (part and legible(for_its_reader(part)) for part in (expected, got, cure))
        parts = [("expected", self.expected), ("got", self.got), ("cure", self.cure), ("code", code)]
        # Somebody's name may hold an end of line: what follows stays below its part.
        lines = [
            self.message,
            *(f"  {name}: {text}".replace("\n", "\n    ") for name, text in parts if text is not None),
        ]
        super().__init__("\n".join(lines))


class StudyFileError(ForetokenError):
    """A study file with one or more mistakes; all are listed."""


class CorpusError(ForetokenError):
    """Text that cannot be read, or that is too short for the runs asked for."""


class DesignError(ForetokenError):
    """A budget, grid or target that no run can meet."""


class TableError(ForetokenError):
    """A run table that cannot be read, or rows that cannot be trusted."""


class RefusedError(ForetokenError):
    """The data give no usable answer. `code` names the check, as in a fit's `checks`."""

    def __init__(self, code: str, evidence: str, cure: str) -> None:
        super().__init__(f"refused ({code}): {evidence}", cure=cure)
        self.code: str = code
        self.evidence = evidence


class StoreError(ForetokenError):
    """A study's folder that is damaged, belongs to something else, or cannot be written."""


class StudyBusyError(StoreError):
    """Another process is running this study."""


class LeaseLostError(StoreError):
    """The process stood still for so long that another one has taken its study over."""


class PausedError(ForetokenError):
    """Somebody asked a study to save and stop; nothing is wrong."""


class LimitReachedError(PausedError):
    """What a study may spend is spent, or nothing that is left of it fits into the rest."""


class CheckpointError(ForetokenError):
    """Weights on disk that no network here has, or that do not fit their configuration."""


class TaskError(ForetokenError):
    """Labelled examples that no network can be tuned on, or not this one."""


class MissingExtraError(ForetokenError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        # torch alone is what most of the extra weighs: of it, nobody wants another version than the extra asks for.
        alone = "" if package == "torch" else f"pip install {package}, or all that goes with it: "
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            cure=f"{alone}pip install 'foretoken[{extra}]'",
        )


@contextmanager
def needing(purpose: str, extra: str = "train") -> Iterator[None]:
    """Around imports of optional packages: raises MissingExtraError that calls the one that is missing by its name.

    >>> with needing("an example"):
    ...     import no_such_package
    Traceback (most recent call last):
        ...
    foretoken.errors.MissingExtraError: an example needs the package 'no_such_package', which is not installed
      cure: pip install no_such_package, or all that goes with it: pip install 'foretoken[train]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "foretoken"):  # a mistake of ours
            raise
        raise MissingExtraError(package, extra, purpose) from None
