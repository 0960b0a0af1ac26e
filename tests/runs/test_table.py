from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from foretoken.arguments import ArgumentNameError
from foretoken.errors import TableError
from foretoken.runs.record import RunRecord
from foretoken.runs.table import COLUMNS, RunTable, table_from_records
from foretoken.store.read import read_table

from .test_spec import SPEC

ROWS = pd.DataFrame({"params": [1e6, 2e6], "tokens": [1e8, 1e8], "loss": [3.0, 2.8]})


def write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in frame.to_dict("records")))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_each_format_gives_the_same_table(suffix: str, tmp_path: Path) -> None:
    table = read_table(write(ROWS, tmp_path / f"runs{suffix}"))
    pd.testing.assert_frame_equal(table.frame[["params", "tokens", "loss"]], ROWS)
    assert np.allclose(table.frame["flops"], 6 * ROWS["params"] * ROWS["tokens"])
    assert any("6 x params x tokens" in text for text in table.assumed)
    assert any("undeclared" in text for text in table.assumed)


def test_columns_are_renamed(tmp_path: Path) -> None:
    path = write(ROWS.rename(columns={"loss": "val", "tokens": "D"}).assign(loss=9.0), tmp_path / "runs.csv")
    table = read_table(path, {"loss": "val", "tokens": "D"})
    assert list(table.frame["loss"]) == [3.0, 2.8]


@pytest.mark.parametrize(
    ("frame", "rename", "message"),
    [
        (ROWS.drop(columns="tokens"), {}, 'rename={"tokens"'),
        (ROWS.drop(columns="params"), {}, 'rename={"params"'),
        (ROWS, {"loss": "val_loss"}, "no column 'val_loss'"),
        (ROWS.rename(columns={"loss": "eval_loss"}), {"loss": "evalloss"}, r"(?s)evalloss.*did you mean 'eval_loss'"),
        (ROWS.assign(loss=["3.0", "three"]), {}, "'three' in row 2"),
    ],
)
def test_what_is_missing_is_asked_for(
    frame: pd.DataFrame, rename: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=message):
        read_table(write(frame, tmp_path / "runs.csv"), rename)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.xlsx", b"x"), ("a.parquet", b"PAR?"), ("a.jsonl", b"{")]
)
def test_files_that_are_no_tables(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError):
        read_table(tmp_path / name)
    with pytest.raises(TableError, match="no run table"):
        read_table(tmp_path / "absent.csv")


def test_rows_longer_than_the_header_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("params,tokens,loss\n1,2,3,4\n")
    with pytest.raises(TableError, match="more fields"):
        read_table(tmp_path / "a.csv")


def test_lines_that_are_no_objects_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"params": 1, "tokens": 2, "loss": 3}\n[1, 2]\n')
    with pytest.raises(TableError, match="line 2"):
        read_table(tmp_path / "a.jsonl")


def test_the_digest_is_of_rows_not_of_their_order() -> None:
    frame = ROWS.assign(run=[1, "b"])
    assert RunTable(frame, "a").digest == RunTable(frame.iloc[::-1], "b").digest


def test_a_record_fills_canonical_columns_only() -> None:
    row = RunRecord(spec=SPEC, status="finished", loss=1.0).to_row()
    assert set(row) <= set(COLUMNS)
    table = table_from_records([RunRecord(spec=SPEC, status="finished", loss=1.0)], "here")
    assert "mfu" not in table.frame
    assert table.frame["flops"][0] == SPEC.flops


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"params,tokens,loss,loss\n1,2,3,4\n", "two columns 'loss'"),
        ("a.jsonl", b'{"params": ' + b"[" * 100_000, "line 1 is not JSON"),
        ("a.jsonl", b'{"params": ' + b"9" * 5000 + b"}", "line 1 is not JSON"),
        ("a.jsonl", b'{"params": [1], "tokens": 2, "loss": 3}', r"\[1\] in row 1"),
        ("a.jsonl", b'{"params": true, "tokens": 2, "loss": 3}', "True in row 1"),
        ("a.jsonl", b'{"params": 1, "tokens": 2, "loss": 3, "run": [[1]]}', "where a word is expected"),
        ("a.csv", b"x" * 100_000, "no column for params"),
    ],
    ids=["doubled", "deep", "digits", "list", "flag", "nested", "flood"],
)
def test_hostile_tables_are_refused_in_few_words(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(tmp_path / name)
    assert len(str(caught.value)) < 3000


def test_a_date_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="2020"):
        read_table(write(ROWS.assign(tokens=pd.to_datetime("2020-01-01")), tmp_path / "a.parquet"))


def test_numbers_beyond_all_floats_are_infinite(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"params": %s, "tokens": 1e400, "loss": 3}\n' % ("9" * 400))
    frame = read_table(tmp_path / "a.jsonl").frame
    assert np.isinf(frame[["params", "tokens", "flops"]].to_numpy()).all()


def test_what_pandas_wrote_into_a_parquet_file_for_itself_is_not_read(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(ROWS).replace_schema_metadata({b"pandas": b'{"index_columns": ["loss"]}'})
    pq.write_table(table, tmp_path / "a.parquet")
    assert list(read_table(tmp_path / "a.parquet").frame["loss"]) == list(ROWS["loss"])


def test_size_is_bounded_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretoken.runs.files.LARGEST_FILE", 10)
    with pytest.raises(TableError, match=r"(?s)too large.*at most 10 bytes"):
        read_table(write(ROWS, tmp_path / "a.csv"))


def test_the_cells_of_a_parquet_file_are_bounded_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foretoken.bounded.MOST_CELLS", 10**6)
    pq.write_table(pa.table({"loss": pa.nulls(2_000_000, pa.float64())}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    with pytest.raises(TableError, match=r"(?s)too large.*2000000"):
        read_table(tmp_path / "a.parquet")


def test_lines_end_at_the_line_feed_alone(tmp_path: Path) -> None:
    row = '{"run": "a\u2028b\x85c", "params": 1e4, "tokens": 2e6, "loss": 3}\n'
    (tmp_path / "a.jsonl").write_text(row * 2, encoding="utf-8")
    assert list(read_table(tmp_path / "a.jsonl").frame["run"]) == ["a\u2028b\x85c"] * 2


def test_text_in_parquet_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    binary = pa.array([b"r\xb2", b"b"], pa.binary())
    text = pa.StringArray.from_buffers(2, binary.buffers()[1], binary.buffers()[2])
    pq.write_table(pa.table({"run": text, "params": [1.0, 2.0], "tokens": [1.0, 2.0], "loss": [1.0, 2.0]}),
                   tmp_path / "a.parquet")  # fmt: skip
    with pytest.raises(TableError, match="cannot read the run table"):
        read_table(tmp_path / "a.parquet")


def test_a_misspelled_argument_shows_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(ArgumentNameError, match=r"(?s)no argument 'renam'.*did you mean 'rename'"):
        read_table(tmp_path, renam={})  # type: ignore[call-arg]


def test_a_misspelled_column_of_a_condition_shows_the_right_one(tmp_path: Path) -> None:
    path = write(ROWS.assign(dataset="c4"), tmp_path / "a.csv")
    with pytest.raises(TableError, match=r"(?s)no column 'datset'.*did you mean 'dataset'"):
        read_table(path, where="datset=c4")


def test_rows_are_in_the_order_of_what_the_runs_are_and_not_of_their_hashes() -> None:
    """So a fit, whose resampling draws rows by number, gives the same intervals whatever the keys are."""
    specs = [replace(SPEC, tokens=512 * (7 + 3 * n % 11), seed=n % 3, software=f"s{n}") for n in range(12)]
    records = [RunRecord(spec=spec, status="finished", loss=1.0) for spec in specs]
    frame = table_from_records(records, "here").frame
    assert list(frame["run"]) != sorted(frame["run"])
    order = list(zip(frame["flops"], frame["seed"], strict=True))
    assert order == sorted(order)
    renamed = [replace(record, spec=replace(record.spec, software="other")) for record in reversed(records)]
    other = table_from_records(renamed, "there").frame
    assert [list(frame[name]) for name in ("tokens", "seed")] == [list(other[name]) for name in ("tokens", "seed")]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_canonical_column_says_its_unit_and_meaning(name: str) -> None:
    column = COLUMNS[name]
    assert column.meaning
    assert column.is_number or not column.unit or name == "finished_at"
