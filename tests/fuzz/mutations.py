"""How a sound input becomes a hostile one: bytes, and values of JSON and TOML."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from datetime import date
from typing import Any

from hypothesis import strategies as st

HOSTILE = [
    "", " ", "x", "../../outside.txt", "/outside.txt", "~", "..", "\0", "a\0b", "\u2028\u0085", "\x1b[2J", "\x7f",
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'\"$\\frac{$", "[red]x[/]", "[/]", "{0}%s",
    "=1+1", "1e400", "nan", "1_0", "٣", "𝟙", "汉" * 300, "x" * 100_000, "True", "0x10", "1e5 FLOP", "7B",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 3, 2**31, 2**63, 2**64, 10**18, 10**400, 0.5, -0.0, 1e-300, 5e-324, 1e300, 1.7976931348623157e308,
    math.nan, math.inf, -math.inf,
]  # fmt: skip
RAW = {"<1e400>": "1e400", "<digits>": "9" * 5000, "<deep>": "[" * 100_000 + "]" * 100_000, "<surrogate>": '"\\ud800"'}
"""JSON that `json.dumps` does not write, under a name that is replaced in the text."""
ODD = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], [None], {"a": {"b": []}}, {"": 1}, *NUMBERS, *HOSTILE, *RAW]),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
)
"""A value that nobody expects."""


@st.composite
def edited(draw: Callable[[Any], Any], sound: Any, odd: st.SearchStrategy[Any] = ODD, edits: int = 3) -> Any:
    """A copy with one or more of its values deleted, replaced, renamed, doubled, or put in another's place."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, edits))):
        inner = _descend(draw, value)
        if inner is None:
            return copy.deepcopy(draw(odd))
        holder, key = inner
        action = draw(st.sampled_from(["replace", "replace", "replace", "delete", "rename", "add", "wrap"]))
        _edit(draw, holder, key, action, odd)
    return value


def _descend(draw: Callable[[Any], Any], value: Any) -> tuple[Any, Any] | None:
    found = None
    while isinstance(value, dict | list) and value:
        key = draw(st.sampled_from(sorted(value, key=str) if isinstance(value, dict) else range(len(value))))
        found, value = (value, key), value[key]
        if draw(st.integers(0, 2)) == 0:
            break
    return found


def _edit(draw: Callable[[Any], Any], holder: Any, key: Any, action: str, odd: st.SearchStrategy[Any]) -> None:
    if action == "delete":
        del holder[key]
    elif action == "wrap":
        holder[key] = draw(st.sampled_from([[holder[key]], {"value": holder[key]}, str(holder[key])]))
    elif isinstance(holder, dict) and action in ("rename", "add"):
        holder[draw(st.sampled_from(HOSTILE) | st.text(max_size=8))] = holder[key]
        if action == "rename":
            holder.pop(key, None)
    elif isinstance(holder, list) and action == "add":
        holder.insert(key, copy.deepcopy(draw(odd)))
    else:
        holder[key] = copy.deepcopy(draw(odd))


def json_text(value: Any) -> str:
    """JSON with all that Python reads as such: NaN, numbers beyond all bounds, half surrogates, deep nesting."""
    text = json.dumps(value, default=str)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    return text


def toml_text(value: Any) -> str:
    """TOML of a table, inner tables inline: short, and able to say everything."""
    return "".join(f"{_text(key)} = {_toml(inner)}\n" for key, inner in value.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan" if math.isnan(value) else "-inf" if value < 0 else "inf"
    if isinstance(value, str):
        return {"<digits>": "9" * 5000, "<1e400>": "1e400"}.get(value) or _text(value)
    return json.dumps(value)


def _text(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False)


BYTES = st.sampled_from(
    [b"\0", b"\xff", b"\n", b"\r", b'"', b"\xef\xbb\xbf", b"\xe2\x80\xa8", b",", b"\x80\x04.", b"["]
)


@st.composite
def damaged(draw: Callable[[Any], Any], sound: bytes) -> bytes:
    """Bytes cut off, with one bit flipped, their tail zeroed, something put in, or a part doubled."""
    place = draw(st.integers(0, max(0, len(sound) - 1)))
    action = draw(st.sampled_from(["cut", "flip", "zero", "insert", "double", "replace"]))
    if action == "cut" or not sound:
        return sound[:place]
    if action == "flip":
        return sound[:place] + bytes([sound[place] ^ (1 << draw(st.integers(0, 7)))]) + sound[place + 1 :]
    if action == "zero":
        return sound[:place] + bytes(len(sound) - place)
    if action == "insert":
        return sound[:place] + draw(BYTES | st.binary(max_size=20)) + sound[place:]
    if action == "double":
        return sound[:place] + sound[max(0, place - 200) :]
    return draw(st.binary(max_size=200))


def sometimes_damaged(sound: bytes) -> st.SearchStrategy[bytes]:
    """As it is in three of four cases."""
    return st.integers(0, 3).flatmap(lambda die: damaged(sound) if die == 0 else st.just(sound))
