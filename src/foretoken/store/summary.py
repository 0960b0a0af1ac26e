"""Status and loss of a record off its text: of thousands, parsing the JSON with its curves would take seconds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple, get_args

from foretoken.bounded import LARGEST_JSON, read_file
from foretoken.errors import StoreError
from foretoken.runs.record import RunStatus
from foretoken.runs.spec import RunSpec
from foretoken.store.atomic import is_as_written
from foretoken.store.format import FORMAT

# The files are written with one blank before a key of the record itself and more before those of its parts, and a
# line break within a text is written as \n: so such a beginning is that of a key of the record, and of nothing else.
FORMAT_LINE = b'\n "format": ' + json.dumps(FORMAT).encode() + b",\n"
STATUSES: dict[bytes, RunStatus] = {f'"{status}"'.encode(): status for status in get_args(RunStatus)}
STATUS, LOSS, SPEC = b'\n "status": ', b'\n "loss": ', b'\n "spec": '


class Summary(NamedTuple):
    """What the text of a record tells at a glance."""

    status: RunStatus
    loss: float | None
    """Nats per token."""


def quick_summary(path: Path, seal: str | None, planned: RunSpec | None) -> Summary | None:
    """The summary of a record; None where only the whole record can tell, or there is none.

    The seal vouches for the rest of it; without one the spec in it is held against the planned run.
    """
    try:
        content = read_file(path, StoreError, LARGEST_JSON, inside=True)
    except StoreError:
        return None
    vouched = _is_sealed(content, seal) if seal is not None else _is_of(content, planned)
    if not vouched or content.count(FORMAT_LINE) != 1:
        return None
    status, loss = STATUSES.get(_value(content, STATUS)), _value(content, LOSS)
    return Summary(status, None if loss == b"null" else float(loss)) if status and loss else None


def _value(content: bytes, key: bytes) -> bytes:
    """The text of what a key of the record has on its line; empty where the key is not there just once."""
    if content.count(key) != 1:
        return b""
    start = content.index(key) + len(key)
    return content[start : content.index(b"\n", start)].removesuffix(b",")


def _is_sealed(content: bytes, seal: str) -> bool:
    return hashlib.sha256(content).hexdigest() == seal


def _is_of(content: bytes, planned: RunSpec | None) -> bool:
    """Whether a record is as it was written, and its spec that of a run, under whatever label."""
    if planned is None or content.count(SPEC) != 1 or not is_as_written(content):
        return False
    spec_json = json.JSONDecoder().raw_decode(content[content.index(SPEC) + len(SPEC) :].decode())[0]
    return isinstance(spec_json, dict) and {**spec_json, "group": planned.group} == planned.to_json()
