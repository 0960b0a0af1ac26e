"""Fit files through `foretoken predict`, and the options of `fit` and `predict`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from . import samples
from .mutations import HOSTILE, NUMBERS, ODD, damaged, edited, json_text
from .run_tables import COLUMNS
from .verbs import foretoken, strict_json


@st.composite
def fit_files(draw: Callable[[Any], Any]) -> bytes:
    """A fit file, edited, of damaged bytes, or no fit at all."""
    die = draw(st.integers(0, 9))
    if die == 0:
        return draw(
            st.binary(max_size=300) | ODD.map(json_text).map(lambda text: text.encode("utf-8", "surrogatepass"))
        )
    if die == 1:
        return draw(damaged(json_text(samples.fit_json()).encode()))
    return json_text(draw(edited(samples.fit_json()))).encode("utf-8", "surrogatepass")


def read_fit(content: bytes, folder: Path) -> None:
    """A fit file, through `foretoken predict`."""
    (folder / "fit.json").write_bytes(content)
    words = ("predict", "fit.json", "--params", "1M", "--tokens", "20M")
    if len(content) % 2:
        foretoken(*words)
    else:
        strict_json(foretoken(*words, "--json"))


ARGUMENT = st.sampled_from([*(word for word in HOSTILE if "\0" not in word), *map(str, NUMBERS)]) | st.text(
    st.characters(exclude_characters="\0"), max_size=12
)
MAPS = st.lists(
    st.tuples(st.sampled_from([*COLUMNS, "x", ""]) | ARGUMENT, st.sampled_from(COLUMNS) | ARGUMENT), max_size=3
)
WORDS = st.one_of(
    st.tuples(st.just("fit"), st.just("--map"), MAPS.map(lambda pairs: ",".join("=".join(pair) for pair in pairs))),
    st.tuples(st.just("fit"), st.sampled_from(["--params", "--level", "--law"]), ARGUMENT | st.sampled_from(COLUMNS)),
    st.tuples(
        st.just("predict"),
        st.sampled_from(["--params", "--tokens", "--flops", "--level", "--kind"]),
        ARGUMENT | st.floats().map(repr),
    ),
)


def read_words(drawn: tuple[str, str, str], folder: Path) -> None:
    """Options of `fit` and `predict`."""
    verb, option, value = drawn
    if verb == "fit":
        samples.runs().to_csv(folder / "runs.csv", index=False)
        strict_json(
            foretoken("fit", "runs.csv", "--json", *(() if option == "--law" else ("--law", "power")), option, value)
        )
    else:
        (folder / "fit.json").write_text(json.dumps(samples.fit_json()))
        strict_json(foretoken("predict", "fit.json", "--params", "1M", "--tokens", "20M", "--json", option, value))
