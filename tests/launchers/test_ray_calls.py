"""Calls of Ray's that do not come back are not waited for without a bound."""

from __future__ import annotations

import threading

import pytest

from foretoken.errors import ForetokenError
from foretoken.launchers.ray_launcher import in_time


def test_an_answer_and_an_error_come_through() -> None:
    assert in_time(lambda: 3) == 3
    with pytest.raises(KeyError, match="x"):
        in_time(lambda: {}["x"])


def test_a_call_that_does_not_come_back_is_refused() -> None:
    release = threading.Event()
    with pytest.raises(ForetokenError, match="Ray gives no answer within") as refusal:
        in_time(release.wait, 0.01)
    release.set()
    assert refusal.value.code == "unreachable"
    assert "what is done is kept" in str(refusal.value)
