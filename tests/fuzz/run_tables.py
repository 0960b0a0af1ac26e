"""Run tables in every format, through `foretoken fit`."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from hypothesis import strategies as st

from . import samples
from .mutations import HOSTILE, NUMBERS, damaged, edited, json_text, sometimes_damaged
from .verbs import foretoken, strict_json

COLUMNS = ["run", "group", "status", "eval_set", "annealed", "parent", "params_total", "tokens", "flops", "loss"]
CELLS = st.sampled_from(
    [*NUMBERS, *HOSTILE[:20], None, True, False, [1], {"a": 1}, b"x", 1 + 2j, pd.Timestamp("2020-01-01"), pd.NaT, pd.NA]
)


@st.composite
def frames(draw: Callable[[Any], Any]) -> pd.DataFrame:
    """A real table with a few of its columns spoiled."""
    frame = samples.runs().copy()
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(COLUMNS))
        action = draw(st.sampled_from(["cell", "cell", "column", "drop", "double", "type", "rename", "few", "sign"]))
        frame = spoiled(draw, frame, name, action)
    return frame


def spoiled(draw: Callable[[Any], Any], frame: pd.DataFrame, name: str, action: str) -> pd.DataFrame:
    if action == "drop":
        return frame.drop(columns=name, errors="ignore")
    if action == "rename":
        return frame.rename(
            columns={name: draw(st.sampled_from([*COLUMNS, *HOSTILE[:20], 7, "params", "unique_tokens"]))}
        )
    if action == "few":
        return frame.head(draw(st.integers(0, 8)))
    if name not in frame or isinstance(frame[name], pd.DataFrame):
        return frame
    if action == "double":
        frame.insert(0, name, frame[name], allow_duplicates=True)
        return frame
    if action == "cell":
        values = frame[name].astype(object).tolist()
        for row in draw(st.lists(st.integers(0, 23), min_size=1, max_size=5)):
            if row < len(values):
                values[row] = draw(CELLS)
        return frame.assign(**{name: pd.Series(values, index=frame.index, dtype=object)})
    return frame.assign(**{name: _column(draw, frame[name], action)})


def _column(draw: Callable[[Any], Any], column: pd.Series, action: str) -> Any:
    if action == "sign" and column.dtype == float:
        return column * draw(st.sampled_from([-1.0, 0.0, 1e290, 1e-290, 1e-320, np.inf]))
    if action == "type":
        kinds: list[Callable[[pd.Series], Any]] = [
            lambda c: c.astype(str), lambda c: c.map(str).astype("category"),
            lambda c: c.astype(str).str.encode("utf-8"),
            lambda c: pd.Series(pd.date_range("2020", periods=len(c)), index=c.index), lambda c: [[v] for v in c],
            lambda c: c == c, lambda c: range(len(c)), lambda c: [{"v": v} for v in c], lambda c: c.astype("string"),
            lambda c: pd.Series(pd.to_timedelta(range(len(c)), unit="s"), index=c.index),
            lambda c: pd.Series(range(len(c)), index=c.index, dtype="Int64").replace(3, pd.NA),
        ]  # fmt: skip
        return draw(st.sampled_from(kinds))(column)
    return [draw(CELLS)] * len(column)


def table_bytes(frame: pd.DataFrame, suffix: str) -> bytes:
    """The frame in a format, or its text where the format cannot say it."""
    if suffix == ".parquet":
        for attempt in (frame, frame.astype(str)):
            with contextlib.suppress(Exception):
                return attempt.to_parquet()
        return b"PAR1"
    if suffix == ".csv":
        return frame.to_csv(index=False).encode("utf-8", "surrogatepass")
    rows = [dict(zip(map(str, frame.columns), row, strict=True)) for row in frame.itertuples(index=False, name=None)]
    return "\n".join(map(json_text, rows)).encode("utf-8", "surrogatepass")


def _with_metadata(metadata: bytes) -> bytes:
    table = pyarrow.Table.from_pandas(samples.runs(), preserve_index=False).replace_schema_metadata(
        {b"pandas": metadata}
    )
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file)
    return file.getvalue()


SUFFIXES = st.sampled_from([".csv", ".jsonl", ".json", ".parquet"])
_ROWS = json_text(samples.runs().to_dict("records")[0])
TABLES = st.one_of(
    st.tuples(frames(), SUFFIXES).flatmap(
        lambda pair: st.tuples(sometimes_damaged(table_bytes(*pair)), st.just(pair[1]))
    ),
    SUFFIXES.flatmap(lambda suffix: st.tuples(damaged(table_bytes(samples.runs(), suffix)), st.just(suffix))),
    st.tuples(st.binary(max_size=300), SUFFIXES),
    st.tuples(edited(samples.runs().to_dict("records")).map(json_text).map(str.encode), st.sampled_from([".json"])),
    edited(samples.runs().to_dict("records")).map(
        lambda rows: ("\n".join(map(json_text, rows if isinstance(rows, list) else [rows])).encode(), ".jsonl")
    ),
    st.sampled_from(
        [
            (b"\xef\xbb\xbf" + table_bytes(samples.runs(), ".csv"), ".csv"),
            (b"\xef\xbb\xbf" + table_bytes(samples.runs(), ".jsonl"), ".jsonl"),
            (table_bytes(samples.runs(), ".csv").decode().encode("utf-16"), ".csv"),
            (b"a" * 10_000_000, ".csv"),
            (b'"' + b"a,\n" * 100_000, ".csv"),
            (b"params,tokens,loss\n" + b"1,2,3\n" * 200_000, ".csv"),
            (b"," * 20_000 + b"\n" + b"," * 20_000, ".csv"),
            (b"loss,loss,params,tokens\n1,2,3,4\n", ".csv"),
            (b"params,tokens,loss\n1e400,1e400,1e400\n" * 9, ".csv"),
            (b"\n".join([_ROWS.replace("0", "<", 1).encode()] * 3), ".jsonl"),
            (b'{"params": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ".jsonl"),
            (b'{"params": ' + b"9" * 5000 + b', "tokens": 1e400, "loss": NaN}', ".jsonl"),
            (b'{"params": ' + b"9" * 400 + b', "tokens": 1, "loss": 1}', ".jsonl"),
            ('{"run": "\u2028\x85\x0b", "params": 1, "tokens": 2, "loss": 3}\n'.encode() * 3, ".jsonl"),
            *((_with_metadata(bad), ".parquet") for bad in
              (b"", b"{", b"[]", b'{"index_columns": ["loss"]}', b'{"index_columns": [{"kind": "range"}]}',
               b'{"columns": [{"name": "loss", "numpy_type": "object", "pandas_type": "pickle"}]}', b"\x80\x04.")),
        ]
    ),
)  # fmt: skip


def read_run_table(drawn: tuple[bytes, str], folder: Path) -> None:
    """A run table, through `foretoken fit`."""
    content, suffix = drawn
    (folder / f"runs{suffix}").write_bytes(content)
    law = ("power", "chinchilla")[hashlib.sha256(content).digest()[0] % 2]
    if hashlib.sha256(content).digest()[1] % 2:
        strict_json(foretoken("fit", f"runs{suffix}", "--law", law, "--json", "-o", "fit.json"))
        strict_json((folder / "fit.json").read_text())
    else:
        foretoken("fit", f"runs{suffix}", "--law", law)
