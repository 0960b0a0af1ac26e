"""Tables as people have them: units in names and cells, forms of files, words of trackers; read right or refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foretoken as ft
from foretoken.errors import TableError
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.cells import number, unit_of
from foretoken.runs.exports import MEANING, plain_columns
from foretoken.runs.files import READERS
from foretoken.runs.reading import as_table
from foretoken.runs.sources import parse_map
from foretoken.store.read import read_table

N, D = np.array([7e7, 1.6e8, 4.1e8, 1.4e9]), np.array([1.4e9, 3.2e9, 8.2e9, 2.8e10])
LOSS = CHINCHILLA.evaluate(PUBLISHED["besiroglu_2024"].parameters, params=N, tokens=D)


def plain() -> pd.DataFrame:
    return pd.DataFrame({"params": N, "tokens": D, "loss": LOSS})


def read(tmp_path: Path, name: str, content: str | bytes, **settings: object) -> pd.DataFrame:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(tmp_path / name, **settings).frame  # type: ignore[arg-type]


def assert_right(frame: pd.DataFrame, rows: int = 4) -> None:
    assert len(frame) == rows
    for name, values in (("params", N), ("tokens", D), ("loss", LOSS)):
        np.testing.assert_allclose(frame[name], values[:rows], rtol=2e-4)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("params_M", 1e6), ("n_params(M)", 1e6), ("params (millions)", 1e6), ("Params [B]", 1e9), ("N (k)", 1e3),
        ("num_params_b", 1e9), ("parameters (in M)", 1e6), ("size_in_billions", 1e9), ("model.size-M", 1e6),
        ("paramsMillions", 1e6),
    ],
)  # fmt: skip
def test_the_name_of_a_column_says_its_unit(name: str, factor: float, tmp_path: Path) -> None:
    frame = plain().assign(params=N / factor).rename(columns={"params": name})
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv", {"params": name})
    assert_right(table.frame)
    assert any("in millions" in note or "in billions" in note or "in thousands" in note for note in table.assumed)


@pytest.mark.parametrize("name", ["params", "n", "n_params", "total_params", "model_size", "batch", "m", "problem"])
def test_a_name_without_a_unit_says_none(name: str) -> None:
    assert unit_of(name, "params") is None
    assert unit_of(name, "loss") is None


@pytest.mark.parametrize(
    ("spelled", "factor"),
    [("zflops", 1e21), ("compute (ZFLOP)", 1e21), ("train_zettaFLOPs", 1e21), ("C_pf-days", 8.64e19), ("EFLOPs", 1e18)],
)
def test_compute_has_units_of_its_own(spelled: str, factor: float, tmp_path: Path) -> None:
    plain().assign(**{spelled: 6 * N * D / factor}).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_allclose(read_table(tmp_path / "a.csv", {"flops": spelled}).frame["flops"], 6 * N * D)


@pytest.mark.parametrize(
    ("cell", "ours", "value"),
    [
        ("70M", "params", 7e7), ("1.4B", "tokens", 1.4e9), ("70,000,000", "params", 7e7), ("1.2e9", "tokens", 1.2e9),
        ("6.1 ZFLOP", "flops", 6.1e21), ("2 PF-days", "flops", 1.728e20), ("300B tokens", "tokens", 3e11),
        ("1 000 000", "params", 1e6), ("7 billion", "params", 7e9), ("7m", "params", np.nan), ("2.5M", "loss", np.nan),
        ("3,5", "params", np.nan), ("M", "params", np.nan), ("1.2.3M", "params", np.nan),
    ],
)  # fmt: skip
def test_a_cell_says_its_unit(cell: str, ours: str, value: float) -> None:
    assert number(cell, ours) == pytest.approx(value, nan_ok=True)


def test_a_cell_s_unit_wins_over_the_column_s(tmp_path: Path) -> None:
    content = "params_M,tokens,loss\n70,1.4e9,3.6\n160M,3.2e9,3.2\n"
    assert read(tmp_path, "a.csv", content, rename={"params": "params_M"})["params"].tolist() == [7e7, 1.6e8]


def test_map_says_a_unit_a_factor_or_a_product(tmp_path: Path) -> None:
    frame = plain().assign(mp=N / 1e6, steps=D / 2**19, batch=256, context=2048)
    frame.drop(columns=["params", "tokens"]).to_csv(tmp_path / "a.csv", index=False)
    for params in ("mp:M", "1e6*mp", "mp*1000*1000"):
        table = read_table(tmp_path / "a.csv", {"params": params, "tokens": "steps*batch*context"})
        assert_right(table.frame)
        assert "steps" in table.frame


def test_the_exact_name_of_a_column_wins_over_arithmetic(tmp_path: Path) -> None:
    frame = plain().rename(columns={"params": "a*b", "loss": "loss, nats"}).assign(a=1.0, b=1.0)
    frame.to_csv(tmp_path / "a.csv", index=False)
    rename = parse_map('params=a*b,loss="loss, nats"')
    assert rename == {"params": "a*b", "loss": "loss, nats"}
    assert_right(read_table(tmp_path / "a.csv", rename).frame)


@pytest.mark.parametrize(
    ("changed", "rename"),
    [
        ({"params": N / 1e6}, {}),
        ({"tokens": D / 1e9}, {}),
        ({"flops": 6 * N * D / 8.64e19}, {}),
        ({"params_M": N}, {"params": "params_M"}),  # the name says millions, the cells are whole
        ({"tokens_T": D}, {"tokens": "tokens_T"}),
    ],
)
def test_a_unit_that_cannot_be_is_refused_with_the_line_that_mends_it(
    changed: dict[str, np.ndarray], rename: dict[str, str], tmp_path: Path
) -> None:
    plain().assign(**changed).to_csv(tmp_path / "a.csv", index=False)
    if "params_M" in changed:
        changed["params_M"] = N * 1e3
        plain().assign(**changed).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(TableError, match="rename=") as refused:
        read_table(tmp_path / "a.csv", rename)
    assert refused.value.code == "implausible_unit"


def test_whole_numbers_can_be_said_to_be_whole(tmp_path: Path) -> None:
    content = "params,tokens,loss\n70,1.4e9,3.6\n"
    assert read(tmp_path, "a.csv", content, rename={"params": "params:1"})["params"].tolist() == [70.0]


@pytest.mark.parametrize(
    ("name", "measured", "carried"),
    [
        ("val_ppl", np.exp(LOSS), ""), ("perplexity", np.exp(LOSS), ""), ("bits_per_token", LOSS / np.log(2), ""),
        ("val_bpb", LOSS / np.log(2) / 3.6, "bits per byte"), ("bpc", LOSS, "bits per character"),
    ],
)  # fmt: skip
def test_a_loss_in_another_unit_is_converted_or_carried(
    name: str, measured: np.ndarray, carried: str, tmp_path: Path
) -> None:
    plain().drop(columns="loss").assign(**{name: measured}).to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv", {"loss": name})
    if not carried:
        assert_right(table.frame)
        return
    assert table.loss_unit == carried
    np.testing.assert_allclose(table.frame["loss"], measured)
    np.testing.assert_allclose(
        read_table(tmp_path / "a.csv", {"loss": f"{name}*3.6*0.693147"}).frame["loss"], measured * 3.6 * 0.693147
    )


def spreadsheet(frame: pd.DataFrame, separator: str, decimal: str) -> str:
    text: str = frame.to_csv(index=False, sep=separator, decimal=decimal)
    return text


FORMS: dict[str, Callable[[], bytes]] = {
    "semicolons.csv": lambda: spreadsheet(plain(), ";", ",").encode(),
    "points.csv": lambda: spreadsheet(plain(), ";", ".").encode(),
    "tabs.tsv": lambda: spreadsheet(plain(), "\t", ".").encode(),
    "tabs_and_commas.tsv": lambda: spreadsheet(plain(), "\t", ",").encode(),
    "tabs.csv": lambda: spreadsheet(plain(), "\t", ".").encode(),
    "mark.csv": lambda: spreadsheet(plain(), ",", ".").encode("utf-8-sig"),
    "utf16.csv": lambda: spreadsheet(plain(), ",", ".").encode("utf-16"),
    "comments.csv": lambda: b"# from the cluster\n# two lines\n" + spreadsheet(plain(), ",", ".").encode(),
    "packed.csv.gz": lambda: gzip.compress(spreadsheet(plain(), ",", ".").encode()),
    "packed.jsonl.gz": lambda: gzip.compress(plain().to_json(orient="records", lines=True).encode()),
    "array.json": lambda: plain().to_json(orient="records").encode(),
    "runs.json": lambda: json.dumps({"runs": plain().to_dict("records")}).encode(),
    "by_column.json": lambda: json.dumps(plain().to_dict("list")).encode(),
    "as_pandas.json": lambda: plain().to_json().encode(),
    "by_run.json": lambda: json.dumps({f"r{i}": row for i, row in enumerate(plain().to_dict("records"))}).encode(),
    "lines.ndjson": lambda: plain().to_json(orient="records", lines=True).encode(),
    "readme.md": lambda: b"# Runs\n\n" + markdown(plain()).encode() + b"\nThat is all.\n",
    "runs.feather": lambda: feather(plain()),
}


def markdown(frame: pd.DataFrame) -> str:
    rows = [list(frame.columns), ["---:"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def feather(frame: pd.DataFrame) -> bytes:
    import pyarrow.feather

    out = io.BytesIO()
    pyarrow.feather.write_feather(frame, out)
    return out.getvalue()


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_file_gives_the_same_runs(name: str, tmp_path: Path) -> None:
    assert_right(read(tmp_path, name, FORMS[name]()))


@pytest.mark.parametrize("name", ["semicolons.csv", "array.json", "readme.md", "runs.feather"])
def test_standard_input_is_told_by_what_it_holds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = FORMS[name]() if name != "readme.md" else markdown(plain()).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert_right(read_table("-").frame)


def test_what_is_unpacked_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("foretoken.runs.files.LARGEST_FILE", 10_000)
    with pytest.raises(TableError, match="too large"):
        read(tmp_path, "bomb.csv.gz", gzip.compress(b"params,tokens,loss\n" + b"1,1,1\n" * 100_000))


def test_dashes_are_missing_cells(tmp_path: Path) -> None:
    frame = read(tmp_path, "a.csv", "params,tokens,loss\n7e7,1.4e9,3.6\n1e8,2e9,—\n2e8,4e9,-\n")
    assert frame["loss"].isna().tolist() == [False, True, True]


def test_nested_groups_are_dotted_names(tmp_path: Path) -> None:
    rows = [
        {"model": {"num_params": n}, "train": {"tokens": d, "opt": {"lr": 1e-3}}, "metrics": {"eval/CE loss": y}}
        for n, d, y in zip(N, D, LOSS, strict=True)
    ]
    rename = {"params": "model.num_params", "tokens": "train.tokens", "loss": "metrics.eval/CE loss"}
    frame = read(tmp_path, "a.json", json.dumps(rows), rename=rename)
    assert_right(frame)
    assert frame["train.opt.lr"].tolist() == [1e-3] * 4


@pytest.mark.parametrize("word", ["FINISHED", "COMPLETED", "Succeeded", "done", "TERMINATED", "success", "ok"])
def test_words_of_trackers_for_a_finished_run(word: str, tmp_path: Path) -> None:
    frame = plain().assign(status=[word, word, "KILLED", "out-of-memory"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    table = read_table(tmp_path / "a.csv")
    assert table.frame["status"].tolist() == ["finished", "finished", "killed", "out_of_memory"]


@settings(max_examples=30, deadline=None)
@given(word=st.sampled_from(sorted(MEANING)), upper=st.booleans(), gap=st.sampled_from(["_", " ", "-"]))
def test_every_word_is_known_in_any_case(word: str, upper: bool, gap: str) -> None:
    spelled = word.replace("_", gap)
    table = as_table(plain().assign(status=spelled.upper() if upper else spelled))
    assert set(table.frame["status"]) <= set(MEANING)


def test_an_unknown_status_is_asked_about_and_can_be_set_aside(tmp_path: Path) -> None:
    plain().assign(status="gold").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(TableError, match=r"'gold'(.|\n)*rename=.*status") as refused:
        read_table(tmp_path / "a.csv")
    assert refused.value.code == "unknown_status"
    assert_right(read_table(tmp_path / "a.csv", parse_map("status=")).frame)


def test_the_table_that_the_page_of_wandb_writes(tmp_path: Path) -> None:
    frame = plain().assign(Name=list("abcd"), State=["finished", "crashed", "finished", "running"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert read_table(tmp_path / "a.csv").frame["status"].tolist() == ["finished", "crashed", "finished", "running"]


def test_the_export_of_a_chart_is_called_that() -> None:
    columns = ["Step", *(f"run {k} - loss{end}" for k in range(2) for end in ("", "__MIN", "__MAX"))]
    with pytest.raises(TableError, match="chart") as refused:
        plain_columns(pd.DataFrame(1.0, index=range(3), columns=columns))
    assert refused.value.code == "chart_export"


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("params_M", "tokens_B", "val_loss"), '{"params": "params_M", "tokens": "tokens_B", "loss": "val_loss"}'),
        (("num_params", "D", "eval/loss"), '{"params": "num_params", "tokens": "D", "loss": "eval/loss"}'),
        (("N", "train tokens (billions)", "test_ppl"), '"tokens": "train tokens (billions)", "loss": "test_ppl"}'),
        (("x", "y", "z"), "YOUR_COLUMN"),
    ],
)
def test_all_that_is_missing_is_said_at_once_with_a_line_that_names_it(
    names: tuple[str, ...], proposed: str, tmp_path: Path
) -> None:
    plain().set_axis(list(names), axis=1).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(TableError) as refused:
        read_table(tmp_path / "a.csv")
    assert proposed in str(refused.value)
    assert "params, tokens, loss" in str(refused.value)


class Stream:
    """A frame of another library: it offers its columns as an Arrow stream, and nothing else."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.table = pa.Table.from_pandas(frame)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def grid() -> pd.DataFrame:
    n, d = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    loss = CHINCHILLA.evaluate(PUBLISHED["besiroglu_2024"].parameters, params=n, tokens=d)
    return pd.DataFrame({"params": n, "tokens": d, "loss": loss})


def test_python_takes_frames_and_paths(tmp_path: Path) -> None:
    grid().to_csv(tmp_path / "a.csv", index=False)
    expected = ft.fit(read_table(tmp_path / "a.csv"), "chinchilla", draws=50).parameters
    for runs in (grid(), str(tmp_path / "a.csv"), tmp_path / "a.csv", Stream(grid()), pa.Table.from_pandas(grid())):
        assert ft.fit(runs, "chinchilla", draws=50).parameters == pytest.approx(expected)
    assert ft.backtest(grid(), 0.6, law="chinchilla", draws=50).n_test > 0
    assert ft.diagnose(grid()).params_column == "params"
    with pytest.raises(TableError, match="no table of runs"):
        ft.fit(7)  # type: ignore[arg-type]


def test_every_kind_of_file_is_named_where_one_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(TableError) as refused:
        read(tmp_path, "a.xlsx", b"PK")
    assert all(suffix in str(refused.value) for suffix in READERS)


def test_a_table_comes_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, plain().to_csv(index=False).encode())
    os.close(writing)
    assert len(read_table(f"/dev/fd/{reading}").frame) == len(N)
    os.close(reading)
