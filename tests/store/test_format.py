"""The name of the format stands in the study's files, and files of another format are never taken for damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import StoreError
from foretoken.store import atomic
from foretoken.store.format import FORMAT, OLD_FORMAT, format_json, read_format_json

PLAIN = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in ("sha256", "format")),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    max_size=5,
)


@settings(max_examples=30, deadline=None)
@given(values=PLAIN)
def test_what_is_written_is_read_and_the_format_is_named(values: dict[str, Any], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "format.json"
    path.write_bytes(format_json(values))
    assert read_format_json(path) == values
    assert json.loads(path.read_bytes())["format"] == FORMAT == "foretoken study 2"


@pytest.mark.parametrize("made_by", [{}, {"format": 1}, {"format": None}, {"format": "foretoken study 3"}])
def test_another_format_is_named_with_what_to_do(made_by: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "design.json"
    path.write_bytes(atomic.checksummed_json({"study": {}, **made_by}))
    with pytest.raises(
        StoreError, match=r"(?s)design.json is of another format.*another folder.*version that"
    ) as error:
        read_format_json(path)
    assert error.value.code == OLD_FORMAT
    assert error.value.expected == FORMAT
    assert str(made_by.get("format") or "no format") in str(error.value.got)


def test_damage_is_another_mistake_than_another_format(tmp_path: Path) -> None:
    path = tmp_path / "design.json"
    path.write_bytes(format_json({"seed": 1}).replace(b'"seed": 1', b'"seed": 2'))
    with pytest.raises(StoreError, match="does not match its sha256") as error:
        read_format_json(path)
    assert error.value.code != OLD_FORMAT
