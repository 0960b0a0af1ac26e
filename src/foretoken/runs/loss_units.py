"""What a loss is measured in: read from a column's name, from cells, or said; converted where it can be, or carried.

What is per token becomes nats per token, the unit of every law here. What a byte, a character or a word costs stays as
it was written, because the bytes of a token are not in a table of losses: its laws are then in that unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from foretoken.arguments import nearest
from foretoken.errors import TableError
from foretoken.escapes import for_shell

if TYPE_CHECKING:
    import pandas as pd

NATS_PER_TOKEN = "nats per token"
"""What a loss is in where nothing else is said."""
UNIT_COLUMNS = ("loss_unit", "loss_units", "metric_unit", "metric_units")
"""Columns that say the unit of a row's loss, the one taken first at the head."""
METRIC_COLUMN = r"(^|_)(metric|measure)(_(name|type|key))?$"
"""Names of columns that may name the loss of each row: nll, ppl, bpb."""
PLAIN_LOSS = r"(^|_)(loss|nll|ce|xent|cross_?entropy)$"
"""Names of a loss that is in nats per token where nothing else is said."""
SCORE = r"(^|_)(accuracy|acc|acc_norm|auc|f1|exact_match|em)(_|$)"
"""Names of what rises as models grow."""
BARE_BITS = r"(^|_)bits$"
PER = {"byte": "bytes?|b", "character": "char(acter)?s?|c", "word": "words?|w", "token": "tok(en)?s?|t"}
"""How that which a loss is taken per is spelled; its letter in names such as `bpb`."""


class LossUnit(NamedTuple):
    """One unit of a loss, and what is kept of a loss in it."""

    name: str
    """As in `bits per byte`."""
    kept: str
    """The unit in which such a loss is carried."""
    factor: float | None
    """What it is multiplied with for that; None where its logarithm is taken."""
    spelled: str
    """Its spellings, as a regular expression over words joined by `_`."""

    def in_kept(self, loss: Any) -> Any:
        """A loss in this unit, or an array of them, in the unit that is kept."""
        import numpy as np

        with np.errstate(all="ignore"):
            return np.log(loss) if self.factor is None else loss * self.factor

    def error_in_kept(self, error: Any, loss: Any) -> Any:
        """A small error of a loss in this unit, or an array of them, in the unit that is kept."""
        # d ln P = dP / P
        return error / loss if self.factor is None else error * self.factor


def _units() -> Iterator[LossUnit]:
    for per, spellings in PER.items():
        word, letter = spellings.rsplit("|", 1)
        nats, bits, perplexity = f"nats per {per}", f"bits per {per}", f"perplexity per {per}"
        is_token = nats == NATS_PER_TOKEN
        kept, factor = (nats, math.log(2.0)) if is_token else (bits, 1.0)
        own = rf"({word})_(level_)?(ppl|perplexity)|(ppl|perplexity)_(per_)?({word})"
        perplexities = own + "|ppl|perplexity" * is_token
        yield LossUnit(nats, nats, 1.0, rf"nats?_?(per_?)?({word})|(log|ln)_({perplexities})")
        yield LossUnit(bits, kept, factor, rf"bits?_?(per_?)?({word})|bp{letter}")
        yield LossUnit("perplexity" if is_token else perplexity, nats, None, perplexities)


LOSS_UNITS: dict[str, LossUnit] = {unit.name: unit for unit in _units()}
"""Units by their names; of two spellings that both fit a name the first counts."""
CARRIED = frozenset(unit.kept for unit in LOSS_UNITS.values())
"""Units in which a loss can stand in a table that was read."""


def _words(text: str) -> str:
    # lm-evaluation-harness writes a filter behind each metric: `word_perplexity,none`.
    text = re.sub(r"(?<=\w),[\w-]+$", "", text.strip())
    return re.sub(r"[\s./()\[\]-]+", "_", text.strip().lower()).strip("_")


def unit_in_name(name: str) -> LossUnit | None:
    """The unit that the name of a column of losses says; None where it says none.

    Raises TableError for bits of which the name does not say per what, and for a score.

    >>> unit_in_name("val/bpb").name, unit_in_name("eval_perplexity").name, unit_in_name("val_loss")
    ('bits per byte', 'perplexity', None)
    """
    words = _words(name)
    for unit in LOSS_UNITS.values():
        if re.search(rf"(^|_)({unit.spelled})(_|$)", words):
            return unit
    if re.search(SCORE, words) and "loss" not in words:
        raise TableError(
            f"`{name}` is a score, and a loss is asked for",
            expected="a loss, which falls as models grow: nats, bits per byte, perplexity, ...",
            got=repr(name),
            cure="name the column of the loss: --map loss=...; where it is one: --loss-unit nats/token",
            code="not_a_loss",
        )
    if re.search(BARE_BITS, words):
        raise _per_what(f"the column `{name}` is in bits, and does not say per what", repr(name))
    return None


def named_loss_unit(text: str, where: str = "--loss-unit") -> LossUnit:
    """The unit of this name. Raises TableError for an unknown one, with the near ones.

    >>> named_loss_unit("bits/byte").name, named_loss_unit("BPC").kept, named_loss_unit("nats").name
    ('bits per byte', 'bits per character', 'nats per token')
    """
    words = _words(text)
    if words in ("nat", "nats"):
        return LOSS_UNITS[NATS_PER_TOKEN]
    if words in ("bit", "bits"):
        raise _per_what(f"{where}: bits per what?", repr(text))
    for unit in LOSS_UNITS.values():
        if re.fullmatch(unit.spelled, words):
            return unit
    known = {short_unit(name): name for name in LOSS_UNITS} | {"nats/token": NATS_PER_TOKEN}
    near = nearest(text, [*known, *LOSS_UNITS])
    raise TableError(
        f"{where}: unknown unit of a loss",
        expected="nats, bits/token, bits/byte, bits/character, perplexity, ... (nats or bits per token, byte,"
        " character or word)",
        got=repr(text),
        cure=f"did you mean {near[0]!r}?" if near else "say for example --loss-unit bits/byte",
        code="unknown_loss_unit",
    )


def _per_what(message: str, got: str) -> TableError:
    return TableError(
        message,
        expected="bits/token, bits/byte, bits/character or bits/word",
        got=got,
        cure="say which: --loss-unit bits/byte, or --loss-unit bits/token",
        code="loss_unit",
    )


def short_unit(unit: str) -> str:
    """A unit as it stands in the heading of a column.

    >>> short_unit("nats per token"), short_unit("bits per byte")
    ('nats', 'bits/byte')
    """
    return "nats" if unit == NATS_PER_TOKEN else unit.replace(" per ", "/")


def in_loss_unit(text: str, unit: str) -> str:
    """A unit of a law, whose losses are in nats per token, for losses in another unit.

    >>> in_loss_unit("nats per token x tokens^beta", "bits per byte"), in_loss_unit("score", "bits per byte")
    ('bits per byte x tokens^beta', 'score')
    """
    return text.replace(NATS_PER_TOKEN, unit)


def declared_unit(frame: pd.DataFrame) -> tuple[str, LossUnit] | None:
    """The column of a frame that says what its losses are in, and the unit; None where there is no such column.

    Raises TableError where rows with a loss say several, with the condition that keeps those of one.
    """
    column = next((name for name in UNIT_COLUMNS if name in frame), None)
    if "loss" not in frame:
        return None
    if column is None:
        return _of_metrics(frame)
    words = _words_with_loss(frame, column)
    said = {word: named_loss_unit(word, f"the column `{column}`") if word else None for word in words.unique()}
    return _one_unit(said, words)


def _of_metrics(frame: pd.DataFrame) -> tuple[str, LossUnit] | None:
    """The column that names the metric of each row, where the loss is one of several, and the unit that it says."""
    for column in map(str, frame.columns) if "score" not in frame and frame.columns.is_unique else ():
        if not re.search(METRIC_COLUMN, _words(column)):
            continue
        words = _words_with_loss(frame, column)
        said = {word: _of_metric(word) for word in words.unique()}
        if any(said.values()):
            return _one_unit(said, words)
    return None


def _of_metric(word: str) -> LossUnit | None:
    """The unit of a metric of this name; None for one that is no loss, or is not known."""
    try:
        return unit_in_name(word) or (LOSS_UNITS[NATS_PER_TOKEN] if re.search(PLAIN_LOSS, _words(word)) else None)
    except TableError:
        return None


def _words_with_loss(frame: pd.DataFrame, column: str) -> pd.Series:
    """What a column says of the rows that have a loss."""
    return frame.loc[frame["loss"].notna(), column].fillna("").astype(str).str.strip().rename(column)


def _one_unit(said: dict[str, LossUnit | None], words: pd.Series) -> tuple[str, LossUnit] | None:
    """A column and the unit that all of its words say. Raises TableError where they say several."""
    column, units = str(words.name), dict.fromkeys(said.values())
    if len(units) > 1:
        counts = ", ".join(f"{word or 'empty'} ({(words == word).sum()} rows)" for word in said)
        first = next(word for word in words.value_counts().index if said[word])
        raise TableError(
            "the rows are in several units of the loss, and one law is of one",
            expected=f"one unit in the column `{column}`",
            got=counts,
            cure=f"keep the rows of one: {for_shell('--where', f'{column}={first}')}",
            code="mixed_loss_units",
        )
    unit = next(iter(units), None)
    return None if unit is None else (column, unit)


def in_kept_unit(frame: pd.DataFrame, unit: LossUnit) -> pd.DataFrame:
    """The frame with its loss, in `unit`, in the unit that is kept, which the column `loss_unit` then says."""
    loss = frame["loss"]
    made = {"loss": unit.in_kept(loss), "loss_unit": unit.kept}
    if "loss_se" in frame:
        made["loss_se"] = unit.error_in_kept(frame["loss_se"], loss)
    others = [name for name in UNIT_COLUMNS if name in frame and name != "loss_unit"]
    return frame.drop(columns=others).assign(**made)
