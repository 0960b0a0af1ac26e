"""Tables of scores as papers printed them, from `benchmarks.toml`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from foretoken.compute.models import MODELS
from foretoken.compute.registry import Registry


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column measures."""

    task: str
    metric: str
    better: str = "higher"
    """`higher` or `lower`."""
    shots: str = ""
    """Examples in the prompt, where the column fixes them."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model's scores; a score that is not printed is None."""

    name: str
    model: str | None = None
    """An id of the registry of models."""
    setting: str = ""
    """What else sets the row apart: shots, objective, cost."""
    scores: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One printed table."""

    id: str
    title: str
    source: str
    status: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    careful: tuple[str, ...] = ()

    def long(self) -> Iterator[dict[str, Any]]:
        """One score at a time, with params and FLOP of its model where they are known.

        >>> next(BENCHMARKS["gpt2_zero_shot"].long())["score"]
        35.13
        """
        for row in self.rows:
            model = MODELS[row.model] if row.model else None
            size = {"params": model and model.params, "flops": model and model.compute}
            for column, score in zip(self.columns, row.scores, strict=True):
                if score is not None:
                    shots = column.shots or row.setting
                    what = {"task": column.task, "metric": column.metric, "better": column.better, "setting": shots}
                    yield {"name": row.name, "model": row.model, **size, **what, "score": score}


def _benchmark(name: str, values: dict[str, Any], tables: dict[str, Any]) -> Benchmark:
    parts: dict[str, Any] = {
        "columns": tuple(Column(**column) for column in values["columns"]),
        "rows": tuple(_row(row) for row in values["rows"]),
        "careful": tuple(values.get("careful", ())),
    }
    return Benchmark(id=name, **(values | parts))


def _row(values: dict[str, Any]) -> Row:
    named = {"name": MODELS[values["model"]].name} if "model" in values else {}
    scores = tuple(None if math.isnan(score) else float(score) for score in values["scores"])
    return Row(**{**named, **values, "scores": scores})


BENCHMARKS: Registry[Benchmark] = Registry("benchmarks.toml", "benchmark", _benchmark)
"""Printed tables by id."""
