"""Fit files through `foretoken predict`, and the options of `fit` and `predict`."""

from __future__ import annotations

import copy
import json
import math
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


SIZES = ("--params", "1M", "--tokens", "20M")
FIT_VERBS = st.sampled_from(
    [
        ("predict", "fit.json", *SIZES),
        ("plan", "--fit", "fit.json", "--compute", "1e18"),
        ("next", "--fit", "fit.json", "--spend", "1e15", "--compute", "1e17", "--runs", "8"),
        ("compare", "--fit", "fit.json", "--compute", "1e18"),
        ("ledger", "freeze", "fit.json", "a", *SIZES),
    ]
)
"""Every verb that reads a fit."""
EXTREME = [1e-308, 5e-324, 1e-30, 0.0, -1.0, 1e30, 1e308, math.nan, math.inf]


@st.composite
def fit_parts(draw: Callable[[Any], Any]) -> bytes:
    """A fit file of which one part is gone, longer, shorter, of another type, or of numbers that cannot be."""
    values = copy.deepcopy(samples.fit_json())
    holder, key = values, draw(st.sampled_from(sorted(values)))
    while isinstance(holder[key], dict | list) and holder[key] and draw(st.integers(0, 3)):
        holder = holder[key]
        key = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    part = holder[key]
    action = draw(st.sampled_from(["delete", "longer", "shorter", "type", "number", "all"]))
    if action == "delete":
        del holder[key]
    elif action == "longer" and isinstance(part, list):
        part += part[-1:] or [1.0]
    elif action == "shorter" and isinstance(part, list):
        del part[-1:]
    elif action == "all" and isinstance(part, list) and part and isinstance(part[0], list):
        number = draw(st.sampled_from(EXTREME))
        holder[key] = [[number] * len(row) for row in part]
    else:
        holder[key] = draw(ODD if action == "type" else st.sampled_from(EXTREME))
    return json_text(values).encode("utf-8", "surrogatepass")


def read_parts(drawn: tuple[bytes, tuple[str, ...]], folder: Path) -> None:
    """A fit file, through one of the verbs that read one."""
    content, words = drawn
    (folder / "fit.json").write_bytes(content)
    foretoken(*words)


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
