"""W&B exports by hypothesis: nested cells of any depth, in either form, become the same plain columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import TableError
from foretoken.runs.exports import LONGEST_CELL, NESTED, PREFIXES, plain_columns
from foretoken.runs.files import READERS, read_frame

KEYS = st.sampled_from(["lr", "model", "batch", "seed", "val"])
LEAVES = st.integers(-9, 9) | st.floats(-9, 9) | st.booleans() | st.sampled_from(["a", "b c"])
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3), max_leaves=5)
CONFIGS = st.dictionaries(KEYS, TREES, min_size=1, max_size=3)


def flat(tree: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Leaves by their path, an independent few lines."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}.{key}") if isinstance(value, dict) else {f"{prefix}.{key}": value}
    return leaves


@settings(max_examples=40, deadline=None)
@given(config=CONFIGS, form=st.sampled_from(["dict", "json", "python"]), name=st.sampled_from(list(NESTED)))
def test_every_leaf_is_a_column_in_each_form(config: dict[str, Any], form: str, name: str) -> None:
    write = {"dict": lambda value: value, "json": json.dumps, "python": repr}[form]
    frame, notes = plain_columns(pd.DataFrame({name: [write(config)], "loss": [3.0]}))
    expected = {path.removeprefix(f"{NESTED[name]}."): value for path, value in flat(config, NESTED[name]).items()}
    (row,) = frame.to_dict("records")
    assert {key: value for key, value in row.items() if key != "loss"} == expected
    assert notes == [
        f"{len(expected)} columns config.* and summary.* (as W&B, Ray write them) are read without that prefix"
    ]


@settings(max_examples=30, deadline=None)
@given(config=CONFIGS, summary=CONFIGS)
def test_a_name_of_both_keeps_its_prefix(config: dict[str, Any], summary: dict[str, Any]) -> None:
    frame, notes = plain_columns(pd.DataFrame({"config": [config], "summary": [summary]}))
    theirs = {path.removeprefix("config.") for path in flat(config, "config")}
    ours = {path.removeprefix("summary.") for path in flat(summary, "summary")}
    both = {f"{prefix}{name}" for name in theirs & ours for prefix in PREFIXES}
    assert set(frame.columns) == both | (theirs ^ ours)
    assert any("keep their prefix" in note for note in notes) == bool(both)
    assert all(name in notes[-1] for name in both)


@pytest.mark.parametrize("wrapped", [{"value": 0.1, "desc": None}, {"value": 0.1}])
def test_the_wrapper_of_a_setting_is_its_value(wrapped: dict[str, Any]) -> None:
    frame, _ = plain_columns(pd.DataFrame({"config": [{"lr": wrapped, "value": 3}]}))
    assert frame.to_dict("records") == [{"lr": 0.1, "value": 3}]


def test_a_mapping_that_only_has_a_value_among_others_is_none() -> None:
    frame, _ = plain_columns(pd.DataFrame({"config": [{"lr": {"value": 0.1, "unit": "1"}}]}))
    assert set(frame.columns) == {"lr.value", "lr.unit"}


def test_lists_stay_lists_and_a_missing_config_leaves_empty_cells() -> None:
    frame, _ = plain_columns(pd.DataFrame({"config": [{"lr": 1, "tags": [1, 2]}, None], "loss": [1.0, 2.0]}))
    assert list(frame["loss"]) == [1.0, 2.0]
    assert frame["lr"].isna().tolist() == [False, True]
    assert frame["tags"][0] == [1, 2]


@pytest.mark.parametrize("cell", ["{", "{'a': f()}", "[1]", "{1}", "{" + " " * LONGEST_CELL + "}"])
def test_a_cell_that_is_no_mapping_stays_as_it_is(cell: str) -> None:
    frame = pd.DataFrame({"config": [cell], "loss": [3.0]})
    plain, notes = plain_columns(frame)
    assert plain is frame
    assert notes == []


def test_a_table_that_is_no_export_is_not_touched() -> None:
    frame = pd.DataFrame({"Name": ["a"], "state": ["finished"], "loss": [1.0]})
    plain, notes = plain_columns(frame)
    assert plain is frame
    assert notes == []


@pytest.mark.parametrize(("name", "other"), [("Name", "name"), ("State", "state")])
def test_of_two_names_of_one_thing_the_first_is_read(name: str, other: str) -> None:
    frame = pd.DataFrame({"config.lr": [0.1], name: ["first"], other: ["second"]})
    plain, notes = plain_columns(frame)
    ours = {"Name": "run", "State": "status"}[name]
    assert plain[ours].tolist() == ["first"]
    assert plain[other].tolist() == ["second"]
    assert f"`{name}` of the export is read as `{ours}`" in notes


@pytest.mark.parametrize("suffix", READERS)
def test_noise_in_every_format_is_an_error_of_ours(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"runs{suffix}"
    path.write_bytes(b"\x00\xff\xfe[{\x80" * 50)
    with pytest.raises(TableError):
        read_frame(path)


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("content", [b"", b" \n\n", b"\xef\xbb\xbf\r\n", b"\t" * 70_000])
def test_an_empty_file_says_so_in_every_format(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"runs{suffix}"
    path.write_bytes(content)
    with pytest.raises(TableError) as caught:
        read_frame(path)
    assert caught.value.code == "empty_table"


def test_json_lines_say_which_line_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_text('{"a": 1}\n\n{"a": \n')
    with pytest.raises(TableError, match="line 3 is not JSON"):
        read_frame(path)
    path.write_text('{"a": 1}\n3\n')
    with pytest.raises(TableError, match="line 2: expected one JSON object per line"):
        read_frame(path)


def test_a_column_that_is_there_twice_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("loss,loss,params\n1,2,3\n")
    assert read_frame(path)[0].columns.tolist() == ["loss", "loss", "params"]
    path.write_text("loss,params\n1,2,3\n")
    with pytest.raises(TableError, match="more fields than the header"):
        read_frame(path)
