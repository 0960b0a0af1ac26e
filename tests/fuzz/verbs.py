"""The command line in this process: what it printed, or its error, and nothing else."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

from foretoken.errors import ForetokenError, for_command_line


def foretoken(*words: object) -> str:
    """What a verb prints; ForetokenError with its message when it ends with 1 or 2."""
    from foretoken.cli import main

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    code: Any = 0
    with mock.patch.object(sys, "argv", ["foretoken", *map(str, words)]), contextlib.redirect_stdout(out):
        with contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        out.flush()
    err.flush()
    printed, told = (file.buffer.getvalue().decode() for file in (out, err))  # type: ignore[attr-defined]
    assert code in (0, 1, 2), (code, told)
    assert "Traceback" not in told
    if code:
        assert told.strip(), "an error without a word"
        assert "\x1b" not in told, "an error that steers the terminal"
        with for_command_line():
            raise ForetokenError(told)
    return printed


def silent(value: Any, place: str = "") -> Iterator[str]:
    """Nulls without a reason beside them."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from silent(one, f"{place}[]")
    elif isinstance(value, dict):
        for key, one in value.items():
            if one is None and not key.endswith("reason") and not value.get(f"{key}_reason"):
                yield f"{place}.{key}"
            yield from silent(one, f"{place}.{key}")


def strict_json(text: str) -> Any:
    """JSON without NaN and infinities."""
    return json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(AssertionError(name)))
