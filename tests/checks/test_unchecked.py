"""The doctor says what the columns did not let it look for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import foretoken
from foretoken.checks.diagnose import NEEDS, Unchecked, diagnose, unchecked
from foretoken.runs.table import COLUMNS, RunTable


def test_a_bare_table_is_told_what_could_not_be_looked_for():
    bare = pd.DataFrame({"params": [1e8, 2e8], "tokens": [1e9, 2e9], "loss": [3.0, 2.9]})
    told = {code for entry in diagnose(RunTable(bare, "x")).unchecked for code in entry.codes}
    assert {"long_warmup", "learning_rate_edge", "mixed_eval_sets", "shared_trajectories"} <= told


def test_a_column_allows_its_check_and_an_empty_one_does_not():
    said = {entry.columns for entry in unchecked(pd.DataFrame({"warmup_tokens": [1.0], "status": [None]}))}
    assert ("warmup_tokens",) not in said
    assert ("status",) in said


def test_every_named_column_is_one_of_ours():
    assert {column for need in NEEDS for column in need.columns} <= set(COLUMNS)


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.codes[0])
def test_any_of_its_columns_allows_a_check(need: Unchecked) -> None:
    for column in need.columns:
        left = unchecked(pd.DataFrame({column: [None, "here"]}))
        assert need not in left
        assert set(NEEDS) - set(left) == {other for other in NEEDS if column in other.columns}


def test_no_columns_allow_nothing_and_all_allow_everything() -> None:
    assert unchecked(pd.DataFrame()) == list(NEEDS)
    assert unchecked(pd.DataFrame({column: [1.0] for need in NEEDS for column in need.columns})) == []


@pytest.mark.parametrize("code", sorted({code for need in NEEDS for code in need.codes}))
def test_every_code_is_one_that_a_check_gives(code: str) -> None:
    given = " ".join(
        path.read_text()
        for room in ("checks", "fits")
        for path in (Path(foretoken.__file__).parent / room).glob("*.py")
        if path.name != "diagnose.py"
    )
    assert f'"{code}"' in given
