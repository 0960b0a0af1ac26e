"""Tables of scores, through `foretoken scores`, `downstream` and `versus`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from .mutations import damaged, sometimes_damaged
from .run_tables import SUFFIXES, spoiled, table_bytes
from .verbs import foretoken, strict_json

COLUMNS = ["params", "tokens", "flops", "loss", "recipe", "task", "metric", "shots", "score", "n", "chance", "human"]
VERBS = st.sampled_from(
    [
        ("scores", "--json"),
        ("scores", "--json", "--level-of", "0.9"),
        ("downstream", "--json", "--at", "7B,140B"),
        ("versus", "--json", "--by", "recipe", "--first", "a", "--second", "b", "--compute", "1e21"),
        ("versus", "--json", "--by", "recipe"),
    ]
)


def sound() -> pd.DataFrame:
    """Two recipes of eight runs on one task."""
    size = np.tile(np.geomspace(1e8, 1e10, 8), 2)
    loss = np.repeat([1.8, 1.7], 8) + 400 * size**-0.34
    return pd.DataFrame(
        {
            "params": size, "tokens": 20 * size, "flops": 120 * size**2, "loss": loss,
            "recipe": np.repeat(["a", "b"], 8), "task": "rte", "metric": "acc", "shots": "few",
            "score": 0.5 + 0.4 / (1 + np.exp(4 * (loss - 2.2))), "n": 277, "chance": 0.5, "human": 0.94,
        }
    )  # fmt: skip


@st.composite
def frames(draw: Callable[[Any], Any]) -> pd.DataFrame:
    """The table with a few of its columns spoiled."""
    frame = sound()
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(COLUMNS))
        action = draw(st.sampled_from(["cell", "cell", "column", "drop", "double", "type", "rename", "few", "sign"]))
        frame = spoiled(draw, frame, name, action)
    return frame


SCORE_TABLES = st.tuples(
    st.one_of(
        st.tuples(frames(), SUFFIXES).flatmap(
            lambda pair: st.tuples(sometimes_damaged(table_bytes(*pair)), st.just(pair[1]))
        ),
        SUFFIXES.flatmap(lambda suffix: st.tuples(damaged(table_bytes(sound(), suffix)), st.just(suffix))),
    ),
    VERBS,
)


def read_score_table(drawn: tuple[tuple[bytes, str], tuple[str, ...]], folder: Path) -> None:
    """A verb on the table, its JSON read back."""
    (content, suffix), (verb, *options) = drawn
    path = folder / f"scores{suffix}"
    path.write_bytes(content)
    strict_json(foretoken(verb, path, *options))
