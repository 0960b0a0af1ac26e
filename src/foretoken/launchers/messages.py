"""What a driver and its workers write to each other: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.launchers.launcher import Event, event_from_json, event_to_json


@dataclass(frozen=True)
class Serve:
    """Driver: import this function; the jobs that follow are for it."""

    function: str


@dataclass(frozen=True)
class Assign:
    """Driver: do this job."""

    job: str
    argument_json: dict[str, Any]


@dataclass(frozen=True)
class Halt:
    """Driver: save and end the job that you have."""


@dataclass(frozen=True)
class End:
    """Driver: nothing more will come. Where there is a pipe, it is closed instead."""


@dataclass(frozen=True)
class Ready:
    """Worker: the function is imported; give me a job."""


@dataclass(frozen=True)
class Beat:
    """Worker: the process lives, whatever it does. Said now and then."""


@dataclass(frozen=True)
class Reported:
    """Worker: the job reports an event."""

    job: str
    event: Event


@dataclass(frozen=True)
class Done:
    """Worker: the job has returned."""

    job: str
    result_json: Any


@dataclass(frozen=True)
class Failed:
    """Worker: the job has raised."""

    job: str
    error: str
    fatal: bool


@dataclass(frozen=True)
class Left:
    """Worker: I must leave my place; what I had of my job is saved."""

    why: str


@dataclass(frozen=True)
class Dead:
    """The process has ended. No message, since nobody writes it: the driver notices."""

    code: int
    why: str = ""
    """In words, where there are some."""
    blameless: bool = False
    """Whether its place was taken from it (a lost machine, a job that was cancelled), which is no fault of its job."""

    @property
    def told(self) -> str:
        """How it ended, in words.

        >>> Dead(-9).told
        'exit code -9'
        """
        return self.why or f"exit code {self.code}"


Message = Serve | Assign | Halt | End | Ready | Beat | Reported | Done | Failed | Left
KINDS: dict[str, type[Message]] = {
    "serve": Serve,
    "assign": Assign,
    "halt": Halt,
    "end": End,
    "ready": Ready,
    "beat": Beat,
    "reported": Reported,
    "done": Done,
    "failed": Failed,
    "left": Left,
}
NAMES = {message: name for name, message in KINDS.items()}


def to_line(message: Message) -> bytes:
    r"""One line of JSON.

    >>> to_line(Halt())
    b'{"kind": "halt"}\n'
    """
    values = asdict(message)
    if isinstance(message, Reported):
        # `asdict` has lost which event it was: two kinds of the same fields would read alike
        values["event"] = event_to_json(message.event)
    return json.dumps({"kind": NAMES[type(message)], **values}).encode() + b"\n"


def from_line(line: bytes | str) -> Message:
    """The inverse of `to_line`; ValueError for half a line, which is what a process that dies may leave."""
    return _from_json(json.loads(line))


def _from_json(message_json: Mapping[str, Any]) -> Message:
    values = dict(message_json)
    kind = KINDS[values.pop("kind")]
    if kind is Reported:
        values["event"] = event_from_json(values["event"])
    return kind(**values)
