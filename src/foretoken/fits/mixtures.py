"""What one law cannot be fitted across: several validation sets, tokenizers or versions, or several losses of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from foretoken.errors import RefusedError
from foretoken.escapes import for_shell
from foretoken.runs.table import COLUMNS, SIZES

if TYPE_CHECKING:
    import pandas as pd

MIXED = {
    "eval_set": ("mixed_eval_sets", "validation sets", "keep the rows of one"),
    "tokenizer": ("mixed_tokenizers", "tokenizers, whose tokens do not compare", "keep the rows of one"),
    "software": (
        "mixed_software",
        "versions of the training software",
        "keep the rows of one, or leave the column out to mix them all the same",
    ),
}
"""What one law cannot be fitted across: {column: (code, what, cure)}."""
SETTINGS = ("seed", "learning_rate", "batch_tokens", "context")
"""Columns by which two rows of one size and length are two trainings, whatever they are called."""
MOST_WORDS = 24
"""Different words of a column that tells the losses of one run apart."""
TRAINED, HELD_OUT = r"train(ing|ed)?", r"(in|cross)?_?(val(id(ation)?)?|eval(uation)?|test|dev|held_?out)"
"""Words for the text that a loss is on."""


def mixtures(frame: pd.DataFrame) -> Iterator[RefusedError]:
    """Several validation sets, tokenizers or versions of the software among rows, or several losses of each run."""
    for column, (code, what, cure) in MIXED.items():
        values = sorted(map(str, frame[column].dropna().unique())) if column in frame else []
        if len(values) > 1:
            shown = ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
            yield RefusedError(code, f"{len(values)} {what}: {shown}", cure)
    if column := losses_apart(frame):
        words = [str(word) for word in frame[column].dropna().unique()]
        kept = next((word for word in words if _matches(HELD_OUT, word)), words[0])
        evidence = (
            f"each run stands in several rows, one for each `{column}`: {', '.join(words[:5])}"
            f"{f' and {len(words) - 5} more' if len(words) > 5 else ''}; a law is of one loss"
        )
        cure = f"keep the rows of one: {for_shell('--where', f'{column}={kept}')}"
        yield RefusedError("several_losses_of_a_run", evidence, cure)


def losses_apart(frame: pd.DataFrame) -> str:
    """The column of words that tells the losses of one run apart, as a tracker's long format has one; "" if none does.

    Most runs stand in several rows of equal name, size and length, and in no two of them with the same word. Rows
    without the name of their run are such only if the words say so: `train` beside `val`.
    """
    named = [name for name in ("run", *SIZES, "tokens", *SETTINGS) if name in frame]
    if "loss" not in frame or "score" in frame or "tokens" not in named or not frame.columns.is_unique:
        return ""
    for keys in (named, [name for name in named if name != "run"]):
        several = frame[frame.duplicated(keys, keep=False)]
        if 2 * len(several) <= len(frame):
            continue
        groups = several.groupby(keys, dropna=False).ngroup()
        for column in map(str, frame.columns):
            if column in COLUMNS or not _holds_words(frame[column]):
                continue
            words = several[column].fillna("").astype(str)
            # The same words come again with each run: what only numbers rows, or names machines, does not.
            again = 2 <= words.nunique() <= min(MOST_WORDS, len(several) // 2)
            apart = not (groups.astype(str) + "\n" + words).duplicated().any()
            if again and apart and _says_so(words, has_name="run" in keys):
                return column
    return ""


def _says_so(words: pd.Series, *, has_name: bool) -> bool:
    """Whether words are of losses: any that come with each run by name; else words for trained on and held out."""
    if has_name:
        return bool(words.value_counts().min() >= 2)
    held_out = any(_matches(HELD_OUT, word) for word in words.unique())
    return held_out and any(_matches(TRAINED, word) for word in words.unique())


def _matches(pattern: str, word: str) -> bool:
    return re.search(rf"(^|[^a-z])({pattern})([^a-z]|$)", word.lower()) is not None


def _holds_words(column: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return not is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
