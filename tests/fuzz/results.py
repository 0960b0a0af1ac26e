"""Results of own trainers: files of every kind that a command may leave, mutated."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import strategies as st

from .mutations import HOSTILE, damaged, edited, json_text, sometimes_damaged

ROWS = [{"step": 10, "train_loss": 3.0, "tokens": 100}, {"step": 20, "eval/loss": 3.1, "seconds": 5, "device": "H100"}]
STATE = {"log_history": ROWS, "global_step": 20}
LINES = "\n".join(map(json.dumps, ROWS)).encode()
DEEP = b"[" * 20_000
CSV = b"step,tokens,train_loss,val_loss\n10,100,3.5,3.4\n20,200,3.1,3.2\n"
VALUES = st.one_of(edited({"loss": 3.0, "loss_se": 0.1, "nested": {"eval": 1.0}}), edited(ROWS), edited(STATE, edits=2))
RESULTS = st.tuples(
    st.one_of(
        st.tuples(VALUES.map(lambda value: json_text(value).encode("utf-8", "surrogatepass")), st.just("result.json")),
        st.tuples(sometimes_damaged(LINES), st.just("log.jsonl")),
        st.tuples(damaged(CSV), st.just("log.csv")),
        st.tuples(st.binary(max_size=200), st.sampled_from(["run-1.wandb", "a.parquet", "a", "events.out.tfevents.1"])),
        st.tuples(st.sampled_from([DEEP, b"1e999", b"9" * 5000, b"\xff\xfe"]), st.just("result.json")),
    ),
    st.sampled_from([{}, {}, {"loss": "eval/loss"}, {"loss": "train_loss*2"}, {"loss": "*"}, {"loss": "a*b*"}])
    | st.fixed_dictionaries({"loss": st.sampled_from(HOSTILE[:12])}),
)


def read_own_result(drawn: tuple[tuple[bytes, str], dict[str, str]], folder: Path) -> None:
    """What a command left, by itself or in a folder."""
    from foretoken.own_trainer.result import read_result

    (content, name), names = drawn
    path = folder / name
    if name.endswith(".wandb"):
        path = folder / "wandb" / name
        path.parent.mkdir()
    path.write_bytes(content)
    told = read_result(path.parent if name.endswith(".wandb") else path, names, 4096)
    assert isinstance(told.loss, float)
