"""The doctor says what the columns did not let it look for."""

from __future__ import annotations

import pandas as pd

from foretoken.checks.diagnose import NEEDS, diagnose, unchecked
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
