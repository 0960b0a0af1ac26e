"""What goes through the pipes: every message comes back as it was, and half a line is refused."""

from __future__ import annotations

import pytest

from foretoken.launchers.launcher import Step
from foretoken.launchers.messages import (
    KINDS,
    Assign,
    Beat,
    Done,
    End,
    Failed,
    Halt,
    Left,
    Message,
    Ready,
    Reported,
    Serve,
    from_line,
    to_line,
)

MESSAGES: list[Message] = [
    Serve("package.module:function"),
    Assign("a", {"x": [1, None, {"y": "line\nbreak"}]}),
    Halt(),
    End(),
    Left("SIGUSR1"),
    Ready(),
    Beat(),
    Reported("a", Step("key", 3, 9, 1.25)),
    Done("a", {"key": "finished"}),
    Failed("a", "Traceback\n  line", True),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_line_and_comes_back(message: Message) -> None:
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert from_line(line) == message
    assert from_line(line.decode()) == message


def test_every_kind_is_tried() -> None:
    assert {type(message) for message in MESSAGES} == set(KINDS.values())


@pytest.mark.parametrize("message", MESSAGES)
def test_half_a_line_is_no_message(message: Message) -> None:
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        from_line(to_line(message)[:-3])
