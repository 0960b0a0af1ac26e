"""What comes with somebody else's model: a tokenizer.json, and labelled examples for fine-tuning."""

from __future__ import annotations

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


ROW = st.fixed_dictionaries(
    {},
    optional={
        name: ODD | st.sampled_from(["7 bears", "a", "b", ["a", "b"], 0, "train", "validation", "test"])
        for name in ("text", "first", "second", "label", "labels", "tokens", "choices", "source", "target", "split")
    },
)
KIND = st.sampled_from(["single", "pair", "similarity", "choice", "labels", "text-to-text"])
TASKS = st.tuples(
    KIND, st.sampled_from(["jsonl", "csv"]), st.lists(ROW, max_size=8) | st.binary(max_size=200), st.integers(0, 3)
)


def read_task_file(drawn: tuple[str, str, Any, int], folder: Path) -> None:
    """Labelled examples, as `foretoken finetune` reads them."""
    from foretoken.data.tokenizer import ByteTokenizer
    from foretoken.evals.task_files import read_task

    kind, suffix, rows, cut = drawn
    content = rows if isinstance(rows, bytes) else "\n".join(map(json_text, rows)).encode("utf-8", "surrogatepass")
    (folder / f"task.{suffix}").write_bytes(content)
    read_task(folder / f"task.{suffix}", kind, ByteTokenizer(), cut=cut)
