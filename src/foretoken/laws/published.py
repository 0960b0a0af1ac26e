"""Coefficients that papers published, with all their digits and their conventions, from `published.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

PublishedStatus = Literal["verified", "secondary"]
STATUSES: dict[PublishedStatus, str] = {
    "verified": "read in the paper, its official repository, or a data set that cites the page",
    "secondary": "read in other people's notes or code only, several of which agree",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published fit of a law. Coefficients of different papers do not compare."""

    law: str
    work: str
    """The paper, a key of `cite.works()`."""
    source: str
    """The paper and the place in it."""
    status: PublishedStatus
    """`verified` or `secondary`: how the numbers were checked (`STATUSES`)."""
    parameters: dict[str, float]
    counting: str
    """What N includes."""
    compute: str
    """What C counts."""
    loss: str
    """Unit of the loss, or of what else is predicted, and on which text."""
    corpus: str
    tokenizer: str
    range: str
    """Over which runs it was fitted."""
    ranges: dict[str, list[float]] = field(default_factory=dict)
    """Smallest and largest params, tokens and flops of those runs, where the source says; 0 where it does not."""
    flops_per_param_token: float = 6.0
    """C / (N D): less than 6 where N counts parameters that a token does not use."""
    careful: tuple[str, ...] = ()
    """How it misleads."""
    standard_errors: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    interval_text: str = ""
    """What the intervals are."""
    table: tuple[dict[str, float], ...] = ()
    """Rows that the paper prints: params, tokens, flops."""

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Published:
        """One entry of `published.toml`."""
        lists = {name: tuple(values[name]) for name in ("careful", "table") if name in values}
        numbers = {name: float(value) for name, value in values["parameters"].items()}
        return cls(**(values | lists | {"parameters": numbers}))


class Registry(Mapping[str, Published]):
    """The published fits by id, read from their file when one is first asked for."""

    def __getitem__(self, name: str) -> Published:
        return _entries()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_entries())

    def __len__(self) -> int:
        return len(_entries())


@cache
def _entries() -> dict[str, Published]:
    json = tomllib.loads(Path(__file__).with_name("published.toml").read_text(encoding="utf-8"))
    return {name: Published.from_json(values) for name, values in json.items()}


PUBLISHED: Mapping[str, Published] = Registry()
