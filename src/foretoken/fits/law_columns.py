"""A run table as a law reads it: most laws predict a loss from N, D or C, but not all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from foretoken.arguments import did_you_mean
from foretoken.errors import TableError
from foretoken.laws.law import FEATURES, Array, Law
from foretoken.runs.table import SIZES

if TYPE_CHECKING:
    import pandas as pd

EVERY_TABLE = ("params", "tokens", "flops")
"""Features that every run table has, or from which they follow."""
VOCABULARIES = {"byte": 256, "bytes": 256, "gpt2": 50257, "gpt-2": 50257}
"""Entries of tokenizers that go by one name."""


@dataclass(frozen=True, kw_only=True)
class LawTable:
    """The columns that a law reads, beside the table itself: one value per row of `frame`."""

    frame: pd.DataFrame
    """The table, with its own columns alone."""
    y: pd.Series
    """What the law predicts, in the law's unit."""
    y_name: str
    """The column of `y`."""
    params: pd.Series
    params_column: str
    tokens: pd.Series
    flops: pd.Series | None
    """None where the table has none: then they are 6 x params x tokens."""
    features: dict[str, pd.Series] = field(default_factory=dict)
    """Further features, by name."""
    assumed: list[str] = field(default_factory=list)
    """What stands in for what, in sentences."""

    def numbers(self) -> dict[str, pd.Series]:
        """The columns that must be above 0 in every row, by name."""
        columns = {self.params_column: self.params, "tokens": self.tokens}
        return columns if self.flops is None else columns | {"flops": self.flops}

    def other_features(self, used: pd.Series) -> dict[str, Array]:
        """Further features of the rows `used`, by name [r]; NaN where a cell holds no number."""
        import pandas as pd

        return {
            name: pd.to_numeric(column[used], errors="coerce").to_numpy(dtype=np.float64)
            for name, column in self.features.items()
        }


def needed(law: Law) -> tuple[str, ...]:
    """The columns that a table must have for this law.

    >>> from foretoken.laws import LAWS
    >>> needed(LAWS["chinchilla"]), needed(LAWS["table_error"])
    (('params', 'tokens', 'loss'), ('size', 'data', 'score'))
    """
    if law.sequence_input:
        raise TableError(
            f"{law.name} reads whole histories of learning rates, not one number per run",
            expected="a law of one number per run",
            cure="fit it from Python: foretoken.fits.estimate.Sample.of(law, histories, losses)",
        )
    return (*law.features, law.column)


def law_table(frame: pd.DataFrame, law: Law | None, params: str = "auto") -> LawTable:
    """The columns that a law reads; without a law N, D, C and the loss. `params` names the column that is N.

    Where the table has no N or D, the law's first feature and its second (or 1) take their places in whatever sorts,
    splits or draws runs; the law itself reads its own columns. Raises TableError for a column that is not there.
    """
    for name in needed(law) if law else ():
        if name not in frame and name not in EVERY_TABLE:
            raise _no_column(name)
    y_name = law.column if law else "loss"
    assumed = [] if y_name == "loss" else [f"the law predicts `{y_name}`"]
    has_size = any(name in frame for name in SIZES)
    stands_in = law is not None and (not has_size or "tokens" not in frame)
    if law is None or has_size:
        params_column = find_params_column(frame, params)
        sizes = frame[params_column]
    else:
        params_column, sizes, sentence = _stand_in_for_params(frame, law, params)
        assumed.append(sentence)
    tokens = frame.get("tokens")
    if tokens is None:
        tokens, sentence = _stand_in_for_tokens(frame, law)
        assumed.append(sentence)
    flops = frame.get("flops")
    if flops is None and stands_in:
        flops = (_first_size(frame) if has_size else sizes) * tokens
    known = set(FEATURES).union(law.features if law else ()) - set(EVERY_TABLE)
    known -= set() if law and "loss" in law.features else {"loss"}
    return LawTable(
        frame=frame,
        y=_first_size(frame) if y_name == "params" else _column(frame, y_name),
        y_name=y_name,
        params=sizes,
        params_column=params_column,
        tokens=tokens,
        flops=flops,
        features={name: frame[name] for name in sorted(known) if name in frame},
        assumed=assumed,
    )


def find_params_column(frame: pd.DataFrame, params: str) -> str:
    """The column that is N: the first known one that holds numbers, or the one that is named."""
    known = [name for name in SIZES if name in frame and frame[name].notna().any()]
    if params == "auto" and known:
        return known[0]
    if params not in known:
        raise TableError(
            f"the table has no numbers for N in {params!r}",
            expected=", ".join(known or SIZES),
            got=params,
            cure=did_you_mean(params, known) or "name the column: --params, or --map params_total=YOUR_COLUMN",
            code="missing_column",
        )
    return params


def vocabulary(frame: pd.DataFrame) -> float | None:
    """Entries of the tokenizer: a column says so, or head or embedding over the width, or its name; None otherwise.

    >>> import pandas as pd
    >>> vocabulary(pd.DataFrame({"tokenizer": ["gpt2", "gpt2"]}))
    50257.0
    """
    for name in ("vocabulary", "vocab_size"):
        if _is_whole(frame, name):
            return float(frame[name].max())
    for name in ("params_head", "params_embedding"):
        if _is_whole(frame, name) and _is_whole(frame, "width"):
            return float((frame[name] / frame["width"]).max())
    words = frame["tokenizer"].dropna().unique() if "tokenizer" in frame else ()
    known = [VOCABULARIES.get(str(word).lower()) for word in words]
    return float(max(size for size in known if size)) if known and all(known) else None


def _is_whole(frame: pd.DataFrame, name: str) -> bool:
    """Whether every row has a finite number above 0 in a column."""
    import pandas as pd

    if name not in frame or not len(frame):
        return False
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    return bool((np.isfinite(values) & (values > 0)).all())


def _stand_in_for_params(frame: pd.DataFrame, law: Law, params: str) -> tuple[str, pd.Series, str]:
    """The law's first feature in place of N; a loss upside down, so that larger runs have more of it."""
    first = law.features[0]
    if params not in ("auto", "params"):
        raise TableError(f"the table has no numbers for N in {params!r}", expected="params", code="missing_column")
    column = _column(frame, first)
    inverse = first == "loss"
    sizes = 1.0 / column if inverse else column
    return "params", sizes, f"`{'1 / loss' if inverse else first}` takes the place of params"


def _stand_in_for_tokens(frame: pd.DataFrame, law: Law | None) -> tuple[pd.Series, str]:
    """The law's last feature in place of D; 1 for a law of one feature."""
    import pandas as pd

    if law is None:
        raise _no_column("tokens")
    if len(law.features) == 1:
        return pd.Series(1.0, index=frame.index), "tokens are not known"
    return _column(frame, law.features[-1]), f"`{law.features[-1]}` takes the place of tokens"


def _first_size(frame: pd.DataFrame) -> pd.Series:
    return _column(frame, next((name for name in SIZES if name in frame), "params"))


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if name not in frame:
        raise _no_column(name)
    return frame[name]


def _no_column(name: str) -> TableError:
    return TableError(f"the table has no column {name!r}", cure="name it with --map")
