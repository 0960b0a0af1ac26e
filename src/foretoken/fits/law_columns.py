"""A table as a law reads it: most laws predict a loss from N, D or C, but not all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foretoken.errors import TableError
from foretoken.laws.law import FEATURES, Array, Law
from foretoken.runs.table import SIZES

if TYPE_CHECKING:
    import pandas as pd

RUN = ("params", "tokens", "flops")
"""Features that every run table has."""
AS_READ = "read as "
"""Mark of a column that the law reads, kept where `loss` is replaced by what the law predicts."""


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


def for_law(frame: pd.DataFrame, law: Law) -> tuple[pd.DataFrame, list[str]]:
    """The table with `loss` for what the law predicts, and what was done, in sentences.

    Where the table has no N or D, the law's first feature and its second (or 1) take their places in whatever sorts,
    splits or draws runs; the law itself reads its own columns. Raises TableError for a column that is not there.
    """
    missing = [name for name in needed(law) if name not in frame and name not in RUN]
    if missing:
        raise TableError(f"the table has no column {missing[0]!r}", cure="name it with --map")
    kept = [name for name in law.features if name not in RUN]
    frame = frame.assign(**{AS_READ + name: frame[name] for name in kept})
    said = []
    if law.column != "loss":
        frame["loss"] = frame[next(name for name in SIZES if name in frame) if law.column == "params" else law.column]
        said.append(f"the law predicts `{law.column}`")
    first, second = law.features[0], law.features[-1]
    if not any(name in frame for name in SIZES):
        frame["params"] = 1.0 / frame[AS_READ + first] if first == "loss" else frame[first]
        said.append(f"`{'1 / loss' if first == 'loss' else first}` takes the place of params")
    if "tokens" not in frame:
        frame["tokens"] = 1.0 if second == first else frame[second]
        said.append("tokens are not known" if second == first else f"`{second}` takes the place of tokens")
    if "flops" not in frame and len(said) > (law.column != "loss"):
        frame["flops"] = frame[next(name for name in SIZES if name in frame)] * frame["tokens"]
    return frame, said


def read_beside(kept: pd.DataFrame) -> dict[str, Array]:
    """Features [r] that laws read beside N, D and C, by name; NaN where a cell holds no number."""
    import pandas as pd

    found = {}
    for name in sorted(set(FEATURES) - set(RUN)):
        column = AS_READ + name if AS_READ + name in kept else name
        if column in kept and (column != "loss"):
            found[name] = pd.to_numeric(kept[column], errors="coerce").to_numpy(dtype=np.float64)
    return found
