"""Tables from files: what is renamed, assumed and refused, cell by cell."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.errors import TableError
from foretoken.runs.cells import number
from foretoken.runs.record import RunRecord
from foretoken.runs.table import SIZES
from foretoken.store.read import read_table, records_in
from foretoken.store.store import Store

from ..runs.test_spec import SPEC

HEAD = "params_total,tokens,loss\n"


def file_of(folder: Path, text: str, name: str = "runs.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_missing_flops_are_six_n_d_and_said_to_be(tmp_path: Path) -> None:
    table = read_table(file_of(tmp_path, HEAD + "1e6,2e7,3.5\n2e6,4e7,3.1\n"))
    assert table.frame["flops"].tolist() == [1.2e14, 4.8e14]
    assert any("6 x params x tokens" in sentence for sentence in table.assumed)
    own = read_table(file_of(tmp_path, "params_total,tokens,loss,flops\n1e6,2e7,3.5,7e9\n"))
    assert own.frame["flops"].tolist() == [7e9]
    assert not any("6 x params x tokens" in sentence for sentence in own.assumed)


@pytest.mark.parametrize("size", SIZES)
def test_any_count_of_parameters_stands_for_n(tmp_path: Path, size: str) -> None:
    table = read_table(file_of(tmp_path, f"{size},tokens,loss\n1e6,2e7,3.5\n"))
    assert table.frame["flops"].tolist() == [1.2e14]
    assert any("undeclared convention" in sentence for sentence in table.assumed) == (size == "params")


@pytest.mark.parametrize(
    ("text", "name"),
    [("params_total,loss\n1,2\n", "tokens"), ("tokens,loss\n1,2\n", "params"), ("params,tokens\n1,2\n", "loss")],
)
def test_a_column_that_is_needed_is_asked_for(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(TableError, match=f"has no column for {name}") as refused:
        read_table(file_of(tmp_path, text))
    assert refused.value.code == "missing_column"
    assert f'rename={{"{name}": "YOUR_COLUMN"}}' in str(refused.value)


def test_only_what_is_asked_for_is_needed(tmp_path: Path) -> None:
    path = file_of(tmp_path, "size,score\n1e6,0.5\n")
    table = read_table(path, need=("size", "score"))
    assert table.frame["score"].tolist() == [0.5]
    with pytest.raises(TableError, match="no column for flops"):
        read_table(path, need=("size", "flops"))


def test_columns_are_read_under_our_names(tmp_path: Path) -> None:
    path = file_of(tmp_path, "N,D,val_loss,loss\n1e6,2e7,3.5,9.0\n")
    table = read_table(path, {"params_total": "N", "tokens": "D", "loss": "val_loss"})
    assert table.frame["loss"].tolist() == [3.5]
    assert any("the file's own column `loss` is not read" in sentence for sentence in table.assumed)


def test_two_columns_may_change_places(tmp_path: Path) -> None:
    path = file_of(tmp_path, "params_total,tokens,loss\n1e6,2e7,3.5\n")
    table = read_table(path, {"params_total": "tokens", "tokens": "params_total"})
    assert (table.frame["params_total"][0], table.frame["tokens"][0]) == (2e7, 1e6)


def test_a_column_that_is_nearly_right_is_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, "params_total,tokens,val_loss\n1e6,2e7,3.5\n")
    with pytest.raises(TableError, match="did you mean 'val_loss'") as refused:
        read_table(path, {"loss": "val_los"})
    assert refused.value.code == "missing_column"


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    rows = [{"N": 1e4, "tokens": 2e6, "loss": 3}]
    path = file_of(tmp_path, json.dumps(rows).replace('"N"', '"params_total"'), "runs.json")
    assert len(read_table(path)) == 1
    with pytest.raises(TableError, match="two columns 'loss'"):
        read_table(file_of(tmp_path, "params_total,tokens,loss,loss\n1,2,3,4\n"))


@pytest.mark.parametrize(("cell", "shown"), [("n/k", "'n/k'"), ("3,5", "'3,5'"), ("2e7 parsecs", "'2e7 parsecs'")])
def test_text_in_a_column_of_numbers_is_named_with_its_row(tmp_path: Path, cell: str, shown: str) -> None:
    path = file_of(tmp_path, f'{HEAD}1e6,2e7,3.5\n1e6,"{cell}",3.5\n')
    with pytest.raises(TableError, match=rf"'tokens' holds text(.|\n)*{shown} in row 2") as refused:
        read_table(path)
    assert refused.value.code == "unreadable_cell"


def test_a_list_where_a_word_is_expected_is_named(tmp_path: Path) -> None:
    rows = [{"params": 1, "tokens": 2, "loss": 3, "family": family} for family in ("decoder", ["decoder"])]
    with pytest.raises(TableError, match=r"'family' holds lists(.|\n)*row 2"):
        read_table(file_of(tmp_path, json.dumps(rows), "runs.json"))


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=30, deadline=None)
def test_a_number_is_read_from_its_digits_and_from_itself(value: float) -> None:
    assert number(repr(value)) == number(value) == value
    assert number(Decimal(repr(value))) == value


@pytest.mark.parametrize("cell", [True, False, None, "", "many", [1.0], b"1", "1_0x"])
def test_what_is_no_number_is_none(cell: object) -> None:
    assert np.isnan(number(cell))


def test_an_integer_beyond_all_floats_is_infinite() -> None:
    assert number(10**400) == np.inf


def test_the_records_below_a_folder_are_a_table(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(TableError, match="holds no records"):
        read_table(tmp_path)
    for seed in (0, 1):
        store.put_record(RunRecord(spec=SPEC.with_tokens(512 * (seed + 1) * 100), status="finished", loss=3.0 - seed))
    table = read_table(tmp_path)
    assert table.frame["loss"].tolist() == [3.0, 2.0]
    assert any("all 2 records" in sentence for sentence in table.assumed)


def test_a_record_that_cannot_be_read_is_not_left_out_in_silence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_record(RunRecord(spec=SPEC, status="finished", loss=3.0))
    path = store.record_path(SPEC.key)
    path.write_text(path.read_text().replace("3.0", "2.0"))
    with pytest.raises(TableError, match=r"record\.json(.|\n)*leave the run out"):
        records_in(tmp_path)


def test_rows_that_do_not_meet_the_conditions_are_left_out(tmp_path: Path) -> None:
    path = file_of(tmp_path, "params,tokens,loss,dataset\n1e6,2e7,3,c4\n4e6,5e7,6,pile\n7e6,8e7,9,c4\n")
    assert read_table(path, where="dataset=c4").frame["loss"].tolist() == [3.0, 9.0]
    assert read_table(path, where="dataset=c4,tokens>=5e7").frame["loss"].tolist() == [9.0]
    with pytest.raises(TableError):
        read_table(path, where="dataset=books")
