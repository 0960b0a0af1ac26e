"""What comes with somebody else's model: a tokenizer.json, and labelled examples for fine-tuning."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from .mutations import ODD, damaged, edited, json_text
from .verbs import foretoken, strict_json


@cache
def tokenizer_values() -> dict[str, Any]:
    """A small tokenizer as the package `tokenizers` writes it."""
    from foretoken.data.tokenizer_files import train_tokenizer

    learned = train_tokenizer(text="7 bears met 49 foxes, 8 bears met 64. " * 9, kind="bpe", vocabulary=270)
    values: dict[str, Any] = learned.to_json()["definition"]
    return values


@st.composite
def tokenizer_files(draw: Callable[[Any], Any]) -> bytes:
    """A tokenizer.json, edited, of damaged bytes, or no tokenizer at all."""
    die = draw(st.integers(0, 9))
    if die == 0:
        return draw(st.binary(max_size=300) | ODD.map(lambda value: json_text(value).encode("utf-8", "surrogatepass")))
    if die == 1:
        return draw(damaged(json_text(tokenizer_values()).encode()))
    return json_text(draw(edited(tokenizer_values()))).encode("utf-8", "surrogatepass")


def read_tokenizer_file(content: bytes, folder: Path) -> None:
    """A tokenizer.json, through `foretoken tokenizer show`."""
    (folder / "tokenizer.json").write_bytes(content)
    strict_json(foretoken("tokenizer", "show", "tokenizer.json", "--text", "7 bears", "--json"))


ROWS: dict[str, dict[str, Any]] = {
    "single": {"text": "7 bears", "label": "a"},
    "pair": {"text": "7 bears", "text_b": "8 foxes", "label": "b"},
    "similarity": {"text": "7 bears", "text_b": "8 foxes", "label": "a"},
    "choice": {"text": "7 bears", "choices": ["met", "ate"], "answer": 1},
    "labels": {"text": "7 bears", "labels": ["N", "B"]},
    "text-to-text": {"source": "7 bears", "target": "8 foxes"},
}
"""A sound example of each kind."""


@st.composite
def task_files(draw: Callable[[Any], Any]) -> tuple[str, str, bytes, int]:
    """Ten examples of a kind with some of their values replaced, as JSON lines or as CSV, or bytes."""
    kind, suffix = draw(st.sampled_from(list(ROWS))), draw(st.sampled_from(["jsonl", "csv"]))
    rows = [{**ROWS[kind], "split": split} for split in ("train",) * 6 + ("validation", "test") * 2]
    for _ in range(draw(st.integers(0, 3))):
        row, name = draw(st.sampled_from(rows)), draw(st.sampled_from([*rows[0], "x"]))
        row[name] = draw(ODD | st.sampled_from(["7 bears", "b", ["a", "b"], 0, [1, 2], "train", ""]))
    if draw(st.integers(0, 9)) == 0:
        return kind, suffix, draw(st.binary(max_size=200)), 0
    if suffix == "jsonl":
        text = "\n".join(map(json_text, rows))
    else:
        file = io.StringIO()
        table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows({name: v if isinstance(v, str) else json_text(v) for name, v in row.items()} for row in rows)
        text = file.getvalue()
    return kind, suffix, text.encode("utf-8", "surrogatepass"), draw(st.integers(0, 3))


def read_task_file(drawn: tuple[str, str, bytes, int], folder: Path) -> None:
    """Labelled examples, as `foretoken finetune` reads them."""
    from foretoken.data.tokenizer import ByteTokenizer
    from foretoken.evals.task_files import read_task

    kind, suffix, content, cut = drawn
    (folder / f"task.{suffix}").write_bytes(content)
    read_task(folder / f"task.{suffix}", kind, ByteTokenizer(), cut=cut)
