from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import TableError
from foretoken.fits.law_columns import find_params_column, law_table, needed
from foretoken.fits.rows import clean_rows
from foretoken.laws import CHINCHILLA, LAWS
from foretoken.runs.table import RunTable

ONE_NUMBER = sorted(name for name, law in LAWS.items() if not law.sequence_input)


def frame_for(name: str, runs: int = 6) -> pd.DataFrame:
    """A table with the columns that a law reads, and nothing else."""
    generator = np.random.default_rng(0)
    return pd.DataFrame({column: generator.uniform(1.0, 2.0, runs) for column in dict.fromkeys(needed(LAWS[name]))})


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_the_table_itself_stays_as_it_is_for_every_law(name: str) -> None:
    frame = frame_for(name)
    before = frame.copy()
    columns = law_table(frame, LAWS[name])
    pd.testing.assert_frame_equal(frame, before)
    assert columns.frame is frame
    assert columns.y_name == LAWS[name].column


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_every_law_reads_its_own_columns_and_predicts_its_own(name: str) -> None:
    law, frame = LAWS[name], frame_for(name)
    rows = clean_rows(RunTable(frame, "a test"), law=law)
    assert rows.y == pytest.approx(frame[law.column].to_numpy())
    for feature, values in zip(law.features, rows.features(law).T, strict=True):
        assert np.exp(values) == pytest.approx(frame[feature].to_numpy())


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_a_column_that_a_law_needs_is_asked_for_by_name(name: str) -> None:
    law = LAWS[name]
    with pytest.raises(TableError, match=law.column):
        clean_rows(RunTable(frame_for(name).drop(columns=law.column), "a test"), law=law)


def test_a_law_of_scores_keeps_the_loss_as_a_loss() -> None:
    frame = pd.DataFrame({"loss": [3.0, 2.5, 2.0], "score": [0.2, 0.4, 0.7]})
    columns = law_table(frame, LAWS["accuracy_sigmoid"])
    assert columns.y.tolist() == [0.2, 0.4, 0.7]
    assert columns.features["loss"].tolist() == [3.0, 2.5, 2.0]
    assert columns.params.tolist() == pytest.approx([1 / 3, 0.4, 0.5])
    assert columns.assumed == [
        "the law predicts `score`",
        "`1 / loss` takes the place of params",
        "tokens are not known",
    ]


def test_reasons_name_the_column_that_the_law_predicts() -> None:
    frame = pd.DataFrame({"size": [1e3, 1e4, 1e5], "score": [np.nan, 0.3, np.inf]})
    rows = clean_rows(RunTable(frame, "a test"), law=LAWS["size_score"])
    assert [dropped.reason for dropped in rows.dropped] == ["score is infinite", "score is missing"]


def test_without_flops_they_are_six_times_size_and_tokens_and_said_to_be() -> None:
    frame = pd.DataFrame({"params": [1e6, 2e6], "tokens": [1e8, 3e8], "loss": [3.0, 2.9]})
    rows = clean_rows(RunTable(frame, "a test"), law=CHINCHILLA)
    assert rows.flops.tolist() == [6e14, 3.6e15]
    assert any("6 x params x tokens" in sentence for sentence in rows.assumed)


@given(st.lists(st.sampled_from(["params_total", "params", "params_active", "params_non_embedding"]), unique=True))
@settings(max_examples=20, deadline=None)
def test_n_is_the_first_count_in_the_order_of_preference(names: list[str]) -> None:
    frame = pd.DataFrame({name: [1.0] for name in names} | {"tokens": [1.0]})
    if not names:
        with pytest.raises(TableError, match="no numbers for N"):
            find_params_column(frame, "auto")
        return
    order = ("params_total", "params", "params_active", "params_non_embedding")
    assert find_params_column(frame, "auto") == min(names, key=order.index)
    assert find_params_column(frame, names[-1]) == names[-1]


def test_a_count_without_a_number_is_no_count() -> None:
    frame = pd.DataFrame({"params_total": [np.nan], "params": [1e6]})
    assert find_params_column(frame, "auto") == "params"
    with pytest.raises(TableError, match="params_total"):
        find_params_column(frame, "params_total")


def test_a_law_of_whole_histories_is_fitted_from_python() -> None:
    with pytest.raises(TableError, match="histories"):
        needed(LAWS["multi_power"])
