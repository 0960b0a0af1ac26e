from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foretoken.errors import TableError
from foretoken.runs.filters import filter_rows
from foretoken.runs.record import CurvePoint, RunRecord
from foretoken.runs.table import curve_rows
from foretoken.store.read import read_table
from foretoken.store.store import Store

from .test_spec import SPEC

RUNS = [
    {
        "name": f"run-{k}",
        "state": "finished" if k < 3 else "crashed",
        "config": {"model": {"params": 1e6 * 2**k}, "lr": {"value": 1e-3, "desc": None}, "tags": ["a"]},
        "summary": {"tokens": 1e8, "val": {"loss": 3.0 - 0.1 * k}, "lr": 0.0},
    }
    for k in range(4)
]
MAP = {"params": "model.params", "loss": "val.loss"}


def write_json_export(folder: Path) -> Path:
    (folder / "runs.json").write_text(json.dumps(RUNS))
    return folder / "runs.json"


def write_python_cells(folder: Path) -> Path:
    """What `pd.DataFrame({"summary": [...], "config": [...], "name": [...]}).to_csv()` leaves."""
    pd.DataFrame(RUNS).to_csv(folder / "project.csv", index=False)
    return folder / "project.csv"


def write_flat_columns(folder: Path) -> Path:
    rows = [
        {
            "Name": run["name"],
            "State": run["state"],
            "config.model.params": run["config"]["model"]["params"],  # type: ignore[index]
            "config.lr": 1e-3,
            "summary.lr": 0.0,
            "summary.tokens": 1e8,
            "summary.val.loss": run["summary"]["val"]["loss"],  # type: ignore[index]
        }
        for run in RUNS
    ]
    pd.DataFrame(rows).to_csv(folder / "flat.csv", index=False)
    return folder / "flat.csv"


@pytest.mark.parametrize("write", [write_json_export, write_python_cells, write_flat_columns])
def test_each_kind_of_wandb_export_gives_the_same_runs(write: object, tmp_path: Path) -> None:
    table = read_table(write(tmp_path), MAP)  # type: ignore[operator]
    assert list(table.frame["params"]) == [1e6, 2e6, 4e6, 8e6]
    assert list(table.frame["loss"]) == pytest.approx([3.0, 2.9, 2.8, 2.7])
    assert list(table.frame["status"]) == ["finished"] * 3 + ["crashed"]
    assert list(table.frame["run"]) == ["run-0", "run-1", "run-2", "run-3"]
    assert {"config.lr", "summary.lr"} <= set(table.frame)
    said = " ".join(table.assumed)
    for part in ("without that prefix", "config.lr, summary.lr", "as `status`", "as `run`", "undeclared"):
        assert part in said


def test_runs_under_a_key_and_a_single_json_line_are_read(tmp_path: Path) -> None:
    row = {"params": 1e6, "tokens": 1e8, "loss": 3.0}
    for name, content in (("a.json", {"runs": [row, row]}), ("b.json", row)):
        (tmp_path / name).write_text(json.dumps(content))
    assert len(read_table(tmp_path / "a.json")) == 2
    assert len(read_table(tmp_path / "b.json")) == 1


def test_an_array_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"params": 1}, 3]')
    with pytest.raises(TableError, match="entry 2 is 3"):
        read_table(tmp_path / "a.json")


def test_cells_are_read_as_data_never_run(tmp_path: Path) -> None:
    bad = "{'a': __import__('os').getcwd()}"
    pd.DataFrame({"config": [bad], "params": [1e6], "tokens": [1e8], "loss": [3.0]}).to_csv(tmp_path / "a.csv")
    assert read_table(tmp_path / "a.csv").frame["config"][0] == bad


def test_a_folder_of_records_is_a_table(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        Store(tmp_path / f"{loss}").put_record(RunRecord(spec=SPEC, status="finished", loss=loss))
    table = read_table(tmp_path)
    assert sorted(table.frame["loss"]) == [1.0, 2.0]
    assert "all 2 records" in table.assumed[0]
    assert list(read_table(tmp_path, where="loss>1.5").frame["loss"]) == [2.0]
    next(tmp_path.rglob("record.json")).write_text("{}")
    with pytest.raises(TableError, match="does not match its sha256"):
        read_table(tmp_path)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no records"):
        read_table(tmp_path)


FRAME = pd.DataFrame(
    {"dataset": ["c4", "c4", "rpj", None], "step": [1, 20000, 30000, 5], "flag": [True, False, True, True]}
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("dataset=c4", [0, 1]),
        ("dataset==c4, step>=20000", [1]),
        ("dataset=c4|rpj", [0, 1, 2]),
        ("dataset!=c4", [2, 3]),
        ("dataset=", [3]),
        ("step=2e4", [1]),
        ("step<20000", [0, 3]),
        ("step<=5,step>1", [3]),
        ("flag=true", [0, 2, 3]),
        ("D=30000", [2]),
        ("", [0, 1, 2, 3]),
    ],
)
def test_where_keeps_the_rows_on_which_all_conditions_hold(where: str, rows: list[int]) -> None:
    kept, said = filter_rows(FRAME, where, {"D": "step"})
    assert list(kept["step"]) == list(FRAME["step"][rows])
    assert bool(said) == bool(where)
    assert not said or f"keeps {len(rows)} of 4 rows" in said[0]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("dataset", "not readable"),
        ("data=c4", "no column 'data'"),
        ("dataset=c5", "values of dataset: c4, rpj"),
        ("dataset>c4", "needs a number"),
        ("dataset>3", "holds no numbers"),
    ],
)
def test_where_that_cannot_be_is_an_error_that_helps(where: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        filter_rows(FRAME, where)


def test_where_is_said_and_counts(tmp_path: Path) -> None:
    frame = pd.DataFrame({"N": np.geomspace(1e6, 1e7, 4), "D": 1e8, "loss": 3.0, "set": ["a", "a", "b", "b"]})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    table = read_table(tmp_path / "runs.csv", {"params": "N", "tokens": "D"}, "set=b,params>5e6")
    assert len(table) == 1
    assert "--where set=b, params>5e6 keeps 1 of 4 rows" in table.assumed[0]


def test_training_curves_become_rows_with_their_share_of_the_flops() -> None:
    curve = (CurvePoint(0.0, 9.0), CurvePoint(SPEC.tokens / 2, 3.0), CurvePoint(float(SPEC.tokens), 2.0))
    record = RunRecord(spec=SPEC, status="finished", loss=2.0, curve=curve)
    rows = curve_rows([record, RunRecord(spec=SPEC, status="diverged", curve=curve)])
    assert [row["loss"] for row in rows] == [3.0, 2.0]
    assert [row["flops"] for row in rows] == [SPEC.flops / 2, SPEC.flops]
    assert {row["run"] for row in rows} == {SPEC.key}
    assert not any(row["annealed"] for row in rows)
