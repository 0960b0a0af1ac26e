"""Tables in the forms of public exports, and of people's files: each is read right, or refused by what it is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import foretoken as ft
from foretoken.errors import TableError
from foretoken.runs.cells import number, unit_of
from foretoken.runs.files import read_frame
from foretoken.runs.reading import as_table
from foretoken.runs.table import RunTable

N, D, LOSS = [2e7, 5e7, 1.2e8], [1.6e8, 1e9, 6e9], [4.25, 3.5, 2.75]
NAMES = {"params": "n_params", "tokens": "n_tokens", "loss": "val_loss"}


def runs(**others: object) -> pd.DataFrame:
    whole = {"n_params": list(map(int, N)), "n_tokens": list(map(int, D)), "val_loss": LOSS}
    return pd.DataFrame({**whole, **others})


def read(tmp_path: Path, name: str, content: str | bytes, rename: dict[str, str] | None = None) -> RunTable:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return ft.read_table(tmp_path / name, NAMES if rename is None else rename)


def assert_right(table: RunTable) -> None:
    frame = table.frame
    if "status" in frame:
        frame = frame[frame["status"] == "finished"]
    frame = frame.dropna(subset=["params", "tokens", "loss"])
    for name, values in (("params", N), ("tokens", D), ("loss", LOSS)):
        np.testing.assert_allclose(frame[name].astype(float), values)


@pytest.mark.parametrize(
    "name", ["compute_flop", "Training compute (FLOP)", "budget_flops", "CostFLOPs", "train_FLOPs"]
)
def test_the_end_of_another_word_is_no_unit(name: str) -> None:
    assert unit_of(name, "flops") is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("20.000.000", 2e7), ("1.2 × 10^9", 1.2e9), (r"$1.2 \times 10^{9}$", 1.2e9), ("6 * 10**3", 6e3),
        ("2x10^8", 2e8), ("1.2.3", np.nan), ("2.000", 2.0),
        ("21’300’000", 2.13e7), ("2,02,00,000", 2.02e7), ("1,23,456.5", 123456.5), ("12,34", np.nan), ("1,2,3", np.nan),
    ],
)  # fmt: skip
def test_numbers_as_papers_and_spreadsheets_write_them(cell: str, value: float) -> None:
    assert number(cell, "params") == pytest.approx(value, nan_ok=True)


def test_points_between_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    content = "Params (M);Tokens (M);Loss;lr\r\n20;160;4,25;0.001\r\n50;1.000;3,5;0.001\r\n120;6.000;2,75;0.001\r\n"
    rename = {"params": "Params (M)", "tokens": "Tokens (M)", "loss": "Loss"}
    table = read(tmp_path, "a.csv", content.encode("utf-8-sig"), rename)
    assert_right(table)
    assert any("points between thousands" in note and "Tokens (M)" in note for note in table.assumed)
    with pytest.raises(TableError, match=r"'1\.000' and '2\.5'"):
        read(tmp_path, "a.csv", "a;b\n1,5;1.000\n2,5;2.5\n")


def test_bars_between_fields_a_repeated_header_and_an_empty_last_column(tmp_path: Path) -> None:
    lines = [f"{n:.0f}|{d:.0f}|{loss}|" for n, d, loss in zip(N, D, LOSS, strict=True)]
    header = "n_params|n_tokens|val_loss|"
    table = read(tmp_path, "a.txt", "\n".join([header, lines[0], header, *lines[1:]]))
    assert_right(table)
    assert len(table.frame) == 3
    assert list(table.frame) == ["params", "tokens", "loss", "flops"]
    assert "1 rows that repeat the header are left out" in table.assumed


@pytest.mark.parametrize("word", ["NaN", "nan", "n/a", "null", "NULL", "—"])
def test_a_word_for_nothing_is_a_missing_loss(word: str, tmp_path: Path) -> None:
    rows = [*runs().to_dict("records"), {"n_params": 5e7, "n_tokens": 1e9, "val_loss": word}]
    assert_right(read(tmp_path, "a.json", json.dumps(rows)))


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("STATUS", ["Completed", "Published", "Completed", "Aborted"]),
        ("State", ["COMPLETED", "COMPLETED", "COMPLETED", "CANCELLED by 1001"]),
        ("state", ["COMPLETED", "COMPLETED", "COMPLETED", "OUT_OF_ME+"]),
        ("info.status", ["Succeeded", "Succeeded", "Succeeded", "InProgress"]),
        ("sys/state", ["done", "done", "done", "CANCELLED+"]),
    ],
)
def test_the_end_of_a_run_under_other_names_and_in_other_words(name: str, ends: list[str], tmp_path: Path) -> None:
    frame = pd.concat([runs(), runs().head(1)]).assign(**{name: ends})
    frame.to_csv(tmp_path / "a.csv", index=False)
    for rename in (NAMES, {**NAMES, "status": name}):
        table = ft.read_table(tmp_path / "a.csv", rename)
        assert_right(table)
    assert len(ft.read_table(tmp_path / "a.csv", {**NAMES, "status": ""}).frame) == 4
    assert f"`{name}` is read as `status`" in ft.read_table(tmp_path / "a.csv", NAMES).assumed


def test_a_column_of_states_that_are_none_of_runs_is_left(tmp_path: Path) -> None:
    runs(state=["CA", "NY", "TX"]).to_csv(tmp_path / "a.csv", index=False)
    assert "status" not in ft.read_table(tmp_path / "a.csv", NAMES).frame


def test_names_of_an_export_lead_to_its_columns_with_and_without_prefix(tmp_path: Path) -> None:
    rows = {
        f"exp/{i}": {"config": {"model": {"n": n}, "steps": d / 1e5}, "metrics": {"val": {"loss": y}}}
        for i, (n, d, y) in enumerate(zip(N, D, LOSS, strict=True))
    }
    packed = gzip.compress(json.dumps(rows).encode())
    for prefix in ("config.", ""):
        rename = {"params": f"{prefix}model.n", "tokens": f"{prefix}steps*100000", "loss": "metrics.val.loss"}
        assert_right(read(tmp_path, "a.json.gz", packed, rename))
    runs(Name=list("abc"), State="finished").to_csv(tmp_path / "a.csv", index=False)
    assert_right(ft.read_table(tmp_path / "a.csv", {**NAMES, "status": "State", "run": "Name"}, "State=finished"))


def test_results_in_a_short_list_have_numbered_names(tmp_path: Path) -> None:
    rows = [
        {"hyper": {"params": n, "tokens": d}, "results": [{"loss": y}, {"loss": 9.0}]}
        for n, d, y in zip(N, D, LOSS, strict=True)
    ]
    rename = {"params": "hyper.params", "tokens": "hyper.tokens", "loss": "results.0.loss"}
    assert_right(read(tmp_path, "a.json", json.dumps(rows), rename))


@pytest.mark.parametrize("orient", ["columns", "split", "records", "table", "index"])
@pytest.mark.parametrize("labels", [range(3), range(100, 103), ["a", "b", "c"]])
def test_json_as_pandas_writes_it(orient: str, labels: list[object], tmp_path: Path) -> None:
    frame = runs().set_axis(labels).rename(columns={"val_loss": "loss"})
    content = frame.to_json(orient=orient)
    assert_right(read(tmp_path, "a.json", content, {"params": "n_params", "tokens": "n_tokens"}))


STATE = {"best_metric": 2.9, "global_step": 10, "log_history": [{"loss": 5.0, "step": 1}], "total_flos": 4e16}
HARNESS = {"results": {"arc": {"acc,none": 0.4}}, "config": {"model": "hf"}, "versions": {"arc": 1.0}}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("trainer_state.json", json.dumps(STATE, indent=2), "one_run"),
        ("scalar.csv", "Wall time,Step,Value\n1.7e9,1,5.0\n1.7e9,2,4.0\n", "one_run"),
        ("results.json", json.dumps(HARNESS, indent=2), "missing_column"),
    ],
)
def test_what_is_no_table_of_runs_is_called_what_it_is(name: str, content: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(TableError) as refused:
        read(tmp_path, name, content, {})
    assert refused.value.code == code


def test_frames_of_strings_categories_decimals_and_nulls() -> None:
    strings = runs(status="FINISHED").astype(str)
    nullable = pd.concat([runs(), runs().head(1).assign(val_loss=None)], ignore_index=True).convert_dtypes()
    arrow = pa.table(
        {
            "n_params": pa.array(map(int, N), pa.uint64()),
            "n_tokens": pa.array(map(int, D)),
            "val_loss": pa.array(LOSS).cast(pa.decimal128(10, 5)),
            "status": pa.array(["done"] * 3).dictionary_encode(),
        }
    )
    for frame in (strings, nullable, nullable.assign(status=pd.Categorical(["done"] * 4)), arrow):
        assert_right(ft.read_table(frame, NAMES))


def test_a_frame_of_polars() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame(
        {
            "params_M": [n / 1e6 for n in N] + [50.0],
            "n_tokens": [*map(int, D), None],
            "val_loss": [*LOSS, 3.0],
            "state": polars.Series(["FINISHED"] * 4, dtype=polars.Categorical),
        }
    )
    assert_right(ft.read_table(frame, {**NAMES, "params": "params_M"}))


def test_what_a_frame_lacks_is_told_by_a_call_that_mends_it() -> None:
    frame = runs()
    with pytest.raises(TableError, match=r"foretoken\.read_table\(frame, rename=\{") as refused:
        ft.fit(frame)
    call = str(refused.value).partition("foretoken.")[2].partition("\n")[0]
    assert_right(eval(f"ft.{call}", {"ft": ft, "frame": frame}))


def test_rows_that_were_read_can_be_read_on() -> None:
    table = ft.read_table(runs(corpus=["a", "a", "b"]), NAMES)
    assert len(ft.read_table(table, where="corpus=a").frame) == 2
    assert as_table(table) is table


def test_of_several_counts_the_one_taken_and_the_others_are_said(tmp_path: Path) -> None:
    frame = runs(active_params=[int(n / 3) for n in N], hyperparams="x").rename(columns={"n_params": "params"})
    table = ft.read_table(frame, {"tokens": "n_tokens", "loss": "val_loss"})
    assert "N is `params`; `active_params` could be N too: --map params=active_params" in table.assumed
    ours = frame.rename(columns={"params": "params_total", "active_params": "params_active"})
    assert not any(
        "could be N" in note for note in ft.read_table(ours, {"tokens": "n_tokens", "loss": "val_loss"}).assumed
    )
    read(tmp_path, "a.csv", runs().to_csv(index=False))
    assert not any("could be N" in note for note in ft.read_table(tmp_path / "a.csv", NAMES).assumed)


def test_a_run_that_does_not_count_is_not_held_against_its_table() -> None:
    crashed = {"n_params": 50_000_000, "n_tokens": 4_096, "val_loss": 9.0, "status": "crashed"}
    frame = pd.concat([runs(status="finished"), pd.DataFrame([crashed])], ignore_index=True)
    assert_right(ft.read_table(frame, NAMES))
    with pytest.raises(TableError, match="cannot be tokens"):
        ft.read_table(frame.assign(status="finished"), NAMES)


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("train_loss", "Pile val loss"), "Pile val loss"),
        (("c4_bpb",), "c4_bpb"),
        (("train/loss", "eval/loss"), "eval/loss"),
        (("train/loss",), "YOUR_COLUMN"),
    ],
)
def test_a_longer_name_is_proposed_and_no_training_loss(names: tuple[str, ...], proposed: str) -> None:
    with pytest.raises(TableError, match=f'"loss": "{proposed}"'):
        ft.read_table(runs(**dict.fromkeys(names, 2.0)).drop(columns="val_loss"), {"params": "n_params"})


def test_what_stands_in_a_cell_s_place_is_said_with_units(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"(?s)'20m' in row 1.*70M"):
        read(tmp_path, "a.csv", "params,tokens,loss\n20m,1e9,3.0\n", {})
    assert list(read_frame(tmp_path / "a.csv")[0]) == ["params", "tokens", "loss"]


@pytest.mark.parametrize(
    ("product", "columns"),
    [
        ("steps_k*batch_M", {"steps_k": [d / 1e9 for d in D], "batch_M": 1.0}),
        ("1000*steps_k*batch", {"steps_k": [d / 1e9 for d in D], "batch": 1e6}),
        ("steps*batch*context", {"steps": [d / 1e6 for d in D], "batch": 1e3, "context": 1e3}),
    ],
)
def test_a_product_reads_the_units_of_its_names_unless_a_number_says_them(
    product: str, columns: dict[str, object]
) -> None:
    assert_right(ft.read_table(runs(**columns), {**NAMES, "tokens": product}))


@pytest.mark.parametrize(
    ("columns", "cure"),
    [
        ({"steps": 1.6, "batch": 1.0}, '"tokens": "1e+09*steps*batch"'),
        ({"steps": 1e6, "batch_B": 1e6}, '"tokens": "1*steps*batch_B"'),
    ],
)
def test_a_product_that_cannot_be_is_refused_with_the_factor_that_mends_it(
    columns: dict[str, float], cure: str
) -> None:
    with pytest.raises(TableError) as refused:
        ft.read_table(runs(**columns), {**NAMES, "tokens": "*".join(columns)})
    assert refused.value.code == "implausible_unit"
    assert cure in str(refused.value)


@pytest.mark.parametrize("name", ["eval_log_perplexity", "log-ppl", "val/ln_ppl"])
def test_the_logarithm_of_a_perplexity_is_in_nats(name: str) -> None:
    assert_right(ft.read_table(runs(**{name: LOSS}).drop(columns="val_loss"), {**NAMES, "loss": name}))


def test_a_score_is_no_loss() -> None:
    frame = runs(eval_accuracy=[0.2, 0.4, 0.6])
    with pytest.raises(TableError, match="is a score"):
        ft.read_table(frame, {**NAMES, "loss": "eval_accuracy"})
    assert len(ft.read_table(frame, {**NAMES, "loss": "eval_accuracy"}, loss_unit="nats/token")) == 3


def test_a_flag_of_failure_is_a_status() -> None:
    frame = pd.concat([runs(**{"sys/failed": False}), runs(**{"sys/failed": True}).head(1)], ignore_index=True)
    table = ft.read_table(frame, NAMES)
    assert_right(table)
    assert "runs of which `sys/failed` is true are read as not finished" in table.assumed
    assert "status" not in ft.read_table(runs(failed=False), NAMES).frame


def test_a_table_in_another_encoding_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"(?s)not in UTF-8.*CSV UTF-8"):
        read(tmp_path, "a.csv", "Modèle;Perte\nm;2,5\n".encode("cp1252"))
